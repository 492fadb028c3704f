"""Writes keywords.json: texts in clusters, and their ten best keywords by scikit-learn's CountVectorizer and BERTopic's ClassTfidfTransformer."""

import json
import os

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

K, TEXTS, WORDS, MOST = 20, 15, 9, 10
STOP_WORDS = ["the", "of", "and", "with"]
rng = np.random.default_rng(0)
syllables = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu"]
vocabulary = ["".join(rng.choice(syllables, rng.integers(2, 4))) for _ in range(400)]
shared = 1 / np.arange(1, 401) ** 0.8
shared /= shared.sum()
labels = np.repeat(np.arange(K), TEXTS)


def text(cluster):
    words = rng.choice(vocabulary, WORDS, p=shared)
    own = rng.random(WORDS)
    words = np.where(own < 0.3, rng.choice(vocabulary[12 * cluster : 12 * cluster + 24], WORDS), words)
    return " ".join(np.where(own > 0.8, rng.choice(STOP_WORDS, WORDS), words))


texts = [text(cluster) for cluster in labels]


def top(bm25, reduce):
    vectorizer = CountVectorizer(ngram_range=(1, 2), stop_words=STOP_WORDS)
    counts = vectorizer.fit_transform(texts).toarray()
    X = np.array([counts[labels == c].sum(axis=0) for c in range(K)])
    f, A = X.sum(axis=0), int(X.sum(axis=1).mean())
    idf = np.log(1 + (A - f + 0.5) / (f + 0.5)) if bm25 else np.log(A / f + 1)
    tf = normalize(X.astype(float), norm="l1", axis=1)
    W = (np.sqrt(tf) if reduce else tf) * idf
    names = vectorizer.get_feature_names_out()
    best = [sorted(range(len(names)), key=lambda j: (-W[c, j], names[j]))[:MOST] for c in range(K)]
    return [[[names[j], float(f"{W[c, j]:.12g}")] for j in best[c]] for c in range(K)]


options = [(bm25, reduce) for bm25 in (False, True) for reduce in (False, True)]
found = [{"bm25Weighting": b, "reduceFrequentWords": r, "keywords": top(b, r)} for b, r in options]
values = {"k": K, "stopWords": STOP_WORDS, "labels": labels.tolist(), "texts": texts, "found": found}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "keywords.json"), "w") as file:
    json.dump(values, file, separators=(",", ":"))
