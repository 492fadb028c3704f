"""Rows in any form that Python has them in, as a file that dpmesh reads."""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._frames import NUMBERS, index_name, may_name_rows, named_index, names_of, numbers_of, written_table

#: Bytes that are brought into order, or compared, at a time.
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
    #: Options that say what the file has.
    options: Mapping[str, str] = {}
    #: The DataFrame that went into the file as a table.
    frame: Any = None


def open_input(
    X: Any, folder: Path, options: Mapping[str, Any], fits: bool = False, named: str | None = None
) -> Input:
    """The file of `X`; one in `folder` if it has none. `options`: those that mean columns of it, as far as they are given.

    `fits`: columns that name rows may be left out of it. `named`: the column that has to name its rows, which may be the index of a DataFrame.
    """
    if isinstance(X, (str, os.PathLike)):
        path = os.fspath(X)
        rows = np.load(path, mmap_mode="r") if _is_npy(path) else None
        return Input(path, rows, None, None, rows is None)
    if isinstance(X, Mapping):
        raise TypeError(f"X is a {type(X).__name__}: pass a DataFrame of it")
    if hasattr(X, "collect_schema") and not hasattr(X, "to_numpy"):
        raise TypeError(f"X is a {type(X).__name__}, of which nothing is computed yet: pass X.collect()")
    if hasattr(X, "obsm") and hasattr(X, "obs_names"):
        return _of_cells(X, folder, options.get("columns"))
    if hasattr(X, "columns") and hasattr(X, "to_numpy"):
        return _of_frame(X, folder, options, fits, named)
    rows = checked(X)
    if options:
        return _of_frame(_frame_of(rows, next(iter(options))), folder, options)
    path = _file_of(rows)
    if path is None:
        path = _written(rows, folder)
    columns = int(np.prod(rows.shape[1:]))
    return Input(path, np.load(path, mmap_mode="r") if _is_sparse(rows) else rows, columns, None, False)


def _frame_of(rows: Any, option: str) -> Any:
    """An array as a DataFrame, whose columns are called by their numbers from 0."""
    try:
        import pandas
    except ImportError:
        raise ValueError(f"{option} of an array needs the package pandas") from None
    return pandas.DataFrame(rows.toarray() if _is_sparse(rows) else rows.reshape(len(rows), -1))


def _of_cells(cells: Any, folder: Path, array: Any) -> Input:
    """An AnnData: one of its arrays, and the names of its cells."""
    if not isinstance(array, str) and array is not None and len(array) > 1:
        raise ValueError(f"columns={[*map(str, array)]} has {len(array)} names, but the rows are those of one array: give its name alone")
    name = array if isinstance(array, str) else array[0] if array else "X_pca"
    # Where they lie in a file, which has names for the columns of these two.
    place = f"obsm/{name}" if name in cells.obsm else name if name == "X" else f"layers/{name}"
    arrays = {key: value for key, value in {"X": cells.X, **cells.layers, **cells.obsm}.items() if value is not None}
    if name not in arrays:
        there = ", ".join(f"{key} {value.shape}" for key, value in arrays.items())
        raise ValueError(f"X has no obsm[{name!r}]: choose one of its arrays, as in columns=\"X\"; it has {there}")
    rows: Any = checked(arrays[name])
    path = folder / "X.h5ad"
    import h5py  # Which AnnData needs.

    with h5py.File(path, "w") as file:
        variables = file.create_group("var")
        if not place.startswith("obsm/"):
            variables.attrs["_index"] = "_index"
            variables["_index"] = [str(variable) for variable in cells.var_names]
        file.create_group("obs").attrs["_index"] = "_index"
        file["obs/_index"] = [str(cell) for cell in cells.obs_names]
        array = file.create_dataset(place, rows.shape, rows.dtype)
        for start, stop in _slices(rows):
            array[start:stop] = rows[start:stop].toarray() if _is_sparse(rows) else rows[start:stop]
    return Input(str(path), None if _is_sparse(rows) else rows, rows.shape[1], None, False, {"columns": name})


def _is_npy(path: str) -> bool:
    """Is it the file of an array of numbers, in two or more dimensions?"""
    try:
        array = np.load(path, mmap_mode="r") if path.endswith(".npy") else None
    except (OSError, ValueError):
        return False
    return array is not None and array.ndim > 1 and array.dtype.kind in NUMBERS


def _of_frame(
    frame: Any, folder: Path, options: Mapping[str, Any], fits: bool = False, named: str | None = None
) -> Input:
    names = names_of(frame)
    index = named_index(frame, named) if named else index_name(frame, options.get("id"))
    values = None if options or index is not None else numbers_of(frame)
    # Which columns name rows, dpmesh knows of tables.
    if values is not None and not (fits and names is not None and may_name_rows(values)):
        values = checked(values)
        path = _written(values, folder) if names is None else _named(values, names.tolist(), folder)
        return Input(path, values, values.shape[1], names, False)
    if 0 in frame.shape:
        checked(np.empty(frame.shape))
    path = written_table(frame, folder, index)
    return Input(path, None, len(frame.columns), names, True, {} if index is None else {"id": index}, frame)


def _is_sparse(X: Any) -> bool:
    return hasattr(X, "tocsr")


def checked(X: Any) -> NDArray[Any]:
    """`X` as an array of numbers that has rows and columns. Raises ValueError or TypeError if it is none."""
    if hasattr(X, "detach"):  # A tensor of torch, on any device.
        X = X.detach().cpu()
        X = (X.float() if "bfloat16" in str(X.dtype) else X).numpy()
    if isinstance(X, np.ma.MaskedArray):
        X = X.astype("float64").filled(np.nan) if np.ma.is_masked(X) else X.data  # type: ignore[attr-defined]
    # A sparse one of scipy has what is used of an array here, and is written row by row.
    array: Any = X.tocsr() if _is_sparse(X) else np.asanyarray(X)
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported by DPMesh")
    if array.dtype.kind in "mM":
        what, unit = ("dates", "(X - X.min()) / numpy.timedelta64(1, 'D')") if array.dtype.kind == "M" else ("durations", "X / numpy.timedelta64(1, 'h')")
        raise ValueError(f"X has {what}, which cannot be clustered: make numbers of them, as by {unit}")
    if array.dtype.kind not in NUMBERS or array.dtype.itemsize > 8:
        array = array.astype("float64")
    if array.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data: X.reshape(-1, 1) if it has a "
            "single feature, X.reshape(1, -1) if it is a single sample"
        )
    if array.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if 0 in array.shape:
        raise ValueError(f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    checked: NDArray[Any] = array
    return checked


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
    # Another file may have its name by now, whose rows are others: a mapping does not tell which file it is of.
    own, other = (rows.ravel("K").view(np.ndarray).view(np.uint8) for rows in (array, stored))
    parts = (slice(at, at + _AT_A_TIME) for at in range(0, len(own), _AT_A_TIME))
    is_same = all(np.array_equal(own[part], other[part]) for part in parts)
    return str(array.filename) if is_same else None


def _written(array: NDArray[Any], folder: Path) -> str:
    path = folder / "X.npy"
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(file, header)
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


def _append(array: Any, file: BinaryIO) -> None:
    """Writes the values, row after row."""
    if not _is_sparse(array) and array.flags.c_contiguous:
        array.tofile(file)
        return
    # Some rows at a time: an array in another order would else be copied whole in memory.
    for start, stop in _slices(array):
        rows = array[start:stop]
        file.write(np.ascontiguousarray(rows.toarray() if _is_sparse(rows) else rows).data)


def _slices(array: NDArray[Any]) -> Iterator[tuple[int, int]]:
    step = max(1, _AT_A_TIME // max(1, int(np.prod(array.shape[1:])) * array.dtype.itemsize))
    return ((start, start + step) for start in range(0, array.shape[0], step))
