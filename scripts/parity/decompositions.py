#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the golden numbers of metro/compress/decompositions_test.go.

    python3 -m venv venv && venv/bin/pip install tensorly==0.10.0 numpy==2.4.6
    venv/bin/python scripts/parity/decompositions.py

Relative errors of tensorly's parafac, after so many sweeps from a start of cosines, and of its tucker, without sweeps (HOSVD) and with
100 (HOOI); float64, tolerance 0.
"""

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor, cp_to_tensor
from tensorly.decomposition import parafac, tucker
from tensorly.tucker_tensor import tucker_to_tensor

SHAPE = (4, 5, 3)
i, j, k = np.indices(SHAPE)
x = 1 / (1 + i + 2 * j + 3 * k) + np.where((i + j + k) % 2 == 1, 0.1, -0.1)


def error(approximation):
    return float(tl.norm(x - approximation) / tl.norm(x))


def cosines(rank):
    factors = [np.cos(1 + mode + 1.3 * np.arange(n)[:, None] + 0.7 * np.arange(rank)) for mode, n in enumerate(SHAPE)]
    return CPTensor((np.ones(rank), factors))


print(f"norm {float(tl.norm(x)):.10f}")
for rank, sweeps in {1: [1, 2, 20], 2: [1, 2, 5, 100], 3: [1, 2, 20, 1000]}.items():
    for n in sweeps:
        found = parafac(x, rank, n_iter_max=n, init=cosines(rank), tol=0)
        print(f"cp, rank {rank}, {n} sweeps: {error(cp_to_tensor(found)):.9f}")
for ranks in [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 5, 3)]:
    core, factors = x, []
    for mode, rank in enumerate(ranks):
        factors.append(np.linalg.svd(tl.unfold(x, mode), full_matrices=False)[0][:, :rank])
    for mode, u in enumerate(factors):
        core = tl.tenalg.mode_dot(core, u.T, mode)
    found = tucker(x, ranks, n_iter_max=100, init="svd", tol=0)
    print(f"tucker, ranks {ranks}: HOSVD {error(tucker_to_tensor((core, factors))):.9f}, HOOI {error(tucker_to_tensor(found)):.9f}")
