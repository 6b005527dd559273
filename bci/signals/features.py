"""From chunks of samples to frames of features, as the profile describes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.profile import BandPower, Rates
from bci.signals.binning import Bin, Binner
from bci.signals.normalise import AdaptiveZScore
from bci.signals.power import PowerBank
from bci.types import Array, Chunk, Frame

LOG_FLOOR = 1e-12


class Extractor:
    """The features of one stream.

    A sample that is not finite is replaced by the channel's last finite one, so that no filter is poisoned, and its
    bin is missing.

    Parameters
    ----------
    features : Rates or BandPower
        What to compute.
    labels : sequence of str
        One per channel of the stream.
    rate_hz : float
        The stream's sampling rate.

    Attributes
    ----------
    labels : tuple of str
        One per feature.
    n_features : int
        How many.
    bin_s : float
        Bin width.

    Raises
    ------
    ProfileError
        When the montage that the reference needs is not in the labels.
    """

    def __init__(self, features: Rates | BandPower, labels: Sequence[str], rate_hz: float) -> None:
        self._features = features
        self._bank = PowerBank(features, tuple(labels), rate_hz) if isinstance(features, BandPower) else None
        self.labels = tuple(labels) if self._bank is None else self._bank.labels
        self.n_features = len(self.labels)
        bin_samples = round(features.bin_ms * rate_hz / 1e3)
        self.bin_s = bin_samples / rate_hz
        self._period_s = 1.0 / rate_hz
        self._binner = Binner(bin_samples, self.n_features)
        self._zscore = None if features.zscore is None else AdaptiveZScore(features.zscore, self.n_features, self.bin_s)
        self._finite: Array = np.zeros(len(labels))

    def push(self, chunk: Chunk) -> list[Frame]:
        """Process one chunk; return the frames that it completes, in order."""
        samples, is_bad = self._repair(chunk.samples)
        values = samples if self._bank is None else self._bank.push(samples)
        return [self._frame(done, chunk.stamps_s) for done in self._binner.push(values, is_bad, chunk.n_lost)]

    def _repair(self, samples: Array) -> tuple[Array, Array]:
        is_finite = np.isfinite(samples)
        if not is_finite.all():
            samples = samples.copy()
            for i in np.flatnonzero(~is_finite.all(axis=1)):
                before = samples[i - 1] if i else self._finite
                samples[i] = np.where(is_finite[i], samples[i], before)
        if len(samples):
            self._finite = samples[-1].copy()
        is_bad: Array = np.logical_not(is_finite.all(axis=1))
        return samples, is_bad

    def _frame(self, done: Bin, stamps_s: Array) -> Frame:
        if done.end > 0:
            stamp_s = float(stamps_s[done.end - 1])
        else:
            stamp_s = float(stamps_s[0] + (done.end - 1) * self._period_s)
        values = np.zeros(self.n_features) if done.is_missing else self._reduce(done)
        if self._zscore is not None and not done.is_missing:
            self._zscore.apply(values)
        return Frame(done.index, stamp_s, values, done.is_missing)

    def _reduce(self, done: Bin) -> Array:
        if isinstance(self._features, BandPower):
            return np.log(done.last + LOG_FLOOR)
        values = done.total / self._binner.bin_samples if self._features.reduce == "mean" else done.total
        return np.sqrt(np.maximum(values, 0.0)) if self._features.transform == "sqrt" else values
