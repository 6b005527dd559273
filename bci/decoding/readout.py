"""The kernels of the live decoder: one bin decoded, and what is derived from C and Q.

The read-out is the steady state of a Kalman filter: v' = v + N(0, W) with W = (1 - α)²/α D⁻¹ has the covariances
P⁻ = (1 - α)/α D⁻¹ and P = (1 - α) D⁻¹, and the update v ← v + (1 - α) D⁻¹Cᵀ Q⁻¹ν, whose time constant is tau.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bci.decoding.noise import LANES, dot, factor_hidden, fill_hidden, squared_norm
from bci.decoding.robust import innovate
from bci.types import Array

PRIOR_PRECISION = 2.0  # of effort around its smoothed value, 1/length²: an intention may turn round within a bin
READOUT_RIDGE = 1e-3  # of the mean information, so that a direction nobody encodes stays quiet


def block_size(n: int, k: int, m: int) -> int:
    """Length of the block that `views` divides."""
    return (2 * k + m + 6) * n + 3 * k * k + 7 * (k + m) + 4 * LANES


class Views(NamedTuple):
    """The decoder's arrays: n features, k decoded outputs, m states that are known, d = k + m.

    Attributes
    ----------
    Ct, L : Array
        Cᵀ (d, n), and L = CᵀQ⁻¹ of the outputs (k, n).
    q, p, spread, nu, row : Array
        Shape (n,): variances, structured noise, expected deviations, innovation, scratch.
    work : Array
        Scratch (n + d,).
    D, G, S : Array
        Shape (k, k).
    effort, velocity, l : Array
        Shape (k,).
    known, x, r : Array
        What is known (m,), its states when learning (d,), R⁻¹x (d,).
    lanes : Array
        Scratch of `noise.multiply`.
    """

    Ct: Array
    L: Array
    q: Array
    p: Array
    spread: Array
    nu: Array
    row: Array
    work: Array
    D: Array
    G: Array
    S: Array
    effort: Array
    velocity: Array
    l: Array
    known: Array
    x: Array
    r: Array
    lanes: Array


@njit(cache=True, nogil=True)
def views(block: Array, n: int, k: int, m: int) -> Views:
    """The decoder's arrays as views of one block: to hand over one array is faster than fifteen.

    Parameters
    ----------
    block : Array
        Shape (`block_size(n, k, m)`,).
    n, k, m : int
        Features, decoded outputs, and states that are known: positions, where used, and the constant 1.
    """
    d, e = k + m, 0
    Ct = block[e : e + d * n].reshape(d, n)
    e += d * n
    L = block[e : e + k * n].reshape(k, n)
    e += k * n
    q, p = block[e : e + n], block[e + n : e + 2 * n]
    e += 2 * n
    spread, nu, row = block[e : e + n], block[e + n : e + 2 * n], block[e + 2 * n : e + 3 * n]
    e += 3 * n
    work = block[e : e + n + d]
    e += n + d
    D, G = block[e : e + k * k].reshape(k, k), block[e + k * k : e + 2 * k * k].reshape(k, k)
    S = block[e + 2 * k * k : e + 3 * k * k].reshape(k, k)
    e += 3 * k * k
    effort, velocity, l = block[e : e + k], block[e + k : e + 2 * k], block[e + 2 * k : e + 3 * k]
    e += 3 * k
    known = block[e : e + m]
    e += m
    x, r, lanes = block[e : e + d], block[e + d : e + 2 * d], block[e + 2 * d : e + 2 * d + 4 * LANES]
    return Views(Ct, L, q, p, spread, nu, row, work, D, G, S, effort, velocity, l, known, x, r, lanes)


@njit(cache=True, nogil=True, error_model="numpy")
def decode(
    y: Array, n_effective: float, block: Array, M: Array, factors: Array, is_hidden: Array, hidden: Array,
    factor: Array, counts: Array, k: int, m: int, alpha: float, gate: float, beta: float,
) -> float:  # fmt: skip
    """One bin: update the smoothed effort in place and return the NIS per feature; an implausible bin changes nothing.

    Parameters
    ----------
    y : Array
        Features, shape (n,).
    n_effective : float
        ESS.
    block, k, m
        See `views`.
    M, factors : Array
        See `noise.Noise`.
    is_hidden, hidden, factor, counts : Array
        See `marginalise`.
    alpha, gate, beta : float
        Decay of a bin, largest NIS believed, gain.

    Notes
    -----
    NIS = νᵀQ⁻¹ν - lᵀ(P⁻¹ + D)⁻¹l with l = Lν = CᵀQ⁻¹ν. The generalised least-squares read-out G CᵀQ⁻¹(y - b) is
    written with the innovation, G(l + D effort), so that nothing but l has the size of the features.
    """
    n = len(y)
    v = views(block, n, k, m)
    L, q, p, nu, work, D, G, S, effort, l = v.L, v.q, v.p, v.nu, v.work, v.D, v.G, v.S, v.effort, v.l
    n_hidden = innovate(y, v.Ct, effort, v.known, v.spread, is_hidden, hidden, nu)
    if n_hidden < 0:
        return np.inf
    if n_hidden:
        marginalise(M, q, p, factors, hidden, n_hidden, nu, factor, counts, work)
    nis = squared_norm(M, n_effective, q, p, factors, nu, work)
    for j in range(k):
        l[j] = dot(L[j], nu)
    for i in range(k):
        for j in range(k):
            nis -= l[i] * S[i, j] * l[j]
    nis /= n - n_hidden
    if not nis <= gate:
        return nis
    for i in range(k):
        for j in range(k):
            l[i] += D[i, j] * effort[j]
    for i in range(k):
        work[i] = 0.0
        for j in range(k):
            work[i] += G[i, j] * l[j]
    for i in range(k):
        effort[i] += (1.0 - alpha) * (work[i] - effort[i])
        v.velocity[i] = beta * effort[i]
    return nis


@njit(cache=True, nogil=True)
def expect_hidden(y: Array, block: Array, is_hidden: Array, effort: Array, out: Array, m: int) -> None:
    """Features of the bin that `decode` has just seen: the hidden ones as expected, given the others.

    Parameters
    ----------
    y, is_hidden : Array
        Shape (n,): as `decode` had them.
    effort : Array
        Shape (k,): as it was before.
    out : Array
        Shape (n,), written; all finite.
    """
    k = len(effort)
    v = views(block, len(y), k, m)
    for i in range(len(y)):
        out[i] = y[i]
        if is_hidden[i] or not np.isfinite(y[i]):
            out[i] = v.nu[i]
            for j in range(k):
                out[i] += effort[j] * v.Ct[j, i]
            for j in range(m):
                out[i] += v.known[j] * v.Ct[k + j, i]


@njit(cache=True, nogil=True, error_model="numpy")
def marginalise(
    M: Array, q: Array, p: Array, factors: Array, hidden: Array, n_hidden: int, nu: Array, factor: Array,
    counts: Array, work: Array,
) -> None:  # fmt: skip
    """Fill the hidden features of ν as `fill_hidden` does, factoring only where the last factor does not serve.

    Parameters
    ----------
    hidden : Array
        Integer, shape (n,): the first `n_hidden` name the features.
    factor : Array
        Scratch of `factor_hidden`.
    counts : Array
        Integer, shape (2,): features that are masked, and how many of them `factor` holds good for, -1 for none.
    """
    if n_hidden != counts[0] or n_hidden != counts[1]:
        factor_hidden(M, q, p, factors, hidden, n_hidden, factor)
        counts[1] = n_hidden if n_hidden == counts[0] else -1
    fill_hidden(M, q, p, factors, hidden, n_hidden, nu, factor, work)


@njit(cache=True, nogil=True, error_model="numpy")
def derive(
    block: Array, n: int, k: int, m: int, M: Array, factors: Array, is_hidden: Array, hidden: Array, factor: Array,
    counts: Array,
) -> bool:  # fmt: skip
    """Derive D, the read-out, its gain and the spread from C and Q; False when they are not finite.

    One length of effort decodes to one, on average over directions: trace(GD) = k. What hidden features would have
    told, given the others, is left out of D.
    """
    v = views(block, n, k, m)
    Ct, L, q, p, nu, work, D, G, S = v.Ct, v.L, v.q, v.p, v.nu, v.work, v.D, v.G, v.S
    n_hidden = _name_hidden(is_hidden, hidden)
    counts[0], counts[1] = n_hidden, -1
    if M.shape[0] == 0:
        for j in range(k):
            _precision_times(q, p, factors, Ct[j], L[j], work)
    for j in range(k):
        for i in range(n):  # element by element: to compile what a slice checks takes seconds
            nu[i] = Ct[j, i]
        if n_hidden:
            marginalise(M, q, p, factors, hidden, n_hidden, nu, factor, counts, work)
        for i in range(k):
            D[i, j] = dot(L[i], nu)
    trace = 0.0
    for i in range(k):
        trace += D[i, i]
        for j in range(i):
            D[i, j] = D[j, i] = (D[i, j] + D[j, i]) / 2
    for i in range(n):
        variance = q[i]
        for j in range(k):
            variance += Ct[j, i] ** 2 / PRIOR_PRECISION
        v.spread[i] = np.sqrt(variance)
        if not (q[i] > 0.0 and np.isfinite(variance)):
            return False
    for i in range(k):
        for j in range(k):
            S[i, j] = G[i, j] = D[i, j]
        S[i, i] += PRIOR_PRECISION
        G[i, i] += READOUT_RIDGE * trace / k
    invert(S)
    if trace == 0.0:
        G[:, :] = 0.0
        return True
    invert(G)
    unity = 0.0
    for i in range(k):
        for j in range(k):
            unity += G[i, j] * D[j, i]
    for i in range(k):
        for j in range(k):
            G[i, j] *= k / unity
    return bool(trace > 0.0 and unity > 0.0 and np.isfinite(trace) and np.isfinite(unity))


@njit(cache=True, nogil=True, error_model="numpy")
def _name_hidden(is_hidden: Array, hidden: Array) -> int:
    n_hidden = 0
    for i in range(len(is_hidden)):
        if is_hidden[i]:
            hidden[n_hidden] = i
            n_hidden += 1
    return n_hidden


@njit(cache=True, nogil=True, error_model="numpy")
def _precision_times(q: Array, p: Array, factors: Array, v: Array, out: Array, work: Array) -> None:
    """Out = Q⁻¹v in the structured form."""
    for i in range(len(v)):
        work[i] = v[i] / np.sqrt(q[i])
        out[i] = p[i] * work[i]
    for r in range(factors.shape[0]):
        common = dot(factors[r], work)
        for i in range(len(v)):
            out[i] -= factors[r, i] * common
    for i in range(len(v)):
        out[i] /= np.sqrt(q[i])


@njit(cache=True, nogil=True, error_model="numpy")
def invert(A: Array) -> None:
    """Invert a small symmetric positive definite matrix in place (Gauss-Jordan; no pivots are needed)."""
    for i in range(len(A)):
        pivot = 1.0 / A[i, i]
        A[i, i] = 1.0
        for c in range(len(A)):
            A[i, c] *= pivot
        for r in range(len(A)):
            if r != i:
                scale = A[r, i]
                A[r, i] = 0.0
                for c in range(len(A)):
                    A[r, c] -= scale * A[i, c]
