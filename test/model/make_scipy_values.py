"""Writes scipy_values.json: numbers that the model's tests compare with, each from SciPy by another road than ours.

    python make_scipy_values.py        (numpy, scipy)
"""
import json
import pathlib

import numpy as np
from scipy.special import gammaln, multigammaln
from scipy.stats import invwishart, multivariate_normal, multivariate_t

rng = np.random.default_rng(20)


def spd(d, condition=30.0):
    q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (q * np.geomspace(1, 1 / condition, d)) @ q.T * 3


def predictive_chain(X, m, kappa, nu, psi):
    """log p(X) as the product of the Student-t predictive densities of one row after another."""
    d, total = len(m), 0.0
    for x in X:
        dof = nu - d + 1
        total += multivariate_t.logpdf(x, m, psi * (kappa + 1) / (kappa * dof), df=dof)
        psi = psi + kappa / (kappa + 1) * np.outer(x - m, x - m)
        m, kappa, nu = (kappa * m + x) / (kappa + 1), kappa + 1, nu + 1
    return total


def bayes_identity(X, w, m, kappa, nu, psi):
    """log of likelihood^w * prior / posterior at an arbitrary (mu, Sigma); the posterior by adding scatter about m."""
    n, xbar = w.sum(), w @ X / w.sum()
    R = X - xbar
    psi_n = psi + (R * w[:, None]).T @ R + kappa * n / (kappa + n) * np.outer(xbar - m, xbar - m)
    mu_n, kappa_n, nu_n = (kappa * m + n * xbar) / (kappa + n), kappa + n, nu + n
    mu, sigma = m + 0.1, psi_n / nu_n * 1.2
    likelihood = w @ np.atleast_1d(multivariate_normal.logpdf(X, mu, sigma))
    niw = lambda m, k, v, s: multivariate_normal.logpdf(mu, m, sigma / k) + invwishart.logpdf(sigma, v, s)
    return likelihood + niw(m, kappa, nu, psi) - niw(mu_n, kappa_n, nu_n, psi_n)


marginals = []
for d, n, kappa, extra, weighted in [(1, 7, 1.0, 2, 0), (2, 1, 0.5, 2, 0), (3, 20, 1e-4, 2, 0), (5, 40, 0.3, 1.5, 0),
                                     (10, 60, 1e-4, 2, 0), (4, 30, 0.01, 2, 1), (1, 9, 0.1, 3, 1)]:
    m, psi = rng.normal(size=d), spd(d)
    X = rng.normal(size=(n, d)) @ np.linalg.cholesky(spd(d)).T + 2 * rng.normal(size=d)
    w = rng.uniform(0.1, 0.9, n) if weighted else np.ones(n)
    prior = (m, kappa, d + extra, psi)
    value = bayes_identity(X, w, *prior)
    assert weighted or abs(value - predictive_chain(X, *prior)) < 1e-8 * max(1, abs(value)), (d, n)
    one = [np.array([[psi[i, i]]]) for i in range(d)]
    diag = sum(bayes_identity(X[:, i:i + 1], w, m[i:i + 1], kappa, 1 + extra, one[i]) for i in range(d))
    marginals.append(dict(d=d, kappa=kappa, nu=d + extra, mean=m, psi=psi.ravel(), rows=X.ravel(), weights=w,
                          full=value, diag=diag))

eigen = []
for d in (1, 2, 5, 12):
    a = spd(d, 1e4)
    values, vectors = np.linalg.eigh(a)
    eigen.append(dict(d=d, a=a.ravel(), values=values[::-1], vectors=vectors[:, ::-1].T.ravel(),
                      logdet=np.linalg.slogdet(a)[1]))

densities = []
for d in (1, 3, 8):
    mean, cov, weights = rng.normal(size=(3, d)) * 2, [spd(d) for _ in range(3)], np.array([0.5, 0.3, 0.2])
    x = rng.normal(size=(6, d)) * 2
    log = lambda covs: np.stack([np.log(p) + multivariate_normal.logpdf(x, m, c).reshape(-1)
                                 for p, m, c in zip(weights, mean, covs)], 1).ravel()
    densities.append(dict(d=d, weights=weights, means=mean, covariances=[c.ravel() for c in cov], x=x.ravel(),
                          full=log(cov), diag=log([np.diag(np.diag(c)) for c in cov])))

ratios = []
for d, sizes, zeta, alpha in [(1, [6, 9], 1.0, 10), (3, [20, 12], 1.0, 10), (3, [20, 12], 0.37, 10),
                              (5, [30, 8, 14, 9], 0.6, 2.5)]:
    parts = [rng.normal(size=(n, d)) + 2 * rng.normal(size=d) for n in sizes]
    X = np.concatenate(parts)
    prior = (X.mean(0), 1e-2, d + 2, spd(d))
    term = lambda Y: gammaln(zeta * len(Y)) + bayes_identity(Y, np.full(len(Y), zeta), *prior)
    value = (len(sizes) - 1) * np.log(alpha) + sum(map(term, parts)) - term(X)
    ratios.append(dict(d=d, alpha=alpha, zeta=zeta, mean=prior[0], kappa=prior[1], nu=prior[2], psi=prior[3].ravel(),
                       parts=[Y.ravel() for Y in parts], value=value))

gamma = [dict(a=a, d=d, value=multigammaln(a, d)) for a, d in [(0.7, 1), (3, 2), (6.5, 10), (500.25, 10), (4e4, 64)]]

out = dict(multigammaln=gamma, marginals=marginals, ratios=ratios, eigen=eigen, densities=densities)
target = pathlib.Path(__file__).with_name('scipy_values.json')
target.write_text(json.dumps(out, default=lambda v: v.tolist()) + '\n')
