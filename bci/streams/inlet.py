"""Reading the one stream that feeds the decoder: checked, on an even grid, never stale."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self

import numpy as np
import pylsl

from bci.errors import StreamError
from bci.profile import Stream
from bci.signals.grid import Grid
from bci.streams.blocks import BlockWatch
from bci.streams.channels import check_channels
from bci.streams.discover import SETTLE_S, Found, find_all, find_one, matches
from bci.streams.notices import Notices
from bci.streams.rate import RateWatch
from bci.streams.usable import Usable, block_sentence
from bci.types import Array, Chunk, Event

OPEN_TIMEOUT_S = 5.0
BUFFER_S = 30
MAX_PULL = 8192  # samples
CORRECTION_PERIOD_S = 5.0
LONG_BLOCK = 0.5  # of the age at which samples are stale: blocks of that length are told


class Inlet:
    """The samples of one regular LSL stream, as a context.

    Opening order matters: without `open_stream`, `info` and `time_correction` before the first pull, a source that
    dies in between makes that pull hang for ever (liblsl 1.18). Processing flags are 0: clock correction comes from
    a slow thread of its own, and `Grid` smooths the stamps.

    Parameters
    ----------
    stream : Stream
        Which stream, and what it must look like.
    wait_s : float
        How long to wait for it to appear.
    is_ahead : bool
        Whether the source has a clock that runs ahead of ours, as a rehearsal faster than life: then neither the age of
        its samples nor their rate is judged.

    Raises
    ------
    StreamError
        When the stream is absent, ambiguous, or not what the profile expects.
    """

    def __init__(self, stream: Stream, wait_s: float, *, is_ahead: bool = False) -> None:
        self.stream = stream
        self._is_ahead = is_ahead
        self.found: Found = find_one(stream, wait_s)
        self._inlet, info = open_inlet(self.found, BUFFER_S)
        self._columns, self.labels = check_channels(stream, info)
        self.rate_hz = float(info.nominal_srate()) or stream.rate_hz  # irregular streams are often even, undeclared
        self._stale_s = stream.stale_after_ms / 1e3
        Grid(self.rate_hz).split(np.zeros((1, 1)), np.zeros(1))  # compiled now: the first samples would grow too old
        self._grid = Grid(self.rate_hz)
        self._rate = RateWatch(self.rate_hz, self._stale_s)
        self._told: Found | None = None
        self._n_dropped = 0
        self._last_stamp_s = np.nan
        self._arrived_s = np.nan
        self._is_silent = self._is_blocky = self._has_told_blocks = False
        self._notices = Notices()
        self._blocks = BlockWatch(self.rate_hz)
        self._correction_s = first_correction(self._inlet, self.found)
        self._usable = Usable(self.found.name, self._stale_s)
        self._closing = threading.Event()
        self._corrector = threading.Thread(target=self._correct_clock, daemon=True)
        self._corrector.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._corrector.join(OPEN_TIMEOUT_S)
        self._inlet.close_stream()

    def pull(self, timeout_s: float) -> list[Chunk]:
        """Wait at most `timeout_s` for samples and return all that are there, cut at gaps.

        Samples older than `stale_after_ms` are dropped and counted as lost: after a stall or a reconnection the
        decoder goes on with the present, it never replays a backlog. So are those from as far in the future, which only
        a clock that jumped can stamp: the grid of stamps would never come back from there.
        """
        samples, stamps = self._inlet.pull_chunk(timeout_s, MAX_PULL, min_samples=1, as_numpy=True)
        now_s = pylsl.local_clock()
        chunks = self._take(samples, stamps, now_s)
        if self._is_blocky and not self._is_silent:
            self._usable.blocks(self._blocks.length_s, self.rate_hz)
        elif chunks:
            self._usable.used(now_s)
        if self._usable.has_changed(now_s):
            trouble = self._usable.trouble
            said = f"Nothing usable. {trouble}" if trouble else f"Samples from '{self.found.name}' are used again."
            self._event("use", said, trouble)
        return chunks

    @property
    def trouble(self) -> str:
        """Why nothing usable has arrived for a second; empty when something has."""
        return self._usable.trouble

    @property
    def has_right_rate(self) -> bool:
        """Whether samples have been found to come at the declared rate: at the earliest two seconds after the first."""
        return self._is_ahead or (self._rate.is_measured and not self._rate.is_wrong)

    def data_age_s(self) -> float:
        """Seconds since the stamp of the newest sample; NaN before the first."""
        return float(pylsl.local_clock() - self._last_stamp_s)

    def events(self) -> list[Event]:
        """What is to be told of the stream since the last call."""
        return self._notices.take(pylsl.local_clock())

    def _take(self, samples: Any, stamps: Any, now_s: float) -> list[Chunk]:
        """Drop what is of no use, say so, and cut the rest at gaps."""
        is_first = np.isnan(self._arrived_s)
        self._watch_age(now_s, len(stamps))
        if len(stamps) == 0:
            if self._is_silent:
                self._usable.silent()
            return []
        stamps_s = np.asarray(stamps, dtype=np.float64) + self._correction_s
        self._last_stamp_s = min(float(stamps_s[-1]), now_s)
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
        if not (self._is_ahead or self._has_rate(stamps_s)):
            self._n_dropped += len(stamps_s)
            self._usable.wrong_rate(self._rate.found_hz, self.rate_hz)
            return []
        if self._n_dropped:
            if not self._is_blocky:  # else that is said already
                text = f"{self._n_dropped} samples were too late, or of a wrong clock or rate, and were dropped."
                self._event("backlog", text)
            self._n_dropped = 0
        chunks = self._grid.split(self._select(samples), stamps_s)
        for chunk in chunks:
            if chunk.n_lost and not self._is_blocky:
                self._event("gap", f"{chunk.n_lost} samples are missing before {chunk.stamps_s[0]:.3f} s.")
        return chunks

    def _select(self, samples: Any) -> Array:
        chosen: Array = np.asarray(samples, dtype=np.float64)
        return chosen if self._columns is None else np.ascontiguousarray(chosen[:, self._columns])

    def _watch_age(self, now_s: float, n_samples: int) -> None:
        """A source that is dead, frozen or unplugged raises nothing in liblsl: only waiting shows it."""
        is_silent = n_samples == 0 and now_s - self._arrived_s > max(self._stale_s, 1.5 * self._blocks.length_s)
        if is_silent and not self._is_silent:
            self._event("silent", f"No samples from '{self.found.name}' for {1e3 * self._stale_s:.0f} ms.")
        if self._is_silent and n_samples:
            self._event("back", f"Samples from '{self.found.name}' again.")
        self._is_silent = is_silent if n_samples == 0 else False
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
            self._event("blocks", block_sentence(self.found.name, length_s, self.rate_hz, self._stale_s))
        self._is_blocky, self._has_told_blocks = is_blocky, True

    def _has_rate(self, stamps_s: Array) -> bool:
        """Whether samples come at the declared rate; what does not is not decoded."""
        watch = self._rate
        if watch.count(stamps_s):
            found = f"{watch.found_hz:.{1 if abs(watch.found_hz / self.rate_hz - 1.0) < 0.3 else 0}f}"
            if watch.is_wrong:
                self._notices.forget("gap")  # not lost: never sent
                use = "are not used"
            else:
                use = "are used, but some are lost or the declared rate is false" if watch.is_off else "are used again"
            self._event("rate", f"Samples come at {found} Hz, declared were {self.rate_hz:g}: they {use}.", use)
        return not watch.is_wrong

    def _event(self, code: str, text: str, state: str = "") -> None:
        self._notices.tell(pylsl.local_clock(), code, text, state)

    def _correct_clock(self) -> None:
        while not self._closing.wait(CORRECTION_PERIOD_S):
            if self._is_silent:
                self._look_for_another()
                continue
            try:
                self._correction_s = self._inlet.time_correction(CORRECTION_PERIOD_S)
            except (pylsl.util.TimeoutError, pylsl.util.LostError):
                continue  # the source is away: its last correction stands until it is back

    def _look_for_another(self) -> None:
        """Say once when the stream is there in another shape: liblsl goes on waiting for the one that it opened."""
        for other in find_all(SETTLE_S):
            shape = (other.n_channels, other.info.channel_format())
            if matches(other, self.stream) and shape != (self.found.n_channels, self.found.info.channel_format()):
                if other != self._told:
                    what = "text" if shape[1] == pylsl.cf_string else "another format"
                    what = f"{shape[0]} channels" if shape[0] != self.found.n_channels else what
                    text = f"Stream '{other.name}' is there again, but with {what}: start the session again."
                    self._event("changed", text)
                self._told = other


def open_inlet(found: Found, buffer_s: int) -> tuple[Any, Any]:
    """Open an inlet in the safe order and return it with its full description; pulling from it cannot hang.

    Raises
    ------
    StreamError
        When the source does not answer, usually because it ended a moment ago.
    """
    inlet = pylsl.StreamInlet(found.info, max_buflen=buffer_s, recover=True, processing_flags=0)
    try:
        inlet.open_stream(OPEN_TIMEOUT_S)
        info = inlet.info(OPEN_TIMEOUT_S)
    except (pylsl.util.TimeoutError, pylsl.util.LostError) as error:
        raise StreamError(f"Stream {found} does not answer.", "Restart its source.") from error
    return inlet, info


def first_correction(inlet: Any, found: Found) -> float:
    """Measure the source's clock for the first time, which takes more than half a second.

    Raises
    ------
    StreamError
        When the source does not answer.
    """
    try:
        return float(inlet.time_correction(OPEN_TIMEOUT_S))
    except (pylsl.util.TimeoutError, pylsl.util.LostError) as error:
        raise StreamError(f"Stream {found} does not answer.", "Restart its source.") from error
