"""What a linear estimate leaves unsaid: the mean of the true state given the linear estimate, as a curve.

The linear estimate u (k,) is the best guess only where states and features are jointly Gaussian. Movements are not:
they are mostly still, then fast along few paths. The curve adds what is missing, a weighted sum of hinges

    x = u + B [z; max(0, Wz + c)] + b        z = u in units of its deviation, clipped

with directions W and offsets c drawn once, and B by ridge regression (Rahimi and Recht 2008, NIPS 21; hinges: Breiman
1993, IEEE Trans Inf Theory 39:999). It is fitted on estimates of blocks that the linear decoder had not seen, otherwise
it would learn how much that one overfits. A penalty without end, which leaves the linear estimate as it is, stands
among those tried. The Wiener cascade (Pohlmeyer et al. 2007) is the case of one axis at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from bci.types import Array

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, np.inf)  # in bins: inputs have deviation 1
SEED = 0  # of the directions: the same for everyone
CLIP = 5.0  # deviations: beyond what was seen the curve goes on as it was there


@dataclass(frozen=True)
class Curve:
    """Correction of an estimate u (k,) towards d states.

    Attributes
    ----------
    mean, scale : Array
        Shape (k,): z = (u - mean) * scale.
    W, c : Array
        Directions (h, k) and offsets (h,) of the hinges.
    B, b : Array
        Weights (d, k + h) and constant (d,).
    """

    mean: Array
    scale: Array
    W: Array
    c: Array
    B: Array
    b: Array


def straight(k: int, d: int) -> Curve:
    """The curve that corrects nothing."""
    return Curve(np.zeros(k), np.zeros(k), np.zeros((0, k)), np.zeros(0), np.zeros((d, k)), np.zeros(d))


def fit_curve(U: Array, X: Array, weights: Array, n_hinges: int, n_folds: int) -> Curve:
    """Fit on estimates U (n_bins, k), made without knowing these bins, and true states X (n_bins, d) with d <= k."""
    k, d = U.shape[1], X.shape[1]
    if n_hinges == 0 or not weights.sum() > 0:
        return straight(k, d)
    mean = np.average(U, axis=0, weights=weights)
    deviation = np.sqrt(np.average((U - mean) ** 2, axis=0, weights=weights))
    scale = np.where(deviation > 0, 1.0 / np.where(deviation > 0, deviation, 1.0), 0.0)
    random = np.random.default_rng(SEED)
    W = random.normal(size=(n_hinges, k))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    c = random.normal(size=n_hinges)
    Z = np.clip((U - mean) * scale, -CLIP, CLIP)
    inputs = np.column_stack([Z, np.maximum(0.0, Z @ W.T + c)])
    B, b = _regress(inputs, X - U[:, :d], weights, n_folds)
    return Curve(mean, scale, W, c, B, b)


def _regress(inputs: Array, R: Array, weights: Array, n_folds: int) -> tuple[Array, Array]:
    """Ridge regression R = inputs Bᵀ + b; the penalty that does best on blocks held out."""
    extended = np.column_stack([inputs, R])
    edges = np.linspace(0, len(R), n_folds + 1).astype(int)
    parts = [_sums(extended[i:j], weights[i:j]) for i, j in pairwise(edges)]
    total: tuple[Array, Array, float] = tuple(sum(values) for values in zip(*parts, strict=True))
    errors = np.zeros(len(PENALTIES))
    for (i, j), part in zip(pairwise(edges), parts, strict=True):
        rest = (total[0] - part[0], total[1] - part[1], total[2] - part[2])
        if not rest[2] > 0:
            continue
        for at, (B, b) in enumerate(_solutions(rest, inputs.shape[1], PENALTIES)):
            errors[at] += weights[i:j] @ np.sum((R[i:j] - inputs[i:j] @ B.T - b) ** 2, axis=1)
    return _solutions(total, inputs.shape[1], (PENALTIES[int(np.argmin(errors))],))[0]


def _sums(V: Array, weights: Array) -> tuple[Array, Array, float]:
    return V.T @ (V * weights[:, None]), weights @ V, float(weights.sum())


def _solutions(sums: tuple[Array, Array, float], p: int, penalties: tuple[float, ...]) -> list[tuple[Array, Array]]:
    vv, v, n = sums
    covariance, mean = vv / n - np.outer(v / n, v / n), v / n
    values, vectors = np.linalg.eigh(covariance[:p, :p])
    projected = vectors.T @ covariance[:p, p:]
    solutions = []
    for penalty in penalties:
        if np.isinf(penalty):
            solutions.append((np.zeros((len(mean) - p, p)), np.zeros(len(mean) - p)))
            continue
        B = (vectors @ (projected / (np.maximum(values, 0.0) + penalty / n)[:, None])).T
        solutions.append((np.ascontiguousarray(B), mean[p:] - B @ mean[:p]))
    return solutions


@njit(cache=True, nogil=True)
def correct(u: Array, mean: Array, scale: Array, W: Array, c: Array, B: Array, b: Array, z: Array, out: Array) -> None:
    """Write the corrected states of an estimate u (k,) into out (d,); z (k,) is scratch."""
    k = len(u)
    for i in range(k):
        z[i] = min(max((u[i] - mean[i]) * scale[i], -CLIP), CLIP)
    for j in range(len(out)):
        out[j] = u[j] + b[j]
        for i in range(k):
            out[j] += B[j, i] * z[i]
    for h in range(len(c)):
        value = c[h]
        for i in range(k):
            value += W[h, i] * z[i]
        if value > 0.0:
            for j in range(len(out)):
                out[j] += B[j, k + h] * value
