"""The directory of a finished run, what it says of rows and clusters, and how it travels with a pickled estimator.

It may come from somebody else: only regular files that lie in it are read, and nothing is written through a link.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import hashlib
import html
import io
import json
import os
import re
import shutil
import stat
import struct
import tempfile
import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ._command import run_command
from ._messages import readable
from ._options import FORMAT

#: Files that an estimator of the run needs: to predict, to describe clusters, and to be updated.
_SAVED = ("*.json", "*.npy", "labels.*", "model/*", "mixture/*", "stream/*", "report/*")
#: Bytes of a JSON file, at most.
_MOST_JSON = 64 << 20


class SavedRun:
    """A run directory. One of ours, without `out`, is removed along with this object."""

    def __init__(self, out: str | None = None) -> None:
        self.is_temporary = out is None
        self._identity: tuple[Any, Any] | None = None
        if out is not None:
            # A path has one slash less.
            if re.match(r"[A-Za-z][\w+.-]+:/", str(out)):
                raise ValueError(f"out: {out} is an address, and nothing is written to one: choose a path of this machine")
            # As the command has it, to which a/../b is b, whatever a is.
            self.path = Path(os.path.abspath(out))
            return
        folder = tempfile.mkdtemp(prefix="dpmesh-run-")
        # The report has its name for a title.
        self.path = Path(folder) / "DPMesh"
        weakref.finalize(self, _remove, folder, os.getpid())

    def bring_back(self) -> None:
        """Has dpmesh bring the run to its path where an update in place was killed as it replaced it, between two renames."""
        if not self.path.exists() and any(self.path.parent.glob(f"{glob.escape(self.path.name)}.*.tmp")):
            # Every command that opens a run does that; this one writes nothing.
            with contextlib.suppress(ValueError):
                run_command(["resolutions", f"--run={self.path}", "--json"])

    def remember(self) -> None:
        """Takes note of which run it is, at which time; new names change neither."""
        self._identity = self._found()

    def assert_same(self) -> None:
        """Raises ValueError if another run has taken its place since `remember`, or it has gone on."""
        self.bring_back()
        if self._identity not in (None, self._found()):
            raise ValueError(
                f"{self.path} is not the run any more that the estimator is of: another has taken its place, or it has gone on; "
                f"DPMesh.load({str(self.path)!r}) makes the estimator of the one that is there now"
            )

    def _found(self) -> tuple[Any, Any]:
        about = self.json("run.json")
        # What is missing is named where it is read.
        files = about.get("files") if isinstance(about, dict) else None
        return (about.get("id"), files.get("stream/state.ckpt")) if isinstance(files, dict) else (None, None)

    def has(self, name: str) -> bool:
        """Is the file there, or has run.json its hash? One that was lost must not pass for one that the run never had."""
        return name in self.json("run.json").get("files", {}) or os.path.lexists(self.path / name)

    def open(self, name: str) -> BinaryIO:
        """A file of the run. Raises ValueError unless it is a regular one in it, and has the hash that run.json has of it."""
        path = self.path / name
        foreign = ValueError(f"{path} is no regular file in the run directory: restore it from a copy of the run")
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self.path.resolve()):
                raise foreign
            # A pipe would be waited for.
            handle = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except (OSError, RuntimeError) as error:
            # Before Python 3.13, links in a circle are a RuntimeError.
            why = getattr(error, "strerror", "a link that leads to itself")
            raise ValueError(f"{path} cannot be read ({why}): restore it from a copy of the run") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise foreign
        file = os.fdopen(handle, "rb")
        expected = None if name == "run.json" else self.json("run.json").get("files", {}).get(name)
        if expected is not None and _sha256(file) != expected:
            file.close()
            raise damaged(path, "its SHA-256 is not the one that run.json has")
        file.seek(0)
        return file

    def json(self, name: str) -> Any:
        with self.open(name) as file:
            try:
                content = json.loads(file.read(_MOST_JSON))
            except ValueError as error:
                raise damaged(self.path / name, "it is no JSON") from error
        if name == "run.json" and isinstance(content, dict) and content.get("format", 1) != FORMAT:
            raise ValueError(
                f"{self.path / name} has format {content.get('format', 1)}, this dpmesh reads format {FORMAT}: "
                f"use the version that wrote it ({content.get('dpmesh')}), or repeat the run"
            )
        return content

    def column_names(self) -> list[str] | None:
        """The names of the columns, which the header of the model's file has; None where they have none."""
        name = "model/model.safetensors"
        with self.open(name) as file:
            try:
                (length,) = struct.unpack("<Q", file.read(8))
                metadata = json.loads(file.read(min(length, _MOST_JSON)))["__metadata__"]
                return json.loads(metadata["columns"]) if "columns" in metadata else None
            except (KeyError, TypeError, ValueError, struct.error) as error:
                raise damaged(self.path / name, "it has no header") from error

    def part(self, name: str, *keys: str) -> Any:
        """What a JSON file of the run has under the last of these keys, each in what the one before it has."""
        value = self.json(name)
        for i, key in enumerate(keys):
            if not isinstance(value, dict) or key not in value:
                raise damaged(self.path / name, f"it has no {'.'.join(keys[: i + 1])}")
            value = value[key]
        return value

    def array(self, name: str) -> NDArray[Any]:
        with self.open(name) as file:
            try:
                array: NDArray[Any] = np.load(file)
            except (EOFError, OSError, ValueError) as error:
                raise damaged(self.path / name, "it is no array of numpy") from error
            return array

    def rows(self, name: str, missing: Any) -> NDArray[Any]:
        """An array of the run, with `missing` for rows that were left out."""
        return self.with_all_rows(self.array(name), missing)

    def left_out(self) -> int:
        """The label of rows that were left out: where -1 is noise, it is -3."""
        return -3 if self.json("run.json")["config"].get("noise") else -1

    def with_all_rows(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        kept = self.kept_rows()
        if kept is None:
            return values
        rows = len(kept) + self.part("run.json", "data", "table", "dropped")
        full = np.full((rows, *values.shape[1:]), missing, values.dtype)
        full[kept] = values
        return full

    def kept_rows(self) -> NDArray[np.int32] | None:
        """The row of `X` that each row of the run is; None if it has all of them."""
        return self.array("kept-rows.npy") if self.has("kept-rows.npy") else None

    def copies(self) -> NDArray[np.int32]:
        """The first row of each row's group of near copies, both as they are in `X`; -1 for rows without any."""
        if not self.has("copies.npy"):
            return np.full(len(self.rows("labels.npy", -1)), -1, np.int32)
        first, kept = self.array("copies.npy"), self.kept_rows()
        return self.with_all_rows(first if kept is None else np.where(first < 0, first, kept[first]), -1)

    def outlier_scores(self) -> NDArray[np.float64]:
        with self.open("labels.csv") as file:
            return self.with_all_rows(column_of(file, "outlier_score"), np.nan)

    def clusters(self) -> list[dict[str, Any]]:
        """What is said of each cluster, with rows as they are in `X`."""
        clusters: list[dict[str, Any]] = self.part("clusters.json", "clusters")
        kept = self.kept_rows()
        if kept is not None:
            for row in (row for cluster in clusters for row in (*cluster["exemplars"], *cluster["border"])):
                row["row"] = int(kept[row["row"]])
        return clusters

    def lineage(self) -> list[dict[str, Any]]:
        """What became of clusters in the update that the run is; empty of another run."""
        return self.part("lineage.json", "lineage") if self.has("lineage.json") else []

    def drift(self) -> dict[str, Any] | None:
        return self.part("lineage.json", "drift") if self.has("lineage.json") else None

    def picture(self, name: str) -> Path:
        """A file of the report, which is drawn if it is not there."""
        file = self.path / "report" / name
        if not file.exists():
            run_command(["plot", f"--run={self.path}"])
        if not file.exists():
            others = ", ".join(sorted(path.stem for path in file.parent.glob("*.png")))
            raise ValueError(f"there is no picture {file.stem}, but {others}")
        self.open(f"report/{name}").close()
        return file

    def report(self) -> Path:
        """The report, with notes in the words of Python, and without paths of temporary files, which nobody can follow."""
        page = self.picture("report.html")
        with self.open("report/report.html") as file:
            text = file.read().decode("utf-8")
        stored = self.json("run.json")
        data = stored["config"]["data"]
        mended = text
        for note in (stored["result"] or {}).get("notes", []):
            mended = _replaced(mended, note, readable(note, self.path))
        if os.path.isabs(data) and not os.path.exists(data):
            mended = _replaced(mended, data, "X")
        if self.is_temporary:
            # What is said of its files, and then where the data of the page have its path.
            mended = re.sub(rf"<div><dt>[^<]*</dt><dd>{re.escape(html.escape(str(self.path)))}[^<]*</dd></div>", "", mended)
            mended = re.sub(r"<div><dt>report</dt><dd>report/report\.html</dd></div>", "", mended)
            mended = _replaced(_replaced(mended, f"{self.path}{os.sep}", ""), str(self.path), "")
        if mended != text:
            # By another name first: the file may have more than one.
            handle, draft = tempfile.mkstemp(dir=page.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as other:
                other.write(mended)
            os.replace(draft, page)
        return page

    def files(self, patterns: tuple[str, ...]) -> dict[str, bytes]:
        """What is in the files of these names."""
        found: dict[str, bytes] = {}
        for path in (path for pattern in patterns for path in self.path.glob(pattern) if not path.is_dir()):
            name = path.relative_to(self.path).as_posix()
            with self.open(name) as file:
                found[name] = file.read()
        return found

    def save(self, folder: Path) -> None:
        """Copies the run to a folder that is new or empty."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"{folder} already exists; choose another path")
        _write(self.files(_SAVED), folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (self.files(_SAVED),)


def column_of(file: BinaryIO, name: str) -> NDArray[np.float64]:
    """A column of a table of labels, of which the first names the rows; closes the file. Raises ValueError if it has none of that name."""
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        lines = csv.reader(text)
        column = next(lines).index(name, 1)
        return np.fromiter((float(line[column]) for line in lines), float)


def damaged(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} is damaged ({why}): restore it from a copy of the run")


def _replaced(page: str, old: str, new: str) -> str:
    """The page with another text, as HTML and as JSON in it have it."""
    for form in (html.escape, lambda text: html.escape(text, quote=False), lambda text: json.dumps(text, ensure_ascii=False)[1:-1]):
        page = page.replace(form(old), form(new))
    return page


def _unpacked(files: dict[str, bytes]) -> SavedRun:
    run = SavedRun()
    _write(files, run.path)
    return run


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _remove(folder: str, owner: int) -> None:
    # A forked process has a copy of this object, but not the folder.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
