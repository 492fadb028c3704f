"""The estimator."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import readable, train_arguments
from ._centers import cluster_means
from ._command import Event, run_command
from ._features import check_count, check_names
from ._inputs import Input, open_input
from ._notebook import Report
from ._options import MOST_EPOCHS, Options
from ._parameters import Parameters, not_fitted
from ._progress import progress
from ._saved_run import SavedRun

if TYPE_CHECKING:
    from typing_extensions import Self

#: Options that mean columns by name: a DataFrame then goes to dpmesh as a table.
_TABLE_OPTIONS = ("columns", "drop", "id", "text", "impute", "one_hot")


class DPMesh(Parameters, Options):
    """Clusters rows without being told the number of clusters.

    Rows (`X`) may be an array, a DataFrame, a tensor of torch, a memory-mapped .npy, or the path of a file or folder that
    dpmesh reads. Parameters are the options of the command ``dpmesh train`` (``help(DPMesh.__init__)``); there is no
    ``n_clusters``, as that is what is found. The same rows, parameters and seed give the same labels.

    Attributes
    ----------
    labels_ : ndarray of int32, shape (n_samples,)
        The cluster of each row. Clusters are numbered by size: 0 has the most rows.
    n_clusters_ : int
        The number of clusters found.
    cluster_centers_ : ndarray of float64, shape (n_clusters_, n_features)
        The mean of the rows of each cluster, outliers left out. Not there if the rows are a file other than .npy, or a
        table of more than numbers.
    outliers_ : ndarray of bool, shape (n_samples,)
        Rows so far from all others that they were set apart. They are labelled, but were not trained on.
    responsibilities_ : ndarray of float32, shape (n_samples, n_clusters_)
        How much of each row belongs to each cluster; only with ``soft=True``.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        The names of the columns; only where `X` has names that are all text.
    result_ : dict
        The summary of the run: scores, epochs, seconds, and ``notes``, reasons to doubt the result.
    run_directory_ : str
        The directory of the run: ``out``, or else a temporary folder that is gone with this object.

    Examples
    --------
    >>> from dpmesh import DPMesh
    >>> model = DPMesh(seed=0).fit(X)  # doctest: +SKIP
    >>> model.n_clusters_  # doctest: +SKIP
    10
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Finds the clusters of the rows `X`.

        `y` is ignored, as in every clusterer of scikit-learn. True classes that are only to be scored are the parameter
        ``labels``. Ctrl-C stops the run and its workers. Raises ValueError for a mistake in `X` or a parameter,
        RuntimeError if dpmesh cannot be run.
        """
        by_names = any(getattr(self, name) is not None for name in _TABLE_OPTIONS)
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            data = open_input(X, folder, by_names)
            if data.columns is not None and len(X) == 1:
                raise ValueError("X has 1 sample, n_samples=1: clusters need at least 2")
            run = SavedRun(self.out)
            result = self._train(data, run, folder)
            self._keep(data, run, result)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int32]:
        """Finds the clusters of the rows `X`, and returns the cluster of each."""
        labels: NDArray[np.int32] = self.fit(X).labels_
        return labels

    def predict(self, X: Any) -> NDArray[np.int32]:
        """The cluster of each row of `X`; of the rows of `fit` the same as ``labels_``."""
        labels: NDArray[np.int32] = self._apply(X, "labels.npy")
        return labels

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """How much of each row of `X` belongs to each cluster, rows × clusters."""
        responsibilities: NDArray[np.float32] = self._apply(X, "responsibilities.npy")
        return responsibilities

    def report(self, path: str | Path | None = None) -> Report:
        """The report of the run, one HTML file: a path, which a notebook shows as the page itself.

        `path`: copies it there. Else it lies in ``run_directory_``.
        """
        run = self._fitted_run()
        page = run.path / "report" / "report.html"
        if not page.exists():
            run_command(["plot", f"--run={run.path}"])
        return Report(page if path is None else shutil.copyfile(page, path))

    @property
    def run_directory_(self) -> str:
        return str(self._fitted_run().path)

    def _train(self, data: Input, run: SavedRun, folder: Path) -> Event:
        said: list[str] = []
        most_epochs = self.max_epochs or MOST_EPOCHS[self.schedule or "fast"]
        with progress(self.verbose, most_epochs) as show:

            def on_event(event: Event) -> None:
                if event["type"] == "warning":
                    said.append(event["message"])
                show(event)

            try:
                arguments = train_arguments(self, data.path, run.path, folder)
                result = run_command(arguments, on_event, lambda message: readable(message, folder))
                said += result["notes"]
            finally:
                for message in said:
                    warnings.warn(readable(message, folder), stacklevel=3)
        return result

    def _keep(self, data: Input, run: SavedRun, result: Event) -> None:
        """Sets the attributes of a finished run."""
        stored = json.loads((run.path / "run.json").read_text("utf-8"))
        labels: NDArray[np.int32] = np.load(run.path / "labels.npy")
        outliers = run.path / "outliers.npy"
        self._run = run
        self._by_names = data.by_names
        self.labels_ = labels
        self.n_clusters_: int = result["k"]
        self.outliers_: NDArray[np.bool_] = np.load(outliers) if outliers.exists() else np.zeros(len(labels), bool)
        self.n_features_in_: int = data.columns or stored["data"]["dim"]
        self.result_ = result
        for name in ("feature_names_in_", "cluster_centers_", "responsibilities_"):
            vars(self).pop(name, None)
        if data.names is not None:
            self.feature_names_in_ = data.names
        if data.rows is not None and len(data.rows) == len(labels):
            inliers = np.where(self.outliers_, -1, labels) if self.outliers_.any() else labels
            self.cluster_centers_ = cluster_means(data.rows, inliers, self.n_clusters_)
        if self.soft:
            self.responsibilities_: NDArray[np.float32] = np.load(run.path / "responsibilities.npy")

    def _fitted_run(self) -> SavedRun:
        run: SavedRun | None = getattr(self, "_run", None)
        if run is None:
            raise not_fitted(self)
        return run

    def _apply(self, X: Any, output: str) -> Any:
        """Runs predict and returns one of the arrays that it writes."""
        run = self._fitted_run()
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            data = open_input(X, folder, self._by_names)
            if data.columns is not None and (data.names is None or not self._by_names):
                check_names(getattr(self, "feature_names_in_", None), data.names)
            # Of a table dpmesh knows which of the columns it needs.
            if not self._by_names:
                check_count(self.n_features_in_, data.columns)
            written = folder / "predicted"
            written.mkdir()
            arguments = ["predict", f"--run={run.path}", f"--data={data.path}", f"--out={written / 'labels.npy'}"]
            if output == "responsibilities.npy":
                arguments.append(f"--soft={written / output}")
            if self.skip_bad:
                arguments.append("--skip-bad")
            run_command(arguments, readable=lambda message: readable(message, folder, run.path))
            return np.load(written / output)
