"""Single key presses from a terminal, read by a thread that never draws: a terminal that nobody reads delays none."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

EVERY_S = 0.02
GONE = ""  # is read once when the terminal has gone


@contextlib.contextmanager
def key_presses(
    act: Callable[[str], None], tend: Callable[[], None] = lambda: None, *, always: bool = False
) -> Iterator[threading.Thread | None]:
    """Read the terminal until the end, then restore it; nothing is read where there is none.

    Ctrl-Z, Ctrl-S and Ctrl-Q are keys like others; Ctrl-C remains an interrupt. After a pause of the process (SIGCONT)
    the terminal is set up again. Call it in the main thread.

    Parameters
    ----------
    act : callable
        Given, in the reading thread, what was read at once: mostly one key; `GONE` when the terminal has gone.
    tend : callable
        Called in the same thread, about 50 times a second.
    always : bool
        Whether there is something to tend without a terminal.

    Yields
    ------
    Thread or None
        The one that reads: when it has ended, nobody hears a key any more.
    """
    terminal = sys.stdin.fileno() if sys.stdin.isatty() and sys.platform != "win32" else None
    if terminal is None and not always:
        yield None
        return
    closing = threading.Event()
    thread = threading.Thread(target=_read, args=(terminal, closing, act, tend), name="keys", daemon=True)
    with contextlib.nullcontext() if terminal is None else _keys_as_they_come(terminal):
        thread.start()
        try:
            yield thread
        finally:
            closing.set()
            thread.join(1.0)


def _read(terminal: int | None, closing: threading.Event, act: Callable[[str], None], tend: Callable[[], None]) -> None:
    while not closing.wait(EVERY_S if terminal is None else 0.0):
        if terminal is not None and select.select([terminal], [], [], EVERY_S)[0]:
            try:
                pressed = os.read(terminal, 64)
            except OSError:
                pressed = b""
            act(pressed.decode(errors="replace") if pressed else GONE)
            terminal = terminal if pressed else None
        tend()


@contextlib.contextmanager
def _keys_as_they_come(terminal: int) -> Iterator[None]:
    """No line, no echo, no flow control, no suspending; restored without waiting for output that nobody reads."""
    import termios

    before = termios.tcgetattr(terminal)

    def take_over(number: int = 0, frame: FrameType | None = None) -> None:
        if not _is_in_background(terminal):  # there the terminal is somebody else's
            termios.tcsetattr(terminal, termios.TCSANOW, _raw(before))

    resumed = signal.signal(signal.SIGCONT, take_over)
    try:
        take_over()
        yield
    finally:
        signal.signal(signal.SIGCONT, resumed)
        termios.tcflush(terminal, termios.TCIFLUSH)  # keys for us are no commands for the shell
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _is_in_background(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:
        return False  # a terminal that does not control this process knows no background


def _raw(modes: list[Any]) -> list[Any]:
    import termios

    raw = [*modes[:6], list(modes[6])]
    raw[0] &= ~(termios.IXON | termios.IXOFF)
    raw[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
    for key in (termios.VSUSP, termios.VQUIT):
        raw[6][key] = b"\0"  # disabled: it is read like others
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    return raw
