"""Compares the columns of rows with those that the estimator was fitted on, in the words of scikit-learn."""

from __future__ import annotations

import json
from typing import Any

from numpy.typing import NDArray

from ._warn import warn

def check_names(seen: NDArray[Any] | None, names: NDArray[Any] | None) -> None:
    """Warns if only one of them has names. Raises ValueError if a name is missing. Their order does not matter."""
    if seen is None and names is None:
        return
    if names is None:
        warn("X does not have valid feature names, but DPMesh was fitted with feature names")
    elif seen is None:
        warn("X has feature names, but DPMesh was fitted without feature names")
    else:
        missing = [name for name in seen if name not in names]
        if missing:
            raise ValueError(f"X has no column {json.dumps(missing[0])}, which the estimator was trained on")


def check_count(seen: int, columns: int | None) -> None:
    """Raises ValueError if the number of columns is another one."""
    if columns is not None and columns != seen:
        raise ValueError(f"X has {columns} features, but DPMesh is expecting {seen} features as input")
