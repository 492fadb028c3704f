"""Small data and quick options."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import unittest
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from unittest import mock

import numpy as np

ROOT = Path(__file__).parents[3]
MAIN = str(ROOT / "dist" / "cli" / "main.js")

#: Of a small run that looks for K: one worker, few epochs, no pictures.
SEARCH: dict[str, Any] = {"workers": 1, "split_merge_every": 3, "batch_size": 16, "draw_report": False}
#: Of one that has it: half as long.
QUICK: dict[str, Any] = {**SEARCH, "init_k": 3, "max_epochs": 4}


def blobs(rows: int = 240, columns: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
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


class Warm:
    """As much of a Popen as run_command uses, of a command that the process of test/clients/pythons.ts runs.

    To start one takes most of a second, and its first fit as long as the next four. Signals and real processes are
    for test_interrupt.py, test_ray.py and the wheel.
    """

    #: Of no process.
    pid = 2**22 + 1

    def __init__(self, address: str, arguments: Sequence[str], errors: IO[bytes]) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            with connection.makefile("rw", encoding="utf-8") as lines:
                lines.write(json.dumps({"args": arguments, "cwd": os.getcwd()}) + "\n")
                lines.flush()
                ended = json.loads(lines.readline())
        self._code: int = ended["code"]
        self.stdout = io.StringIO(ended["stdout"])
        errors.write(ended["stderr"].encode())

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self) -> int:
        return self._code

    def communicate(self, timeout: float) -> None:
        pass


def warm_commands() -> None:
    """As setUpModule: the commands of a module's tests are run by the process of test/clients/pythons.ts, if that has started this one."""
    address = os.environ.get("DPMESH_TEST_COMMANDS")
    if not address:
        return

    def begin(command: Sequence[str], *, stderr: IO[bytes], **how: Any) -> Any:
        if command[1:2] != [MAIN]:
            return subprocess.Popen(command, stderr=stderr, **how)
        return Warm(address, command[2:], stderr)

    changed = mock.patch("dpmesh._command.subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": begin}))
    changed.start()
    unittest.addModuleCleanup(changed.stop)
