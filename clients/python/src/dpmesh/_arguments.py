"""The options of an estimator as arguments of the command."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ._inputs import Input
from ._options import RESULT_OPTIONS, RUN_OPTIONS, Options

#: Where `labels_file` writes an array, in the temporary folder of `fit`.
_OF_FIT = re.compile(r"[/\\]dpmesh-[^/\\]+[/\\]labels\.npy$")


def train_arguments(options: Options, data: Input, out: Path, folder: Path) -> list[str]:
    """The arguments that train on `data`. Options of the result are written to a file in `folder`."""
    config = {**{key: getattr(options, name) for name, key in RESULT_OPTIONS.items()}, **data.options}
    if config["seed"] is not None:
        # A large number is not exact there.
        config["seed"] = str(config["seed"])
    if config["labels"] is not None:
        config["labels"] = labels_file(config["labels"], folder)
    file = folder / "options.json"
    given = {key: value for key, value in config.items() if value is not None}
    file.write_text(json.dumps(given, default=_plain), "utf-8")
    command = "train" if options.bind is None else "coordinator"
    arguments = [command, f"--data={data.path}", f"--out={out}", f"--config={file}", "--events"]
    return [*arguments, *_run_arguments(options, but=("out",))]


def parameters_of(config: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a run with this config, that of run.json."""
    parameters = {name: config[key] for name, key in RESULT_OPTIONS.items() if key in config}
    if parameters.get("seed") is not None:
        parameters["seed"] = int(parameters["seed"])
    # An array of true classes was in a folder that went with `fit`.
    if _OF_FIT.search(str(parameters.get("labels"))):
        parameters["labels"] = None
    return parameters


def update_arguments(options: Options, data: Input, run: Path, out: Path | None, given: dict[str, Any]) -> list[str]:
    """The arguments that take `data` into a run. `given`: those of `update` alone, by their flags."""
    if options.bind is not None:
        raise ValueError("update starts its own workers: leave bind out")
    arguments = ["update", str(run), f"--data={data.path}", "--events"]
    if out is not None:
        arguments.append(f"--out={out}")
    for flag, value in given.items():
        if value is not None:
            arguments += _argument(flag, value)
    return [*arguments, *_run_arguments(options, but=("out", "force"))]


def _run_arguments(options: Options, but: tuple[str, ...]) -> list[str]:
    arguments = [] if options.draw_report else ["--no-report"]
    for name, flag in RUN_OPTIONS.items():
        value = getattr(options, name)
        if name not in but and value is not None:
            arguments += _argument(flag, value)
    return arguments if options.http is not None else [*arguments, "--no-http"]


def _argument(flag: str, value: Any) -> list[str]:
    if isinstance(value, (bool, np.bool_)):
        # The page at its usual address is the default of the command.
        return [flag if value else flag.replace("--", "--no-")] if flag != "--http" or not value else []
    return [f"{flag}={value}"]


def labels_file(labels: Any, folder: Path) -> str:
    """The file of `labels`; one in `folder` if they have none."""
    if isinstance(labels, (str, os.PathLike)):
        return os.fspath(labels)
    array = np.asarray(labels)
    path = folder / "labels.npy"
    np.save(path, array.astype(str) if array.dtype.kind == "O" else array)
    return str(path)


def _plain(value: Any) -> Any:
    """What JSON has no form for: numbers and arrays of numpy, and other sequences."""
    return value.tolist() if hasattr(value, "tolist") else list(value)
