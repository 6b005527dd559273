"""A device in software behind a cable that can be pulled and plugged in again, and a port that can be full."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from pathlib import Path

from drivers.twins.node import NodeDevice

STEP_S = 0.002


class Plug:
    """The device lives on without its cable, as one with a supply of its own does; `path` stays the same."""

    def __init__(self, path: Path) -> None:
        self.device = NodeDevice()
        self.path = path
        self.is_reading = True
        self.moved_s = 0.0
        self._master = self._slave = -1
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self.plug_in()
        self._thread.start()

    def plug_in(self) -> None:
        with self._lock:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(os.ttyname(self._slave))

    def pull(self) -> None:
        with self._lock:
            os.close(self._master)
            os.close(self._slave)
            self._master = -1

    def fill(self) -> None:
        """Nobody reads any more, and the terminal has no room left."""
        self.is_reading = False
        time.sleep(2 * STEP_S)
        other = os.open(self.path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(other, bytes(64))
        os.close(other)

    def drain(self) -> None:
        self.is_reading = True

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        if self._master >= 0:
            self.pull()

    def _live(self) -> None:
        begun_s = last_s = time.monotonic()
        while not self._closing.is_set():
            with self._lock:
                self._listen(begun_s)
            where = list(self.device.positions)
            now_s = time.monotonic()
            while now_s - last_s >= STEP_S:
                last_s += STEP_S
                self.device.step(round(1e3 * (last_s - begun_s)) + 1, STEP_S)
            if where != self.device.positions:
                self.moved_s = now_s

    def _listen(self, begun_s: float) -> None:
        if self._master < 0 or not self.is_reading:
            time.sleep(STEP_S)
        elif select.select([self._master], [], [], STEP_S)[0]:
            data = os.read(self._master, 4096)
            os.write(self._master, self.device.feed(data, round(1e3 * (time.monotonic() - begun_s)) + 1))
