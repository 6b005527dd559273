"""In blocks of which length samples come: a sender that saves them up makes the oldest too old."""

from __future__ import annotations

from collections import deque
from statistics import median_low

SAME_BLOCK_S = 0.005  # the transport may cut a block into pieces
N_BLOCKS, LEAST_BLOCKS = 7, 4  # of the last ones, the median counts: a backlog after an absence is one of them


class BlockWatch:
    """Counts the samples that come at once.

    Parameters
    ----------
    rate_hz : float
        Of the stream.

    Attributes
    ----------
    length_s : float
        Of a block, in the stream's own time; 0 before four of them have come.
    """

    def __init__(self, rate_hz: float) -> None:
        self.length_s = 0.0
        self._rate_hz = rate_hz
        self._lengths_s: deque[float] = deque(maxlen=N_BLOCKS)
        self._n = 0
        self._begun_s = self._newest_s = -1.0

    def count(self, now_s: float, n_samples: int) -> None:
        """Take in the samples of one pull."""
        if now_s - self._newest_s > SAME_BLOCK_S:
            if self._n:
                flowed_s = self._newest_s - self._begun_s  # what takes its own time to come is no block
                self._lengths_s.append(max(0.0, self._n / self._rate_hz - flowed_s))
            if len(self._lengths_s) >= LEAST_BLOCKS:
                self.length_s = median_low(self._lengths_s)
            self._n, self._begun_s = 0, now_s
        self._n += n_samples
        self._newest_s = now_s
