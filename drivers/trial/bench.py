"""A driver on trial: its host, its twin, and somebody who plays the guardian. Used by `drivers.trial.conformance`."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.errors import DeviceError
from drivers.base import OFF, ON, PREPARED, STOPPED, Driver, Host, Phase

PERIOD_S = 0.02
LEASE_S = 0.1
PREPARE_S, ARM_S = 10.0, 10.0
MARGIN_S = 0.06  # a period, what an adapter adds, and how finely a trace is written
STILL = 0.002  # of an axis's range: below this nothing has moved


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true at a twin, whatever its driver says: bytes heard so far, power and place of each axis."""

    heard: int
    powers: tuple[bool, ...]
    positions: tuple[float, ...]


class Failed(Exception):  # noqa: N818
    """What a driver did instead, in words."""


@dataclass
class Subject:
    """The driver on trial, its device section, and where the twin writes its true positions.

    As the guardian does, whoever uses it never lets an open host wait longer than a period.
    """

    driver: Driver
    section: dict[str, Any]
    trace: Path | None = None
    twin: subprocess.Popen[bytes] | None = None
    host: Host | None = None
    lease_s: float = LEASE_S
    _rows: list[list[float]] = field(default_factory=list)
    _n_read: int = 0

    def run(self, seconds: float, action: Callable[[float], object] = lambda now_s: None) -> None:
        """Play the guardian: `action` once a period, `hear` whenever there is something to hear."""
        host = self.opened()
        end_s = time.monotonic() + seconds
        next_s = time.monotonic()
        while (now_s := time.monotonic()) < end_s:
            if now_s >= next_s:
                action(now_s)
                next_s += PERIOD_S
            wait_s = min(next_s, host.deadline_s, end_s) - time.monotonic()
            select.select([host], [], [], max(0.0, wait_s))
            host.hear(time.monotonic())

    def run_until(self, condition: Callable[[], bool], patience_s: float) -> bool:
        """Watch until something is so, or patience ends."""
        host = self.opened()
        end_s = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            self.run(PERIOD_S, host.watch)
        return True

    def opened(self) -> Host:
        """The open host."""
        if self.host is None:
            raise Failed("it is not open")
        return self.host

    def positions(self) -> tuple[float, ...]:
        """Where the device truly is, by its twin; else as it reports."""
        if self.twin is not None:
            return self.touch("look").positions
        report = self.opened().report
        if report is None:
            raise Failed("it reports no position")
        return report.positions

    def has_moved(self, before: Sequence[float], after: Sequence[float], share: float = STILL) -> bool:
        """Whether any axis is elsewhere, by more than a share of its range."""
        axes = self.opened().axes
        return any(
            abs(b - a) > share * (axis.upper - axis.lower) for a, b, axis in zip(before, after, axes, strict=True)
        )

    def touch(self, words: str) -> Truth:
        """Hold, push or look at the twin's axes; what is true of it then."""
        if self.twin is None or self.twin.stdin is None or self.twin.stdout is None:
            raise Failed("there is no twin to look at")
        self.twin.stdin.write(f"{words}\n".encode())
        self.twin.stdin.flush()
        line = self.twin.stdout.readline()
        if not line:
            raise Failed("the twin has ended")
        true = json.loads(line)
        return Truth(int(true["heard"]), tuple(true["powers"]), tuple(true["positions"]))

    def rows(self, since_s: float = 0.0) -> list[list[float]]:
        """Time and true positions from a moment on, one row each, as the twin has written them so far."""
        if self.trace is not None and self.trace.exists():
            with self.trace.open("rb") as file:
                file.seek(self._n_read)
                whole, _, _ = file.read().rpartition(b"\n")
            lines = whole.decode("ascii").split("\n") if whole else []
            self._rows += [list(map(float, line.split(","))) for line in lines[self._n_read == 0 :]]
            self._n_read += len(whole) + bool(whole)
        return [row for row in self._rows if row[0] > since_s]

    def arm(self) -> None:
        """From wherever to power, which the twin must have then."""
        host = self.opened()
        host.disarm(time.monotonic())
        self.run(0.1, host.watch)
        host.prepare(self.lease_s, time.monotonic())
        self.reach(PREPARED, PREPARE_S)
        host.arm(time.monotonic())
        self.reach(ON, ARM_S)
        if self.twin is not None and not all(self.touch("look").powers):
            raise Failed("it says that it has power, and the device has none")

    def move(self, seconds: float, fraction: float) -> None:
        """Drive, and see that it moves: what stands anyway shows nothing."""
        before, begun_s = self.positions(), time.monotonic()
        self.drive(seconds, fraction)
        places = [self.positions(), *(row[1:] for row in self.rows(begun_s))]
        if not any(self.has_moved(before, place) for place in places):
            raise Failed("nothing moved")

    def release(self) -> None:
        """Release a latched stop, where there is one."""
        if self.opened().phase == STOPPED:
            self.opened().reset_stop(time.monotonic())
            self.run(0.2, self.opened().watch)

    def reach(self, phase: Phase, patience_s: float) -> None:
        """Watch until the phase is reached; raise when it falls back instead."""
        host = self.opened()
        self.run_until(lambda: host.phase in (phase, OFF), patience_s)
        if host.phase != phase:
            words = [f"{check.subject}: {check.found}" for check in host.checks if not check.is_ok]
            raise Failed(f"'{phase}' was not reached: {'; '.join(words) or 'no reason is told'}")

    def drive(self, seconds: float, fraction: float) -> None:
        """Drive every axis towards the middle of its range, at a share of its speed."""
        host = self.opened()
        here = host.report.positions if host.report is not None else tuple(axis.lower for axis in host.axes)
        signs = [
            1.0 if position < (axis.lower + axis.upper) / 2 else -1.0
            for position, axis in zip(here, host.axes, strict=True)
        ]
        velocities = [sign * fraction * axis.max_speed for sign, axis in zip(signs, host.axes, strict=True)]
        self.run(seconds, lambda now_s: host.drive(velocities, self.lease_s, now_s))


def start(subject: Subject, stack: contextlib.ExitStack) -> str:
    """Start the twin, if that is what is tried."""
    if subject.section["port"] != "twin" and subject.twin is None:
        return str(subject.section["port"])
    if not subject.driver.twin:
        raise Failed("the driver has no twin; try it on a device with --port")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bci-driver-test-")))
    ready, device = folder / "ready", folder / "device.json"
    subject.trace = folder / "trace.csv"
    device.write_text(json.dumps(dict(subject.section)), encoding="utf-8")
    command = [sys.executable, "-m", subject.driver.twin]
    command += [f"--ready={ready}", f"--trace={subject.trace}", f"--device={device}", "--hand"]
    pipe = subprocess.PIPE
    subject.twin = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    subject._rows, subject._n_read = [], 0
    stack.callback(end, subject)
    deadline_s = time.monotonic() + 10.0
    while not ready.exists():
        if subject.twin.poll() is not None or time.monotonic() > deadline_s:
            said = (
                subject.twin.stderr.read().decode() if subject.twin.poll() is not None and subject.twin.stderr else ""
            )
            raise Failed(f"the twin did not start: {said.strip().splitlines()[-1:] or 'it said nothing'}")
        time.sleep(0.01)
    subject.section["port"] = ready.read_text(encoding="utf-8").strip()
    return f"twin {subject.driver.twin}"


def end(subject: Subject) -> None:
    """Disarm and close what is open, and end the twin."""
    if subject.host is not None:
        with contextlib.suppress(DeviceError):
            subject.host.disarm(time.monotonic())
        subject.host.close()
        subject.host = None
    if subject.twin is not None:
        subject.twin.terminate()
        subject.twin.communicate()
