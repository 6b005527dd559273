"""State and features as jointly Gaussian: one family of decoders from the Wiener filter to the Kalman filter.

State x (d,) and features f (p,), both centred, with covariances S = E[xxᵀ], E[ffᵀ] and E[fxᵀ] and a ridge on the
features. Written as an observation, f = Cx + N(0, Q), they give the information D = CᵀQ⁻¹C and L = CᵀQ⁻¹, and

    H = (E[ffᵀ] + λI)⁻¹ E[fxᵀ]        ridge regression of x on f
    L = (S - E[xfᵀ]H)⁻¹ Hᵀ            D = (S - E[xfᵀ]H)⁻¹ - S⁻¹

so that no matrix of the size p is inverted twice. The state moves by x' = ρAx + N(0, S - ρ²ASAᵀ): its covariance is S
for every ρ. With ρ = 1 this is the Kalman filter of Wu et al. (2006); with ρ = 0 the posterior mean is Hᵀf, the ridge
regression (Wiener filter). What a recording wants lies between them and is found by cross-validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from bci.types import Array

RIDGES = tuple(10.0 ** (i / 2) for i in range(13))  # in bins: features have deviation 1
DYNAMICS = (0.0, 0.9, 1.0)
RANK = 1e-12  # of the largest variance
FLOOR = 1e-9  # of the state's variance


@dataclass(frozen=True)
class Moments:
    """Weighted sums over bins: all that any fit here needs; they add, subtract and fade.

    Attributes
    ----------
    n : float
        Sum of weights.
    x, f : Array
        Sums of states (d,) and features (p,).
    xx, next_x, fx, ff : Array
        Sums of xxᵀ (d, d), x₊xᵀ (d, d) over neighbouring bins, fxᵀ (p, d) and ffᵀ (p, p).
    """

    n: float
    x: Array
    f: Array
    xx: Array
    next_x: Array
    fx: Array
    ff: Array

    @classmethod
    def of(cls, X: Array, F: Array, weights: Array, before: Array | None = None, before_weight: float = 0.0) -> Moments:
        """Sum over states X (n_bins, d) and features F (n_bins, p); `before` (d,) is the state of the bin before."""
        w = weights[:, None]
        next_x = (X[1:] * np.sqrt(w[1:] * w[:-1])).T @ X[:-1]
        if before is not None:
            next_x += np.sqrt(weights[0] * before_weight) * np.outer(X[0], before)
        return cls(float(weights.sum()), weights @ X, weights @ F, (X * w).T @ X, next_x, F.T @ (X * w), F.T @ (F * w))

    def plus(self, other: Moments, own: float = 1.0, others: float = 1.0) -> Moments:
        """Weighted sum of two: `own` below 1 forgets, `others` of -1 takes away."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Moments(*(own * mine + others * theirs for mine, theirs in pairs))

    def of_features(self, used: Array) -> Moments:
        """Without the features that are not `used`, boolean (p,): their exact marginalisation."""
        return Moments(self.n, self.x, self.f[used], self.xx, self.next_x, self.fx[used], self.ff[np.ix_(used, used)])

    def covariances(self) -> tuple[Array, Array, Array, Array]:
        """Centred S (d, d), A (d, d), E[fxᵀ] (p, d) and E[ffᵀ] (p, p); A is stable (Yule-Walker)."""
        x, f, n = self.x / self.n, self.f / self.n, self.n
        S = self.xx / n - np.outer(x, x)
        S = (S + S.T) / 2 + FLOOR * (np.trace(S) / len(S) + FLOOR) * np.eye(len(S))
        A = np.linalg.solve(S, (self.next_x / n - np.outer(x, x)).T).T
        A /= max(1.0, float(np.abs(np.linalg.eigvals(A)).max()))  # sums without a block, or of days, may exceed it
        return S, A, self.fx / n - np.outer(f, x), self.ff / n - np.outer(f, f)


@dataclass(frozen=True)
class Gains:
    """A decoder of centred states from centred features: x⁻ = Ax, x = x⁻ + P(Lf - Dx⁻), with the steady-state P.

    Attributes
    ----------
    A, P, D : Array
        Shape (d, d).
    L : Array
        Shape (d, p).
    """

    A: Array
    P: Array
    D: Array
    L: Array


def information(moments: Moments, ridges: Sequence[float]) -> Iterator[tuple[Array, Array]]:
    """D (d, d) and L (d, p) for each ridge, in bins; one eigendecomposition serves all."""
    S, _, fx, ff = moments.covariances()
    values, vectors = np.linalg.eigh(ff)
    projected = vectors.T @ fx
    varies = values > RANK * max(float(values[-1]), FLOOR)  # silent features, and copies of others, tell nothing
    for ridge in ridges:
        H = vectors @ (projected * (varies / np.where(varies, values + ridge / moments.n, 1.0))[:, None])
        unexplained = S - fx.T @ H
        unexplained = (unexplained + unexplained.T) / 2 + FLOOR * S
        precision = np.linalg.inv(unexplained)
        yield _without_negative(precision - np.linalg.inv(S)), precision @ H.T


def gains(moments: Moments, D: Array, L: Array, dynamics: float) -> Gains:
    """The steady-state filter for one trust in the dynamics, ρ from 0 to 1."""
    S, A, _, _ = moments.covariances()
    A = dynamics * A
    W = _without_negative(S - A @ S @ A.T, FLOOR * np.trace(S) / len(S))
    values, vectors = np.linalg.eigh(D)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T  # D = rootᵀ root
    P = S
    for _ in range(1000):
        predicted = A @ P @ A.T + W
        seen = root @ predicted
        after = predicted - seen.T @ np.linalg.solve(np.eye(len(S)) + seen @ root.T, seen)  # safe however large D is
        after = (after + after.T) / 2
        if np.allclose(after, P, rtol=1e-10, atol=1e-14 * np.abs(S).max()):
            break
        P = after
    return Gains(A, after, D, L)


def _without_negative(M: Array, floor: float = 0.0) -> Array:
    """Symmetric part of M, with eigenvalues of at least `floor`: rounding makes them negative."""
    values, vectors = np.linalg.eigh((M + M.T) / 2)
    symmetric: Array = (vectors * np.maximum(values, floor)) @ vectors.T
    return symmetric


@njit(cache=True, nogil=True)
def update(A: Array, P: Array, D: Array, l: Array, x: Array, work: Array) -> None:
    """One bin with l = Lf: x ← Ax, x ← x + P(l - Dx), in place; `work` has shape (2, d)."""
    d = len(x)
    for i in range(d):
        work[0, i] = 0.0
        for j in range(d):
            work[0, i] += A[i, j] * x[j]
    for i in range(d):
        work[1, i] = l[i]
        for j in range(d):
            work[1, i] -= D[i, j] * work[0, j]
    for i in range(d):
        x[i] = work[0, i]
        for j in range(d):
            x[i] += P[i, j] * work[1, j]


@njit(cache=True, nogil=True)
def update_all(A: Array, P: Array, D: Array, l: Array, out: Array) -> None:
    """Many bins from x = 0: l and out have shape (n_bins, d)."""
    x, work = np.zeros(out.shape[1]), np.zeros((2, out.shape[1]))
    for i in range(len(l)):
        update(A, P, D, l[i], x, work)
        out[i] = x


def choose(
    X: Array, F: Array, weights: Array, n_folds: int, ridges: Sequence[float], trusts: Sequence[float], d: int
) -> tuple[float, float]:
    """Ridge and trust in the dynamics with the least squared error of the first d states, in units of deviation.

    Errors are counted on blocks held out. Blocks are consecutive: neighbouring bins are alike, and a shuffled split
    would test on what it has seen.
    """
    if len(ridges) == len(trusts) == 1 or len(X) < 2 * n_folds:
        return ridges[len(ridges) // 2], trusts[0]
    errors = np.zeros((len(trusts), len(ridges)))
    for block, rest in _held_out(X, F, weights, n_folds):
        out = np.empty_like(X[block])
        for i, (D, L) in enumerate(information(rest, ridges)):
            for j, trust in enumerate(trusts):
                _decode(rest, D, L, trust, F[block], out)
                errors[j, i] += weights[block] @ np.sum((X[block, :d] - out[:, :d]) ** 2, axis=1)
    j, i = divmod(int(np.argmin(errors)), len(ridges))
    return ridges[i], trusts[j]


def decode_held_out(X: Array, F: Array, weights: Array, n_folds: int, ridge: float, trust: float) -> Array:
    """Decode each block of F by what is learned from the others: shape of X."""
    decoded = np.tile(weights @ X / max(weights.sum(), FLOOR), (len(X), 1))
    for block, rest in _held_out(X, F, weights, n_folds):
        D, L = next(information(rest, (ridge,)))
        _decode(rest, D, L, trust, F[block], decoded[block])
    return decoded


def _held_out(X: Array, F: Array, weights: Array, n_folds: int) -> Iterator[tuple[slice, Moments]]:
    """Each block, and the sums over all the others."""
    edges = np.linspace(0, len(X), n_folds + 1).astype(int)
    blocks = [slice(start, stop) for start, stop in pairwise(edges)]
    parts = [Moments.of(X[b], F[b], weights[b]) for b in blocks]
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    for block, part in zip(blocks, parts, strict=True):
        rest = total.plus(part, others=-1.0)
        if rest.n > 0:
            yield block, rest


def _decode(moments: Moments, D: Array, L: Array, trust: float, F: Array, out: Array) -> None:
    g = gains(moments, D, L, trust)
    update_all(g.A, g.P, g.D, np.ascontiguousarray((F - moments.f / moments.n) @ L.T), out)
    out += moments.x / moments.n
