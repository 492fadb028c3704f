"""Seconds that scikit-learn's Bayesian Gaussian mixture takes on a file's rows, and how many clusters own one."""
import json
import sys
import time

import numpy as np
from sklearn.mixture import BayesianGaussianMixture
from sklearn.preprocessing import normalize

rows = np.load(sys.argv[1]).astype("f8")
begun = time.time()
found = BayesianGaussianMixture(n_components=20, max_iter=200, random_state=0).fit_predict(normalize(rows))
print(json.dumps({"seconds": time.time() - begun, "k": len(np.unique(found))}))
