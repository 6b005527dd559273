"""Recursive maximum likelihood: what a labelled bin teaches, as exact rank-one updates.

With e = y - Cx, r = R⁻¹x, s = λ + w xᵀr, u = Me:

    M ← (M - w uuᵀ/(s + w eᵀu))/λ        C ← C + (w/s) e rᵀ        R⁻¹ ← (R⁻¹ - (w/s) rrᵀ)/λ
    q ← (λ ESS q + w e² λ/s)/ESS'        ESS' = λ ESS + w

These are the statistics of Dangi et al. (2014), Neural Computation 26:1811, faded by λ a labelled bin, with weight w.
Two guards keep them safe for days. Each bin adds a little variance to one feature in turn: a feature that stands still
keeps a positive variance, where forgetting alone would let its precision grow without end. And nothing is forgotten
while an output has not been seen for so long that R⁻¹ would run away.
"""

from __future__ import annotations

from numba import njit

from bci.decoding.noise import dot, multiply
from bci.types import Array

MOST_UNCERTAIN = 1.0  # largest diagonal element of R⁻¹: about one bin of full effort remembered of an output
MOST_SURPRISING = 1e12  # a divisor beyond it is no data


@njit(cache=True, nogil=True)
def effective_decay(Ri: Array, decay: float) -> float:
    """The decay λ, or 1 where forgetting would leave an output without any memory."""
    for i in range(len(Ri)):
        if Ri[i, i] > MOST_UNCERTAIN:
            return 1.0
    return decay


@njit(cache=True, nogil=True)
def learn(
    x: Array, e: Array, weight: float, decay: float, n_effective: float, pulse: float, turn: int,
    Ct: Array, L: Array, Ri: Array, M: Array, q: Array, r: Array, u: Array, row: Array,
) -> float:  # fmt: skip
    """One labelled bin; return the new ESS, or -1, and nothing changed, when a divisor is not positive.

    Parameters
    ----------
    x : Array
        Shape (d,): intention and 1.
    e : Array
        Shape (n,): y - Cx, with hidden features filled.
    weight, decay : float
        w and λ.
    n_effective : float
        ESS.
    pulse, turn : float, int
        Variance, times weight, added to feature `turn`.
    Ct, L : Array
        Cᵀ, shape (d, n), and CᵀQ⁻¹ of the outputs, shape (d - 1, n), in place. L only in the full form.
    Ri, M : Array
        Shapes (d, d) and (n, n), in place; (0, 0) for M in the structured form.
    q : Array
        Shape (n,), in place.
    r, u, row : Array
        Scratch, shapes (d,), (n,), (n,).
    """
    d, n = Ct.shape
    s = decay
    for i in range(d):
        r[i] = 0.0
        for j in range(d):
            r[i] += Ri[i, j] * x[j]
        s += weight * x[i] * r[i]
    squared = 0.0
    if M.shape[0]:
        multiply(M, e, u)
        squared = dot(e, u)
    t = s + weight * squared
    if not (s > 0.0 and t > 0.0 and t < MOST_SURPRISING):
        return -1.0
    after = decay * n_effective + weight
    gain = weight / s
    if M.shape[0]:
        _learn_precision(M, u, weight / (t * decay), 1.0 / decay, pulse, turn, row)
        # L/ESS = CᵀM with the new C and M: both changes are along u and the pulsed row
        for j in range(d - 1):
            scale = (gain * r[j] * (1.0 - weight * squared / t) - weight * dot(Ct[j], u) / t) / decay
            for i in range(n):
                L[j, i] = L[j, i] / (n_effective * decay) + scale * u[i]
    for j in range(d):
        for i in range(n):
            Ct[j, i] += gain * r[j] * e[i]
    if M.shape[0]:
        pivot = 1.0 + pulse * row[turn]
        for j in range(d - 1):
            pulsed = pulse / pivot * dot(Ct[j], row)
            for i in range(n):
                L[j, i] = after * (L[j, i] - pulsed * row[i])
    for i in range(n):
        q[i] = (decay * n_effective * q[i] + weight * e[i] * e[i] * decay / s) / after
    q[turn] += pulse / after
    for i in range(d):
        for j in range(i + 1):
            value = (Ri[i, j] - gain * r[i] * r[j]) / decay
            Ri[i, j] = value
            Ri[j, i] = value
    return after


@njit(cache=True, nogil=True)
def _learn_precision(M: Array, u: Array, c: float, growth: float, pulse: float, turn: int, row: Array) -> None:
    """Both rank-one updates of M in one pass; `row` is filled with the pulsed row between them."""
    n = len(u)
    for j in range(n):
        row[j] = M[turn, j] * growth - c * u[turn] * u[j]
    pulsed = pulse / (1.0 + pulse * row[turn])
    for i in range(n):
        for j in range(n):  # uᵢuⱼ = uⱼuᵢ exactly: M stays symmetric to the bit
            M[i, j] = M[i, j] * growth - c * (u[i] * u[j]) - pulsed * (row[i] * row[j])
