"""What becomes of pulled samples, without LSL and without a clock: a recorded session takes them in as it did live."""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.profile import Stream
from bci.signals.grid import Grid
from bci.streams.blocks import BlockWatch
from bci.streams.notices import Notices
from bci.streams.rate import RateWatch
from bci.streams.usable import Usable, block_sentence
from bci.types import Array, Chunk, Event

LONG_BLOCK = 0.5  # of the age at which samples are stale: blocks of that length are told


class Intake:
    """Chooses channels, drops what is not of now or not of the declared rate, and puts the rest on an even grid.

    Samples older than `stale_after_ms` are dropped and counted as lost: after a stall or a reconnection the decoder
    goes on with the present, it never replays a backlog. So are those from as far in the future, which only a clock
    that jumped can stamp: the grid of stamps would never come back from there.

    Parameters
    ----------
    name : str
        Of the stream that was found.
    stream : Stream
        What the profile says of it.
    rate_hz : float
        Declared.
    columns : list of int or None
        Which channels are used; None: all.
    is_ahead : bool
        Whether the source has a clock that runs ahead of ours: then neither the age of its samples nor their rate is
        judged.

    Attributes
    ----------
    is_silent : bool
        Whether no samples come.
    last_stamp_s : float
        Of the newest sample, now at the latest; NaN before the first.
    """

    def __init__(
        self, name: str, stream: Stream, rate_hz: float, columns: list[int] | None, *, is_ahead: bool = False
    ) -> None:
        self.is_silent = False
        self.last_stamp_s = np.nan
        self._name, self._rate_hz, self._columns, self._is_ahead = name, rate_hz, columns, is_ahead
        self._stale_s = stream.stale_after_ms / 1e3
        self._grid = Grid(rate_hz)
        self._rate = RateWatch(rate_hz, self._stale_s)
        self._blocks = BlockWatch(rate_hz)
        self._usable = Usable(name, self._stale_s)
        self._notices = Notices()
        self._is_blocky = self._has_told_blocks = False
        self._arrived_s = np.nan
        self._n_dropped = 0

    @property
    def trouble(self) -> str:
        """Why nothing usable has arrived for a second; empty when something has."""
        return self._usable.trouble

    @property
    def has_right_rate(self) -> bool:
        """Whether samples have been found to come at the declared rate: at the earliest two seconds after the first."""
        return self._is_ahead or (self._rate.is_measured and not self._rate.is_wrong)

    def take(self, samples: Any, stamps_s: Array, now_s: float) -> list[Chunk]:
        """Take in what one pull brought, cut at gaps.

        Parameters
        ----------
        samples : array-like
            Shape (n, channels of the stream).
        stamps_s : Array
            Shape (n,), on our clock.
        now_s : float
            When they were pulled.
        """
        chunks = self._take(samples, stamps_s, now_s)
        if self._is_blocky and not self.is_silent:
            self._usable.blocks(self._blocks.length_s, self._rate_hz)
        elif chunks:
            self._usable.used(now_s)
        if self._usable.has_changed(now_s):
            trouble = self._usable.trouble
            said = f"Nothing usable. {trouble}" if trouble else f"Samples from '{self._name}' are used again."
            self.tell(now_s, "use", said, trouble)
        return chunks

    def tell(self, now_s: float, code: str, text: str, state: str = "") -> None:
        """Take note of what happened to the stream."""
        self._notices.tell(now_s, code, text, state)

    def events(self, now_s: float) -> list[Event]:
        """What is to be told of the stream since the last call."""
        return self._notices.take(now_s)

    def _take(self, samples: Any, stamps_s: Array, now_s: float) -> list[Chunk]:
        """Drop what is of no use, say so, and cut the rest at gaps."""
        is_first = np.isnan(self._arrived_s)
        self._watch_age(now_s, len(stamps_s))
        if len(stamps_s) == 0:
            if self.is_silent:
                self._usable.silent()
            return []
        self.last_stamp_s = min(float(stamps_s[-1]), now_s)
        is_of_now = self._is_ahead | (np.abs(stamps_s - now_s) <= self._stale_s)
        if is_first:
            self._rate.preview(stamps_s)
        if not is_of_now.all():
            self._n_dropped += 0 if is_first else len(stamps_s) - int(np.count_nonzero(is_of_now))
            if not is_of_now.any():
                self._usable.dropped(float(stamps_s[-1]) - now_s, float(stamps_s[-1]))
                return []
            samples, stamps_s = samples[is_of_now], stamps_s[is_of_now]
            self._rate.restart()
        if not (self._is_ahead or self._has_rate(stamps_s, now_s)):
            self._n_dropped += len(stamps_s)
            self._usable.wrong_rate(self._rate.found_hz, self._rate_hz)
            return []
        if self._n_dropped:
            if not self._is_blocky:  # else that is said already
                text = f"{self._n_dropped} samples were too late, or of a wrong clock or rate, and were dropped."
                self.tell(now_s, "backlog", text)
            self._n_dropped = 0
        chunks = self._grid.split(self._select(samples), stamps_s)
        for chunk in chunks:
            if chunk.n_lost and not self._is_blocky:
                self.tell(now_s, "gap", f"{chunk.n_lost} samples are missing before {chunk.stamps_s[0]:.3f} s.")
        return chunks

    def _select(self, samples: Any) -> Array:
        chosen: Array = np.asarray(samples, dtype=np.float64)
        return chosen if self._columns is None else np.ascontiguousarray(chosen[:, self._columns])

    def _watch_age(self, now_s: float, n_samples: int) -> None:
        """A source that is dead, frozen or unplugged raises nothing in liblsl: only waiting shows it."""
        is_silent = n_samples == 0 and now_s - self._arrived_s > max(self._stale_s, 1.5 * self._blocks.length_s)
        if is_silent and not self.is_silent:
            self.tell(now_s, "silent", f"No samples from '{self._name}' for {1e3 * self._stale_s:.0f} ms.")
        if self.is_silent and n_samples:
            self.tell(now_s, "back", f"Samples from '{self._name}' again.")
        self.is_silent = is_silent if n_samples == 0 else False
        if n_samples:
            self._arrived_s = now_s
            self._watch_blocks(now_s, n_samples)

    def _watch_blocks(self, now_s: float, n_samples: int) -> None:
        self._blocks.count(now_s, n_samples)
        length_s = self._blocks.length_s
        if self._is_ahead or length_s <= LONG_BLOCK * self._stale_s:
            self._is_blocky = self._has_told_blocks = False
            return
        is_blocky = length_s > self._stale_s
        if is_blocky and not self._is_blocky:
            self._notices.forget("silent", "back", "backlog", "gap")  # this is the cause of all of them
        if not self._has_told_blocks:
            self.tell(now_s, "blocks", block_sentence(self._name, length_s, self._rate_hz, self._stale_s))
        self._is_blocky, self._has_told_blocks = is_blocky, True

    def _has_rate(self, stamps_s: Array, now_s: float) -> bool:
        """Whether samples come at the declared rate; what does not is not decoded."""
        watch = self._rate
        if watch.count(stamps_s):
            found = f"{watch.found_hz:.{1 if abs(watch.found_hz / self._rate_hz - 1.0) < 0.3 else 0}f}"
            if watch.is_wrong:
                self._notices.forget("gap")  # not lost: never sent
                use = "are not used"
            else:
                use = "are used, but some are lost or the declared rate is false" if watch.is_off else "are used again"
            text = f"Samples come at {found} Hz, declared were {self._rate_hz:g}: they {use}."
            self.tell(now_s, "rate", text, use)
        return not watch.is_wrong
