"""Observation noise Q and its inverse: full, diagonal, or diagonal plus a few common factors.

The full form keeps M = (ESS Q)⁻¹, of which only the lower triangle is kept up. The structured form keeps the variances
q and a fixed correlation structure, Q⁻¹ = s (diag(p) - ΓᵀΓ) s with s = q^-½ on the diagonal: products cost n r instead
of n², r = 0 being the diagonal form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bci.types import Array

LANES = 16  # partial sums: they fix the order of every sum, so that it runs vectorised and gives the same bits anywhere
N_FACTORS = 8
FACTOR_ITERATIONS = 50
LEAST_UNIQUE = 0.05  # of a feature's variance that is its own: keeps Q⁻¹ bounded


@dataclass(frozen=True)
class Noise:
    """The arrays of one form; those of the other are empty.

    Attributes
    ----------
    M : Array
        Shape (n, n), full form, else (0, 0). Read only its lower triangle, or `symmetric(M)`.
    q : Array
        Shape (n,): variances, the diagonal of Q in every form.
    p : Array
        Shape (n,), structured form, else (0,).
    factors : Array
        Γ, shape (r, n).
    """

    M: Array
    q: Array
    p: Array
    factors: Array


def make_noise(Q: Array, form: str, n_effective: float) -> Noise:
    """Noise in one of the forms ``full``, ``diagonal`` or ``low_rank`` from Q and its sum of weights.

    Q has shape (n, n), or (n,) where it is diagonal.
    """
    n = len(Q)
    q = (Q if Q.ndim == 1 else np.diag(Q)).copy()
    if Q.ndim == 1 and form != "diagonal":
        Q = np.diag(Q)
    if form == "diagonal":
        return Noise(np.zeros((0, 0)), q, np.ones(n), np.zeros((0, n)))
    if form == "full":
        M = np.linalg.inv(Q) / n_effective
        return Noise(np.ascontiguousarray((M + M.T) / 2), q, np.zeros(0), np.zeros((0, n)))
    loadings = common_factors(Q, min(N_FACTORS, n - 1))
    p = 1.0 / np.maximum(1.0 - np.sum(loadings**2, axis=1), LEAST_UNIQUE)
    scaled = loadings * p[:, None]
    root = np.linalg.cholesky(np.eye(loadings.shape[1]) + loadings.T @ scaled)  # Woodbury
    return Noise(np.zeros((0, 0)), q, p, np.ascontiguousarray(np.linalg.solve(root, scaled.T)))


def common_factors(Q: Array, n_factors: int) -> Array:
    """Loadings (n, n_factors) of the correlations of Q, by iterated principal factors (Harman 1976, chapter 8)."""
    deviation = np.sqrt(np.diag(Q))
    correlation = Q / np.outer(deviation, deviation)
    common = np.full(len(Q), 0.5)
    loadings = np.zeros((len(Q), n_factors))
    for _ in range(FACTOR_ITERATIONS):
        np.fill_diagonal(correlation, common)
        values, vectors = np.linalg.eigh(correlation)
        loadings = vectors[:, -n_factors:] * np.sqrt(np.maximum(values[-n_factors:], 0.0))
        common = np.minimum(np.sum(loadings**2, axis=1), 1.0 - LEAST_UNIQUE)
    return loadings


def symmetric(M: Array) -> Array:
    """The whole of a matrix whose lower triangle is kept."""
    whole: Array = np.tril(M) + np.tril(M, -1).T
    return whole


def covariance(noise: Noise, n_effective: float) -> Array:
    """Q, shape (n, n); (n,) in the diagonal form."""
    if len(noise.M):
        Q = np.linalg.inv(n_effective * symmetric(noise.M))
    elif not len(noise.factors):
        return noise.q.copy()
    else:
        scaled, deviation = noise.factors / noise.p, np.sqrt(noise.q)
        inner = np.eye(len(scaled)) - scaled @ noise.factors.T  # Woodbury
        Q = np.diag(1.0 / noise.p) + scaled.T @ np.linalg.solve(inner, scaled)
        Q = Q * np.outer(deviation, deviation)
    Q = (Q + Q.T) / 2
    return Q


def precision_times(noise: Noise, n_effective: float, rows: Array) -> Array:
    """Each row v as vᵀQ⁻¹, for rows of shape (k, n)."""
    if len(noise.M):
        return np.ascontiguousarray(n_effective * (rows @ symmetric(noise.M)))
    scaled = rows / np.sqrt(noise.q)
    return np.ascontiguousarray((scaled * noise.p - (scaled @ noise.factors.T) @ noise.factors) / np.sqrt(noise.q))


@njit(cache=True, nogil=True)
def multiply(M: Array, x: Array, out: Array, lanes: Array) -> None:
    """Out = M x from the lower triangle of a symmetric M, four rows at once; `lanes` is scratch, shape (64,)."""
    n = len(x)
    out[:] = 0.0
    for i in range(0, n - n % 4, 4):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        lanes[:] = 0.0
        whole = i - i % LANES
        for j in range(0, whole, LANES):
            for k in range(LANES):
                A, B, C, D, v = M[i, j + k], M[i + 1, j + k], M[i + 2, j + k], M[i + 3, j + k], x[j + k]
                out[j + k] += (a * A + b * B) + (c * C + d * D)
                lanes[k] += A * v
                lanes[LANES + k] += B * v
                lanes[2 * LANES + k] += C * v
                lanes[3 * LANES + k] += D * v
        for row in range(4):
            total = 0.0
            for k in range(LANES):
                total += lanes[row * LANES + k]
            _multiply_row(M, x, out, i + row, whole, total)
    for i in range(n - n % 4, n):
        _multiply_row(M, x, out, i, 0, 0.0)


@njit(cache=True, nogil=True)
def _multiply_row(M: Array, x: Array, out: Array, i: int, start: int, total: float) -> None:
    for j in range(start, i):
        total += M[i, j] * x[j]
        out[j] += M[i, j] * x[i]
    out[i] += total + M[i, i] * x[i]


@njit(cache=True, nogil=True)
def dot(a: Array, b: Array) -> float:
    """Scalar product in eight partial sums: faster than one, and the same bits on every machine."""
    n = len(a)
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(0, n - 7, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    for i in range(n - n % 8, n):
        s0 += a[i] * b[i]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@njit(cache=True, nogil=True)
def squared_norm(M: Array, n_effective: float, q: Array, p: Array, factors: Array, nu: Array, work: Array) -> float:
    """νᵀQ⁻¹ν; `work` has shape (n,)."""
    n, total = len(nu), 0.0
    if M.shape[0]:
        return _triangular_norm(M, nu, work) * n_effective
    for i in range(n):
        work[i] = nu[i] / np.sqrt(q[i])
    for i in range(n):
        total += p[i] * work[i] * work[i]
    for r in range(factors.shape[0]):
        common = dot(factors[r], work)
        total -= common * common
    return total


@njit(cache=True, nogil=True)
def _triangular_norm(M: Array, nu: Array, work: Array) -> float:
    """νᵀMν from the lower triangle, eight rows at once: memory is what this waits for."""
    n = len(nu)
    work[:n] = 0.0
    i = n - 1
    while i >= 7:
        a, b, c, d = nu[i], nu[i - 1], nu[i - 2], nu[i - 3]
        e, f, g, h = nu[i - 4], nu[i - 5], nu[i - 6], nu[i - 7]
        for j in range(i - 7):
            work[j] += ((a * M[i, j] + b * M[i - 1, j]) + (c * M[i - 2, j] + d * M[i - 3, j])) + (
                (e * M[i - 4, j] + f * M[i - 5, j]) + (g * M[i - 6, j] + h * M[i - 7, j])
            )
        for row in range(i - 7, i + 1):
            for j in range(i - 7, row):
                work[j] += nu[row] * M[row, j]
        i -= 8
    while i > 0:
        for j in range(i):
            work[j] += nu[i] * M[i, j]
        i -= 1
    for i in range(n):
        work[i] = 2.0 * work[i] + M[i, i] * nu[i]
    return dot(nu, work[:n])


@njit(cache=True, nogil=True)
def factor_hidden(M: Array, q: Array, p: Array, factors: Array, hidden: Array, n_hidden: int, block: Array) -> None:
    """Prepare `fill_hidden` for the first `n_hidden` features that `hidden` (n,) names: a Cholesky factor in `block`.

    In the full form of M_BB; with factors of I - Γ_B diag(p_B)⁻¹ Γ_Bᵀ, which has their number as its size. `block` has
    shape (n, n), or (r, r) with factors.
    """
    size = n_hidden if M.shape[0] else factors.shape[0]
    for a in range(size):
        for b in range(a + 1):
            if M.shape[0]:
                i, j = max(hidden[a], hidden[b]), min(hidden[a], hidden[b])
                block[a, b] = M[i, j]
            else:
                total = 1.0 if a == b else 0.0
                for h in range(n_hidden):
                    i = hidden[h]
                    total -= factors[a, i] * factors[b, i] / p[i]
                block[a, b] = total
    for a in range(size):
        for b in range(a + 1):
            total = block[a, b] - dot(block[a, :b], block[b, :b])
            block[a, b] = np.sqrt(max(total, 1e-300)) if a == b else total / block[b, b]


@njit(cache=True, nogil=True)
def fill_hidden(
    M: Array, q: Array, p: Array, factors: Array, hidden: Array, n_hidden: int, nu: Array, block: Array, right: Array
) -> None:
    """Put into the hidden features of ν what the others let expect, so that (Q⁻¹ν) is zero there.

    Every product with Q⁻¹ is then the one of the others' own, marginalised, noise: ν_B = -M_BB⁻¹ M_Bg ν_g.

    Parameters
    ----------
    M, q, p, factors : Array
        The noise.
    hidden : Array
        Integer, shape (n,): the first `n_hidden` name the features.
    nu : Array
        Shape (n,), in place.
    block : Array
        From `factor_hidden`.
    right : Array
        Scratch, shape (n,).
    """
    for a in range(n_hidden):
        nu[hidden[a]] = 0.0
    if M.shape[0]:
        for a in range(n_hidden):
            i = hidden[a]
            total = dot(M[i, :i], nu[:i])
            for j in range(i + 1, len(nu)):
                total += M[j, i] * nu[j]
            right[a] = -total
        _solve(block, n_hidden, right)
        for a in range(n_hidden):
            nu[hidden[a]] = right[a]
    elif factors.shape[0]:
        for r in range(factors.shape[0]):
            total = 0.0
            for j in range(len(nu)):
                total += factors[r, j] * nu[j] / np.sqrt(q[j])
            right[r] = total
        _solve(block, factors.shape[0], right)
        for a in range(n_hidden):
            i = hidden[a]
            total = 0.0
            for r in range(factors.shape[0]):
                total += factors[r, i] * right[r]
            nu[i] = total * np.sqrt(q[i]) / p[i]


@njit(cache=True, nogil=True)
def _solve(block: Array, size: int, right: Array) -> None:
    """Solve with the Cholesky factor in `block`, in place."""
    for a in range(size):
        right[a] = (right[a] - dot(block[a, :a], right[:a])) / block[a, a]
    for a in range(size - 1, -1, -1):
        right[a] /= block[a, a]
        for b in range(a):
            right[b] -= block[a, b] * right[a]
