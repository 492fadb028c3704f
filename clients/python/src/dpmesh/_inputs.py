"""Rows in any form that Python has them in, as a file that dpmesh reads."""

from __future__ import annotations

import json
import mmap
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._frames import NUMBERS, names_of, numbers_of, written_table

#: Bytes that are brought into order at a time.
_AT_A_TIME = 1 << 24


class Input(NamedTuple):
    """Rows to cluster."""

    #: The file that dpmesh reads.
    path: str
    #: The same rows as an array; None of a file that numpy does not read, and of a table of more than numbers.
    rows: NDArray[Any] | None
    #: Columns of an array or DataFrame; None of a path.
    columns: int | None
    #: The names of the columns of a DataFrame.
    names: NDArray[Any] | None
    #: dpmesh knows the columns by name.
    by_names: bool


def open_input(X: Any, folder: Path, by_names: bool) -> Input:
    """The file of `X`; one in `folder` if it has none. `by_names`: of a DataFrame, with the names of its columns."""
    if isinstance(X, (str, os.PathLike)):
        path = os.fspath(X)
        rows = np.load(path, mmap_mode="r") if _is_npy(path) else None
        return Input(path, rows, None, None, rows is None)
    if hasattr(X, "columns") and hasattr(X, "to_numpy"):
        return _of_frame(X, folder, by_names)
    rows = checked(X)
    return Input(_file_of(rows) or _written(rows, folder), rows, int(np.prod(rows.shape[1:])), None, False)


def _is_npy(path: str) -> bool:
    """Is it the file of an array of numbers, in two or more dimensions?"""
    try:
        array = np.load(path, mmap_mode="r") if path.endswith(".npy") else None
    except (OSError, ValueError):
        return False
    return array is not None and array.ndim > 1 and array.dtype.kind in NUMBERS


def _of_frame(frame: Any, folder: Path, by_names: bool) -> Input:
    names = names_of(frame)
    values = None if by_names else numbers_of(frame)
    if values is not None:
        values = checked(values)
        path = _written(values, folder) if names is None else _named(values, names.tolist(), folder)
        return Input(path, values, values.shape[1], names, False)
    if 0 in frame.shape:
        checked(np.empty(frame.shape))
    return Input(written_table(frame, folder), None, len(frame.columns), names, True)


def checked(X: Any) -> NDArray[Any]:
    """`X` as an array of numbers that has rows and columns. Raises ValueError or TypeError if it is none."""
    if hasattr(X, "tocsr"):
        raise TypeError("Sparse data was passed for X, but dense data is required; use X.toarray()")
    if hasattr(X, "detach"):  # A tensor of torch, on any device.
        X = X.detach().cpu()
        X = (X.float() if "bfloat16" in str(X.dtype) else X).numpy()
    array: NDArray[Any] = np.asanyarray(X)
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported by DPMesh")
    if array.dtype.kind not in NUMBERS or array.dtype.itemsize > 8:
        array = array.astype("float64")
    if array.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data: X.reshape(-1, 1) if it has a "
            "single feature, X.reshape(1, -1) if it is a single sample"
        )
    if array.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.size == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    return array


def _file_of(array: NDArray[Any]) -> str | None:
    """The .npy file that has just these rows, of an array that numpy.load mapped; None if there is none."""
    # A slice of it, or a mapped array that was changed in memory alone, is not the file.
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or array.mode not in ("r", "r+"):
        return None
    try:
        stored = np.load(str(array.filename), mmap_mode="r")
    except (OSError, ValueError):
        return None
    same = ("shape", "dtype", "strides", "offset")
    if any(getattr(stored, name, None) != getattr(array, name) for name in same):
        return None
    if array.mode == "r+":
        array.flush()
    return str(array.filename)


def _written(array: NDArray[Any], folder: Path) -> str:
    path = folder / "X.npy"
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, {**header, "fortran_order": False})
        _append(array, file)
    return str(path)


def _named(array: NDArray[Any], names: list[str], folder: Path) -> str:
    """Writes an array with names of its columns, as .safetensors."""
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    kind = "BOOL" if array.dtype.kind == "b" else f"{array.dtype.kind.upper()}{8 * array.itemsize}"
    tensor = {"dtype": kind, "shape": array.shape, "data_offsets": [0, array.nbytes]}
    header = json.dumps({"__metadata__": {"columns": json.dumps(names)}, "X": tensor}).encode()
    header += b" " * (-len(header) % 8)
    path = folder / "X.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        _append(array, file)
    return str(path)


def _append(array: NDArray[Any], file: BinaryIO) -> None:
    """Writes the values, row after row."""
    if array.flags.c_contiguous:
        array.tofile(file)
        return
    # Some rows at a time: an array in another order would else be copied whole in memory.
    step = max(1, _AT_A_TIME // max(1, array[0].nbytes))
    for start in range(0, len(array), step):
        file.write(np.ascontiguousarray(array[start : start + step]).data)
