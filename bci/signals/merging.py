"""Several streams on one bin grid: that of the main stream. What comes too late is hidden, and nothing waits for it.

The rule, which touches no clock:

1. A bin of the main stream ends with the stamp of its last sample. A sample of another stream belongs to the bin in
   which its own stamp falls.
2. A bin is told when each stream has shown a sample at or after the bin's end, at the latest when the main stream's
   stamps are `wait_ms` past it. The features of a stream that has not come by then are hidden (NaN) in this bin.
3. A stream whose newest sample is more than half a second older than the bin is away, and not waited for.
4. Samples that come after their bin was told still pass the filters, and count in no bin.

So any order of arrival in which nothing is later than `wait_ms` gives the same bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from bci.signals.features import BinFeatures, Extractor
from bci.signals.normalise import AdaptiveZScore
from bci.types import Array, Chunk, Event, Frame

AWAY_S = 0.5


class Follower:
    """A stream whose bins end where those of another do.

    Parameters
    ----------
    parts : BinFeatures
        Its features.
    rate_hz : float
        Its sampling rate.
    wait_s : float
        How long a bin waits for it.
    """

    def __init__(self, parts: BinFeatures, rate_hz: float, wait_s: float) -> None:
        self.parts = parts
        self.newest_s = -np.inf
        self._period_s = 1.0 / rate_hz
        self._wait_s = wait_s
        self._chunks: deque[Chunk] = deque()
        self._gaps: deque[tuple[float, float]] = deque()  # stamps of the first and last lost sample
        self._held: Array | None = None

    def push(self, chunk: Chunk) -> None:
        """Keep samples until the bin they belong to ends."""
        if not len(chunk.stamps_s):
            return
        first_s = float(chunk.stamps_s[0])
        if chunk.n_lost:
            self._gaps.append((first_s - chunk.n_lost * self._period_s, first_s - self._period_s))
        self._chunks.append(chunk)
        self.newest_s = float(chunk.stamps_s[-1])

    def is_ready(self, end_s: float, now_s: float) -> bool:
        """Whether a bin that ends at `end_s` need not wait, when the main stream has come to `now_s`."""
        return self.newest_s >= end_s or now_s - end_s > self._wait_s or self.newest_s < end_s - AWAY_S

    def end_bin(self, before_s: float, end_s: float) -> Array | None:
        """Features of the bin after `before_s` up to `end_s`; None when they are hidden."""
        is_late = self.newest_s < end_s
        has_gap = self._has_gap(before_s, end_s)
        if is_late:
            self.parts.skip_bin()
            return None
        self._absorb_until(before_s)
        self.parts.drop()  # their bin was told without them
        n_taken = self._absorb_until(end_s)
        if has_gap:
            self._held = None
            self.parts.skip_bin()
        elif n_taken:
            self._held = self.parts.end_bin(end_s)
        return self._held  # a slow stream may have no sample in a bin: what it said last holds

    def _absorb_until(self, end_s: float) -> int:
        n = 0
        while self._chunks and self._chunks[0].stamps_s[0] <= end_s:
            chunk = self._chunks.popleft()
            k = int(np.searchsorted(chunk.stamps_s, end_s, side="right"))
            self.parts.absorb(chunk.samples[:k])
            n += k
            if k < len(chunk.stamps_s):
                self._chunks.appendleft(Chunk(chunk.samples[k:], chunk.stamps_s[k:]))
        return n

    def _has_gap(self, before_s: float, end_s: float) -> bool:
        while self._gaps and self._gaps[0][1] <= before_s:
            self._gaps.popleft()
        return bool(self._gaps) and self._gaps[0][0] <= end_s


class Merger:
    """The frames of several streams, side by side on the bins of the first.

    Parameters
    ----------
    main : Extractor
        Whose bins they are.
    followers : sequence of Follower
        The other streams, in the profile's order.
    names : sequence of str
        Of the other streams; their features' labels begin with it.

    Attributes
    ----------
    labels : tuple of str
        One per feature: the main stream's, then each other's.
    n_features : int
        How many.
    bin_s : float
        Bin width.
    """

    def __init__(self, main: Extractor, followers: Sequence[Follower] = (), names: Sequence[str] = ()) -> None:
        self._main = main
        self._followers = tuple(followers)
        self._names = ("", *(f"{name} " for name in names))
        extra = tuple(
            f"{name}/{label}" for name, f in zip(names, followers, strict=True) for label in f.parts.labels
        )  # fmt: skip
        self.labels = (*main.labels, *extra)
        self.n_features = len(self.labels)
        self.bin_s = main.bin_s
        self._streams = (main.parts, *(follower.parts for follower in followers))
        self._waiting: deque[Frame] = deque()
        self._now_s = -np.inf
        self._told_s = -np.inf

    @property
    def is_waiting(self) -> bool:
        """Whether a bin of the main stream waits for another stream."""
        return bool(self._waiting)

    def push(self, chunk: Chunk, stream: int = 0) -> list[Frame]:
        """Process one chunk of the main stream (0) or of another (1, 2, …); return the frames that can be told now."""
        if stream:
            self._followers[stream - 1].push(chunk)
        else:
            frames = self._main.push(chunk)
            if not self._followers:
                return frames
            self._waiting.extend(frames)
            if len(chunk.stamps_s):
                self._now_s = float(chunk.stamps_s[-1])
        told = []
        while self._waiting and self._all_ready(self._waiting[0].stamp_s):
            told.append(self._merge(self._waiting.popleft()))
        return told

    def take_events(self) -> list[Event]:
        """What happened to channels since the last call, and, when anything did, how many are in use."""
        happened = [event for parts in self._streams for event in parts.events]
        if happened:
            for parts in self._streams:
                parts.events.clear()
            happened.append(Event(happened[-1].stamp_s, "signals", "quality", self.quality()))
        return happened

    def quality(self) -> str:
        """One short line: how many channels are in use, and the numbers (from 1) of those that are masked."""
        masked = [
            f"{name}{c + 1}"
            for name, parts in zip(self._names, self._streams, strict=True)
            for c in np.flatnonzero(parts.is_masked)
        ]
        n = sum(len(parts.channels) for parts in self._streams)
        numbers = f", masked: {' '.join(masked)}" if masked else ""
        return f"channels {n - len(masked)}/{n} ok{numbers}"

    def statistics(self) -> dict[str, list[float]]:
        """What is normal of each feature now: lists over the features of all streams; empty without normalising."""
        found: dict[str, list[float]] = {}
        for zscore in self._zscores():
            for name, values in zscore.statistics().items():
                found.setdefault(name, []).extend(values)
        return found

    def restore(self, statistics: dict[str, list[float]]) -> None:
        """Begin with what was normal before; with nothing, or another number of features, from nothing."""
        zscores = self._zscores()
        if not statistics or len(statistics["mean"]) != sum(len(zscore.mean) for zscore in zscores):
            return
        start = 0
        for zscore in zscores:
            end = start + len(zscore.mean)
            zscore.restore({name: values[start:end] for name, values in statistics.items()})
            start = end

    def _zscores(self) -> list[AdaptiveZScore]:
        return [parts.zscore for parts in self._streams if parts.zscore is not None]

    def _all_ready(self, end_s: float) -> bool:
        return all(follower.is_ready(end_s, self._now_s) for follower in self._followers)

    def _merge(self, frame: Frame) -> Frame:
        before_s = self._told_s
        if frame.stamp_s - before_s > 1.5 * self.bin_s:  # the first bin, and the first after a gap that was not told
            before_s = frame.stamp_s - self.bin_s
        rows = [frame.features]
        for follower in self._followers:
            values = follower.end_bin(before_s, frame.stamp_s)
            rows.append(np.full(len(follower.parts.labels), np.nan) if values is None else values)
        self._told_s = frame.stamp_s
        return Frame(frame.index, frame.stamp_s, np.concatenate(rows), frame.is_missing, frame.n_before)
