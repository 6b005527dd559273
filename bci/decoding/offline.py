"""The plain Kalman filter over measured kinematics: the baseline of the field, for evaluation on recordings."""

from __future__ import annotations

from typing import Self

import numpy as np

from bci.decoding.estimation import LinearModel, fit_linear_model
from bci.decoding.kalman import filter_states
from bci.errors import ArgumentError, ModelError
from bci.signals.arguments import as_numbers, as_row, as_rows
from bci.types import Array


class PlainKalman:
    """Decode position and velocity from features (Wu et al. 2006, Neural Computation 18:80).

    Parameters
    ----------
    ridge, shrinkage : float
        As in `fit_observation`; 0 is the published filter.
    """

    def __init__(self, ridge: float = 0.0, shrinkage: float = 0.0) -> None:
        self.ridge = ridge
        self.shrinkage = shrinkage
        self.model: LinearModel | None = None

    def fit(self, X: Array, Y: Array) -> Self:
        """Fit on kinematics X (n_bins, d) and features Y (n_bins, n); features that never vary are left out."""
        Y = as_numbers(Y, "Features")
        if Y.ndim != 2:
            raise ArgumentError(f"Features have shape {Y.shape}.", "Give (n_bins, n).")
        varies = Y.std(axis=0) > 0
        if not varies.any():
            raise ModelError("No feature varies in the training data.", "Choose another stretch of the recording.")
        self.model = fit_linear_model(X, Y[:, varies], self.ridge, self.shrinkage)
        self._varies = varies
        return self

    def predict(self, Y: Array, start: Array | None = None) -> Array:
        """Decode features (n_bins, n) causally into kinematics (n_bins, d).

        Parameters
        ----------
        Y : Array
            Features.
        start : Array, optional
            Kinematics before the first bin, shape (d,); default: the training mean.

        Raises
        ------
        ModelError
            When the noise estimate is singular; shrinkage cures that.
        """
        if self.model is None:
            raise ModelError("This decoder has not been fitted.", "Call fit first.")
        m = self.model
        Y = as_rows(Y, len(self._varies), "Features")
        try:
            L = np.linalg.solve(m.Q, m.C).T
        except np.linalg.LinAlgError as error:
            raise ModelError("The observation noise is singular.", "Use shrinkage above 0.") from error
        x = np.zeros(len(m.A)) if start is None else as_row(start, len(m.A), "Kinematics") - m.x_mean
        out = np.empty((len(Y), len(x)))
        Z = np.ascontiguousarray(Y[:, self._varies] - m.y_mean)
        A, W, D = np.ascontiguousarray(m.A), np.ascontiguousarray(m.W), np.ascontiguousarray(L @ m.C)
        filter_states(A, W, D, np.ascontiguousarray(L), Z, np.ascontiguousarray(x), W.copy(), out)
        return out + m.x_mean
