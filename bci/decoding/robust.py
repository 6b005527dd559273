"""What a bin may do at most: bounded influence of each feature, and the rules by which a whole bin is not believed."""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.types import Array

HUBER = 3.0  # deviations from which the influence of a feature grows no more
FAR = 4.0  # deviations that are far
MOST_FAR = 0.3  # share of features that may be far in a bin that is believed
LEAST_USED = 0.3  # share of features that must be usable


@njit(cache=True, nogil=True, error_model="numpy")
def innovate(
    y: Array, Ct: Array, effort: Array, known: Array, spread: Array, is_hidden: Array, hidden: Array, nu: Array
) -> int:
    """Innovation of one bin with bounded influence; the number of hidden features, or -1 for a bin not to be believed.

    Parameters
    ----------
    y : Array
        Features, shape (n,); those that are not finite count as hidden.
    Ct : Array
        Cᵀ, shape (k + m, n).
    effort, known : Array
        Shapes (k,) and (m,): the state, its known part last.
    spread : Array
        Shape (n,): deviation of each innovation, √S with S = diag(C P Cᵀ + Q): a turn of intention is no outlier.
    is_hidden : Array
        Boolean, shape (n,): features not to be used.
    hidden : Array
        Integer, shape (n,): filled with the hidden features.
    nu : Array
        Shape (n,), written: ν = y - Cx, beyond 3 deviations cut to 3 (Huber 1964, Ann Math Stat 35:73).
    """
    n, k = len(y), len(effort)
    for i in range(n):
        nu[i] = y[i]
    for j in range(k):
        for i in range(n):
            nu[i] -= effort[j] * Ct[j, i]
    for j in range(len(known)):
        for i in range(n):
            nu[i] -= known[j] * Ct[k + j, i]
    n_special = 0
    for i in range(n):  # without a branch, so that the usual bin runs vectorised; NaN compares false
        n_special += is_hidden[i] or not abs(nu[i]) <= HUBER * spread[i]
    if n_special == 0:
        return 0
    n_hidden, n_far = 0, 0
    for i in range(n):
        deviation = spread[i]
        if is_hidden[i] or not np.isfinite(y[i]):
            hidden[n_hidden] = i
            n_hidden += 1
            nu[i] = 0.0
        elif abs(nu[i]) > HUBER * deviation:
            n_far += abs(nu[i]) > FAR * deviation
            nu[i] = HUBER * deviation if nu[i] > 0 else -HUBER * deviation
    n_used = n - n_hidden
    if n_used < LEAST_USED * n or n_far > MOST_FAR * n_used:
        return -1
    return n_hidden
