"""Clusters a table with scikit-learn: peers.py ROWS.npy LABELS.npy. Prints K and ARI of two of its methods as JSON."""
import json
import sys

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture

rows, labels = np.load(sys.argv[1]).astype("f8"), np.load(sys.argv[2])
found = {
    "bgm": BayesianGaussianMixture(n_components=20, max_iter=1000, random_state=0).fit_predict(rows),
    # Rows that it calls noise count as one more cluster in ARI, not in K.
    "hdbscan": HDBSCAN(copy=True).fit_predict(rows),
}
print(
    json.dumps(
        {
            name: {"k": len(np.unique(own[own >= 0])), "ari": adjusted_rand_score(labels, own)}
            for name, own in found.items()
        }
    )
)
