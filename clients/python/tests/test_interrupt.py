"""A run that is interrupted leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
from dpmesh import DPMesh, _command
from support import blobs, processes_of, warm_commands

#: Those of this process; that of the run is its own.
setUpModule = warm_commands
ENDLESS = """
import sys
from dpmesh import DPMesh
DPMesh(workers=1, early_stop=False, max_epochs=10**6, draw_report=False, out=sys.argv[1] + "/run").fit(sys.argv[1] + "/rows.npy")
"""
#: Seconds after which it is a failure, on any machine.
LIMIT = 120


@unittest.skipUnless(sys.platform == "linux", "reads /proc")
class Interrupt(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        np.save(self.folder / "rows.npy", blobs()[0])
        self.python = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(self.folder)], stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(self.python.kill)
        events = self.folder / "run" / "events.jsonl"
        self.wait_for(lambda: events.exists() and '"epoch":3,' in events.read_text("utf-8"))

    def wait_for(self, condition) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), end, "waited too long")
            time.sleep(0.02)

    def none_left(self) -> bool:
        return not [pid for pid in processes_of(self.folder) if pid != self.python.pid]

    def test_ctrl_c_stops_the_run_in_an_orderly_way(self) -> None:
        self.python.send_signal(signal.SIGINT)
        _, said = self.python.communicate(timeout=LIMIT)
        self.assertIn("KeyboardInterrupt", said)
        self.wait_for(self.none_left)
        run = self.folder / "run"
        self.assertTrue(list((run / "checkpoints").iterdir()))
        with self.assertRaisesRegex(ValueError, "run is not finished: `dpmesh finish "):
            DPMesh.load(run)
        _command.run_command(["finish", str(run)])
        model = DPMesh.load(run)
        self.assertEqual(model.get_params()["max_epochs"], 10**6)
        np.testing.assert_array_equal(model.predict(self.folder / "rows.npy"), model.labels_)

    def test_a_killed_program_leaves_no_run(self) -> None:
        self.python.kill()
        self.python.communicate(timeout=LIMIT)
        self.wait_for(self.none_left)


if __name__ == "__main__":
    unittest.main()
