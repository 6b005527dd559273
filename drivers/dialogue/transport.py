"""The only code that touches pyserial: an exclusive port that never waits, whose every failure is a DeviceError.

Opening a port may reset what hangs on it, and a lock binds only those who ask for it. So a port that any process has
open is not opened.
"""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path
from types import TracebackType
from typing import Self

import serial
from serial.tools.list_ports import comports

from bci.errors import DeviceError

try:
    from termios import error as TerminalError  # noqa: N812
except ImportError:  # not POSIX
    TerminalError = OSError  # type: ignore[assignment,misc]

MOST_BYTES = 4096
QUICK_S, SLOW_S = 0.004, 0.02  # what an adapter adds to an answer: with low-latency mode, and with FTDI's 16 ms timer
PORT_ERRORS = (serial.SerialException, OSError, TerminalError)  # an unplugged adapter raises any of the three


class Port:
    """A serial port that belongs to this process alone, as a context.

    Attributes
    ----------
    latency_s : float
        What the adapter may add to an answer.

    Raises
    ------
    DeviceError
        When it is absent, in use, or may not be opened.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        self.baud = baud
        if users := users_of(path):
            words = f"Port {path} is in use by another program: {', '.join(users)}."
            raise DeviceError(words, "End that program, then try again.")
        try:
            self._serial = serial.Serial(path, baud, timeout=0, exclusive=True)
        except PORT_ERRORS as error:
            raise _refusal(path, error) from error
        self.latency_s = SLOW_S
        with contextlib.suppress(*PORT_ERRORS, ValueError, NotImplementedError, AttributeError):
            self._serial.set_low_latency_mode(True)
            self.latency_s = QUICK_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """For `select`."""
        number: int = self._serial.fileno()
        return number

    def read(self) -> bytes:
        """Whatever has arrived; never waits.

        Raises
        ------
        DeviceError
            When the port is gone.
        """
        try:
            number = self._serial.fileno()
            if not select.select([number], [], [], 0.0)[0]:
                return b""
            data = os.read(number, MOST_BYTES)
        except (*PORT_ERRORS, ValueError) as error:
            raise DeviceError(f"Port {self.path} is gone: {error}.", "Plug the device in again.") from error
        if not data:
            raise DeviceError(f"Port {self.path} is gone: it has no bytes.", "Plug the device in again.")
        return data

    def write(self, data: bytes) -> None:
        """Hand bytes to the port without waiting; a port that has no room for a frame is as good as gone.

        Raises
        ------
        DeviceError
            When the port is gone, or does not take the bytes.
        """
        try:
            n_written = os.write(self._serial.fileno(), data)  # pyserial's blames the port for a busy machine
        except BlockingIOError:
            raise DeviceError(f"Port {self.path} takes no bytes any more.", "Check cable and device.") from None
        except (*PORT_ERRORS, ValueError) as error:
            raise DeviceError(f"Port {self.path} takes no bytes: {error}.", "Check cable and device.") from error
        if n_written != len(data):
            raise DeviceError(f"Port {self.path} took only a part of a frame.", "Check cable and device.")

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(*PORT_ERRORS):
            self._serial.close()


def identity(path: str) -> str:
    """What stays the same when an adapter is given another port: its serial number; without one there is only the port.

    A link to a port is that port.
    """
    real = os.path.realpath(path)
    for port in comports():
        if port.serial_number and os.path.realpath(port.device) == real:
            return str(port.usb_info())
    return real


def users_of(path: str) -> list[str]:
    """Name and number of every other process that has a port open, as far as the system tells; nothing is opened.

    Who holds the other side of a pseudo-terminal is the device, not its user.
    """
    real, me = Path(path).resolve(), str(os.getpid())
    name = str(real)
    users = []
    with contextlib.suppress(OSError):  # a system without /proc
        for number in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - paths would take five times as long
            with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                process = Path("/proc", number) if number != me and _holds(f"/proc/{number}/fd", name) else None
                if process is not None and not _is_other_side(process, real):
                    users.append(f"{(process / 'comm').read_text(encoding='utf-8').strip()} ({number})")
    return users


def _holds(folder: str, name: str) -> bool:
    for number in os.listdir(folder):  # noqa: PTH208
        try:
            if os.readlink(f"{folder}/{number}") == name:  # noqa: PTH115
                return True
        except OSError:
            continue
    return False


def _is_other_side(process: Path, real: Path) -> bool:
    if real.parent != Path("/dev/pts"):
        return False
    for file in (process / "fdinfo").iterdir():
        with contextlib.suppress(OSError):
            if f"tty-index:\t{real.name}\n" in file.read_text(encoding="utf-8"):
                return True
    return False


def _refusal(path: str, error: Exception) -> DeviceError:
    text = str(error).lower()
    if "lock" in text or "busy" in text or "temporarily unavailable" in text:
        return DeviceError(f"Port {path} is in use by another program.", "End that program, then try again.")
    if "no such file" in text or "not found" in text:
        return DeviceError(f"Port {path} does not exist.", "Plug the device in; `bci devices` lists the ports.")
    if "permission" in text:
        return DeviceError(f"Port {path} may not be opened.", "Join the group dialout; `bci doctor` says how.")
    return DeviceError(f"Port {path} cannot be opened: {error}.", "`bci devices` lists the ports.")
