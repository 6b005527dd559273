"""Single key presses from a terminal, without waiting for Enter; nothing where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def key_presses() -> Iterator[Callable[[], str]]:
    """Give a function that returns the keys pressed since its last call; the terminal is restored at the end."""
    if not sys.stdin.isatty() or sys.platform == "win32":
        yield lambda: ""
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield lambda: _pressed(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed(terminal: int) -> str:
    keys = ""
    while select.select([terminal], [], [], 0)[0]:
        pressed = os.read(terminal, 64).decode(errors="ignore")
        if not pressed:
            break
        keys += pressed
    return keys
