"""Runs dialogues over a port, without waiting (`Exchange`) or with (`converse`).

Before each request everything that lies in the port's buffer is thrown away: it answers an older one. Each answer has
a deadline from its bytes, the device's work and the adapter's latency. Nothing is ever sent a second time.

A wire that ties sending to hearing gives back what is written before anybody answers. Exactly these bytes, at the very
beginning of what is heard, are an echo and no answer; from then on an answer is only what follows the newest echo.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from bci.errors import DeviceError
from drivers.dialogue.steps import Dialogue, Pause, Request

T = TypeVar("T")
BITS_PER_BYTE = 10
MOST_BYTES = 4096
LONGEST_S = 2.5  # whoever converses does nothing else meanwhile


class EchoError(DeviceError):
    """Nothing came back but what was sent."""


class Wire(Protocol):
    """What an exchange needs of a port."""

    latency_s: float

    def read(self) -> bytes:
        """Whatever has arrived."""
        ...

    def write(self, data: bytes) -> None:
        """Hand bytes over."""
        ...

    def fileno(self) -> int:
        """For `select`."""
        ...


class Exchange:
    """One dialogue at a time.

    Parameters
    ----------
    port : Wire
        Open.
    baud : int
        Its speed, for deadlines.

    Attributes
    ----------
    n_ok, n_bad, n_silent : int
        Answers understood; answers that came in time but were something else; requests that nothing answered.
    n_bytes : int
        Written and expected in the last dialogue, for the budget of a bus.
    is_echoing : bool
        Whether the wire gives back what is written.
    is_quiet : bool
        Whether what was told is still being answered.
    wake_s : float
        When something is overdue, while it is busy.
    """

    def __init__(self, port: Wire, baud: int) -> None:
        self.port = port
        self.byte_s = BITS_PER_BYTE / baud
        self.n_ok = self.n_bad = self.n_silent = 0
        self.n_bytes = 0
        self.is_echoing = False
        self.wake_s = 0.0
        self._dialogue: Dialogue[Any] | None = None
        self._done: Callable[[Any], None] = lambda result: None
        self._step: Request | Pause | None = None
        self._held: Request | None = None  # waits until its spacing is over
        self._spaced_s = -math.inf
        self._heard = b""
        self.is_quiet = False

    @property
    def is_busy(self) -> bool:
        """Whether a dialogue is going on, or what was told is still being answered."""
        return self._dialogue is not None or self.is_quiet

    def begin(self, dialogue: Dialogue[T], done: Callable[[T | DeviceError], None], now_s: float) -> None:
        """Start a dialogue, giving up one that is going on; `done` gets what comes of it, or why nothing did.

        Raises
        ------
        DeviceError
            When the port is gone.
        """
        self.give_up()
        self.n_bytes = 0
        self._dialogue, self._done = dialogue, done
        self._go_on(None, now_s)

    def give_up(self) -> None:
        """End the dialogue that is going on; nobody is told."""
        if self._dialogue is not None:
            self._dialogue.close()
        self._dialogue = self._step = self._held = None

    def tell(self, request: Request, now_s: float) -> None:
        """Write at once, whatever is going on; then be quiet until the answer, which is not read, is over.

        Raises
        ------
        DeviceError
            When the port is gone.
        """
        self.give_up()
        if request.wire:
            self._write(request, now_s)
        self._step, self.is_quiet = None, bool(request.n_reply)

    def advance(self, now_s: float) -> None:
        """Take in what has arrived, and see whether it was enough or time is over.

        Raises
        ------
        DeviceError
            When the port is gone.
        """
        data = self.port.read()
        if isinstance(self._step, Request):
            self._heard = (self._heard + data)[-MOST_BYTES:]
            answer = self._step.read(self._answer_to(self._step.wire)) if data else None
            if answer is not None:
                self.n_ok += 1
                self._go_on(answer, now_s)
            elif now_s >= self.wake_s:
                if self._answer_to(self._step.wire):
                    self.n_bad += 1
                else:
                    self.n_silent += 1
                self._go_on(None, now_s)
        elif now_s >= self.wake_s:
            self.is_quiet = False
            if self._held is not None:
                held = self._held
                self._write(held, now_s)
                if not held.n_reply:
                    self._go_on(None, now_s)
            elif self._step is not None:
                self._go_on(None, now_s)

    def _go_on(self, answer: Any, now_s: float) -> None:
        dialogue = self._dialogue
        while dialogue is not None:
            try:
                step = dialogue.send(answer)
            except StopIteration as end:
                self._finish(end.value)
                return
            except DeviceError as error:
                self._finish(error)
                return
            if isinstance(step, Pause):
                self._step, self.wake_s = step, now_s + step.seconds
                return
            if step.spacing_s and now_s < self._spaced_s + step.spacing_s:
                self._step, self._held, self.wake_s = None, step, self._spaced_s + step.spacing_s
                return
            self._write(step, now_s)
            if step.n_reply:
                return
            answer = None

    def _answer_to(self, wire: bytes) -> bytes:
        """What was heard, without an echo; nothing while it may still be one."""
        if wire and not self.is_echoing:
            self.is_echoing = self._heard.startswith(wire)
        if self.is_echoing:
            return self._heard.rpartition(wire)[2] if wire in self._heard else b""
        return b"" if wire.startswith(self._heard) else self._heard

    def _write(self, request: Request, now_s: float) -> None:
        self.port.read()
        self._heard, self._held = b"", None
        if request.spacing_s:
            self._spaced_s = now_s
        self.port.write(request.wire)
        n = len(request.wire) + request.n_reply
        self.n_bytes += n
        self._step = request
        self.wake_s = now_s + n * self.byte_s + request.work_s + self.port.latency_s

    def _finish(self, result: Any) -> None:
        done = self._done
        self._dialogue = self._step = None
        done(result)


def converse(port: Wire, baud: int, dialogue: Dialogue[T]) -> T:
    """Run one dialogue to its end, waiting for each answer, at most for 2.5 s.

    Raises
    ------
    DeviceError
        What the dialogue raises, or when the port is gone; an EchoError when the wire only gives back what is sent.
    """
    results: list[T | DeviceError] = []
    exchange = Exchange(port, baud)
    begun_s = time.monotonic()
    exchange.begin(dialogue, results.append, begun_s)
    while not results:
        if time.monotonic() - begun_s > LONGEST_S:
            exchange.give_up()
            raise DeviceError(f"It was not done within {LONGEST_S:g} s.", "Check cable, adapter and baud rate.")
        wait_s = max(0.0, exchange.wake_s - time.monotonic())
        select.select([port], [], [], wait_s)
        exchange.advance(time.monotonic())
    (result,) = results
    if isinstance(result, DeviceError):
        if exchange.is_echoing:
            words = f"{result.problem} The wire gives back what is sent, which is no answer."
            raise EchoError(words, f"Look how the adapter's two lines are joined. {result.remedy}") from result
        raise result
    return result
