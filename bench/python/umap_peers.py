"""Clusters images by UMAP and two methods on its codes: umap_peers.py ROWS.npy LABELS.npy.

Prints, for each method, K, NMI, ARI and ACC of all rows, and seconds with those of UMAP, as JSON. UMAP and HDBSCAN have the settings that
the documentation of umap-learn takes for MNIST, but ten dimensions. No seed: UMAP would be limited to one thread by it. It is called on
500 rows first, which compiles what is compiled. HDBSCAN's noise counts as one more cluster in the scores, not in K.
"""
import json
import sys
import time
import warnings

import numpy as np
import umap
from hdbscan import HDBSCAN
from sklearn.mixture import BayesianGaussianMixture

from scores import scores

warnings.filterwarnings("ignore")
rows, labels = np.load(sys.argv[1]).astype("f4"), np.load(sys.argv[2])


def codes_of(x):
    return umap.UMAP(n_neighbors=30, n_components=10, min_dist=0.0).fit_transform(x)


def timed(call, *args):
    start = time.perf_counter()
    return call(*args), time.perf_counter() - start


METHODS = {
    "hdbscan": HDBSCAN(min_samples=10, min_cluster_size=500),
    "bgm": BayesianGaussianMixture(n_components=20, max_iter=200, random_state=0),
}
codes_of(rows[:500])
codes, before = timed(codes_of, rows)
result = {}
for name, method in METHODS.items():
    own, seconds = timed(method.fit_predict, codes)
    result[name] = {"seconds": before + seconds, **scores(labels, own)}
print(json.dumps(result))
