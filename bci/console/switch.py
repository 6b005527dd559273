"""A foot switch, or any key device of Linux, that stops: read as the kernel gives it, from /dev/input."""

from __future__ import annotations

import contextlib
import os
import struct

from bci.errors import DeviceError

EVENT = struct.Struct("llHHi")  # struct input_event of <linux/input.h>: seconds, microseconds, type, code, value
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED, PRESSED = 3, 1
EVIOCGRAB = 0x40044590  # its keys are for nobody else: they type nothing in the terminal


class Switch:
    """Each key of a device is a stop; so are a device that has gone, and events that the kernel has dropped.

    Parameters
    ----------
    path : str
        For example ``/dev/input/by-id/usb-…-event-kbd``, which stays the same from day to day.

    Raises
    ------
    DeviceError
        When it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            remedy = "Plug it in, join the group 'input', or correct stop_key in the profile."
            raise DeviceError(f"The stop switch {path} cannot be read: {error.strerror}.", remedy) from error
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            fcntl.ioctl(self._file, EVIOCGRAB, 1)
        self.is_gone = False

    def asks(self) -> str:
        """By what it asks for a stop since the last call, or ""; never waits."""
        if self.is_gone:
            return ""
        try:
            data = os.read(self._file, 64 * EVENT.size)
        except BlockingIOError:
            return ""
        except OSError:
            data = b""
        self.is_gone = not data
        if self.is_gone:
            return "the stop switch has gone"
        events = [event[2:] for event in EVENT.iter_unpack(data[: len(data) // EVENT.size * EVENT.size])]
        is_pressed = any(kind == EV_KEY and value == PRESSED for kind, _, value in events)
        is_lost = any((kind, code) == (EV_SYN, SYN_DROPPED) for kind, code, _ in events)
        return "the stop switch" if is_pressed or is_lost else ""

    def close(self) -> None:
        """Give it back."""
        os.close(self._file)
