"""Starting, stopping and ending the processes of a session."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bci.errors import SessionError
from bci.live.realtime import die_with_parent

PRIVATE = 0o077  # files of a session are its operator's only, also where they are copied out of its folder


@dataclass
class Child:
    """One process that the session started."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.popen.poll() is None

    def complaint(self) -> str:
        """By what it was killed, else the last line that the process wrote, or its exit code when it wrote nothing."""
        if self.popen.returncode is not None and self.popen.returncode < 0:
            return f"it was ended by {signal.Signals(-self.popen.returncode).name}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {self.popen.returncode} and said nothing"

    def stop(self, patience_s: float = 5.0) -> bool:
        """Ask the process to end and wait; kill it when it does not. True when it ended as asked."""
        if self.is_running:
            self.popen.terminate()
        try:
            self.popen.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return False
        return True


def start_child(name: str, arguments: Sequence[str], folder: Path) -> Child:
    """Start ``python -m <arguments>``; what it writes goes to ``<folder>/<name>.log``.

    It gets a process group of its own, so that Ctrl-C reaches the parent alone and the parent ends the children in
    order; and where the system can, it is terminated when the parent dies.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=PRIVATE,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    return Child(name, popen, log)


def wait_until_ready(
    child: Child, ready_file: Path, patience_s: float, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait for a process to say that it is ready; `meanwhile` is called again and again, and may raise.

    Raises
    ------
    SessionError
        With the process's own complaint when it ended, or when it took too long.
    """
    deadline = time.monotonic() + patience_s
    while not ready_file.exists():
        if not child.is_running:
            raise SessionError(f"The {child.name} could not start: {child.complaint()}", f"Its log is {child.log}.")
        if time.monotonic() > deadline:
            raise SessionError(f"The {child.name} was not ready after {patience_s:g} s.", f"Its log is {child.log}.")
        meanwhile()
        time.sleep(0.01)
