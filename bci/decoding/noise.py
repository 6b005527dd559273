"""Observation noise Q and its inverse: full, diagonal, or diagonal plus a few common factors.

The full form keeps M = (ESS Q)⁻¹. The structured form keeps the variances q and a fixed correlation structure,
Q⁻¹ = s (diag(p) - ΓᵀΓ) s with s = q^-½ on the diagonal: products cost n r instead of n², r = 0 being the diagonal form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bci.types import Array

N_FACTORS = 8
FACTOR_ITERATIONS = 50
LEAST_UNIQUE = 0.05  # of a feature's variance that is its own: keeps Q⁻¹ bounded


@dataclass(frozen=True)
class Noise:
    """The arrays of one form; those of the other are empty.

    Attributes
    ----------
    M : Array
        Shape (n, n), full form, else (0, 0).
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
    """Noise in one of the forms ``full``, ``diagonal`` or ``low_rank`` from Q (n, n) and its sum of weights."""
    q, n = np.diag(Q).copy(), len(Q)
    if form == "full":
        M = np.linalg.inv(Q) / n_effective
        return Noise(np.ascontiguousarray((M + M.T) / 2), q, np.zeros(0), np.zeros((0, n)))
    loadings = common_factors(Q, min(N_FACTORS, n - 1) if form == "low_rank" else 0)
    p = 1.0 / np.maximum(1.0 - np.sum(loadings**2, axis=1), LEAST_UNIQUE)
    scaled = loadings * p[:, None]
    root = np.linalg.cholesky(np.eye(loadings.shape[1]) + loadings.T @ scaled)  # Woodbury
    return Noise(np.zeros((0, 0)), q, p, np.ascontiguousarray(np.linalg.solve(root, scaled.T)))


def common_factors(Q: Array, n_factors: int) -> Array:
    """Loadings (n, n_factors) of the correlations of Q, by iterated principal factors (Harman 1976, chapter 8)."""
    deviation = np.sqrt(np.diag(Q))
    correlation = Q / np.outer(deviation, deviation)
    if n_factors == 0:
        return np.zeros((len(Q), 0))
    common = np.full(len(Q), 0.5)
    loadings = np.zeros((len(Q), n_factors))
    for _ in range(FACTOR_ITERATIONS):
        np.fill_diagonal(correlation, common)
        values, vectors = np.linalg.eigh(correlation)
        loadings = vectors[:, -n_factors:] * np.sqrt(np.maximum(values[-n_factors:], 0.0))
        common = np.minimum(np.sum(loadings**2, axis=1), 1.0 - LEAST_UNIQUE)
    return loadings


def covariance(noise: Noise, n_effective: float) -> Array:
    """Q, shape (n, n)."""
    if len(noise.M):
        Q = np.linalg.inv(n_effective * noise.M)
    else:
        inverse = np.diag(noise.p) - noise.factors.T @ noise.factors
        deviation = np.sqrt(noise.q)
        Q = np.linalg.inv(inverse) * np.outer(deviation, deviation)
    symmetric: Array = (Q + Q.T) / 2
    return symmetric


def precision_times(noise: Noise, n_effective: float, rows: Array) -> Array:
    """Each row v as vᵀQ⁻¹, for rows of shape (k, n)."""
    if len(noise.M):
        return np.ascontiguousarray(n_effective * (rows @ noise.M))
    scaled = rows / np.sqrt(noise.q)
    return np.ascontiguousarray((scaled * noise.p - (scaled @ noise.factors.T) @ noise.factors) / np.sqrt(noise.q))


def hidden_precision(noise: Noise, n_effective: float, hidden: Array) -> Array:
    """The block of Q⁻¹ between the features `hidden`, indices (h,)."""
    if len(noise.M):
        block: Array = n_effective * noise.M[np.ix_(hidden, hidden)]
        return block
    factors = noise.factors[:, hidden] / np.sqrt(noise.q[hidden])
    return np.diag(noise.p[hidden] / noise.q[hidden]) - factors.T @ factors


@njit(cache=True, nogil=True)
def multiply(M: Array, x: Array, out: Array) -> None:
    """Out = M x for a symmetric M, row by row: the inner loop has no sum to reorder, so it runs vectorised."""
    out[:] = 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            out[j] += x[i] * M[i, j]


@njit(cache=True, nogil=True)
def dot(a: Array, b: Array) -> float:
    """Scalar product in four partial sums: faster than one, and the same bits on every machine."""
    n = len(a)
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for i in range(0, n - 3, 4):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
    for i in range(n - n % 4, n):
        s0 += a[i] * b[i]
    return (s0 + s1) + (s2 + s3)


@njit(cache=True, nogil=True)
def squared_norm(M: Array, n_effective: float, q: Array, p: Array, factors: Array, nu: Array, work: Array) -> float:
    """νᵀQ⁻¹ν, by one triangle alone in the full form; `work` has shape (n,)."""
    n, total = len(nu), 0.0
    work[:] = 0.0
    if M.shape[0]:
        i = n - 1
        while i >= 3:  # four rows of the lower triangle at once: memory is what this waits for
            a, b, c, d = nu[i], nu[i - 1], nu[i - 2], nu[i - 3]
            for j in range(i - 3):
                work[j] += (a * M[i, j] + b * M[i - 1, j]) + (c * M[i - 2, j] + d * M[i - 3, j])
            work[i - 3] += a * M[i, i - 3] + b * M[i - 1, i - 3] + c * M[i - 2, i - 3]
            work[i - 2] += a * M[i, i - 2] + b * M[i - 1, i - 2]
            work[i - 1] += a * M[i, i - 1]
            i -= 4
        while i > 0:
            for j in range(i):
                work[j] += nu[i] * M[i, j]
            i -= 1
        for i in range(n):
            work[i] = 2.0 * work[i] + M[i, i] * nu[i]
        return dot(nu, work) * n_effective
    for i in range(n):
        work[i] = nu[i] / np.sqrt(q[i])
    for i in range(n):
        total += p[i] * work[i] * work[i]
    for r in range(factors.shape[0]):
        common = dot(factors[r], work)
        total -= common * common
    return total


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
    block, right : Array
        Scratch, shapes (n, n) and (n,).
    """
    for a in range(n_hidden):
        nu[hidden[a]] = 0.0
    if M.shape[0] == 0 and factors.shape[0] == 0:
        return
    for a in range(n_hidden):
        i = hidden[a]
        right[a] = -dot(M[i], nu) if M.shape[0] else 0.0
        for b in range(a + 1):
            block[a, b] = M[i, hidden[b]] if M.shape[0] else 0.0
    if M.shape[0] == 0:
        for a in range(n_hidden):
            i = hidden[a]
            block[a, a] = p[i] / q[i]
            for r in range(factors.shape[0]):
                common = 0.0
                for j in range(len(nu)):
                    common += factors[r, j] * nu[j] / np.sqrt(q[j])
                right[a] += factors[r, i] / np.sqrt(q[i]) * common
                for b in range(a + 1):
                    j = hidden[b]
                    block[a, b] -= factors[r, i] * factors[r, j] / np.sqrt(q[i] * q[j])
    for a in range(n_hidden):  # Cholesky, then both triangles
        for b in range(a + 1):
            total = block[a, b]
            for c in range(b):
                total -= block[a, c] * block[b, c]
            if a == b:
                block[a, a] = np.sqrt(max(total, 1e-300))
            else:
                block[a, b] = total / block[b, b]
        for b in range(a):
            right[a] -= block[a, b] * right[b]
        right[a] /= block[a, a]
    for a in range(n_hidden - 1, -1, -1):
        for b in range(a + 1, n_hidden):
            right[a] -= block[b, a] * right[b]
        right[a] /= block[a, a]
        nu[hidden[a]] = right[a]
