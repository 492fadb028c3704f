"""DataFrames of pandas and polars: their names, their numbers, and as a table in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Kinds of numpy's types that are numbers: bool, int, uint, float.
NUMBERS = "biuf"


def names_of(frame: Any) -> NDArray[Any] | None:
    """Names of columns if all are text, as scikit-learn has them."""
    names = list(frame.columns)
    texts = sum(isinstance(name, str) for name in names)
    if texts and texts < len(names):
        raise TypeError(
            "Feature names are only supported if all input features have string names; convert them with "
            "X.columns = X.columns.astype(str)"
        )
    return np.array(names, dtype=object) if texts else None


def index_name(frame: Any, wanted: str | None) -> str | None:
    """What the names of rows in an index are called as a column; None if there are none, or `wanted` is another column."""
    index: Any = getattr(frame, "index", None)
    # An index of polars is none; of pandas it is one where it does not just count the rows.
    if not hasattr(index, "is_unique") or not index.is_unique:
        return None
    if getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1:
        return None
    columns = {str(name) for name in frame.columns}
    name = "index" if index.name is None else str(index.name)
    while name in columns:
        name += "_"
    return name if wanted in (None, name) else None


def named_index(frame: Any, name: str) -> str | None:
    """The column as which the index has to name the rows; None if there is such a column, or no index."""
    is_there = name in {str(column) for column in frame.columns}
    return None if is_there or not hasattr(getattr(frame, "index", None), "is_unique") else name


def numbers_of(frame: Any) -> NDArray[Any] | None:
    """The values of a DataFrame of numbers; None if there are other columns."""
    kinds = {getattr(dtype, "kind", None) for dtype in frame.dtypes}
    if None in kinds:  # Not of pandas.
        # Else dates and durations of polars would be numbers, too.
        if not all(dtype.is_numeric() or str(dtype) == "Boolean" for dtype in frame.dtypes if hasattr(dtype, "is_numeric")):
            return None
        values: NDArray[Any] = frame.to_numpy()
        return values if values.dtype.kind in NUMBERS else None
    if not kinds <= set(NUMBERS):
        return None
    numbers = np.asarray(frame.to_numpy())
    # Columns that may lack values are objects there.
    if numbers.dtype.kind not in NUMBERS:
        numbers = np.asarray(frame.to_numpy(dtype="float64", na_value=np.nan))
    return numbers


def may_name_rows(numbers: NDArray[Any]) -> bool:
    """Has a column whole numbers that may be names of rows, or dates and times? dpmesh knows better."""
    for column in numbers.T:
        known = column[np.isfinite(column)]
        if known.size and np.all(known[:1000] % 1 == 0) and (known.min() > 1.9e7 or len(np.unique(known)) == known.size):
            return True
    return False


def numbers_named(frame: Any, names: list[str], fill: list[float | None] | None) -> NDArray[Any] | None:
    """The columns of these names, with the numbers in the place of missing ones; None if they are not numbers."""
    columns = {str(name): name for name in frame.columns}
    if not set(names) <= set(columns):
        return None
    numbers = numbers_of(frame[[columns[name] for name in names]])
    if numbers is None or fill is None:
        return numbers
    return np.where(np.isnan(numbers), np.array(fill, float), numbers)


def written_table(frame: Any, folder: Path, index: str | None) -> str:
    """Writes a DataFrame as a table with names, the same to dpmesh with and without pyarrow. `index`: a column for that."""
    parquet, text = folder / "X.parquet", folder / "X.jsonl"
    if not hasattr(frame, "to_parquet"):
        for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
            # Parquet has no such types, or dpmesh would read numbers.
            if str(dtype).startswith(("Duration", "Object")):
                texts = [None if value is None else str(value) for value in frame[name].to_list()]
                frame = frame.with_columns(type(frame[name])(name, texts))
        frame.write_parquet(parquet)
        return str(parquet)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if not frame.columns.is_unique:
        same = next(name for name, is_same in zip(frame.columns, frame.columns.duplicated(), strict=True) if is_same)
        raise ValueError(f"X has several columns called {json.dumps(same)}: rename them, or leave out all but the first: X.loc[:, ~X.columns.duplicated()]")
    frame = frame.apply(_plain)
    if index is not None:
        frame = frame.assign(**{index: frame.index.map(str)})
    try:
        frame.to_parquet(parquet, index=False)
    except ImportError:  # pandas needs another package for it.
        _write_lines(frame, text)
        return str(text)
    return str(parquet)


def _plain(column: Any) -> Any:
    """A column of pandas as one of numbers, bools, text or lists: all else as text, which dpmesh can name or leave out."""
    from pandas.api import types

    if column.dtype == "category":
        return column.astype(object).map(str, na_action="ignore")
    if column.dtype == object:
        kind = types.infer_dtype(column, skipna=True)
        column = column.astype(float) if kind == "decimal" else column.convert_dtypes()
    first = column.dropna().head(1).tolist()
    is_list = bool(first) and isinstance(first[0], (list, tuple, np.ndarray))
    if not first or is_list or isinstance(first[0], (bool, int, float, np.bool_, np.number, str)):
        # Lists are "mixed", and so are numbers among texts.
        mixed = "mixed-" if is_list else "mixed"
        is_mixed = column.dtype == object and types.infer_dtype(column, skipna=True).startswith(mixed)
        if not is_mixed and column.dtype.kind != "c":
            return column
    return column.astype(object).map(str, na_action="ignore")


def _write_lines(frame: Any, path: Path) -> None:
    names = list(frame.columns)
    columns = [column.astype(object).where(column.notna(), None) for _, column in frame.items()]
    with path.open("w", encoding="utf-8") as file:
        for row in zip(*columns, strict=True):
            file.write(json.dumps(dict(zip(names, row, strict=True)), default=np.ndarray.tolist) + "\n")
