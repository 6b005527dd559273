"""Reading the one stream that feeds the decoder: checked, on an even grid, never stale."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import pylsl

from bci.errors import StreamError
from bci.montage import check_signal, labels_of
from bci.profile import Stream
from bci.signals.grid import Grid
from bci.streams.discover import SETTLE_S, Found, find_all, find_one, matches
from bci.streams.intake import Intake
from bci.types import Chunk, Event, Signal

OPEN_TIMEOUT_S = 5.0
BUFFER_S = 30
MAX_PULL = 8192  # samples
CORRECTION_PERIOD_S = 5.0


@dataclass(frozen=True, slots=True)
class Taken:
    """One pull: with it, and the samples as recorded, everything that follows can be done again."""

    last_stamp_s: float  # of the source's clock
    n_samples: int
    correction_s: float
    now_s: float


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

    Attributes
    ----------
    taken : Taken or None
        What the last pull brought.

    Raises
    ------
    StreamError
        When the stream is absent, ambiguous, or not what the profile expects.
    """

    def __init__(self, stream: Stream, wait_s: float, *, is_ahead: bool = False) -> None:
        self.stream = stream
        self.found: Found = find_one(stream, wait_s)
        self._inlet, info = open_inlet(self.found, BUFFER_S)
        columns, self.labels = check_channels(stream, info)
        self.rate_hz = float(info.nominal_srate())
        self._stale_s = stream.stale_after_ms / 1e3
        Grid(self.rate_hz).split(np.zeros((1, 1)), np.zeros(1))  # compiled now: the first samples would grow too old
        self._intake = Intake(stream, self.rate_hz, columns, is_ahead=is_ahead)
        self.taken: Taken | None = None
        self._told: Found | None = None
        self._last_stamp_s = np.nan
        self._is_silent = False
        self._events: deque[Event] = deque(maxlen=100)
        self._correction_s = first_correction(self._inlet, self.found)
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
        """Wait at most `timeout_s` for samples and return all that are there and usable (see `Intake`), cut at gaps."""
        samples, stamps = self._inlet.pull_chunk(timeout_s, MAX_PULL, min_samples=1, as_numpy=True)
        now_s = pylsl.local_clock()
        self._watch_age(now_s, len(stamps))
        self.taken = None
        if len(stamps) == 0:
            return []
        correction_s = self._correction_s  # a thread renews it
        self.taken = Taken(float(stamps[-1]), len(stamps), correction_s, now_s)
        stamps_s = np.asarray(stamps, dtype=np.float64) + correction_s
        self._last_stamp_s = min(float(stamps_s[-1]), now_s)
        return self._intake.take(samples, stamps_s, now_s)

    def data_age_s(self) -> float:
        """Seconds since the stamp of the newest sample; NaN before the first."""
        return float(pylsl.local_clock() - self._last_stamp_s)

    def events(self) -> list[Event]:
        """What happened to the stream since the last call."""
        happened = [*self._events, *self._intake.events()]
        self._events.clear()
        return happened

    def _watch_age(self, now_s: float, n_samples: int) -> None:
        """A source that is dead, frozen or unplugged raises nothing in liblsl: only the age of its data shows it."""
        is_silent = n_samples == 0 and now_s - self._last_stamp_s > self._stale_s
        if is_silent and not self._is_silent:
            self._event("silent", f"No samples from '{self.found.name}' for {1e3 * self._stale_s:.0f} ms.")
        if self._is_silent and n_samples:
            self._event("back", f"Samples from '{self.found.name}' again.")
        self._is_silent = is_silent if n_samples == 0 else False

    def _event(self, code: str, text: str) -> None:
        self._events.append(Event(pylsl.local_clock(), "streams", code, text))

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


def check_channels(stream: Stream, info: Any) -> tuple[list[int] | None, tuple[str, ...]]:
    """Compare a stream with what the profile expects; return the columns to use (None: all) and their labels.

    Raises
    ------
    StreamError
        Naming everything that differs: format, channel count, rate, labels, units.
    """
    given, problem = labels_of(info.get_channel_labels() or (), info.channel_count())
    units = tuple(unit or "" for unit in info.get_channel_units() or ())
    nothing = np.empty(0)
    there = Signal(info.name(), info.type(), "", given, info.nominal_srate(), nothing, nothing, units)
    chosen, problems = check_signal(stream, there)
    if info.channel_format() == pylsl.cf_string:
        problems.insert(0, "it carries text, not numbers")
    if problem:
        problems.append(problem)
    if problems:
        raise StreamError(
            f"Stream '{info.name()}' is not what the profile describes: {'; '.join(problems)}.",
            "Correct [stream] in the profile, or the settings of the source.",
        )
    columns = [given.index(label) for label in chosen] if stream.channels else None
    return columns, chosen
