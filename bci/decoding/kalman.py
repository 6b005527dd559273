"""The Kalman filter in information form: every inverse has the size of the state, never of the features.

Notation: state x (d,), features y (n,), transition A (d, d), process noise W (d, d), observation C (n, d),
observation noise Q (n, n), information D = CᵀQ⁻¹C (d, d) and L = CᵀQ⁻¹ (d, n).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import linalg

from bci.types import Array


@njit(cache=True, nogil=True)
def filter_states(A: Array, W: Array, D: Array, L: Array, Y: Array, x: Array, P: Array, out: Array) -> None:
    """Filter many bins: predict, then update each with its features.

    Parameters
    ----------
    A, W, D, L : Array
        The model, see the module.
    Y : Array
        Features, shape (n_bins, n).
    x : Array
        State before the first bin, shape (d,), written in place.
    P : Array
        Its covariance, shape (d, d), written in place.
    out : Array
        Filtered states, shape (n_bins, d), written in place.

    Notes
    -----
    P⁺ = (P⁻⁻¹ + D)⁻¹ and x⁺ = Ax + P⁺(Ly - DAx). The update solves (I + P⁻D)P⁺ = P⁻, which also holds for a
    singular P⁻, for example of a state that is known exactly. Wu et al. (2006), Neural Computation 18:80.
    """
    identity = np.eye(len(x))
    for i in range(Y.shape[0]):
        predicted = A @ x
        P_predicted = A @ P @ A.T + W
        P[:, :] = np.linalg.solve(identity + P_predicted @ D, P_predicted)
        x[:] = predicted + P @ (L @ Y[i] - D @ predicted)
        out[i] = x


def steady_state_gain(A: Array, W: Array, C: Array, Q: Array) -> Array:
    """Kalman gain K (d, n) to which the filter converges, from the discrete algebraic Riccati equation.

    Raises
    ------
    numpy.linalg.LinAlgError
        When the model has no steady state.
    """
    A, W = np.asarray(A, dtype=np.float64), np.asarray(W, dtype=np.float64)
    scale = np.trace(W)  # states in units of their own noise: the solver fails on badly scaled matrices
    L = np.linalg.solve(Q, C).T
    D = scale * (L @ C)
    values, vectors = np.linalg.eigh((D + D.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # D = root rootᵀ: d features with unit noise say the same
    P = linalg.solve_discrete_are(A.T, root, W / scale, np.eye(len(D)))
    gain: Array = scale * np.linalg.solve(np.eye(len(D)) + P @ D, P) @ L
    return gain
