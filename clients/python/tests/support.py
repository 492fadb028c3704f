"""Small data and quick options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

#: Of a small run: one worker, few epochs, no pictures.
QUICK: dict[str, Any] = {"workers": 1, "split_merge_every": 3, "batch_size": 16, "draw_report": False}


def blobs(rows: int = 600, columns: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clusters of the same size, far apart, in random order."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(rows) % 3)
    centers = 4 * np.eye(3, columns)
    return (rng.normal(size=(rows, columns)) * 0.3 + centers[truth]).astype("float32"), truth


def processes_of(folder: str | Path) -> list[int]:
    """Processes whose command line names this folder."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if str(folder).encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
        except OSError:
            pass  # It has ended meanwhile.
    return found
