"""Adaptive z-score: the mean is tracked, the deviation more slowly, and no outlier moves either far."""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.errors import ArgumentError
from bci.profile import ZScore
from bci.types import Array

SETTLING = 50  # bins before outliers can be told from a first estimate
LONGEST_FREEZE = 6  # freezes in a row after which a burst is the new normal


@njit(cache=True, nogil=True)
def normalise(
    features: Array, mean: Array, variance: Array, seen: Array, frozen: Array, k_mean: float, k_variance: float,
    n_deviation: int, n_freeze: int, burst_share: float, floor: float, clip: float,
) -> None:  # fmt: skip
    """Normalise one bin in place, and follow its statistics.

    Parameters
    ----------
    features : Array
        Shape (n,); those that are not finite stay so and teach nothing.
    mean, variance : Array
        Shape (n,), in place.
    seen : Array
        Integer, shape (n,): bins behind each statistic; in place.
    frozen : Array
        Integer, shape (2,): bins for which nothing is followed any more, and bins since the last calm one; in place.
    k_mean, k_variance : float
        Share of a new bin.
    n_deviation, n_freeze : int
        Bins after which the deviation stays as it is; for which a burst freezes both.
    burst_share : float
        So many features beyond the clip at once are a burst.
    floor, clip : float
        Least deviation; largest result.
    """
    n_known, n_far = 0, 0
    for i in range(len(features)):
        if seen[i] > SETTLING and np.isfinite(features[i]):
            n_known += 1
            n_far += abs(features[i] - mean[i]) > clip * max(np.sqrt(variance[i]), floor)
    is_burst = n_known > 0 and n_far > burst_share * n_known
    if is_burst and frozen[1] < LONGEST_FREEZE * n_freeze:
        frozen[0] = n_freeze
    is_frozen = frozen[0] > 0
    if is_frozen:
        frozen[0] -= 1
        frozen[1] += 1
    elif not is_burst:
        frozen[1] = 0
    for i in range(len(features)):
        if not np.isfinite(features[i]):
            continue
        if not is_frozen or seen[i] == 0:
            seen[i] += 1
            k = max(k_mean, 1.0 / seen[i])
            deviation = max(np.sqrt(variance[i]), floor)
            residual = features[i] - mean[i]
            if seen[i] > SETTLING:
                residual = min(max(residual, -clip * deviation), clip * deviation)
            mean[i] += k * residual
            if seen[i] <= n_deviation:
                variance[i] += max(k_variance, 1.0 / seen[i]) * ((1.0 - k) * residual * residual - variance[i])
        z = (features[i] - mean[i]) / max(np.sqrt(variance[i]), floor)
        features[i] = min(max(z, -clip), clip)


class AdaptiveZScore:
    """Normalise features bin by bin against their own tracked mean and deviation.

    Until the time constants have passed, both are the plain averages of what was seen. Later residuals beyond
    `clip` deviations count as `clip` deviations, so an outlier cannot poison the statistics. When many features are
    that far at once it is a burst, and neither statistic moves for `freeze_s`; what lasts longer than six times that is
    the new normal.

    Parameters
    ----------
    settings : ZScore
        Time constants, floor, clip, bursts.
    n_features : int
        How many.
    bin_s : float
        Bin width.
    """

    def __init__(self, settings: ZScore, n_features: int, bin_s: float) -> None:
        self.mean: Array = np.zeros(n_features)
        self.variance: Array = np.zeros(n_features)
        self._seen, self._frozen = np.zeros(n_features, dtype=np.int64), np.zeros(2, dtype=np.int64)
        last_s = settings.freeze_deviation_after_s
        self._settings = (
            min(1.0, bin_s / settings.tau_mean_s),
            min(1.0, bin_s / settings.tau_deviation_s),
            2**62 if last_s is None else max(SETTLING, round(last_s / bin_s)),
            round(settings.freeze_s / bin_s),
            settings.burst_share,
            settings.deviation_floor,
            settings.clip,
        )

    @property
    def is_frozen(self) -> bool:
        """Whether a burst keeps the statistics from moving."""
        return bool(self._frozen[0] > 0)

    def apply(self, features: Array) -> None:
        """Normalise one bin, float64 of shape (n_features,), in place; ValueError where it is not."""
        if features.shape != self.mean.shape or features.dtype != self.mean.dtype:
            raise ArgumentError(
                f"Features of shape {features.shape} and type {features.dtype} cannot be normalised in place.",
                f"Give float64 of shape {self.mean.shape}.",
            )
        normalise(features, self.mean, self.variance, self._seen, self._frozen, *self._settings)

    def statistics(self) -> dict[str, list[float]]:
        """What is normal of each feature now, as plain lists."""
        return {"mean": self.mean.tolist(), "variance": self.variance.tolist(), "n_seen": self._seen.tolist()}

    def restore(self, statistics: dict[str, list[float]]) -> None:
        """Go on from what was normal before; ValueError where it is that of another number of features."""
        lengths = {len(statistics[name]) for name in ("mean", "variance", "n_seen")}
        if lengths != {len(self.mean)}:
            raise ArgumentError(f"Statistics of {lengths} features.", f"Give those of {len(self.mean)}.")
        self.mean[:], self.variance[:] = statistics["mean"], statistics["variance"]
        self._seen[:] = np.array(statistics["n_seen"], dtype=np.int64)
