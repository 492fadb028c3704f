"""Gaussian mixtures whose clusters overlap, as by scikit-learn: overlap.py FOLDER SEED ROWS K COLUMNS ERRORS POWER.

The true posterior is wrong for a share of about ERRORS of the rows; cluster k has a weight ∝ k^-POWER. Writes rows and classes to FOLDER,
and prints their paths, the ARI of the true posterior, and K (components that have rows), ARI and seconds of two methods as JSON: a
variational mixture of 1.5 K components, and of seven mixtures of K/2 to 1.5 K components the one with the least BIC.
"""
import json
import sys
import time
import warnings

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

warnings.filterwarnings("ignore")
folder, power, errors = sys.argv[1], float(sys.argv[7]), float(sys.argv[6])
seed, rows, clusters, columns = map(int, sys.argv[2:6])


def mixture(n, spread):
    """Rows, their classes and the most probable class of each."""
    rng = np.random.default_rng(seed)
    weights = np.arange(1, clusters + 1) ** -power
    weights /= weights.sum()
    means = rng.normal(size=(clusters, columns)) * spread
    axes = []
    for _ in range(clusters):
        turn = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
        axes.append(turn * (np.exp(rng.normal(size=columns) * 0.4) * np.exp(rng.normal() * 0.3)))
    classes = rng.choice(clusters, n, p=weights)
    x, log_p = np.empty((n, columns)), np.empty((n, clusters))
    for k in range(clusters):
        own = classes == k
        x[own] = means[k] + rng.normal(size=(own.sum(), columns)) @ axes[k].T
    for k in range(clusters):
        distances = (np.linalg.solve(axes[k], (x - means[k]).T) ** 2).sum(0)
        log_p[:, k] = np.log(weights[k]) - 0.5 * distances - np.linalg.slogdet(axes[k])[1]
    return x.astype("f4"), classes, log_p.argmax(1)


def overlapping():
    low, high = 0.05, 12
    for _ in range(14):
        spread = (low * high) ** 0.5
        _, classes, best = mixture(min(rows, 6000), spread)
        low, high = (spread, high) if (best != classes).mean() > errors else (low, spread)
    return mixture(rows, spread)


def variational(data):
    return BayesianGaussianMixture(n_components=int(1.5 * clusters), max_iter=1000, random_state=0).fit_predict(data)


def by_bic(data):
    counts = np.unique(np.linspace(0.5 * clusters, 1.5 * clusters, 7).round().astype(int))
    fits = [GaussianMixture(k, n_init=2, max_iter=1000, random_state=0).fit(data) for k in counts]
    return min(fits, key=lambda fit: fit.bic(data)).predict(data)


x, classes, best = overlapping()
result = {"data": f"{folder}/overlap.npy", "labels": f"{folder}/overlap-labels.npy", "best": adjusted_rand_score(classes, best)}
np.save(result["data"], x)
np.save(result["labels"], classes.astype("i4"))
for name, method in {"bgm": variational, "gmm": by_bic}.items():
    start = time.perf_counter()
    found = method(x.astype("f8"))
    seconds = time.perf_counter() - start
    result[name] = {"k": len(np.unique(found)), "ari": adjusted_rand_score(classes, found), "seconds": seconds}
print(json.dumps(result))
