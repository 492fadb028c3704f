"""Trustworthiness (k 15) of a run's map and of UMAP's layout of the same rows.

map_trust.py ROWS.npy RUN: the last line is {"own", "umap"} as JSON.
"""

import json
import sys

import numpy as np
import umap
from sklearn.manifold import trustworthiness

MOST_ROWS = 5_000

rows, run = sys.argv[1:]
x = np.load(rows).astype(np.float32)
kept = np.sort(np.random.default_rng(0).permutation(len(x))[:MOST_ROWS])
layouts = {
    "own": np.load(f"{run}/map.npy")[kept],
    "umap": umap.UMAP(random_state=0).fit_transform(x[kept]),
}
print(json.dumps({name: trustworthiness(x[kept], places, n_neighbors=15) for name, places in layouts.items()}))
