"""A process of a session: it reads the plan, works until told to stop, and complains in one line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bci.errors import BciError
from bci.plan import Plan, read_plan


class StopFlag:
    """Becomes true on SIGTERM or SIGINT, so that a process ends its loop and closes what it opened."""

    def __init__(self) -> None:
        self._is_set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, number: int, frame: FrameType | None) -> None:
        self._is_set = True

    def __bool__(self) -> bool:
        return self._is_set


def run_in_session(main: Callable[[Plan, StopFlag], None]) -> None:
    """Run a process of a session: its only argument is the session's folder.

    An operator's mistake ends in one line on standard error and exit code 1.
    """
    stop = StopFlag()
    try:
        main(read_plan(Path(sys.argv[1])), stop)
    except BciError as error:
        print(error, file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error
