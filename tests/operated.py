"""`bci run` as an operator has it: in a terminal of its own that may be read or not, with keys, beside its twin."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from select import select

SIZE = struct.pack("HHHH", 24, 80, 0, 0)


class Terminal:
    """A program in a pseudo-terminal of 80 x 24 that controls it; a thread reads it, unless it is told not to."""

    def __init__(self, *arguments, env=None):
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, SIZE)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bci", *arguments], stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm", **(env or {})},
        )  # fmt: skip
        self.seen = bytearray()
        self.is_read = True
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        while not self._closing.is_set():
            if self.is_read and select([self._ours], [], [], 0.02)[0]:
                self.seen.extend(os.read(self._ours, 65536))
            elif not self.is_read:
                time.sleep(0.005)

    @property
    def n_waits(self):
        """How often the program's main thread has waited: one whose screen is stuck waits once, and no more."""
        status = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/status").read_text()
        return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])

    @property
    def text(self):
        """What was shown, in one line, without colours and movements of the cursor."""
        return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen.decode(errors="replace")).split())

    @property
    def modes(self):
        return termios.tcgetattr(self.theirs)

    def press(self, key):
        os.write(self._ours, key.encode())
        return time.monotonic()

    def close(self):
        self.is_read = True
        if self.process.poll() is None:
            self.process.send_signal(18)  # SIGCONT, in case a test froze it
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._closing.set()
        self._reader.join()
        os.close(self._ours)
        os.close(self.theirs)
