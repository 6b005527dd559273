"""Adaptive z-score: the mean is tracked, the deviation more slowly, and no outlier moves either far."""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.profile import ZScore
from bci.types import Array

SETTLING = 50  # bins before outliers can be told from a first estimate


@njit(cache=True, nogil=True)
def _normalise(
    features: Array, mean: Array, variance: Array, n: int, k_mean: float, k_variance: float, floor: float, clip: float
) -> None:
    k_mean = max(k_mean, 1.0 / n)
    k_variance = max(k_variance, 1.0 / n)
    for i in range(features.shape[0]):
        deviation = max(np.sqrt(variance[i]), floor)
        residual = features[i] - mean[i]
        if n > SETTLING:
            residual = min(max(residual, -clip * deviation), clip * deviation)
        mean[i] += k_mean * residual
        variance[i] += k_variance * ((1.0 - k_mean) * residual * residual - variance[i])
        z = (features[i] - mean[i]) / max(np.sqrt(variance[i]), floor)
        features[i] = min(max(z, -clip), clip)


class AdaptiveZScore:
    """Normalise features bin by bin against their own tracked mean and deviation.

    Until the time constants have passed, both are the plain averages of what was seen. Later residuals beyond
    `clip` deviations count as `clip` deviations, so a burst cannot poison the statistics.

    Parameters
    ----------
    settings : ZScore
        Time constants, floor and clip.
    n_features : int
        How many.
    bin_s : float
        Bin width.
    """

    def __init__(self, settings: ZScore, n_features: int, bin_s: float) -> None:
        self.mean: Array = np.zeros(n_features)
        self.variance: Array = np.zeros(n_features)
        self._n = 0
        self._k_mean = min(1.0, bin_s / settings.tau_mean_s)
        self._k_variance = min(1.0, bin_s / settings.tau_deviation_s)
        self._floor = settings.deviation_floor
        self._clip = settings.clip

    def apply(self, features: Array) -> None:
        """Normalise one bin, shape (n_features,), in place."""
        self._n += 1
        _normalise(features, self.mean, self.variance, self._n, self._k_mean, self._k_variance, self._floor, self._clip)

    def statistics(self) -> dict[str, list[float]]:
        """What is normal of each feature now, as plain lists."""
        return {"mean": self.mean.tolist(), "variance": self.variance.tolist(), "n_bins": [float(self._n)]}

    def restore(self, statistics: dict[str, list[float]]) -> None:
        """Go on from what was normal before; without it, from nothing."""
        if statistics:
            self.mean[:], self.variance[:] = statistics["mean"], statistics["variance"]
            self._n = int(statistics["n_bins"][0])
