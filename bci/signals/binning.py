"""Bins counted in samples, never in wall time; lost samples make missing bins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from bci.types import Array

MAX_MISSING = 500  # frames told for one gap; the bins of a longer one are counted, not told one by one


@njit(cache=True, nogil=True)
def _accumulate(total: Array, samples: Array, start: int, stop: int) -> None:
    """Add samples one after the other: pairwise sums would depend on the cut into chunks."""
    for i in range(start, stop):
        for c in range(samples.shape[1]):
            total[c] += samples[i, c]


@dataclass(frozen=True, slots=True)
class Bin:
    """One finished bin.

    Attributes
    ----------
    index : int
        Bins since the start, missing ones counted.
    end : int
        Index into the pushed samples one past the bin's last; 0 or less for a bin that ended in a gap before them.
    total : Array
        Shape (n_channels,): sum of the samples.
    last : Array
        Shape (n_channels,): the bin's last sample.
    is_missing : bool
        Some of its samples were lost or not finite.
    """

    index: int
    end: int
    total: Array
    last: Array
    is_missing: bool


class Binner:
    """Cut a stream into bins of a whole number of samples.

    Parameters
    ----------
    bin_samples : int
        Samples per bin.
    n_channels : int
        Channels of what is binned.
    """

    def __init__(self, bin_samples: int, n_channels: int) -> None:
        self.bin_samples = bin_samples
        self._total: Array = np.zeros(n_channels)
        self._filled = 0
        self._is_missing = False
        self._index = 0

    def push(self, samples: Array, is_bad: Array, n_lost: int) -> Iterator[Bin]:
        """Take in consecutive samples that follow `n_lost` lost ones, and yield each bin that they finish.

        Parameters
        ----------
        samples : Array
            Shape (n_samples, n_channels), finite.
        is_bad : Array
            Boolean, shape (n_samples,): samples that must not be used.
        n_lost : int
            Lost just before the first sample.
        """
        if n_lost:
            yield from self._skip(n_lost)
        start = 0
        while start < len(samples):
            stop = min(len(samples), start + self.bin_samples - self._filled)
            _accumulate(self._total, samples, start, stop)
            self._is_missing |= bool(is_bad[start:stop].any())
            self._filled += stop - start
            if self._filled == self.bin_samples:
                yield self._finish(stop, samples[stop - 1])
            start = stop

    def _skip(self, n_lost: int) -> Iterator[Bin]:
        n_bins, remainder = divmod(self._filled + n_lost, self.bin_samples)
        untold = max(0, n_bins - MAX_MISSING)
        self._index += untold
        for i in range(untold, n_bins):
            self._is_missing = True
            yield self._finish(-remainder - (n_bins - 1 - i) * self.bin_samples, self._total)
        self._filled = remainder
        self._is_missing = remainder > 0

    def _finish(self, end: int, last: Array) -> Bin:
        done = Bin(self._index, end, self._total.copy(), last.copy(), self._is_missing)
        self._total[:] = 0.0
        self._filled = 0
        self._is_missing = False
        self._index += 1
        return done
