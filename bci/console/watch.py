"""The operator's live view: a plain reader of the guardian's reports and of the session's streams."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bci.console.operator import Operator
from bci.console.view import Snapshot, World, draw, shows_checks
from bci.errors import SessionError
from bci.live.session import Session, cause_of
from bci.live.trouble import read_trouble
from bci.streams.latest import LatestSamples

DRAW_EVERY_S = 0.1
LINE_EVERY_S = 5.0  # where there is no terminal
LATENCY_BINS = 3000
DEMO_GRACE_S = 60.0  # for a device that is refused power again and again
REARM_AFTER_S = 1.0
UNANSWERED_S = 0.3  # a stop that nobody confirms for longer is said on the screen
UNANSWERED = "STOP HAS NO ANSWER from the guardian: cut the motor supply now"
QUALITY = "signals quality: channels "  # how the loop's event begins that counts the channels in use
PHASES = {"observation": "watch the hand and imagine moving it", "closed_loop": "closed loop"}
KEYS = "space stop   a arm   d disarm   f accept fault   r reset stop   q quit"


class Watch:
    """What is known of a running session, and what the operator may ask.

    Parameters
    ----------
    session : Session
        Running.
    operator : Operator
        Who asks, with keys.
    title : str
        First line of the screen.
    total_s : float or None
        How long it will take.
    arms_itself : bool
        Whether the device is armed as soon as there is a decoder, until somebody stops or disarms: only the twin of
        the demo.
    """

    def __init__(
        self, session: Session, operator: Operator, title: str, total_s: float | None, arms_itself: bool = False
    ) -> None:
        self.session = session
        self.operator = operator
        self.title = title
        self.total_s = total_s
        self.phase = "waiting for signals"
        self._trouble = self._unread = ""
        self._arms_itself = arms_itself
        self._outputs = session.plan.profile.decoder.outputs
        self._start_s = time.monotonic()
        self._asked_s = self._drawn_s = -math.inf
        self._readers = {
            name: LatestSamples(f"bci-{session.plan.session_id}-{name}")
            for name in ("intents", "latency", "events", *(("world", "cues") if session.plan.demonstration else ()))
        }
        self._intent = (0.0,) * len(self._outputs)
        self._stamp_s = math.nan
        self._world: World | None = None
        self._latency_s: deque[float] = deque(maxlen=LATENCY_BINS)
        self._events: deque[str] = deque(maxlen=3)
        self._n_successes = self._n_trials = 0
        self._channels = ""
        self._state, self._reason = "–", ""
        self._axes: tuple[str, ...] = ()
        self._positions: tuple[float, ...] = ()

    @property
    def elapsed_s(self) -> float:
        """Since the session was ready."""
        return time.monotonic() - self._start_s

    def look(self) -> None:
        """Tell the guardian that somebody is here, take in everything new, and arm the twin when it may be armed."""
        self.session.beat()
        self.operator.write_down()
        for status in self.session.poll():
            self._state, self._reason = status.state, status.reason
            self._axes, self._positions = status.axes, status.position
        for stamp_s, values in self._new("intents"):
            self._intent, self._stamp_s = tuple(values[: len(self._outputs)]), stamp_s
        for _, values in self._new("latency"):
            if math.isfinite(values[0]):
                self._latency_s.append(values[0])
        for _, values in self._new("events"):
            if values[0].startswith(QUALITY):
                self._channels = values[0].removeprefix(QUALITY)
            else:
                self._events.append(values[0])
        for _, values in self._new("cues"):
            self._take_cue(values[0])
        for _, values in self._new("world"):
            k = len(self._outputs)
            self._world = World(tuple(values[:k]), tuple(values[k : 2 * k]), values[2 * k] > 0.5, values[-1] > 0.5)
        self._trouble = read_trouble(self.session.plan, "signal")
        self._unread = self._unread or read_trouble(self.session.plan, "recording")
        self._arms_itself &= self._state != "STOP" and not self.operator.has_intervened
        self._arm_when_possible()

    @property
    def is_late(self) -> bool:
        """Whether its time is up; a demo has some more, to finish."""
        grace_s = 0.0 if self.session.plan.demonstration is None else DEMO_GRACE_S
        return bool(self.total_s) and self.elapsed_s >= (self.total_s or 0.0) + grace_s

    def draw(self, console: Console, live: Live | None) -> None:
        """Draw the screen, or print a line where there is none, as often as is good to read."""
        now_s = time.monotonic()
        if now_s - self._drawn_s < (LINE_EVERY_S if live is None else DRAW_EVERY_S):
            return
        self._drawn_s = now_s
        if live is None:
            console.print(_line(self.snapshot()))
        else:
            live.update(draw(self.snapshot()), refresh=True)

    def snapshot(self) -> Snapshot:
        """Everything on the screen now."""
        p50_ms, p99_ms = (1e3 * np.percentile(self._latency_s, [50, 99])) if self._latency_s else (math.nan, math.nan)
        return Snapshot(
            title=self.title,
            phase=self._trouble or self._unread or self.phase,
            elapsed_s=self.elapsed_s,
            total_s=self.total_s,
            device_state=self._state,
            reason=self._reason,
            outputs=self._outputs,
            intent=self._intent,
            axes=self._axes,
            axis_positions=self._positions,
            world=self._world,
            n_successes=self._n_successes,
            n_trials=self._n_trials,
            latency_p50_ms=float(p50_ms),
            latency_p99_ms=float(p99_ms),
            data_age_ms=1e3 * (time.monotonic() - self._stamp_s),
            channels=self._channels,
            events=tuple(self._events),
            checks=() if self.session.client is None else self.session.client.checks,
            keys=KEYS,
            answer=self.operator.answer,
            alarm=UNANSWERED if self.operator.stop_unanswered_s > UNANSWERED_S else "",
        )

    def close(self) -> None:
        """Stop reading."""
        for reader in self._readers.values():
            reader.close()

    def _new(self, name: str) -> Iterator[tuple[float, list[Any]]]:
        reader = self._readers.get(name)
        return iter(()) if reader is None else iter(reader.pull())

    def _take_cue(self, cue: str) -> None:
        word, _, rest = cue.partition(" ")
        if word == "block":
            self.phase = PHASES[rest]
        elif word == "trial":
            self.phase = rest.partition(" ")[2] or "to the target"
        elif word in ("success", "timeout"):
            self._n_trials += 1
            self._n_successes += word == "success"

    def _arm_when_possible(self) -> None:
        now_s = time.monotonic()
        if not self.session.plan.ready_file("decoder").exists():
            return
        if not self.session.plan.demonstration:
            self.phase = "decoding; key a arms" if self._state == "DISARMED" else "decoding"
        elif self.phase == PHASES["observation"] and not self._arms_itself:
            self.phase = "ready: key a arms"
        may_arm = self._arms_itself and not self._trouble
        if may_arm and self._state == "DISARMED" and now_s - self._asked_s > REARM_AFTER_S:
            self._asked_s = now_s
            self.session.arm_itself()


def show(watch: Watch, console: Console) -> None:
    """Show the session until it is over, its time is up, or the operator presses q or Ctrl-C.

    The device is disarmed before the screen is given back, which a terminal that nobody reads may keep waiting.

    Raises
    ------
    SessionError
        When one of its processes died, or nobody hears keys any more.
    """
    session, operator = watch.session, watch.operator
    with _screen(console) as live:
        try:
            while not session.is_over and not operator.is_leaving and not watch.is_late:
                session.check()
                if operator.is_deaf:
                    raise SessionError("The console hears no keys any more.", "Start the session again.")
                watch.look()
                watch.draw(console, live)
                time.sleep(0.02)
            watch.look()
            session.check()  # over, or dead?
            if operator.is_leaving:
                session.ending = ("caregiver", operator.ending)
        finally:
            error = sys.exception()
            operator.note("end", ": ".join(session.ending if error is None else cause_of(error)))
            operator.write_down()
            session.disarm(error)


def start(session: Session, operator: Operator, console: Console, what: str) -> None:
    """Start a session while keys are heard already: a stop then means no motion, q no session.

    Raises
    ------
    SessionError
        When it could not start, or was left before it had.
    """
    with console.status(what) as status:
        told = ""

        def look() -> None:
            nonlocal told
            operator.write_down()
            if operator.is_leaving:
                raise SessionError(f"The session was left before it had started: {operator.ending}.")
            if operator.answer != told:
                told = operator.answer
                status.update(Text(f"{what} · {told}"))

        session.start(look)


@contextmanager
def _screen(console: Console) -> Iterator[Live | None]:
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, auto_refresh=False, screen=True) as live:
        yield live


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that the device is stopped and the files are closed."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(s: Snapshot) -> str:
    alarm = f"\n         {s.alarm}" if s.alarm else ""
    trials = f", {s.n_successes} of {s.n_trials} movements" if s.n_trials else ""
    refused = [f"\n         refused: {c.subject}: {c.found}. {c.remedy}" for c in s.checks if not c.is_ok]
    told = "".join(refused if shows_checks(s) else ())
    return f"{s.elapsed_s:5.0f} s  {s.device_state:<9} {s.phase}{trials}{told}{alarm}"
