"""Compares the columns of rows with those that the estimator was fitted on, in the words of scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Most names in a message.
_MOST_NAMES = 5


def check_names(seen: NDArray[Any] | None, names: NDArray[Any] | None) -> None:
    """Warns if only one of them has names. Raises ValueError if the names differ."""
    if seen is None and names is None:
        return
    if names is None:
        warnings.warn("X does not have valid feature names, but DPMesh was fitted with feature names", stacklevel=4)
    elif seen is None:
        warnings.warn("X has feature names, but DPMesh was fitted without feature names", stacklevel=4)
    elif not np.array_equal(seen, names):
        raise ValueError(_difference(list(seen), list(names)))


def _difference(seen: list[str], names: list[str]) -> str:
    lines = ["The feature names should match those that were passed during fit."]
    unseen, missing = sorted(set(names) - set(seen)), sorted(set(seen) - set(names))
    for title, these in (("unseen at fit time", unseen), ("seen at fit time, yet now missing", missing)):
        if these:
            lines += [f"Feature names {title}:", *(f"- {name}" for name in these[:_MOST_NAMES])]
            lines += ["- ..."] if len(these) > _MOST_NAMES else []
    if not unseen and not missing:
        lines.append("Feature names must be in the same order as they were in fit.")
    return "\n".join(lines) + "\n"


def check_count(seen: int, columns: int | None) -> None:
    """Raises ValueError if the number of columns is another one."""
    if columns is not None and columns != seen:
        raise ValueError(f"X has {columns} features, but DPMesh is expecting {seen} features as input")
