"""Least-squares estimates of the models that the decoders rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.errors import ArgumentError, ModelError
from bci.types import Array

LEAST_SPARE = 2.0  # bins for each feature, below which a sample covariance cannot be inverted safely


@dataclass(frozen=True)
class LinearModel:
    """Linear-Gaussian state space: x' = Ax + N(0, W), y = Cx + N(0, Q), both around their means.

    Attributes
    ----------
    A, W : Array
        Shape (d, d).
    C : Array
        Shape (n, d).
    Q : Array
        Shape (n, n).
    x_mean, y_mean : Array
        Shapes (d,) and (n,).
    """

    A: Array
    W: Array
    C: Array
    Q: Array
    x_mean: Array
    y_mean: Array


def fit_linear_model(X: Array, Y: Array, ridge: float = 0.0, shrinkage: float = 0.0) -> LinearModel:
    """Fit a linear-Gaussian model by maximum likelihood, with optional regularisation.

    Parameters
    ----------
    X : Array
        Kinematics, shape (n_bins, d).
    Y : Array
        Features, shape (n_bins, n).
    ridge, shrinkage : float
        As in `fit_observation`.

    Raises
    ------
    ModelError
        When there are fewer bins than states, or a value is not finite.

    References
    ----------
    Wu et al. (2006), Neural Computation 18:80, equations of section 2.2.
    """
    _check(X, Y)
    x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
    X, Y = X - x_mean, Y - y_mean
    before, after = X[:-1], X[1:]
    A = np.linalg.lstsq(before, after, rcond=None)[0].T
    residual = after - before @ A.T
    W = residual.T @ residual / len(before)
    C, Q = fit_observation(X, Y, ridge, shrinkage)
    return LinearModel(A, W, C, Q, x_mean, y_mean)


def fit_observation(
    X: Array,
    Y: Array,
    ridge: float = 0.0,
    shrinkage: float = 0.0,
    weights: Array | None = None,
    is_diagonal: bool = False,
    has_intercept: bool = False,
) -> tuple[Array, Array]:
    """Fit C (n, d) and Q (n, n), or only its diagonal (n,), of y = Cx + N(0, Q).

    Parameters
    ----------
    X, Y : Array
        Shapes (n_bins, d) and (n_bins, n).
    ridge : float
        Added to the diagonal of XᵀX, as a fraction of its mean; an intercept has no part in it.
    shrinkage : float
        How far Q is drawn to its diagonal, 0 to 1. With fewer than two bins to spare for each feature Q would be
        singular, or nearly: it is then drawn at least by the share of n in n and those bins.
    weights : Array, optional
        Shape (n_bins,), 0 to 1.
    is_diagonal : bool
        For so many features that Q would not fit into memory.
    has_intercept : bool
        Whether the last column of X is the constant 1.
    """
    w = np.ones(len(X)) if weights is None else weights
    if X.ndim != 2 or Y.ndim != 2 or not len(X) == len(Y) == len(w):
        raise ArgumentError(
            f"States {X.shape}, features {Y.shape}, weights {w.shape} do not fit.", "Give one row a bin."
        )
    R = X.T @ (X * w[:, None])
    penalised = np.ones(len(R))
    penalised[len(R) - has_intercept :] = 0.0
    R_ridged = R + ridge * np.diag(R) @ penalised / penalised.sum() * np.diag(penalised)
    C = np.linalg.solve(R_ridged, X.T @ (Y * w[:, None])).T
    residual = Y - X @ C.T
    if is_diagonal:
        return C, w @ residual**2 / w.sum()
    Q = residual.T @ (residual * w[:, None]) / w.sum()
    n, n_spare = Y.shape[1], w.sum() ** 2 / (w @ w) - X.shape[1]
    if n_spare < LEAST_SPARE * n:
        shrinkage = max(shrinkage, n / (n + max(n_spare, 0.0)))
    Q = (1.0 - shrinkage) * Q + shrinkage * np.diag(np.diag(Q))
    return C, (Q + Q.T) / 2


def _check(X: Array, Y: Array) -> None:
    if len(X) != len(Y) or len(X) <= X.shape[1] + 1:
        raise ModelError(
            f"{len(X)} bins of kinematics and {len(Y)} of features cannot be fitted.", "Record for longer."
        )
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise ModelError("The data to fit hold values that are not finite.", "Remove those bins first.")
