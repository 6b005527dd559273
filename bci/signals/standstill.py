"""A source that keeps sending, and has nothing to say: an unplugged headstage, a last frame repeated, a counter.

Judged over the whole array, where single channels may be silent for good reasons: so it is found within a few bins.

At each sample of two bins or more no channel has changed, or all have changed by the same amount: a last value, or one
value, one waveform or one counter on all of them. It is more than chance when sixty changes, or comparisons of two
channels, should have told otherwise. How many changes are expected is learned, and in how many bins a source tells
something at all, for it may update more slowly than it sends. Electrodes never agree to the last bit.

What is a signal of its own on each channel and still not the person's, like the mains, is not found here.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.signals.arguments import as_rows
from bci.types import Array

CHANCE = 60.0  # expected changes, or comparisons of channels, that are more than chance: see `bci.signals.quality`
LEAST_BINS = 2
LEAST_CHANNELS = 4  # fewer may agree
PRIOR_S = 1.0  # what is expected at first weighs as much as so long a time
BASELINE_S = 600.0
ROUNDING = 1e-6  # of the smaller of two samples, in which equal waveforms with offsets of their own may differ, …
EXACT = 1e-15  # … and of the larger: one channel far out of range makes the others no less different


@njit(cache=True, nogil=True)
def compare(samples: Array, previous: Array, counts: Array) -> None:
    """Count the values that differ from the sample before, and the samples in which channels change differently.

    Parameters
    ----------
    samples : Array
        Shape (n_samples, n_channels), finite.
    previous : Array
        Shape (n_channels,): the sample before, in place.
    counts : Array
        Shape (2,): changes, and samples in which not all channels changed by the same amount; in place.
    """
    for i in range(samples.shape[0]):
        first = samples[i, 0] - previous[0]
        differs = False
        for c in range(samples.shape[1]):
            d = samples[i, c] - previous[c]
            counts[0] += 1.0 if d != 0.0 else 0.0
            one, other = abs(samples[i, c]), abs(samples[i, 0])
            differs |= abs(d - first) > ROUNDING * min(one, other) + EXACT * max(one, other)
            previous[c] = samples[i, c]
        counts[1] += 1.0 if differs else 0.0


class Standstill:
    """Whether a source still tells anything, bin by bin.

    Parameters
    ----------
    n_channels, bin_samples : int
        Of the stream, and samples of a usual bin.
    bin_s : float
        Bin width.
    changes : float
        Share of values that differ from the one before, until the source shows it: 1 for a voltage.

    Attributes
    ----------
    n_bins : int
        Bins in a row, the last one included, in which there was no signal; 0 while there is one.
    """

    def __init__(self, n_channels: int, bin_samples: int, bin_s: float, changes: float) -> None:
        self.n_bins = 0
        self._previous: Array = np.full(n_channels, np.nan)
        self._counts: Array = np.zeros(2)
        self._n_samples = 0
        self._expected = changes * n_channels * bin_samples
        self._prior_bins, self._baseline_bins = PRIOR_S / bin_s, BASELINE_S / bin_s
        self._n_seen = 0
        self._telling = 1.0  # share of the bins
        self._n_dumb, self._failed = 0, 0.0

    def observe(self, samples: Array) -> None:
        """Take in repaired samples (n_samples, n_channels) of the bin that is being filled."""
        samples = as_rows(samples, len(self._previous))
        if len(samples) and self._previous[0] != self._previous[0]:  # the very first
            self._previous[:] = samples[0]
            samples = samples[1:]
            self._counts[:] = 1.0
        self._n_samples += len(samples)
        compare(samples, self._previous, self._counts)

    def end_bin(self) -> None:
        """Judge the bin."""
        n_changes, n_different = self._counts.tolist()
        self._counts[:] = 0.0
        has_told = n_different > 0 or (n_changes > 0 and len(self._previous) < LEAST_CHANNELS)
        if has_told:
            self._n_dumb, self._failed = 0, 0.0
        else:
            self._n_dumb += 1
            self._failed += self._n_samples * (len(self._previous) - 1) if n_changes else self._expected
        self._n_samples = 0
        is_dumb = self._n_dumb >= LEAST_BINS / self._telling and self._failed >= CHANCE
        self.n_bins = self._n_dumb if is_dumb else 0
        if not is_dumb:
            self._n_seen += 1
            share = max(1.0 / self._baseline_bins, 1.0 / (self._n_seen + self._prior_bins))
            self._expected += share * (n_changes - self._expected)
            self._telling += share * (has_told - self._telling)
