"""The directory of a finished run, which travels along when its estimator is pickled or copied."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

#: Files that predict and report need.
_KEPT = ("run.json", "tree.json", "model/*", "report/report.html")


class SavedRun:
    """A run directory. One of ours, without `out`, is removed along with this object."""

    def __init__(self, out: str | None = None) -> None:
        if out is not None:
            self.path = Path(out).absolute()
            return
        folder = tempfile.mkdtemp(prefix="dpmesh-run-")
        self.path = Path(folder) / "run"
        weakref.finalize(self, _remove, folder, os.getpid())

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
