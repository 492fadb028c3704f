"""Means of clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Numbers that are converted to float64 at a time.
_AT_A_TIME = 1 << 20


def cluster_means(rows: NDArray[Any], labels: NDArray[Any], clusters: int) -> NDArray[np.float64]:
    """The mean of the rows of each cluster, clusters × columns. Rows of a negative label count nowhere."""
    columns = int(np.prod(rows.shape[1:]))
    sums = np.zeros((clusters, columns))
    step = max(1, _AT_A_TIME // columns)
    for start in range(0, len(rows), step):
        own = labels[start : start + step]
        order = np.argsort(own, kind="stable")
        order = order[np.searchsorted(own[order], 0) :]
        if not len(order):
            continue
        block = np.asarray(rows[start : start + step]).reshape(-1, columns)[order].astype("float64")
        present, first = np.unique(own[order], return_index=True)
        sums[present] += np.add.reduceat(block, first)
    counts = np.bincount(labels[labels >= 0], minlength=clusters)
    return sums / np.maximum(counts, 1)[:, None]
