"""The estimator."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import labels_file, parameters_of, train_arguments, update_arguments
from ._centers import cluster_means
from ._command import Event, run_command
from ._features import check_count, check_names
from ._frames import numbers_named
from ._inputs import Input, open_input
from ._messages import readable
from ._notebook import Picture, Report
from ._options import MOST_EPOCHS, Options
from ._parameters import Parameters, not_fitted
from ._progress import progress
from ._saved_run import SavedRun, column_of, damaged
from ._warn import warn

if TYPE_CHECKING:
    from typing_extensions import Self

#: Says of an update that its rows are in the run.
_KNOWN = "its rows are in the estimator already"
#: Options that mean columns by name: a DataFrame then goes to dpmesh as a table.
_TABLE_OPTIONS = ("columns", "drop", "id", "text", "impute", "categorical")


class DPMesh(Parameters, Options):
    """Clusters rows without being told the number of clusters.

    Rows (`X`) may be an array (also masked, sparse or memory-mapped), a DataFrame, a tensor of torch, an AnnData, or the path
    of a file or folder that dpmesh reads. Parameters are the options of the command ``dpmesh train`` (``help(DPMesh.__init__)``); there is no
    ``n_clusters``, as that is what is found. The same rows, parameters and seed give the same labels.

    Attributes
    ----------
    labels_ : ndarray of int32, shape (n_samples,)
        The cluster of each row. Clusters are numbered by size: 0 has the most rows. With ``noise=True`` -1 for rows in no
        cluster. Rows left out by ``impute="drop"`` have -1, with ``noise=True`` -3, as of HDBSCAN.
    n_clusters_ : int
        The number of clusters found.
    clusters_ : list of dict
        What each cluster is: its size, the rows that are typical of it, the columns in which it differs from all
        others, the clusters nearest to it, and with ``text`` its words.
    names_ : dict of int to str
        What each cluster is called, by its label: the columns that set it apart, such as ``high income, low age``; where nothing does, or columns
        have no names, ``cluster 3``.
    probabilities_ : ndarray of float32, shape (n_samples,)
        How much of each row belongs to its cluster, 0 to 1; of noise, how surely it is that.
    outlier_scores_ : ndarray of float64, shape (n_samples,)
        The share of its cluster's rows that are nearer to the centre than this row, 0 to 1.
    log_density_ : ndarray of float32, shape (n_samples,), or None
        The log density of each row under the mixture of all clusters: low for rows in no cluster. None with the likelihood
        "graph".
    cluster_centers_ : ndarray of float64, shape (n_clusters_, n_features)
        The mean of the rows of each cluster, without those of ``outliers_``. Only where `X` has them as numbers.
    outliers_ : ndarray of bool, shape (n_samples,)
        Rows so far from all others that they were set apart. They are labelled, but were not trained on.
    copies_ : ndarray of int32, shape (n_samples,)
        The first row of the group of near copies that a row is in, with which it is one row of the graph; -1 for rows without copies.
    map_ : ndarray of float32, shape (n_samples, 2)
        Where each row is on the map of the report.
    responsibilities_ : ndarray of float32, shape (n_samples, n_clusters_)
        How much of each row belongs to each cluster; only with ``soft=True``.
    components_ : ndarray of int32, shape (n_samples,)
        The component of the mixture that each row is in, of which a cluster may have several; only with ``components=True``.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        The names of the columns; only where `X` has names that are all text.
    lineage_ : list of dict
        After `update`, what became of clusters in it: ``what`` (born, split, merged, gone, returned) and ``id``.
    drift_ : dict or None
        After `update`, how its rows differed from those before, and ``alarms``, what of it matters.
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
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            data = open_input(X, folder, self._table_options(), fits=True)
            if data.columns is not None and _rows_of(X) == 1:
                raise ValueError("X has 1 sample, n_samples=1: clusters need at least 2")
            run = SavedRun(self.out)
            result = self._train(data, run, folder)
            run.remember()
            self._keep(data, run, result)
            self._columns = list(X.columns) if hasattr(X, "columns") and data.columns is not None else None
            self._by_numbers = data.by_names and data.columns is not None and data.names is None
        return self

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int32]:
        """Finds the clusters of the rows `X`, and returns the cluster of each."""
        labels: NDArray[np.int32] = self.fit(X).labels_
        return labels

    def _update(self, X: Any, options: dict[str, Any]) -> Self:
        before = self._fitted_run()
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            # What names the rows in the run has to name these; of an array that has no names, as in `fit`.
            named = before.json("run.json")["config"]["id"] if self._by_names else None
            data = self._new_rows(X, folder, named)
            run = SavedRun() if before.is_temporary else None
            out = None if run is None else run.path
            arguments = update_arguments(self, data, before.path, out, options)
            result = self._followed(arguments, folder, before.path)
            run = run or SavedRun(result["out"])
            run.remember()
            self._keep(data, run, result)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """`fit` at first, then `update`; an `X` that the run has taken as a whole before is left out, with a warning. `y` is ignored.

        Single rows are not recognized: of an `X` that has some of those before and new ones, all are taken.
        """
        if getattr(self, "_run", None) is None:
            return self.fit(X)
        try:
            return self.update(X)
        except ValueError as error:
            if _KNOWN not in str(error):
                raise
            warn(str(error))
            return self

    @classmethod
    def load(cls, run_directory: str | Path) -> Self:
        """The estimator of a finished run, of ``out`` or of the command line, with its parameters.

        A `fit` that was interrupted is finished first, by ``dpmesh finish`` or ``dpmesh resume``.
        """
        run = SavedRun(str(run_directory))
        run.bring_back()
        if not (run.path / "run.json").exists():
            raise ValueError(f"{run_directory} is not a run directory: it has no run.json")
        try:
            return cls._of_run(run)
        except KeyError as error:
            raise damaged(run.path, f"a file of it has no {error.args[0]}") from error
        except (AttributeError, IndexError, TypeError) as error:
            raise damaged(run.path, f"a file of it has something else than that of a run: {error}") from error

    @classmethod
    def _of_run(cls, run: SavedRun) -> Self:
        run.remember()
        result, config, about = (run.part("run.json", key) for key in ("result", "config", "data"))
        if result is None:
            raise ValueError(
                f"{run.path} is not finished: `dpmesh finish {run.path}` labels the rows by what it has learned, "
                f"`dpmesh resume {run.path}` goes on"
            )
        names = run.column_names()
        model = cls(**parameters_of(config))
        is_table = "table" in about
        given = None if is_table or names is None else np.array(names, dtype=object)
        data = run.part("run.json", "config", "data")
        model._keep(Input(data, None, None, given, is_table), run, result)
        model._columns = None if is_table else names
        # Else they may be numbers from 1.
        chosen = [config[name] for name in ("columns", "drop", "categorical")]
        model._by_numbers = is_table and names is None and chosen == [None, None, None]
        return model

    def predict(self, X: Any, clusters: int | None = None) -> NDArray[np.int32]:
        """The cluster of each row of `X`; of the rows of `fit` the same as ``labels_``, or with so many `clusters` as `cut`."""
        labels: NDArray[np.int32] = self._apply(X, "labels.npy", clusters)
        return labels

    def predict_proba(self, X: Any, clusters: int | None = None) -> NDArray[np.float32]:
        """How much of each row of `X` belongs to each cluster, rows × clusters; `clusters` as in `predict`."""
        responsibilities: NDArray[np.float32] = self._apply(X, "responsibilities.npy", clusters)
        return responsibilities

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """The log density of each row of `X` under the mixture, as ``log_density_`` has it of the rows of `fit`."""
        if self.log_density_ is None:
            raise ValueError("score_samples needs a run with log densities: those of the likelihood gaussian have them")
        densities: NDArray[np.float64] = self._apply(X, "log_density", None)
        return densities

    def predict_components(self, X: Any) -> NDArray[np.int32]:
        """The component of the mixture that each row of `X` is in, -1 of noise, whether or not `fit` had ``components=True``."""
        components: NDArray[np.float64] = self._apply(X, "component", None)
        return components.astype(np.int32)

    def score(self, X: Any, y: Any) -> float:
        """How well the clusters of the rows `X` agree with their true classes `y`: the adjusted Rand index, at most 1."""
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            truth = np.asarray(y)
            predicted = self.predict(X)
            if not isinstance(y, (str, os.PathLike)) and truth.shape[:1] != predicted.shape:
                raise ValueError(f"y has shape {truth.shape}, but X has {len(predicted)} rows: pass a class for each row")
            (folder / "predicted").mkdir()
            files = labels_file(predicted, folder / "predicted"), labels_file(y, folder)
            arguments = ["evaluate", "--json", f"--pred={files[0]}", f"--labels={files[1]}"]
            return float(run_command(arguments, readable=lambda message: readable(message, folder))["ari"])

    def report(self, path: str | Path | None = None) -> Report:
        """The report of the run, one HTML file: a path, which a notebook shows as the page itself.

        `path`: copies it there. Else it lies in ``run_directory_``.
        """
        page = self._fitted_run().report()
        if path is not None:
            Path(path).write_bytes(page.read_bytes())
        return Report(page if path is None else path)

    def plot(self, picture: str = "clusters") -> Picture:
        """A picture of the report, such as clusters, map, dendrogram, sizes: the path of a .png, which a notebook shows."""
        return Picture(self._fitted_run().picture(f"{picture}.png"))

    def save(self, path: str | Path) -> None:
        """Copies the run to a new folder, of which `load` makes the estimator again."""
        self._fitted_run().save(Path(path))

    def cut(self, n_clusters: int) -> NDArray[np.int32]:
        """The cluster of each row of `fit` once clusters are joined to `n_clusters`, without training."""
        run = self._fitted_run()
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            written = folder / "cut.npy"
            arguments = ["cut", f"--run={run.path}", f"--clusters={n_clusters}", f"--out={written}"]
            run_command(arguments, readable=lambda message: _of_cut(readable(message, folder, run.path)))
            return run.with_all_rows(np.load(written), run.left_out())

    def cut_names(self, n_clusters: int) -> dict[int, str]:
        """What each cluster of `cut` with `n_clusters` is called, by its label there, as ``names_``."""
        run = self._fitted_run()
        arguments = ["cut", f"--run={run.path}", f"--clusters={n_clusters}", "--json"]
        found = run_command(arguments, readable=lambda message: _of_cut(readable(message, run.path, run.path)))
        return {label: cluster.get("name", f"cluster {label}") for label, cluster in enumerate(found["clusters"])}

    @property
    def run_directory_(self) -> str:
        return str(self._fitted_run().path)

    @property
    def outlier_scores_(self) -> NDArray[np.float64]:
        return self._fitted_run().outlier_scores()

    @property
    def cluster_centers_(self) -> NDArray[np.float64]:
        self._fitted_run()
        if self._centers is None:
            raise AttributeError(
                "cluster_centers_ is there where the columns that are clustered are numbers of an array, a DataFrame or a "
                ".npy file; clusters_ has for each cluster the means of its columns that differ most"
            )
        return self._centers

    def _train(self, data: Input, run: SavedRun, folder: Path) -> Event:
        return self._followed(train_arguments(self, data, run.path, folder), folder)

    def _followed(self, arguments: list[str], *hidden: Path) -> Event:
        """Runs a command that trains, with its progress and warnings. `hidden`: folders that mean nothing to the user."""
        said: list[str] = []
        # A schedule that there is not, the command refuses.
        most_epochs = self.max_epochs or MOST_EPOCHS.get(self.schedule or "fast", 0)
        with progress(self.verbose, most_epochs) as show:

            def on_event(event: Event) -> None:
                if event["type"] == "warning":
                    said.append(event["message"])
                show({**event, "message": readable(event["message"], *hidden)} if event["type"] == "log" else event)

            try:
                result = run_command(arguments, on_event, lambda message: readable(message, *hidden))
                said += result["notes"]
            finally:
                for message in dict.fromkeys(said):
                    warn(readable(message, *hidden))
        return result

    def _keep(self, data: Input, run: SavedRun, result: Event) -> None:
        """Sets the attributes of a finished run, all of them of the same one."""
        stored = run.json("run.json")["data"]
        self._run = run
        self._by_names = data.by_names
        self.labels_: NDArray[np.int32] = run.rows("labels.npy", run.left_out())
        self.n_clusters_: int = run.part("run.json", "result", "k")
        self.clusters_ = run.clusters()
        labels = [cluster.get("id", cluster["cluster"]) for cluster in self.clusters_]
        self.names_: dict[int, str] = {
            label: cluster.get("name", f"cluster {label}") for label, cluster in zip(labels, self.clusters_, strict=True)
        }
        self.probabilities_: NDArray[np.float32] = run.rows("confidences.npy", np.nan)
        self.log_density_: NDArray[np.float32] | None = (
            run.rows("log-densities.npy", np.nan) if run.has("log-densities.npy") else None
        )
        self.map_: NDArray[np.float32] | None = run.rows("map.npy", np.nan) if run.has("map.npy") else None
        self.outliers_: NDArray[np.bool_] = (
            run.rows("outliers.npy", False) if run.has("outliers.npy") else np.zeros(len(self.labels_), bool)
        )
        self.copies_: NDArray[np.int32] = run.copies()
        self.n_features_in_: int = data.columns or run.part("run.json", "data", "dim")
        self.result_ = result
        self.lineage_: list[dict[str, Any]] = run.lineage()
        self.drift_: dict[str, Any] | None = run.drift()
        for name in ("feature_names_in_", "components_", "responsibilities_"):
            vars(self).pop(name, None)
        if data.names is not None:
            self.feature_names_in_ = data.names
        if self.components:
            self.components_: NDArray[np.int32] = run.rows("components.npy", run.left_out())
        if self.soft:
            self.responsibilities_: NDArray[np.float32] = run.rows("responsibilities.npy", np.nan)
        rows = data.rows
        if data.frame is not None:
            # Columns whose names only number them have none there.
            names = run.column_names() or [str(i) for i in range(stored["dim"])]
            rows = numbers_named(data.frame, names, stored["table"]["fill"])
        self._centers: NDArray[np.float64] | None = None
        # The clusters of an update are of all rows so far.
        if rows is not None and len(rows) == len(self.labels_) and self.drift_ is None:
            inliers = np.where(self.outliers_, np.int32(-1), self.labels_)
            self._centers = cluster_means(rows, inliers, self.n_clusters_)
        run.assert_same()

    def _table_options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _TABLE_OPTIONS if getattr(self, name) is not None}

    def _fitted_run(self) -> SavedRun:
        run: SavedRun | None = getattr(self, "_run", None)
        if run is None:
            raise not_fitted(self)
        run.assert_same()
        return run

    def _arranged(self, X: Any, named: str | None = None) -> Any:
        """A DataFrame that has the columns of `fit`, with these in its order, and the one that names its rows, if it has that."""
        columns = self._columns
        if columns is None or not hasattr(X, "columns") or len({*columns}) < len(columns):
            return X
        more = [name for name in X.columns if str(name) == named and name not in columns]
        return X[[*columns, *more]] if {*columns} <= {*X.columns} else X

    def _new_options(self, X: Any) -> dict[str, Any]:
        """Those by which new rows become a file like that of `fit`."""
        options = self._table_options()
        # What names rows does not matter to their labels.
        options.pop("id", None)
        if hasattr(X, "columns"):
            return {**options, "id": ""} if self._by_names else {}
        return options if self._by_numbers or hasattr(X, "obsm") else {}

    def _new_rows(self, X: Any, folder: Path, named: str | None = None) -> Input:
        """Rows that are to have the columns of `fit`. `named`: the column that has to name them."""
        data = open_input(self._arranged(X, named), folder, self._new_options(X), named=named)
        if data.columns is not None and (data.names is None or not self._by_names):
            check_names(getattr(self, "feature_names_in_", None), data.names)
        # Of a table dpmesh knows which of the columns it needs.
        if not self._by_names:
            check_count(self.n_features_in_, data.columns)
        return data

    def _apply(self, X: Any, output: str, clusters: int | None) -> Any:
        """Runs predict and returns one of the arrays that it writes, or a column of its table."""
        run = self._fitted_run()
        with tempfile.TemporaryDirectory(prefix="dpmesh-") as temporary:
            folder = Path(temporary)
            data = self._new_rows(X, folder)
            written = folder / "predicted"
            written.mkdir()
            is_column = not output.endswith(".npy")
            labels = written / ("labels.csv" if is_column else "labels.npy")
            arguments = ["predict", f"--run={run.path}", f"--data={data.path}", f"--out={labels}"]
            if output == "responsibilities.npy":
                arguments.append(f"--soft={written / output}")
            if output == "component":
                arguments.append("--components")
            if self.skip_bad:
                arguments.append("--skip-bad")
            if clusters is not None:
                arguments.append(f"--clusters={clusters}")
            run_command(arguments, readable=lambda message: readable(message, folder, run.path))
            run.assert_same()
            if is_column:
                with labels.open("rb") as file:
                    return column_of(file, output)
            return np.load(written / output)


def _of_cut(message: str) -> str:
    """A message of the command cut, whose number of clusters is called otherwise here."""
    return re.sub(r"^(dpmesh: )?clusters(?=[= ])", r"\1n_clusters", message)


def _rows_of(X: Any) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)
