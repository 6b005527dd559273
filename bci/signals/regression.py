"""Linear-regression reference: from each channel what the others predict of it is taken away.

Young et al. (2018), Journal of Neural Engineering 15:026014. What electrodes share (stimulation, muscles, movement of
the cable) has a gain of its own on each of them, which an average cannot follow and a regression can.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.errors import ProfileError
from bci.profile import Spikes
from bci.signals.arguments import as_mask, as_rows
from bci.signals.filters import design_bandpass, filter_sections, settled_state
from bci.signals.scratch import Scratch
from bci.types import Array

LEARNING_HZ = 6000.0  # about so many samples a second are enough to learn from
TILE = 8  # samples that share one passage through the weights


@njit(cache=True, nogil=True)
def subtract_predicted(weights: Array, samples: Array, out: Array) -> None:
    """Subtract from each channel what the others predict: ``out = samples - samples @ weights``.

    Parameters
    ----------
    weights : Array
        Shape (n_channels, n_channels), from (row) to (column), 0 on the diagonal.
    samples, out : Array
        Shape (n_samples, n_channels), two different arrays.

    Notes
    -----
    Eight samples pass at a time, and four rows of the weights, so that memory is read and written less often; each sum
    keeps its order, so that the cut into chunks cannot change a bit.
    """
    n = samples.shape[1]
    for begin in range(0, samples.shape[0], TILE):
        end = min(begin + TILE, samples.shape[0])
        for i in range(begin, end):
            for c in range(n):
                out[i, c] = samples[i, c]
        for j in range(0, n - 3, 4):
            w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
            for i in range(begin, end):
                x0, x1, x2, x3 = samples[i, j], samples[i, j + 1], samples[i, j + 2], samples[i, j + 3]
                y = out[i]
                for c in range(n):
                    y[c] = (((y[c] - w0[c] * x0) - w1[c] * x1) - w2[c] * x2) - w3[c] * x3
        for j in range(n - n % 4, n):
            row = weights[j]
            for i in range(begin, end):
                x, y = samples[i, j], out[i]
                for c in range(n):
                    y[c] -= row[c] * x


@njit(cache=True, nogil=True)
def add_products(samples: Array, first: int, step: int, products: Array) -> None:
    """Add x xᵀ of every `step`-th sample from `first` on to the upper triangle of `products` (n, n)."""
    n = samples.shape[1]
    for i in range(first, samples.shape[0], step):
        x = samples[i]
        for a in range(n):
            row, xa = products[a], x[a]
            for b in range(a, n):
                row[b] += xa * x[b]


def regression_weights(covariance: Array, ridge: float) -> Array:
    """Weights with which the other channels predict each channel, from their covariance (n, n).

    Parameters
    ----------
    covariance : Array
        Shape (n, n).
    ridge : float
        Penalty, as a fraction of the mean variance.

    Returns
    -------
    Array
        Shape (n, n), from (row) to (column): with P = (Σ + λI)⁻¹ the ridge regression of channel c on the others has
        the weights -P[:, c] / P[c, c]. A channel that never varies predicts nothing and is predicted by nothing.
    """
    n = len(covariance)
    variance = np.diag(covariance)
    varies = variance > 1e-9 * variance.max(initial=0.0)
    weights: Array = np.zeros((n, n))
    if np.count_nonzero(varies) < 2:
        return weights
    inside = np.ix_(varies, varies)
    chosen = covariance[inside]
    P = np.linalg.inv(chosen + ridge * np.trace(chosen) / len(chosen) * np.eye(len(chosen)))
    weights[inside] = -P / np.diag(P)
    np.fill_diagonal(weights, 0.0)
    return weights


class RegressionReference:
    """The regression reference of a broadband array: learned on its first stretch, and anew where the profile says so.

    Until the first stretch is over each channel is compared with the mean of the others. Weights are learned from
    band-passed samples, in which slow potentials do not drown what the threshold sees, and applied to the raw ones:
    filters and weights commute. Then they stay, until another stretch of the same length has been seen.

    Parameters
    ----------
    features : Spikes
        Band, stretch, repetition, ridge.
    n_channels : int
        At least 3.
    rate_hz : float
        Sampling rate.

    Raises
    ------
    ProfileError
        When there are too few channels.
    """

    def __init__(self, features: Spikes, n_channels: int, rate_hz: float) -> None:
        if n_channels < 3:
            raise ProfileError(
                f"features.reference: 'regression' needs at least 3 channels, there are {n_channels}.",
                "Choose 'average' or 'none'.",
            )
        self._ridge = features.regression_ridge
        self._n_learning = max(1, round(features.regression_s * rate_hz))
        self._n_period = round(features.regression_every_s * rate_hz)
        self._step = max(1, round(rate_hz / LEARNING_HZ))
        self._sos = design_bandpass(*features.band_hz, features.filter_order, rate_hz)
        self._state: Array | None = None
        self._n_seen = 0  # samples since this stretch began
        self._products: Array = np.zeros((n_channels, n_channels))
        self._learned: Array = (1.0 - np.eye(n_channels)) / (n_channels - 1)
        self._weights = self._learned.copy()
        self._is_used = np.ones(n_channels, dtype=np.bool_)
        self._band, self._out = Scratch(n_channels), Scratch(n_channels)

    @property
    def weights(self) -> Array:
        """Weights in use, from (row) to (column), shape (n_channels, n_channels): a view."""
        return self._weights

    def use(self, is_used: Array) -> Array:
        """Predict from these channels only, boolean (n_channels,); every channel keeps a reference."""
        self._is_used = as_mask(is_used, len(self._learned), "channels").copy()
        np.multiply(self._learned, self._is_used[:, None], out=self._weights)
        return np.ones(len(is_used), dtype=np.bool_)

    def relearn(self) -> None:
        """Begin another stretch of learning with the next sample, as at a recalibration."""
        self._begin()

    def apply(self, samples: Array) -> Array:
        """Re-referenced samples (n_samples, n_channels), valid until the next call."""
        samples = as_rows(samples, len(self._learned))
        out = self._out.rows(len(samples))
        start = 0
        while start < len(samples):
            stop = min(len(samples), start + self._until_change())
            if self._n_seen < self._n_learning:
                self._learn(samples[start:stop])
            subtract_predicted(self._weights, samples[start:stop], out[start:stop])
            self._n_seen += stop - start
            if self._n_seen == self._n_learning:
                self._finish()
            if self._n_seen == self._n_period:
                self._begin()
            start = stop
        return out

    def _until_change(self) -> int:
        """Samples that may pass before learning ends or begins."""
        if self._n_seen < self._n_learning:
            return self._n_learning - self._n_seen
        return self._n_period - self._n_seen if self._n_period > self._n_seen else 2**62

    def _learn(self, samples: Array) -> None:
        if self._state is None:
            self._state = settled_state(self._sos, samples[0])
        band = self._band.rows(len(samples))
        filter_sections(self._sos, self._state, samples, band)
        add_products(band, -self._n_seen % self._step, self._step, self._products)

    def _finish(self) -> None:
        """Solve for the weights of the stretch that has ended: a few milliseconds, once."""
        covariance = self._products + np.triu(self._products, 1).T
        covariance *= np.outer(self._is_used, self._is_used)
        self._learned = regression_weights(covariance, self._ridge)
        self._state = None
        self.use(self._is_used)

    def _begin(self) -> None:
        self._n_seen = 0
        self._products[:] = 0.0
