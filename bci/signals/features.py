"""From chunks of samples to frames of features, as the profile describes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.profile import BandPower, Rates, Spikes
from bci.signals.binning import Bin, Binner
from bci.signals.normalise import AdaptiveZScore
from bci.signals.power import PowerBank
from bci.signals.spikes import SpikeBank
from bci.types import Array, Chunk, Frame


class CountBank:
    """Rates or counts that arrive as such: summed or averaged in each bin."""

    def __init__(self, features: Rates, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._features = features

    def push(self, samples: Array) -> Array:
        """Return the samples themselves."""
        return samples

    def reduce(self, total: Array, last: Array, n_samples: int) -> Array:
        """Features of one bin: the sum or the mean, square-rooted where the profile says so."""
        values = total / n_samples if self._features.reduce == "mean" else total
        return np.sqrt(np.maximum(values, 0.0)) if self._features.transform == "sqrt" else values


def make_bank(
    features: Rates | BandPower | Spikes, labels: tuple[str, ...], rate_hz: float
) -> CountBank | PowerBank | SpikeBank:
    """The part of the profile's features that depends on their kind."""
    if isinstance(features, BandPower):
        return PowerBank(features, labels, rate_hz)
    if isinstance(features, Spikes):
        return SpikeBank(features, labels, rate_hz)
    return CountBank(features, labels)


class Extractor:
    """The features of one stream.

    A sample that is not finite is replaced by the channel's last finite one, so that no filter is poisoned, and its
    bin is missing.

    Parameters
    ----------
    features : Rates, BandPower or Spikes
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

    def __init__(self, features: Rates | BandPower | Spikes, labels: Sequence[str], rate_hz: float) -> None:
        self._bank = make_bank(features, tuple(labels), rate_hz)
        self.labels = self._bank.labels
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
        bins = self._binner.push(self._bank.push(samples), is_bad, chunk.n_lost)
        return [self._frame(done, chunk.stamps_s) for done in bins]

    def statistics(self) -> dict[str, list[float]]:
        """What is normal of each feature now; empty where nothing is normalised."""
        return {} if self._zscore is None else self._zscore.statistics()

    def restore(self, statistics: dict[str, list[float]]) -> None:
        """Begin with what was normal before."""
        if self._zscore is not None:
            self._zscore.restore(statistics)

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
        values = np.zeros(self.n_features)
        if not done.is_missing:
            values = self._bank.reduce(done.total, done.last, self._binner.bin_samples)
        if self._zscore is not None and not done.is_missing:
            self._zscore.apply(values)
        return Frame(done.index, stamp_s, values, done.is_missing)
