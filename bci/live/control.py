"""What the operator asks of a running session: words on a Unix socket in the session's private folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from drivers.guardian.link import REQUESTS_SOCKET

SOCKET = "control.sock"
RUNNING_FILE = "running.json"
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


@dataclass(frozen=True)
class Running:
    """A session with devices that runs: its private folder, its own folder, and its console's process."""

    runtime: Path
    folder: Path
    process: int


def announce(runtime: Path, folder: Path) -> None:
    """Say in the private folder which session this is, for whoever wants to stop it from elsewhere."""
    text = json.dumps({"folder": str(folder), "process": os.getpid()})
    (runtime / RUNNING_FILE).write_text(text, encoding="utf-8")


def find_running(runtime: Path) -> Running | None:
    """The session of a private folder; None for another account's, and for one that is over.

    It runs while its guardian listens, or, before there is one, while its console lives.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((runtime / RUNNING_FILE).read_text(encoding="utf-8"))
        one = Running(runtime, Path(told["folder"]), int(told["process"]))
        if not _listens(runtime / REQUESTS_SOCKET):
            os.kill(one.process, 0)
        return one
    return None


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.connect(str(path))
        return True
    return False
