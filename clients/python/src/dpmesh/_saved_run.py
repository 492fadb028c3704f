"""The directory of a finished run, what it says of rows and clusters, and how it travels with a pickled estimator."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Files that predict, report, cut and scores need.
_KEPT = ("run.json", "tree.json", "labels.*", "kept-rows.npy", "model/*", "report/report.html")


class SavedRun:
    """A run directory. One of ours, without `out`, is removed along with this object."""

    def __init__(self, out: str | None = None) -> None:
        self.is_temporary = out is None
        if out is not None:
            # A path has one slash less.
            if re.match(r"[A-Za-z][\w+.-]+:/", str(out)):
                raise ValueError(f"out: {out} is an address, and nothing is written to one: choose a path of this machine")
            self.path = Path(out).absolute()
            return
        folder = tempfile.mkdtemp(prefix="dpmesh-run-")
        # The report has its name for a title.
        self.path = Path(folder) / "DPMesh"
        weakref.finalize(self, _remove, folder, os.getpid())

    def json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text("utf-8"))

    def rows(self, name: str, missing: Any) -> NDArray[Any]:
        """An array of the run, with `missing` for rows that were left out."""
        return self.with_all_rows(np.load(self.path / name), missing)

    def with_all_rows(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        kept = self.kept_rows()
        if kept is None:
            return values
        rows = len(kept) + self.json("run.json")["data"]["table"]["dropped"]
        full = np.full((rows, *values.shape[1:]), missing, values.dtype)
        full[kept] = values
        return full

    def kept_rows(self) -> NDArray[np.int32] | None:
        """The row of `X` that each row of the run is; None if it has all of them."""
        kept = self.path / "kept-rows.npy"
        return np.load(kept) if kept.exists() else None

    def outlier_scores(self) -> NDArray[np.float64]:
        with (self.path / "labels.csv").open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            column = next(lines).index("outlier_score", 1)
            scores = np.fromiter((float(line[column]) for line in lines), float)
        return self.with_all_rows(scores, np.nan)

    def clusters(self) -> list[dict[str, Any]]:
        """What is said of each cluster, with rows as they are in `X`."""
        clusters: list[dict[str, Any]] = self.json("clusters.json")["clusters"]
        kept = self.kept_rows()
        if kept is not None:
            for row in (row for cluster in clusters for row in (*cluster["exemplars"], *cluster["border"])):
                row["row"] = int(kept[row["row"]])
        return clusters

    def mend_report(self) -> Path:
        """The report, without paths of temporary files, which nobody can follow."""
        page = self.path / "report" / "report.html"
        text = page.read_text("utf-8")
        data = self.json("run.json")["config"]["data"]
        dead = {} if os.path.exists(data) else {data: "X"}
        if self.is_temporary:
            dead |= {f"{self.path}{os.sep}": "", str(self.path): "in a temporary folder"}
        mended = text
        for path, words in dead.items():
            mended = mended.replace(html.escape(path), words)
        if mended != text:
            page.write_text(mended, "utf-8")
        return page

    def __reduce__(self) -> tuple[Any, ...]:
        files = [file for pattern in _KEPT for file in self.path.glob(pattern)]
        return _unpacked, ({str(file.relative_to(self.path)): file.read_bytes() for file in files},)


def _unpacked(files: dict[str, bytes]) -> SavedRun:
    run = SavedRun()
    for name, content in files.items():
        file = run.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return run


def _remove(folder: str, owner: int) -> None:
    # A forked process has a copy of this object, but not the folder.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
