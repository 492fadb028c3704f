"""The options of an estimator as arguments of the command, and messages of the command in terms of the options."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ._options import RESULT_OPTIONS, RUN_OPTIONS, Options

_FLAG = re.compile(r"--(no-)?([a-z][a-z-]*[a-z])")


def _kebab(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)


#: Temporary files of the inputs, and an array in one.
_FILES = {
    "X.safetensors:X": "X",
    "X.safetensors": "X",
    "X.npy": "X",
    "X.parquet": "X",
    "X.jsonl": "X",
    "labels.npy": "labels",
}
_PARAMETERS = {
    **{_kebab(key): name for name, key in RESULT_OPTIONS.items()},
    **{flag.removeprefix("--"): name for name, flag in RUN_OPTIONS.items()},
    "data": "X",
    "clusters": "n_clusters",
}


def train_arguments(options: Options, data: str, out: Path, folder: Path) -> list[str]:
    """The arguments that train on the file `data`. Options of the result are written to a file in `folder`."""
    config = {key: getattr(options, name) for name, key in RESULT_OPTIONS.items()}
    if config["seed"] is not None:
        # A large number is not exact there.
        config["seed"] = str(config["seed"])
    if config["labels"] is not None:
        config["labels"] = _labels_file(config["labels"], folder)
    file = folder / "options.json"
    given = {key: value for key, value in config.items() if value is not None}
    file.write_text(json.dumps(given, default=_plain), "utf-8")
    command = "train" if options.bind is None else "coordinator"
    arguments = [command, f"--data={data}", f"--out={out}", f"--config={file}", "--events"]
    if not options.draw_report:
        arguments.append("--no-report")
    for name, flag in RUN_OPTIONS.items():
        value = getattr(options, name)
        if name != "out" and value is not None:
            arguments += _argument(flag, value)
    return arguments if options.http is not None else [*arguments, "--no-http"]


def _argument(flag: str, value: Any) -> list[str]:
    if isinstance(value, (bool, np.bool_)):
        # The page at its usual address is the default of the command.
        return [flag if value else flag.replace("--", "--no-")] if flag != "--http" or not value else []
    return [f"{flag}={value}"]


def _labels_file(labels: Any, folder: Path) -> str:
    if isinstance(labels, (str, os.PathLike)):
        return os.fspath(labels)
    array = np.asarray(labels)
    path = folder / "labels.npy"
    np.save(path, array.astype(str) if array.dtype.kind == "O" else array)
    return str(path)


def _plain(value: Any) -> Any:
    """What JSON has no form for: numbers and arrays of numpy, and other sequences."""
    return value.tolist() if hasattr(value, "tolist") else list(value)


def readable(message: str, folder: Path, run: Path | None = None) -> str:
    """A message of the command with names of parameters, and without temporary files. `run`: the run of the estimator."""
    message = message.replace(f"the run {run}", "the estimator")
    for file, name in _FILES.items():
        message = message.replace(str(folder / file), name)
    message = re.sub(rf"(--config )?{re.escape(str(folder / 'options.json'))}:? ?", "", message)
    # A message names an option and its file, which here have one name.
    return re.sub(r"\b(X|labels) \1\b", r"\1", _FLAG.sub(_parameter, message))


def _parameter(match: re.Match[str]) -> str:
    name = _PARAMETERS.get(match[2])
    if name is None:
        return match[0]
    return f"{name}=False" if match[1] else name
