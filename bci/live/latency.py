"""Latency of every bin at five points, in arrays made before the loop starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bci.types import Array

POINTS = ("sample", "arrival", "intent", "sent", "acknowledged")


@dataclass(frozen=True)
class Percentiles:
    """p50, p99 and maximum of one interval, milliseconds, and how many bins they rest on."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    n_bins: int


class LatencyLog:
    """Stamps of the last `n_bins` bins, on the local clock: a ring that never grows.

    The five points are: the sample's stamp, the chunk's arrival, the intent, the bytes handed to the port, and the
    device's acknowledgement. Points that were never reached stay NaN.
    """

    def __init__(self, n_bins: int) -> None:
        self.index = np.full(n_bins, -1, dtype=np.int64)
        self.stamps_s: Array = np.full((n_bins, len(POINTS)), np.nan)

    def decoded(self, index: int, sample_s: float, arrival_s: float, intent_s: float) -> None:
        """Log the three points inside the loop."""
        row = index % len(self.index)
        self.index[row] = index
        self.stamps_s[row, 0] = sample_s
        self.stamps_s[row, 1] = arrival_s
        self.stamps_s[row, 2] = intent_s
        self.stamps_s[row, 3:] = np.nan

    def actuated(self, index: int, sent_s: float, acknowledged_s: float) -> None:
        """Log the two points that the guardian reports later; bins that left the ring are ignored."""
        row = index % len(self.index)
        if self.index[row] == index:
            self.stamps_s[row, 3] = sent_s
            self.stamps_s[row, 4] = acknowledged_s

    def interval(self, start: str, end: str) -> Percentiles:
        """Percentiles of the time between two points, over the bins that reached both."""
        spans_ms = 1e3 * (self.stamps_s[:, POINTS.index(end)] - self.stamps_s[:, POINTS.index(start)])
        spans_ms = spans_ms[np.isfinite(spans_ms)]
        if spans_ms.size == 0:
            return Percentiles(np.nan, np.nan, np.nan, 0)
        p50, p99 = np.percentile(spans_ms, [50, 99])
        return Percentiles(float(p50), float(p99), float(spans_ms.max()), int(spans_ms.size))

    def save(self, path: Path) -> None:
        """Write the logged bins, oldest first, as NPZ with arrays `index` and `stamps_s` and the names `points`."""
        order = np.argsort(self.index, kind="stable")
        order = order[self.index[order] >= 0]
        np.savez(path, index=self.index[order], stamps_s=self.stamps_s[order], points=np.array(POINTS))
