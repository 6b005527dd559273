"""What the operator asks of a running session: words on a Unix socket in the session's private folder."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

SOCKET = "control.sock"
MOST_BYTES = 64


class Control:
    """The session's end: collects what was asked.

    Parameters
    ----------
    directory : Path
        The session's private folder, mode 0700: only the operator's account can reach it.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / SOCKET
        self._path.unlink(missing_ok=True)  # of one that was killed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._path))

    def poll(self) -> list[str]:
        """Words since the last call, in order; never waits."""
        words = []
        with contextlib.suppress(BlockingIOError):
            while True:
                words.append(self._socket.recv(MOST_BYTES).decode(errors="replace"))
        return words

    def close(self) -> None:
        """Take the socket away."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def ask(directory: Path, word: str) -> None:
    """Ask for something; lost where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.setblocking(False)
        client.sendto(word.encode(), str(directory / SOCKET))
