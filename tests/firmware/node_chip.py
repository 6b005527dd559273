"""The firmware's binary on an emulated chip, the times of its pins, and a hand on its stop button."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from wire_host import WireHost

from drivers.devices.node import DISARMED, ESTOP
from drivers.twins.avr import command

PATIENCE_S = 30.0
CYCLES_PER_MS = 16_000
PERIOD_S = 0.02


@dataclass(frozen=True, slots=True)
class Edge:
    cycle: int
    pin: str
    level: int


class Chip:
    """An emulated board; times are the chip's own, so that a busy computer cannot make a stop look slow or quick."""

    def __init__(self, folder: Path, axes: str, has_pulses: bool = False, program: Path | None = None) -> None:
        ready, self._path = folder / "chip.ready", folder / "chip.csv"
        words = command(axes, ready, self._path, has_pulses)
        words[-1:] = [str(program)] if program else words[-1:]
        self._log = (folder / "chip.log").open("w")
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, text=True, bufsize=1
        )
        _wait(ready.exists)
        self.path = ready.read_text()
        self._file = self._path.open()
        self._rest = ""
        self.edges: list[Edge] = []
        self._host: WireHost | None = None

    def __enter__(self) -> Chip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
        self._process.kill()  # as its plug is pulled; asked politely it would outlive its host for a while
        self._process.wait(10)
        self._process.stdin.close()
        self._file.close()
        self._log.close()

    def do(self, what: str) -> None:
        """Act on the board: stop, release, hang, power."""
        self._process.stdin.write(what + "\n")

    def look(self) -> list[Edge]:
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            _, cycle, pin, level = line.split(",")
            if cycle != "cycle":
                self.edges.append(Edge(int(cycle), pin, int(level)))
        return self.edges

    def wait(self, pin: str, level: int, since: int = 0) -> Edge:
        """The first such edge since a count of edges."""
        found: list[Edge] = []

        def is_there() -> bool:
            found.extend(edge for edge in self.look()[since:] if (edge.pin, edge.level) == (pin, level))
            return bool(found)

        _wait(is_there)
        return found[0]

    def level(self, pin: str) -> int:
        return next((edge.level for edge in reversed(self.look()) if edge.pin == pin), 0)

    def mark(self) -> int:
        """Where we are in the edges."""
        return len(self.look())

    def last_before(self, edge: Edge, pin: str, level: int) -> Edge:
        return next(e for e in reversed(self.edges[: self.edges.index(edge)]) if (e.pin, e.level) == (pin, level))

    def greet(self) -> WireHost:
        """A new session; an older host loses its port."""
        if self._host is not None:
            self._host.close()
        self._host = WireHost(self.path)
        return self._host

    def moving(self, host: WireHost, seconds: float = 0.06) -> None:
        """Arm, and move until the pin says so and for a while longer; a busy computer may need several attempts."""
        since = self.mark()
        deadline, end = time.monotonic() + PATIENCE_S, None
        while end is None or time.monotonic() < end:
            assert time.monotonic() < deadline, f"it does not move: {host.status}"
            state = host.ask().state
            assert state != ESTOP
            if state == DISARMED:
                host.arm(100)
            else:
                host.drive()
            time.sleep(PERIOD_S / 2)
            if end is None and any(e.pin == "MOVING" and e.level for e in self.look()[since:]):
                end = time.monotonic() + seconds
            if end is not None and not self.level("MOVING"):
                end = None
                since = self.mark()


def milliseconds(start: Edge, end: Edge) -> float:
    return (end.cycle - start.cycle) / CYCLES_PER_MS


def _wait(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
