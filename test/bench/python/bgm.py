"""Fits scikit-learn's Bayesian Gaussian mixture to the rows of a file; prints its seconds and non-empty clusters."""
import json
import sys
import time

import numpy as np
from sklearn.mixture import BayesianGaussianMixture
from sklearn.preprocessing import normalize

rows = np.load(sys.argv[1]).astype("f8")
begun = time.time()
labels = BayesianGaussianMixture(n_components=20, max_iter=200, random_state=0).fit_predict(normalize(rows))
print(json.dumps({"seconds": time.time() - begun, "k": len(np.unique(labels))}))
