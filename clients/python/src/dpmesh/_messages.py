"""Messages of the command in terms of the estimator."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ._options import RESULT_OPTIONS, RUN_OPTIONS


def _kebab(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)


#: Temporary files of the inputs, and an array in one.
_FILES = {
    "X.safetensors:X": "X",
    "X.safetensors": "X",
    "X.npy": "X",
    "X.parquet": "X",
    "X.jsonl": "X",
    "X.h5ad": "X",
    "labels.npy": "labels",
}
_PARAMETERS = {
    **{_kebab(key): name for name, key in RESULT_OPTIONS.items()},
    **{flag.removeprefix("--"): name for name, flag in RUN_OPTIONS.items()},
    "data": "X",
    "log": "logarithm",
    "half-life": "half_life",
}
#: The name of a flag. Messages have names of strangers' columns, of any length: no expression may look at one from each of its characters on.
_NAME = r"[a-z][a-z-]{0,40}[a-z]"
_FLAG = re.compile(rf"--(no-)?({_NAME})")
#: A flag and a value that can be given, in Python: a number, or one of the words that messages have.
_ASSIGNMENT = re.compile(
    rf"--({_NAME}) " r"(\d+x\d+|\d+(?:\.\d+)?|pca:[\d.]*\d|standard|normalize|full|diag|gaussian|graph|autoencoder"
    r"|wasm|webgpu|mean|median|drop)(?!\w|[.:]\d)"
)
#: Values beside each other, as arguments have commas between them.
_BESIDE = re.compile(r'(\b\w+=(?:"[^"]*"|[\d.]+)) (?=\w+=)')
#: What to do, in the words of the command line and of Python.
_ADVICE = (
    (r"(?:resume|train again) with --max-epochs (\d+)(?: to go on| \(resume cannot[^)]{0,200}\))", r"fit again with max_epochs=\1"),
    (r"name the columns with --columns", "name the columns that are wanted in columns=[…]"),
    (r"--impute mean or median", 'impute="mean" or impute="median"'),
    (r"with --(force|skip-bad)\b", r"with --\1=True"),
    (r"update with --refit-transform and a short --half-life", "fit anew with the new rows alone"),
    (r"(?m)^(dpmesh: )?unknown flag --keys\b.*", r"\1keys is for workers on other machines, which bind waits for: leave it out, or give bind too"),
    (r"(?m)^(dpmesh: )?unknown flag --(?:no-)?(workers|gpus|per-gpu)\b.*", r"\1--\2: with bind workers are started elsewhere: leave it out"),
    (r"(outliers|copies)\.npy says", r"\1_ says"),
    (r"(counted from 0: NaN\)); remove or fill them$", r'\1; remove or fill them: impute="median" does so'),
)
#: Names of columns, where all of what is behind the flag are such; else the command itself calls options as here (DPMESH_MESSAGES).
_COLUMNS = (
    (re.compile(r"--categorical ((?:(?!--categorical ).)+?)(?= makes \d+ columns)"), "categorical", lambda name: [name]),
    (re.compile(r"--log (\S+)(?= \(counted from 1\)|$)"), "logarithm", lambda names: "auto" if names == "auto" else names.split(",")),
)


def readable(message: str, folder: Path, run: Path | None = None) -> str:
    """A message of the command with parameters of Python, and without temporary files. `run`: the run of the estimator."""
    if run is not None:
        message = message.replace(f"the run {run}", str(run)).replace(str(run), "the estimator")
    for file, name in _FILES.items():
        message = message.replace(str(folder / file), name)
    message = re.sub(rf"(--config )?{re.escape(str(folder / 'options.json'))}:? ?", "", message)
    for pattern, words in _ADVICE:
        message = re.sub(pattern, words, message)
    for columns, parameter, value in _COLUMNS:
        message = columns.sub(lambda match: f"{parameter}={json.dumps(value(match[1]), ensure_ascii=False)}", message)
    message = _FLAG.sub(_parameter, _BESIDE.sub(r"\1, ", _ASSIGNMENT.sub(_assignment, message)))
    # A message names an option and its file, which here have one name.
    return re.sub(r"\b(X|labels) \1\b", r"\1", message)


def _assignment(match: re.Match[str]) -> str:
    name = _PARAMETERS.get(match[1])
    if name is None:
        return match[0]
    value = match[2]
    return f"{name}={value}" if re.fullmatch(r"[\d.]+", value) else f'{name}="{value}"'


def _parameter(match: re.Match[str]) -> str:
    name = _PARAMETERS.get(match[2])
    if name is None:
        return match[0]
    return f"{name}=False" if match[1] else name
