#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the golden numbers of ablations/equivalence_test.go.

    python3 -m venv venv && venv/bin/pip install scipy==1.17.1 statsmodels==0.15.0
    venv/bin/python scripts/parity/verdicts.py

Two one-sided paired t tests are statsmodels' ttost_paired; the 90 % interval is scipy's ttest_rel. The power of the tests is
integrated by scipy's quad_vec over the estimated standard deviation, given which the mean is normal; "seeds" is the least number of
pairs, more than there are, whose power, averaged over what the true standard deviation may be, is 0.8.
"""

import numpy as np
from scipy import integrate, stats
from statsmodels.stats.weightstats import ttost_paired

CASES = [
    ("three seeds", [.805, .757, .747], [.812, .751, .760], .02),
    ("five seeds, close", [.801, .812, .795, .807, .799], [.803, .811, .797, .806, .801], .01),
    ("five seeds, significant within the margin", [.801, .812, .795, .807, .799], [.805, .815, .7995, .810, .8035], .01),
    ("eight seeds, beyond the margin", [1, 2, 3, 4, 5, 6, 7, 8], [1.1, 1.9, 3.2, 4.3, 4.8, 6.1, 7.3, 8.2], .1),
    ("eight seeds, wide margin", [1, 2, 3, 4, 5, 6, 7, 8], [1.1, 1.9, 3.2, 4.3, 4.8, 6.1, 7.3, 8.2], .3),
]


def density(u, nu):
    """Of the estimated standard deviation, in true ones."""
    return stats.chi.pdf(u * np.sqrt(nu), nu) * np.sqrt(nu)


def power(n, delta, epsilon, alpha):
    """delta and epsilon in standard errors; arrays of them give an array."""
    nu, c = n - 1, stats.t.ppf(1 - alpha, n - 1)
    delta, epsilon = np.broadcast_arrays(np.atleast_1d(delta), np.atleast_1d(epsilon))

    def f(u):
        inside = stats.norm.cdf(epsilon - delta - c * u) - stats.norm.cdf(-epsilon - delta + c * u)
        return np.maximum(0, inside) * density(u, nu)

    return integrate.quad_vec(f, 0, 8, epsabs=1e-9, epsrel=1e-8, limit=500, points=[.5, 1, 2])[0]


def assured(needed, d, margin, n, alpha):
    """Power of that many pairs, d and margin in standard deviations as n pairs estimate them."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    u = 2.5 * (nodes + 1)  # from 0 to 5: for n > 2 an estimate is no further from the truth
    return 2.5 * np.dot(weights, density(u, n - 1) * power(needed, d * u * needed**.5, margin * u * needed**.5, alpha))


def seeds(d, margin, n, alpha):
    few, enough = n, 101
    while enough - few > 1:
        half = (few + enough) // 2
        few, enough = (few, half) if assured(half, d, margin, n, alpha) >= .8 else (half, enough)
    return enough


for name, base, arm, margin in CASES:
    base, arm = np.array(base), np.array(arm)
    p = float(ttost_paired(arm, base, -margin, margin)[0])
    interval = stats.ttest_rel(arm, base).confidence_interval(.90)
    d = arm - base
    print(f"{name}: p {p!r}, low {float(interval.low)!r}, high {float(interval.high)!r}, "
          f"difference p {float(stats.ttest_rel(arm, base).pvalue)!r}, "
          f"seeds if equal {seeds(0, margin / d.std(ddof=1), len(d), .05) if margin < 3 * d.std(ddof=1) else 'few'}")
for n, delta, epsilon, alpha in [(3, 0, 5, .05), (5, .5, 4, .05), (10, 0, 3.2, .05), (20, 1, 3, .05 / 3), (2, 0, 20, .05), (100, 0, 3, .05)]:
    print(f"power({n}, {delta}, {epsilon}, {alpha:.6f}) = {float(power(n, delta, epsilon, alpha)[0])!r}")
