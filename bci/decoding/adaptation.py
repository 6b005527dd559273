"""Recursive maximum likelihood: what a labelled bin teaches, as exact rank-one updates.

With e = y - Cx, r = R⁻¹x, s = λ + w xᵀr, u = Me, t = s + w eᵀu:

    M ← (M - w uuᵀ/t)/λ        C ← C + (w/s) e rᵀ        R⁻¹ ← (R⁻¹ - (w/s) rrᵀ)/λ
    q ← (λ ESS q + w e² λ/s)/ESS'        ESS' = λ ESS + w

These are the statistics of Dangi et al. (2014), Neural Computation 26:1811, faded by λ a labelled bin, with weight w.
L = ESS CᵀM is carried along by the same two changes. Every recursion corrects by what it holds itself, so that rounding
fades instead of growing with 1/λ. Three floors keep them safe for days, each for one feature or state in turn:

- A feature that stands still keeps a little variance, where forgetting alone would let its precision grow.
- A hidden feature keeps the variance that the others do not explain: what it is filled with has none of its own.
- A state that is not seen keeps about one bin of memory: as if the decoder's own prediction of it had been seen.
"""

from __future__ import annotations

from numba import njit

from bci.decoding.noise import dot, multiply
from bci.decoding.readout import marginalise, views
from bci.decoding.robust import LEAST_USED
from bci.types import Array

LEAST_SEEN = 1.0  # bins of full effort remembered of every state
MOST_SURPRISING = 1e12  # a divisor beyond it is no data
OUTLYING = 10.0  # deviations from which a feature teaches nothing


@njit(cache=True, nogil=True, error_model="numpy")
def learn(
    y: Array, weight: float, decay: float, n_effective: float, floor: float, turn: int, block: Array, Ri: Array,
    M: Array, factors: Array, is_hidden: Array, hidden: Array, factor: Array, counts: Array, k: int, m: int,
) -> float:  # fmt: skip
    """One labelled bin; return the new ESS, or -1, and nothing changed, for a bin that teaches nothing.

    Parameters
    ----------
    y : Array
        Features, shape (n,).
    weight, decay : float
        w and λ.
    n_effective : float
        ESS.
    floor : float
        Variance that a feature gains with weight 1.
    turn : int
        The feature, and modulo the states the state, whose turn it is.
    block, k, m
        See `views`; x in it is the intention, then what is known.
    Ri : Array
        R⁻¹, shape (k + m, k + m), in place.
    M, factors : Array
        See `noise.Noise`; M in place.
    is_hidden, hidden, factor, counts : Array
        See `marginalise`.
    """
    n, d = len(y), k + m
    Ct, L, q, p, spread, e, row, u, _, _, _, _, _, _, _, x, r, lanes = views(block, n, k, m)
    u = u[:n]
    n_hidden = _residual(y, x, Ct, spread, is_hidden, hidden, e)
    if n_hidden > (1.0 - LEAST_USED) * n:
        return -1.0
    if n_hidden:
        marginalise(M, q, p, factors, hidden, n_hidden, e, factor, counts, u)
    s = decay
    for i in range(d):
        r[i] = 0.0
        for j in range(d):
            r[i] += Ri[i, j] * x[j]
        s += weight * x[i] * r[i]
    squared = 0.0
    if M.shape[0]:
        multiply(M, e, u, lanes)
        squared = dot(e, u)
    t = s + weight * squared
    if not (s > 0.0 and t > 0.0 and t < MOST_SURPRISING):
        return -1.0
    after, gain = decay * n_effective + weight, weight / s
    for j in range(d):
        for i in range(n):
            Ct[j, i] += gain * r[j] * e[i]
    for i in range(n):  # in the structured form the residual of a hidden feature says nothing about its variance
        if M.shape[0] or not (is_hidden[i] or e[i] == 0.0):
            q[i] = (decay * n_effective * q[i] + weight * e[i] * e[i] * decay / s) / after
    pulse = weight * floor
    for h in range(n_hidden):
        if hidden[h] == turn:
            pulse = max(pulse, weight * n / (n_effective * M[turn, turn])) if M.shape[0] else 0.0
    q[turn] += pulse / after
    if M.shape[0]:
        change, told = weight / t, weight * squared / t
        for j in range(k):
            scale = (gain * r[j] * (1.0 - told) - change * dot(L[j], e) / n_effective) / decay
            for i in range(n):
                L[j, i] = L[j, i] / (n_effective * decay) + scale * u[i]
        _learn_precision(M, u, change / decay, 1.0 / decay, pulse, turn, row)
        for j in range(k):
            told = pulse / (1.0 + pulse * row[turn]) * L[j, turn]
            for i in range(n):
                L[j, i] = after * (L[j, i] - told * row[i])
    for i in range(d):
        for j in range(i + 1):
            Ri[i, j] = Ri[j, i] = (Ri[i, j] - gain * r[i] * r[j]) / decay
    if d > 1:
        _keep(Ri, turn % (d - 1), (d - 1) * (1.0 - decay) * LEAST_SEEN, r)
    return after


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(Ri: Array, i: int, weight: float, r: Array) -> None:
    """R gains `weight` at state i: with a residual of zero nothing else changes."""
    for a in range(len(r)):
        r[a] = Ri[i, a]
    share = weight / (1.0 + weight * r[i])
    for a in range(len(r)):
        for b in range(len(r)):
            Ri[a, b] -= share * (r[a] * r[b])


@njit(cache=True, nogil=True, error_model="numpy")
def _learn_precision(M: Array, u: Array, c: float, growth: float, pulse: float, turn: int, row: Array) -> None:
    """Both rank-one updates of M, its lower triangle, in one pass; `row` becomes the pulsed row between them."""
    n = len(u)
    for j in range(n):
        row[j] = (M[turn, j] if j <= turn else M[j, turn]) * growth - c * u[turn] * u[j]
    pulsed = pulse / (1.0 + pulse * row[turn])
    for i in range(n):
        a, b = c * u[i], pulsed * row[i]
        for j in range(i + 1):
            M[i, j] = M[i, j] * growth - a * u[j] - b * row[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _residual(y: Array, x: Array, Ct: Array, spread: Array, is_hidden: Array, hidden: Array, e: Array) -> int:
    """Fill e = y - Cx and return how many features teach nothing, naming them in `hidden`."""
    n_hidden = 0
    for i in range(len(y)):
        e[i] = y[i]
    for j in range(len(x)):
        for i in range(len(y)):
            e[i] -= x[j] * Ct[j, i]
    for i in range(len(y)):
        if is_hidden[i] or not abs(e[i]) <= OUTLYING * spread[i]:
            hidden[n_hidden] = i
            n_hidden += 1
            e[i] = 0.0
    return n_hidden
