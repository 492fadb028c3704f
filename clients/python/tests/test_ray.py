"""Runs on a real Ray of three raylets on this machine, whose actors, processes and raylets are killed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import ray
import ray.data
from dpmesh import DPMesh
from dpmesh.ray import train
from ray.cluster_utils import Cluster
from support import blobs

#: Of a run that takes as long as the kills do.
LONG: dict[str, Any] = {"split_merge_every": 3, "batch_size": 16, "max_epochs": 150, "early_stop": False}
SHORT: dict[str, Any] = {"split_merge_every": 3, "batch_size": 16}
X, TRUTH = blobs(1500)


def processes(*words: str) -> list[int]:
    """Processes whose command line has all these words."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(entry))
    return found


def until(what: str, found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come")
        time.sleep(0.05)
    return value


class OnRay(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        np.save(cls.folder / "x.npy", X)
        # A node that is gone is noticed after two seconds instead of thirty.
        noticed = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 2}
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": noticed}
        cls.cluster = Cluster(initialize_head=True, head_node_args=head)
        cls.nodes = [cls.cluster.add_node(num_cpus=1) for _ in range(2)]
        ray.init(address=cls.cluster.address, log_to_driver=False)

    @classmethod
    def tearDownClass(cls) -> None:
        ray.shutdown()
        cls.cluster.shutdown()
        until("the end of all processes", lambda: not processes("main.js", str(cls.folder)), 20)
        cls.temporary.cleanup()

    def train(self, data: Any, name: str, **options: Any) -> DPMesh:
        return train(data, storage_path=self.folder, name=name, **options)

    def test_what_cannot_be_is_said_before_training(self) -> None:
        path = self.folder / "x.npy"
        for said, data, options in (
            ("the cluster has no GPU", path, {"use_gpu": True}),
            ("num_workers=0 must be a number from 1 on", path, {"num_workers": 0}),
            ("num_workers='2' must be", path, {"num_workers": "2"}),
            ("without slashes", path, {"name": "../elsewhere"}),
            ("name='..' must be", path, {"name": ".."}),
            ("workers: on Ray, num_workers", path, {"workers": 2}),
            # Another folder in each process, or none.
            ("do not see /proc/self/fd/", path, {"storage_path": f"/proc/self/fd/{os.open(self.folder, os.O_RDONLY)}/seen"}),
        ):
            with self.subTest(said), self.assertRaisesRegex(ValueError, said):
                train(data, **{"storage_path": self.folder, "name": said[:7].strip(), **options})
        (self.folder / "taken" / "run").mkdir(parents=True)
        (self.folder / "taken" / "run" / "run.json").touch()
        with self.assertRaisesRegex(ValueError, "taken has a run already"):
            self.train(path, "taken")
        # Files of these names a run has too.
        (self.folder / "project" / "keys").mkdir(parents=True)
        np.save(self.folder / "project" / "X.npy", X[:9])
        with self.assertRaisesRegex(ValueError, "project has files of something else"):
            self.train(X, "project", **SHORT)
        self.assertEqual(sorted(os.listdir(self.folder / "project")), ["X.npy", "keys"])
        self.assertEqual(len(np.load(self.folder / "project" / "X.npy")), 9)
        frame = pandas.DataFrame({"a": [1.0, None, 3.0] * 20, "b": ["x", "y", "z"] * 20})
        with self.assertRaisesRegex(ValueError, r"has text in column 2 \(b\)"):
            self.train(ray.data.from_pandas(frame), "text", **SHORT)
        # What a call that failed has left is replaced.
        with self.assertRaisesRegex(ValueError, r"has text in column 2 \(b\)"):
            self.train(ray.data.from_pandas(frame), "text", **SHORT)

    def test_a_dataset_and_more_workers_than_there_is_room_for(self) -> None:
        frame = pandas.DataFrame(X, columns=["a", "b", "c"])
        model = self.train(ray.data.from_pandas(frame), "dataset", num_workers=(1, 5), draw_report=False, **SHORT)
        self.assertEqual(model.n_clusters_, 3)
        self.assertFalse((self.folder / "dataset" / "keys").exists())
        # Each true cluster is one.
        self.assertEqual(len({*zip(model.labels_.tolist(), TRUTH.tolist(), strict=True)}), 3)

    def test_workers_read_the_file_themselves(self) -> None:
        # Elsewhere than the run, which they may read below too.
        with tempfile.TemporaryDirectory() as elsewhere:
            np.save(path := Path(elsewhere, "rows.npy"), X)
            self.train(path, "own", draw_report=False, **SHORT)
        session = Path(ray._private.worker._global_node.get_session_dir_path(), "logs")
        said = "".join(log.read_text(errors="replace") for log in session.glob("worker-*"))
        self.assertIn(f"rows come from {path}", said)

    def test_relative_paths_are_those_of_the_caller(self) -> None:
        (self.folder / "parts").mkdir()
        for i, rows in enumerate(np.split(X, 2)):
            pandas.DataFrame(rows, columns=["a", "b", "c"]).to_csv(self.folder / "parts" / f"{i}.csv", index=False)
        pandas.DataFrame({"kind": TRUTH}).to_csv(self.folder / "kinds.txt", index=False)
        before = os.getcwd()
        # Not where the raylets, and so the actors, have started.
        os.chdir(self.folder)
        try:
            model = self.train("parts/*.csv", "relative", labels="kinds.txt:kind", draw_report=False, **SHORT)
        finally:
            os.chdir(before)
        self.assertEqual((model.n_clusters_, model.result_["ari"]), (3, 1))

    def test_whatever_is_killed_the_labels_are_those_of_a_local_run(self) -> None:
        path = self.folder / "x.npy"
        local = DPMesh(workers=1, draw_report=False, out=str(self.folder / "local"), **LONG).fit(path)
        ended: list[Any] = []
        options = {"num_workers": 2, "draw_report": False, **LONG}

        def work() -> None:
            try:
                ended.append(self.train(path, "killed", **options))
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        run = str(self.folder / "killed" / "run")
        events = Path(run) / "events.jsonl"

        def epochs() -> int:
            return events.read_text().count('"type":"epoch"') if events.exists() else 0

        def killed(what: str, pids: Callable[[], list[int]]) -> None:
            before = epochs()
            os.kill(until(what, pids)[0], signal.SIGKILL)
            until(f"an epoch after the end of {what}", lambda: ended or epochs() > before + 3)
            self.assertFalse(ended, f"the run had ended before all were killed: {ended}")

        until("epoch 5", lambda: ended or epochs() > 5)
        killed("a worker", lambda: processes("main.js", "worker", "--name=ray-"))
        killed("the actor of a worker", lambda: processes("ray::_Worker"))
        killed("the process of the coordinator", lambda: processes("main.js", run, "--bind="))
        killed("the actor of the coordinator", lambda: processes("ray::_Coordinator"))
        self.cluster.remove_node(self.nodes[0], allow_graceful=False)
        # On a busy machine Ray takes minutes to place what was lost.
        thread.join(600)
        self.assertIsInstance(ended[0], DPMesh, ended)
        first, second = (Path(m.run_directory_, "labels.npy").read_bytes() for m in (local, ended[0]))
        self.assertEqual(first, second)
        self.assertGreaterEqual(events.read_text().count('"type":"resume"'), 2)


if __name__ == "__main__":
    unittest.main()
