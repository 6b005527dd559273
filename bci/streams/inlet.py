"""Reading the one stream that feeds the decoder: checked, on an even grid, never stale."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import pylsl

from bci.errors import StreamError
from bci.profile import Stream
from bci.signals.grid import Grid
from bci.streams.channels import check_channels
from bci.streams.discover import SETTLE_S, Found, find_all, find_one, matches
from bci.streams.intake import Intake
from bci.types import Chunk, Event

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
        self.rate_hz = float(info.nominal_srate()) or stream.rate_hz  # irregular streams are often even, undeclared
        Grid(self.rate_hz).split(np.zeros((1, 1)), np.zeros(1))  # compiled now: the first samples would grow too old
        self._intake = Intake(self.found.name, stream, self.rate_hz, columns, is_ahead=is_ahead)
        self.taken: Taken | None = None
        self._told: Found | None = None
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
        now_s, correction_s = pylsl.local_clock(), self._correction_s  # a thread renews it
        self.taken = Taken(float(stamps[-1]), len(stamps), correction_s, now_s) if len(stamps) else None
        return self._intake.take(samples, np.asarray(stamps, dtype=np.float64) + correction_s, now_s)

    @property
    def trouble(self) -> str:
        """Why nothing usable has arrived for a second; empty when something has."""
        return self._intake.trouble

    @property
    def has_right_rate(self) -> bool:
        """Whether samples have been found to come at the declared rate: at the earliest two seconds after the first."""
        return self._intake.has_right_rate

    def data_age_s(self) -> float:
        """Seconds since the stamp of the newest sample; NaN before the first."""
        return float(pylsl.local_clock() - self._intake.last_stamp_s)

    def events(self) -> list[Event]:
        """What is to be told of the stream since the last call."""
        return self._intake.events(pylsl.local_clock())

    def _correct_clock(self) -> None:
        while not self._closing.wait(CORRECTION_PERIOD_S):
            if self._intake.is_silent:
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
                    self._intake.tell(pylsl.local_clock(), "changed", text)
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
