"""Clusters sets of any shapes by other methods: shapes.py SOURCE FOLDER.

SOURCE is
- even or odd: sets of made_shapes.py by seeds 0, 2, 4, 6 or 1, 3, 5, 7;
- an .npz: rows `name`, and labellings `name.l0`, `name.l1` … of them;
- a folder of NAME.npy with rows and NAME.*.npy with labellings; or of NAME.data.gz and NAME.labels0.gz … as text, also in folders of it
  (the layout of Gagolewski's clustering-data).
Labels are integers from 1 on, 0 for noise. Writes FOLDER/NAME.npy (float32), and for each labelling FOLDER/NAME.0.npy …, and prints a list of sets
as JSON: name, kind (of made ones), paths, and for each method K, ARI and seconds. ARI is the best of a set's labellings, whose noise is left out.
"""
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from genieclust import Genie
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from made_shapes import KINDS, made

warnings.filterwarnings("ignore")
SEEDS = {"even": range(0, 8, 2), "odd": range(1, 8, 2)}
# BIC is asked for these K in turn, the first of them all, the others until it is worse three times; of many rows, so many decide it.
COUNTS = [*range(1, 11), 12, 15, 20, 25, 30, 40, 50, 75, 100]
FIRST, WORSE, FITTED_ROWS = 30, 3, 10_000


def sets_of(source):
    """Name, kind, rows and labellings of each set."""
    if source in SEEDS:
        for kind in KINDS:
            for seed in SEEDS[source]:
                rows, labels = made(kind, seed)
                yield f"{kind}-{seed}", kind, rows, [labels]
        return
    arrays = arrays_of(Path(source))
    for name in sorted(name for name in arrays if "." not in name):
        labellings = [arrays[key]() for key in sorted(arrays) if key.startswith(f"{name}.")]
        yield name, None, arrays[name](), labellings


def arrays_of(source):
    """What reads each array, by its name: with a dot, that of a labelling."""
    if source.is_file():
        archive = np.load(source)
        return {name: lambda name=name: archive[name] for name in archive.files}
    found = {path.name[:-4]: lambda path=path: np.load(path) for path in source.glob("*.npy")}
    for path in source.rglob("*.gz"):
        name, what = path.name[:-3].split(".", 1)
        key = "-".join([*path.parent.relative_to(source).parts, name])
        found[key if what == "data" else f"{key}.{what}"] = lambda path=path: np.loadtxt(path, ndmin=1)
    return found


def by_bic(x):
    some = np.random.default_rng(0).permutation(len(x))[:FITTED_ROWS]
    best, least, worse = None, np.inf, 0
    for k in COUNTS:
        if k >= len(some) or (k > FIRST and worse >= WORSE):
            break
        fit = GaussianMixture(k, random_state=0).fit(x[some])
        bic = fit.bic(x[some])
        best, worse = (fit, 0) if bic < least else (best, worse + 1)
        least = min(least, bic)
    return best.predict(x)


def ari(truth, own):
    known = truth > 0
    return adjusted_rand_score(truth[known], own[known])


def measured(method, x, labellings):
    """K, the best ARI, and seconds."""
    start = time.perf_counter()
    own = method(x)
    seconds = time.perf_counter() - start
    return {
        "k": len(np.unique(own[own >= 0])),
        "ari": max(ari(truth, own) for truth in labellings),
        "seconds": seconds,
    }


def told(x, labellings):
    """Genie is told the number of each labelling's clusters."""
    ks = [len(np.unique(truth[truth > 0])) for truth in labellings]
    runs = [measured(lambda x, k=k: Genie(n_clusters=k).fit_predict(x), x, [t]) for k, t in zip(ks, labellings)]
    return {**max(runs, key=lambda run: run["ari"]), "seconds": sum(run["seconds"] for run in runs)}


def main(source, folder):
    Genie(n_clusters=2).fit_predict(np.random.default_rng(0).normal(size=(100, 2)))
    result = []
    for name, kind, rows, labellings in sets_of(source):
        files = [str(Path(folder) / f"{name}.npy")]
        np.save(files[0], rows.astype("<f4"))
        for i, labels in enumerate(labellings):
            files.append(str(Path(folder) / f"{name}.{i}.npy"))
            np.save(files[-1], labels.astype("<i4"))
        x = rows.astype("f8")
        least = max(5, round(0.01 * len(x)))
        methods = {
            "hdbscan": measured(HDBSCAN(copy=True).fit_predict, x, labellings),
            "hdbscan-1": measured(HDBSCAN(min_cluster_size=least, copy=True).fit_predict, x, labellings),
            "bic": measured(by_bic, x, labellings),
            "genie": told(x, labellings),
        }
        result.append({"name": name, "kind": kind, "data": files[0], "labels": files[1:], "methods": methods})
        scores = ", ".join(f"{method} {run['ari']:.2f} {run['seconds']:.1f} s" for method, run in methods.items())
        print(f"{name} {x.shape}: {scores}", flush=True)
    print(json.dumps(result))


main(*sys.argv[1:])
