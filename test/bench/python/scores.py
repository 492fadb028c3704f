"""How well clusters agree with classes. Rows of clusters below 0 are noise: one more cluster in the scores, not in K."""
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix


def scores(labels, own):
    table = contingency_matrix(labels, own)
    return {
        "k": len(np.unique(own[own >= 0])),
        "nmi": normalized_mutual_info_score(labels, own),
        "ari": adjusted_rand_score(labels, own),
        "acc": table[linear_sum_assignment(-table)].sum() / len(labels),
    }
