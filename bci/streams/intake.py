"""What becomes of pulled samples, without LSL and without a clock: a recorded session takes them in as it did live."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from bci.profile import Stream
from bci.signals.grid import Grid
from bci.streams.rate import RateWatch
from bci.types import Array, Chunk, Event


class Intake:
    """Chooses channels, drops what is not of now, and puts the rest on an even grid.

    Samples older than `stale_after_ms` are dropped and counted as lost: after a stall or a reconnection the decoder
    goes on with the present, it never replays a backlog. So are those from as far in the future, which only a clock
    that jumped can stamp: the grid of stamps would never come back from there.

    Parameters
    ----------
    stream : Stream
        What the profile says of it.
    rate_hz : float
        Declared.
    columns : list of int or None
        Which channels are used; None: all.
    is_ahead : bool
        Whether the source has a clock that runs ahead of ours: then neither the age of its samples nor their rate is
        judged.
    """

    def __init__(self, stream: Stream, rate_hz: float, columns: list[int] | None, *, is_ahead: bool = False) -> None:
        self._columns = columns
        self._is_ahead = is_ahead
        self._rate_hz = rate_hz
        self._stale_s = stream.stale_after_ms / 1e3
        self._grid = Grid(rate_hz)
        self._rate = RateWatch(rate_hz, self._stale_s)
        self._n_dropped = 0
        self._events: deque[Event] = deque(maxlen=100)

    def take(self, samples: Any, stamps_s: Array, now_s: float) -> list[Chunk]:
        """Take in what one pull brought, cut at gaps.

        Parameters
        ----------
        samples : array-like
            Shape (n, channels of the stream), n > 0.
        stamps_s : Array
            Shape (n,), on our clock.
        now_s : float
            When they were pulled.
        """
        is_of_now = self._is_ahead | (np.abs(stamps_s - now_s) <= self._stale_s)
        if not is_of_now.all():
            self._n_dropped += len(stamps_s) - int(np.count_nonzero(is_of_now))
            samples, stamps_s = samples[is_of_now], stamps_s[is_of_now]
            if len(stamps_s) == 0:
                return []
        if not (self._is_ahead or self._has_rate(stamps_s, now_s)):
            self._n_dropped += len(stamps_s)
            return []
        if self._n_dropped:
            n = self._n_dropped
            self._tell(now_s, "backlog", f"{n} samples were too late, or of a wrong clock or rate, and were dropped.")
            self._n_dropped = 0
        chunks = self._grid.split(self._select(samples), stamps_s)
        for chunk in chunks:
            if chunk.n_lost:
                self._tell(now_s, "gap", f"{chunk.n_lost} samples are missing before {chunk.stamps_s[0]:.3f} s.")
        return chunks

    def events(self) -> list[Event]:
        """What happened since the last call."""
        happened = list(self._events)
        self._events.clear()
        return happened

    def _select(self, samples: Any) -> Array:
        chosen: Array = np.asarray(samples, dtype=np.float64)
        return chosen if self._columns is None else np.ascontiguousarray(chosen[:, self._columns])

    def _has_rate(self, stamps_s: Array, now_s: float) -> bool:
        """Whether samples come at the declared rate; what does not is not decoded."""
        watch = self._rate
        if watch.count(stamps_s):
            use = "are not used" if watch.is_wrong else "are used again"
            text = f"Samples come at {watch.found_hz:.0f} Hz, declared were {self._rate_hz:g}: they {use}."
            self._tell(now_s, "rate", text)
        return not watch.is_wrong

    def _tell(self, now_s: float, code: str, text: str) -> None:
        self._events.append(Event(now_s, "streams", code, text))
