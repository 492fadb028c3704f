"""Clusters rows of many columns by other methods: embedding_peers.py ROWS.npy LABELS.npy K SEED.

Prints, for each method, K, NMI, ARI and ACC of all rows, and the seconds of its second call, as JSON. The first call, on 500 rows,
compiles what is compiled. Rows that a method calls noise count as one more cluster in the scores, not in K.
"""
import json
import sys
import time
import warnings

import igraph
import leidenalg
import numpy as np
import umap
from evoc import EVoC
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.mixture import BayesianGaussianMixture
from sklearn.neighbors import kneighbors_graph

from scores import scores

warnings.filterwarnings("ignore")
rows, labels = np.load(sys.argv[1]).astype("f4"), np.load(sys.argv[2])
told, seed = int(sys.argv[3]), int(sys.argv[4])


def kmeans(x):
    return KMeans(told, n_init=10, random_state=seed).fit_predict(x)


def mixture(x):
    return BayesianGaussianMixture(n_components=20, max_iter=200, random_state=seed).fit_predict(x)


def umap_hdbscan(x):
    codes = umap.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed)
    return HDBSCAN(min_cluster_size=15, copy=True).fit_predict(codes.fit_transform(x))


def evoc(x):
    return EVoC(random_state=seed).fit_predict(x)


def leiden(x):
    graph = kneighbors_graph(x, 15, metric="cosine")
    sources, targets = graph.nonzero()
    edges = igraph.Graph(n=len(x), edges=list(zip(sources, targets))).simplify()
    found = leidenalg.find_partition(edges, leidenalg.ModularityVertexPartition, seed=seed)
    return np.array(found.membership)


METHODS = {"kmeans": kmeans, "bgm": mixture, "umap-hdbscan": umap_hdbscan, "evoc": evoc, "leiden": leiden}
result = {}
for name, method in METHODS.items():
    method(rows[:500])
    start = time.perf_counter()
    own = method(rows)
    result[name] = {"seconds": time.perf_counter() - start, **scores(labels, own)}
print(json.dumps(result))
