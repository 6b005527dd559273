"""What the time stamps of a regular stream say about it: an even grid, and where samples are missing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numba import njit

from bci.errors import ArgumentError
from bci.signals.arguments import as_numbers
from bci.types import Array, Chunk

SMOOTHING = 0.02  # of each sample's deviation from the grid; follows a real clock 0.1 % off with 5 % of a period
JITTER_S = 0.012  # smaller deviations are jitter, whatever the rate


@njit(cache=True, nogil=True)
def _follow(stamps_s: Array, grid_s: Array, n_lost: Array, period_s: float, expected_s: float) -> float:
    """Put raw stamps on an even grid and count the samples missing before each; return the next expected stamp."""
    tolerance_s = max(0.75 * period_s, JITTER_S)
    for i in range(len(stamps_s)):
        late_s = stamps_s[i] - expected_s
        if not late_s <= tolerance_s:  # a gap, or the very first sample (expected is NaN)
            n_lost[i] = max(0.0, np.rint(late_s / period_s)) if late_s == late_s else 0.0
            expected_s = stamps_s[i]
        elif late_s > -1.0:
            expected_s += SMOOTHING * late_s
        grid_s[i] = expected_s
        expected_s += period_s
    return expected_s


class Grid:
    """Even time stamps for one regular stream, and the samples that it lost.

    Transport jitter moves stamps to and fro while a lost sample moves all later ones: deviations up to 12 ms (or
    three quarters of a period) are smoothed, larger delays are gaps. Stamps that run backwards, which clock
    corrections cause, never make the grid run backwards.

    Parameters
    ----------
    rate_hz : float
        Nominal sampling rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self.period_s = 1.0 / rate_hz
        self._expected_s = np.nan

    def split(self, samples: Array, stamps_s: Array) -> list[Chunk]:
        """Cut samples at gaps, so that each chunk is consecutive and says how many samples were lost before it.

        Raises
        ------
        ValueError
            When there is not one stamp for each sample.
        """
        stamps_s = as_numbers(stamps_s, "Stamps")
        if stamps_s.ndim != 1 or len(stamps_s) != len(samples):
            raise ArgumentError(f"{len(samples)} samples have stamps of shape {stamps_s.shape}.", "Give one for each.")
        if len(stamps_s) == 0:
            return []
        grid_s = np.empty(len(stamps_s))
        n_lost = np.zeros(len(stamps_s))
        self._expected_s = _follow(stamps_s, grid_s, n_lost, self.period_s, self._expected_s)
        starts = np.flatnonzero(n_lost)
        edges = np.concatenate(([0], starts[starts > 0], [len(stamps_s)]))
        return [Chunk(samples[start:end], grid_s[start:end], int(n_lost[start])) for start, end in pairwise(edges)]
