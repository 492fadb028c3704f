"""Runs on a Ray cluster: an actor for the coordinator, and one for each worker, which Ray places, starts again, and pays for.

Each actor holds a process of the command ``dpmesh``, which ends with it. A worker that is lost is replaced while the run goes on; a coordinator that
is lost continues from its last checkpoint, in the storage path. So labels are those of ``dpmesh train``, bit by bit, whatever was lost.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import ray
    from ray.util.metrics import Gauge
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise ImportError("dpmesh.ray needs Ray: pip install 'dpmesh[ray]'") from error

from ._arguments import train_arguments
from ._command import Event, find_command, held_environment, run_command
from ._estimator import DPMesh
from ._inputs import open_input
from ._messages import readable

#: What the caller decides here, not among the options of `DPMesh`.
_OURS = ("workers", "gpus", "per_gpu", "require_gpu", "out", "force", "bind", "keys", "insecure", "http", "http_token")
#: Options that may be paths of files, which actors read from other working directories.
_FILES = ("labels", "texts")
#: Seconds without the coordinator after which a worker asks where it is now.
_SILENCE = 10
#: Seconds between two starts of a process that ends at once.
_PAUSE = 1.0
#: Starts of a coordinator one after the other without an epoch between them.
_MOST_FAILURES = 5
#: Seconds for which each node is asked whether it sees the storage path.
_PATIENCE = 60
#: The file by which a folder is known as one of an earlier call.
_OWN = ".dpmesh-ray"
#: Seconds after which it is said that workers are missing.
_IMPATIENCE = 15


def train(
    data: Any,
    *,
    num_workers: int | tuple[int, int] = 1,
    use_gpu: bool = False,
    storage_path: str | os.PathLike[str] = "~/ray_results",
    name: str | None = None,
    **options: Any,
) -> DPMesh:
    """Clusters `data` with workers on the Ray cluster that this process is connected to, and returns the fitted estimator.

    `data`: all that `DPMesh.fit` takes, where a path or an address is handed over as it is, or a ``ray.data.Dataset``, which is written as Parquet to
    the storage path. `num_workers`: of (2, 64) it begins with two, and more join as the cluster has room for them. Each has a core, or with
    `use_gpu` a GPU. `storage_path`: a folder that all nodes share; the run is in its sub-folder `name`. `options`: those of `DPMesh`.

    Raises ValueError for a mistake in `data`, an option, or the cluster, RuntimeError if dpmesh cannot be run.
    """
    bounds = num_workers if isinstance(num_workers, tuple) else (num_workers, num_workers)
    if not (len(bounds) == 2 and all(isinstance(bound, int) for bound in bounds) and 1 <= bounds[0] <= bounds[1]):
        raise ValueError(f"num_workers={num_workers!r} must be a number from 1 on, or two, the least and the most of them")
    least, most = bounds
    if name is not None and (name != Path(name).name or name == ".."):
        raise ValueError(f"name={name!r} must be that of a folder, without slashes: storage_path says where it is")
    ours = [option for option in _OURS if options.get(option) is not None]
    if ours:
        raise ValueError(f"{', '.join(ours)}: on Ray, num_workers, use_gpu, storage_path and name decide that; leave it out")
    model = DPMesh(**{option: _absolute(value) if option in _FILES else value for option, value in options.items()})
    if not ray.is_initialized():
        ray.init()
    if use_gpu and not ray.cluster_resources().get("GPU"):
        raise ValueError("use_gpu=True, but the cluster has no GPU: add a node with one, or leave it out")
    # Several calls may begin in one second.
    unique = time.strftime(f"dpmesh_%Y-%m-%d_%H-%M-%S_{uuid.uuid4().hex[:8]}")
    folder = Path(storage_path).expanduser().absolute() / (name or unique)
    if (folder / "run" / "run.json").exists():
        raise ValueError(f"{folder} has a run already: choose another name, or remove it")
    _claim(folder)
    _assert_shared(folder)
    given = open_input(_written(data, folder), folder, model._table_options(), fits=True)
    arguments = train_arguments(model, given, folder / "run", folder)
    addresses = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    host = "127.0.0.1" if len(addresses) == 1 else None
    # Of this process; other nodes may have it elsewhere, or on their PATH.
    where = {"runtime_env": {"env_vars": {"DPMESH": os.environ["DPMESH"]}}} if "DPMESH" in os.environ else {}
    with _keys(folder) as keys:
        called = f"dpmesh-{uuid.uuid4()}"
        own = _Coordinator.options(name=called, **where)  # type: ignore[attr-defined]
        coordinator = own.remote(arguments, str(folder), str(keys), host)
        resources = {"num_gpus": 1} if use_gpu else {"num_cpus": 1}
        # Those for which there is no room yet wait for it, and join the run then.
        workers = _Worker.options(**resources, **where)  # type: ignore[attr-defined]
        flags = [f"--key={keys / 'worker.key'}", *(["--require-gpu"] if use_gpu else [])]
        roots = [_folder_of(given.path), str(folder)]
        found = [workers.remote(called, number, flags, roots) for number in range(most)]
        try:
            _wait_for(found, least)
            ray.get(coordinator.run.remote())
        except ray.exceptions.RayTaskError as error:
            cause = error.as_instanceof_cause()
            kind = ValueError if isinstance(cause, ValueError) else RuntimeError
            raise kind(readable(str(error.cause), folder)) from None
        finally:
            for actor in (*found, coordinator):
                ray.kill(actor)
    return DPMesh.load(folder / "run")


def _claim(folder: Path) -> None:
    """Makes the folder, whose files are replaced from here on. Raises ValueError if it has files that are not of an earlier call."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise ValueError(f"{folder} is no folder: choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _OWN).exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} has files of something else, which a run could replace: choose another name")
    (folder / _OWN).touch()


def _folder_of(path: str) -> str:
    """What a worker may read below, for it to read this file, folder, pattern or address itself."""
    if "://" in path:
        return path.rpartition("/")[0]
    return str(next(above for above in Path(path).parents if above.is_dir()))


def _wait_for(workers: list[Any], least: int) -> None:
    ready = [worker.ready.remote() for worker in workers]
    done, _ = ray.wait(ready, num_returns=least, timeout=_IMPATIENCE)
    if len(done) < least:
        print(f"dpmesh waits for {least} workers: the cluster has had room for {len(done)} so far", file=sys.stderr)
        ray.wait(ready, num_returns=least)


def _absolute(value: Any) -> Any:
    """A path or pattern from the root on; an address, and what is no path, as it is."""
    if not isinstance(value, (str, os.PathLike)) or "://" in os.fspath(value):
        return value
    return os.path.abspath(value)


def _written(data: Any, folder: Path) -> Any:
    """What a process of this machine reads in place of `data`: of a Dataset a folder of Parquet files."""
    if not hasattr(data, "write_parquet") or not hasattr(data, "iter_batches"):
        return _absolute(data)
    rows = folder / "rows"
    # Else new files would lie among those of a call that failed.
    shutil.rmtree(rows, ignore_errors=True)
    data.write_parquet(str(rows))
    return str(rows)


def _assert_shared(folder: Path) -> None:
    """Raises ValueError unless all nodes see the folder."""
    mark = folder / "shared"
    mark.touch()
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    asked = {
        _sees.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(str(mark)): address
        for node, address in nodes.items()
    }
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_PATIENCE)
    blind = [asked[answer] for answer in done if not ray.get(answer)]
    mark.unlink()
    if blind:
        raise ValueError(
            f"storage_path: nodes {', '.join(blind)} do not see {folder}: choose a folder that all nodes share, as of NFS"
        )


@ray.remote(num_cpus=0)  # type: ignore[untyped-decorator]
def _sees(path: str) -> bool:
    return Path(path).exists()


@contextmanager
def _keys(folder: Path) -> Iterator[Path]:
    """A folder of keys for one run, which its user alone can read. Ray logs the environment of actors, so that keys do not go that way."""
    keys = folder / "keys"
    shutil.rmtree(keys, ignore_errors=True)
    run_command(["keygen", str(keys)])
    try:
        yield keys
    finally:
        shutil.rmtree(keys, ignore_errors=True)


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=8)
class _Coordinator:
    """Holds the process of the coordinator; started again, that goes on from its last checkpoint."""

    def __init__(self, arguments: list[str], folder: str, keys: str, host: str | None) -> None:
        self.arguments = arguments
        self.folder = Path(folder)
        self.keys = keys
        self.host = host or ray.util.get_node_ip_address()
        self.port = self._port()
        self.epochs = 0
        self.gauges = {
            name: Gauge(f"dpmesh_{name}", description, tag_keys=("run",))
            for name, description in {
                "clusters": "Number of clusters, K.",
                "epoch": "Epochs so far.",
                "loss": "Loss of the clustering net.",
                "workers": "Workers that compute for the run.",
            }.items()
        }
        self.workers = 0

    def address(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def run(self) -> Event:
        """Resolves with the result. Raises ValueError for a mistake of the user."""
        failures = 0
        while True:
            before = self.epochs
            try:
                return run_command(self._command(), self._on_event, held=True)
            except (RuntimeError, ValueError) as error:
                failures = 1 if self.epochs > before else failures + 1
                # The process of an actor that was killed may still be about to end.
                is_mistake = isinstance(error, ValueError) and "is in use by another coordinator" not in str(error)
                if is_mistake or failures > _MOST_FAILURES:
                    raise
                print(f"the coordinator starts again: {error}", flush=True)
                time.sleep(_PAUSE)

    def _command(self) -> list[str]:
        how = [f"--bind={self.address()}", f"--keys={self.keys}", "--no-http", "--events"]
        run = self.folder / "run"
        if (run / "run.json").exists():
            return ["resume", str(run), *how]
        return ["coordinator", *(a for a in self.arguments[1:] if a not in how), "--force", *how]

    def _port(self) -> int:
        """The one of before, at which workers wait, if this machine has it; else a free one."""
        known = self.folder / "address.json"
        host, port = json.loads(known.read_text()) if known.exists() else (None, 0)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, port if host == self.host else 0))
            except OSError:
                probe.bind((self.host, 0))
            found: int = probe.getsockname()[1]
        known.write_text(json.dumps([self.host, found]))
        return found

    def _on_event(self, event: Event) -> None:
        kind = event["type"]
        if kind == "epoch":
            self.epochs = event["epoch"]
            self._show(clusters=event["k"], epoch=event["epoch"], loss=event["loss"])
        elif kind in ("worker", "worker-gone"):
            self.workers = max(0, self.workers + (1 if kind == "worker" else -1))
            self._show(workers=self.workers)
        elif kind in ("start", "step", "resume", "end", "warning"):
            print(json.dumps(event), flush=True)

    def _show(self, **values: float | None) -> None:
        for name, value in values.items():
            if value is not None:
                self.gauges[name].set(value, tags={"run": self.folder.name})


@ray.remote(max_restarts=-1, max_task_retries=-1, max_concurrency=2)
class _Worker:
    """Holds the process of a worker, which it starts again for as long as it lives."""

    def __init__(self, coordinator: str, number: int, flags: list[str], roots: list[str]) -> None:
        self.coordinator = coordinator
        # A node that has no such folder gets the rows from the coordinator.
        there = [root for root in roots if "://" in root or os.path.isdir(root)]
        self.flags = [f"--name=ray-{number}", f"--reconnect-for={_SILENCE}", *flags, *(f"--data-root={root}" for root in there)]
        threading.Thread(target=self._work, daemon=True).start()

    def ready(self) -> bool:
        return True

    def _work(self) -> None:
        while True:
            address = ray.get(ray.get_actor(self.coordinator).address.remote())
            with subprocess.Popen(
                [*find_command(), "worker", f"--connect={address}", *self.flags],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                env=held_environment(),
            ) as process:
                assert process.stderr is not None
                for line in process.stderr:
                    print(line, end="", flush=True)
            time.sleep(_PAUSE)
