"""Writes metrics_values.json: labellings with scikit-learn's NMI, ARI and silhouette, and SciPy's matching accuracy.

python test/model/make_metrics_values.py    (needs numpy, scipy, scikit-learn)
"""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix

rng = np.random.default_rng(20220615)


def accuracy(truth, pred):
    table = contingency_matrix(truth, pred)
    return table[linear_sum_assignment(-table)].sum() / len(truth)


def labelling(name, pred, truth):
    return {
        "name": name,
        "pred": np.asarray(pred).tolist(),
        "truth": np.asarray(truth).tolist(),
        "nmi": float(normalized_mutual_info_score(truth, pred)),
        "ari": float(adjusted_rand_score(truth, pred)),
        "acc": float(accuracy(truth, pred)),
    }


def noisy(n, classes, clusters, noise):
    truth = rng.integers(classes, size=n)
    pred = np.where(rng.random(n) < noise, rng.integers(clusters, size=n), truth % clusters)
    return pred, truth


def blobs(name, n, dim, clusters, spread, dtype, labels=None):
    z = rng.integers(clusters, size=n)
    x = (rng.normal(size=(clusters, dim))[z] * spread + rng.normal(size=(n, dim))).astype(dtype)
    x = x.round(3).astype(dtype)
    labels = z if labels is None else labels
    score = silhouette_score(x.astype(np.float64), labels)
    return {"name": name, "dim": dim, "rows": x.ravel().tolist(), "labels": labels.tolist(), "silhouette": float(score)}


values = {
    "labellings": [
        labelling("noisy, as many clusters", *noisy(300, 5, 5, 0.2)),
        labelling("more clusters than classes", *noisy(400, 3, 11, 0.6)),
        labelling("fewer clusters than classes", *noisy(400, 17, 4, 0.3)),
        labelling("independent", *noisy(500, 6, 6, 1.0)),
        labelling("codes with gaps", noisy(200, 4, 4, 0.2)[0] * 3 + 2, noisy(200, 4, 4, 0.2)[1] * 2),
        labelling("one cluster", [0] * 6, [0, 1, 2, 0, 1, 2]),
        labelling("one class", [0, 1, 2, 0, 1, 2], [0] * 6),
        labelling("both constant", [0] * 4, [0] * 4),
        labelling("a single row", [0], [0]),
        labelling("all rows apart", list(range(8)), [0, 0, 1, 1, 2, 2, 3, 3]),
        labelling("all apart in both", list(range(5)), list(range(5))[::-1]),
        labelling("worse than chance", [0, 1, 0, 1], [0, 0, 1, 1]),
        labelling("unequal sizes", np.repeat([0, 1, 2], [180, 15, 5]), np.repeat([1, 0, 1], [170, 20, 10])),
    ],
    "samples": [
        blobs("apart", 60, 2, 4, 8, np.float64),
        blobs("overlapping", 80, 5, 6, 1, np.float64),
        blobs("float32", 50, 3, 3, 4, np.float32),
        blobs("singletons", 30, 2, 3, 4, np.float64, np.r_[np.arange(4), rng.integers(4, 7, size=26)]),
        blobs("labels at random", 60, 2, 4, 8, np.float64, rng.integers(3, size=60)),
    ],
}
Path(__file__).with_suffix(".json").with_stem("metrics_values").write_text(json.dumps(values, separators=(",", ":")) + "\n")
