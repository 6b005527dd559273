"""The firmware's binary on an emulated chip, the times of its pins, and a hand on its stop button."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from drivers.host import NodeHost
from drivers.node import ACTIVE, ARMED, DISARMED, ESTOP, Arm, Hello, Message, Ping, Setpoint, config_hash
from drivers.transport import Port
from drivers.twins.avr import command

PATIENCE_S = 30.0
CYCLES_PER_MS = 16_000
FULL_SPEED = 32767
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
        self.port: Port | None = None

    def __enter__(self) -> Chip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.port is not None:
            self.port.close()
        self._process.terminate()
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

    def greet(self) -> NodeHost:
        if self.port is not None:
            self.port.close()
        self.port = Port(self.path, 115200)
        return NodeHost(self.port)

    def moving(self, host: NodeHost, seconds: float = 0.06) -> None:
        """Arm, and move until the pin says so and for a while longer; a busy computer may need several attempts."""
        since = self.mark()
        deadline, end = time.monotonic() + PATIENCE_S, None
        while end is None or time.monotonic() < end:
            assert time.monotonic() < deadline, f"it does not move: {host.status}"
            state = ask(host).state
            assert state != ESTOP
            if state == DISARMED:
                host.send(Arm(100, config_hash(host.axes)))
            elif state in (ARMED, ACTIVE, 3):
                drive(host)
            time.sleep(PERIOD_S / 2)
            if end is None and any(e.pin == "MOVING" and e.level for e in self.look()[since:]):
                end = time.monotonic() + seconds
            if end is not None and not self.level("MOVING"):
                end = None
                since = self.mark()


def drive(host: NodeHost, **changes: int) -> None:
    """One set-point that keeps clear of the workspace's ends: full speed, turning round well inside."""
    at = host.status.positions if host.status else (0,)
    was = host.status.velocities if host.status else (0,)
    values = tuple(
        0 if i > 1 else (-FULL_SPEED if p > 14000 + 3000 * i or (v < 0 and p > -14000 - 3000 * i) else FULL_SPEED)
        for i, (p, v) in enumerate(zip(at, was, strict=True))
    )
    host.send(Setpoint(changes.get("ttl_ms", 100), host.status.tick_ms if host.status else 0, 0, values))


def ask(host: NodeHost, message: Message | None = None):
    """Send a message, or a ping, and return the status that acknowledges it; drops of a lossy line are asked again."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        ticket = host.send(message or Ping())
        again = time.monotonic() + 0.5
        while time.monotonic() < again:
            host.hear(time.monotonic())
            if host.acknowledged >= ticket:
                return host.status
            time.sleep(0.001)
    raise AssertionError("no answer")


def milliseconds(start: Edge, end: Edge) -> float:
    return (end.cycle - start.cycle) / CYCLES_PER_MS


def _wait(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


__all__ = ["Chip", "Edge", "Hello", "ask", "drive", "milliseconds"]
