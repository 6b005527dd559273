"""The guardian: the one process that owns the device. The decoder asks; the guardian decides.

It imports neither NumPy nor Numba, waits for nobody, and holds the device still whenever intents are late, missing,
nonsense, or not confident.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bci.errors import BciError, DeviceError
from bci.types import Intent
from drivers import base
from drivers import machine as m
from drivers.base import Host, silence_s
from drivers.checks import common_checks
from drivers.limits import AxisLimiter
from drivers.link import GuardianSocket, Request, Status
from drivers.settings import Config, load_driver, read_config

PERIOD_S = 0.02
MOST_SILENCE_S = 0.15  # of a powered device
STOP_FILE = "stop.json"
AFTER_BAD_REPLIES = 0.05  # share of bad frames over the last second that is a fault


class Guardian:
    """Machine, device and socket together.

    Parameters
    ----------
    config : Config
        What to guard and how.

    Raises
    ------
    DeviceError
        When the port or the device is not there, or the mapping names an axis that it does not have.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.stop_file = config.state_dir / STOP_FILE
        self.is_lost = False
        self.host = self._connect()
        self.machine = m.Machine(config.rules, len(config.outputs), self.stop_file.exists(), time.monotonic())
        limits = config.limits
        self.limiters = [
            AxisLimiter(axis, limits["speed_fraction"], limits["acceleration_fraction"]) for axis in self.host.axes
        ]
        self.socket = GuardianSocket(config.socket_dir)
        self.command = [0.0] * len(self.limiters)
        self._told = ("", "")
        self._ticket = -1
        self._sent_intent = -1
        self._sent_s = math.nan
        self._acknowledged_s = math.nan
        self._last_move_s = -math.inf
        self._bad_window = (time.monotonic(), 0, 0)

    def run(self, stop: list[int]) -> None:
        """Guard until `stop` holds something; then stop and disarm."""
        self.config.ready_file.touch()
        next_s = time.monotonic()
        while not stop:
            wait_s = min(next_s, self.machine.next_deadline_s()) - time.monotonic()
            ready = self._wait(max(0.0, wait_s))
            now_s = time.monotonic()
            if self.host in ready or (not self.is_lost and now_s >= self.host.deadline_s):
                self._hear_device(now_s)
            is_fresh = self.socket in ready and self._hear_clients(now_s)
            self.machine.tick(now_s)
            has_changed = self._note_transition(now_s)
            is_due = now_s >= next_s
            if is_due or is_fresh:
                next_s = now_s + PERIOD_S
            if is_due or is_fresh or has_changed:
                self._drive(now_s)
            if is_due or has_changed:
                self._report(now_s)
        self._shut_down()

    def _connect(self) -> Host:
        config = self.config
        section = {"name": config.driver, "port": config.port, "baud": config.baud, "axes": config.axes}
        section["options"] = config.options
        host = load_driver(config.driver).open(section)
        try:
            self._check_mapping(host)
        except DeviceError:
            host.close()
            raise
        self.is_lost = False
        return host

    def _wait(self, wait_s: float) -> list[Any]:
        sources: list[Any] = [self.socket] if self.is_lost else [self.socket, self.host]
        try:
            return select.select(sources, [], [], wait_s)[0]
        except (OSError, ValueError):
            self._lose_port("the port is gone", time.monotonic())
            return []

    def _hear_clients(self, now_s: float) -> bool:
        """Take in intents and requests; true when a good intent came."""
        is_fresh = False
        for message in self.socket.receive():
            if isinstance(message, Request):
                self._grant(message, now_s)
            else:
                self.machine.take(message, now_s)
                is_fresh |= self.machine.intent is message
        return is_fresh

    def _grant(self, request: Request, now_s: float) -> None:
        before = self.machine.state
        if request.verb == "acknowledge" and before == m.FAULT and not self._recover():
            return
        self.machine.request(request.verb, request.role, now_s)
        if request.verb == "reset_stop" and before == m.STOP and self.machine.state == m.DISARMED:
            self.stop_file.unlink(missing_ok=True)
            self._say(self.host.reset_stop, now_s)

    def _hear_device(self, now_s: float) -> None:
        try:
            is_new = self.host.hear(now_s)
        except DeviceError as error:
            self._lose_port(error.problem, now_s)
            return
        if math.isnan(self._acknowledged_s) and self.host.acknowledged >= self._ticket >= 0:
            self._acknowledged_s = now_s
            self._report(now_s)
        if is_new:
            self._judge(now_s)

    def _judge(self, now_s: float) -> None:
        """Compare what the device says with what it should do."""
        state, host = self.machine.state, self.host
        if host.phase == base.STOPPED and state != m.STOP:
            if state != m.DISARMED or now_s - self.machine.since_s > 0.2:
                self.machine.request("stop", "device", now_s)
        elif host.report is not None and host.report.faults:
            self.machine.fail("device: " + ", ".join(host.report.faults), now_s)
        elif state in m.POWERED and host.phase == base.OFF:
            self.machine.lose_power("the device has disarmed itself", now_s)

    def _drive(self, now_s: float) -> None:
        """Say to the device what the state demands: a set-point, or only a ping."""
        state = self.machine.state
        if self.is_lost:
            return
        if state == m.CHECKING:
            self._check(now_s)
        elif state in (m.ACTIVE, m.HOLD):
            self._watch_device(now_s)
            self._move(now_s)
        else:
            if state == m.ARMED:
                self._watch_device(now_s)
            self._say(self.host.watch, now_s)

    def _move(self, now_s: float) -> None:
        dt_s = min(max(now_s - self._last_move_s, 1e-3), 2 * PERIOD_S)
        self._last_move_s = now_s
        if self.machine.state == m.ACTIVE and self.machine.intent is not None:
            wanted = self._wanted(self.machine.intent, self.machine.authority(now_s))
            positions = self._positions()
            self.command = [
                limiter.limit(velocity, position, dt_s)
                for limiter, velocity, position in zip(self.limiters, wanted, positions, strict=True)
            ]
            is_new = self.machine.intent.index != self._sent_intent
        else:
            self._stand_still()
            is_new = False
        try:
            ticket = self.host.drive(self.command, self.config.rules.lease_s, now_s)
        except DeviceError as error:
            self._lose_port(error.problem, now_s)
            return
        if is_new and self.machine.intent is not None:
            self._sent_intent = self.machine.intent.index
            self._ticket, self._sent_s, self._acknowledged_s = ticket, time.monotonic(), math.nan

    def _stand_still(self) -> None:
        self.command = [0.0] * len(self.limiters)
        for limiter in self.limiters:
            limiter.stop()

    def _wanted(self, intent: Intent, authority: float) -> list[float]:
        """From intent to axis velocities, by the profile's mapping."""
        by_output = dict(zip(self.config.outputs, intent.velocity, strict=True))
        return [
            authority * sum(t["gain"] * by_output[t["intent"]] for t in self.config.maps if t["axis"] == axis.name)
            for axis in self.host.axes
        ]

    def _positions(self) -> tuple[float, ...]:
        report = self.host.report
        return () if report is None else report.positions

    def _check(self, now_s: float) -> None:
        """Let the device check itself, judge the rest, then ask for power."""
        self._say(self.host.watch, now_s)
        phase, checks = self.host.phase, list(self.host.checks)
        if phase == base.OFF and any(not check.is_ok for check in checks):
            self.machine.checked([f"{c.subject}: {c.found}" for c in checks if not c.is_ok], now_s)
        elif phase == base.PREPARED:
            checks = common_checks(self.machine, self.config.log_path.parent, now_s)
            failures = [f"{c.subject}: {c.found}" for c in checks if not c.is_ok]
            if failures:
                self.machine.checked(failures, now_s)
                self._say(self.host.disarm, now_s)
            else:
                self._say(self.host.arm, now_s)
        elif phase == base.ON:
            self.machine.checked([], now_s)

    def _watch_device(self, now_s: float) -> None:
        if silence_s(self.host, now_s) > MOST_SILENCE_S and now_s - self.machine.since_s > MOST_SILENCE_S:
            self.machine.fail(f"the device has been silent for {1e3 * MOST_SILENCE_S:.0f} ms", now_s)
        start_s, n_ok, n_bad = self._bad_window
        if now_s - start_s >= 1.0:
            host = self.host
            ok, bad = host.n_good - n_ok, host.n_bad - n_bad
            if bad > 2 and bad > AFTER_BAD_REPLIES * (ok + bad):
                self.machine.fail(f"{bad} of {ok + bad} frames from the device were damaged", now_s)
            self._bad_window = (now_s, host.n_good, host.n_bad)

    def _note_transition(self, now_s: float) -> bool:
        """Act once on each new state, and write it down; true when there was one."""
        state, reason = self.machine.state, self.machine.reason
        if (state, reason) == self._told:
            return False
        before = self._told[0]
        self._told = (state, reason)
        if state == m.STOP:
            self._stand_still()
            self._say(self.host.stop, now_s)
            if not self.stop_file.exists():
                self.stop_file.write_text(json.dumps({"utc": _utc(), "reason": reason}) + "\n", encoding="utf-8")
        elif state in (m.DISARMED, m.FAULT) and before in (m.CHECKING, *m.POWERED):
            self._stand_still()
            self._say(self.host.stand, now_s)
            self._say(self.host.disarm, now_s)
        elif state == m.CHECKING:
            self._say(lambda now_s: self.host.prepare(self.config.rules.lease_s, now_s), now_s)
        self._log(before, now_s)
        return True

    def _say(self, action: Any, now_s: float) -> None:
        if self.is_lost:
            return
        try:
            action(now_s)
        except DeviceError as error:
            self._lose_port(error.problem, now_s)

    def _lose_port(self, cause: str, now_s: float) -> None:
        """Latch a fault; the device's own lease stops it. Nothing is opened again until somebody acknowledges."""
        if not self.is_lost:
            self.host.close()
            self.is_lost = True
        self._stand_still()
        self.machine.fail(cause, now_s)

    def _recover(self) -> bool:
        """Open a lost port again; a new session with the device begins disarmed."""
        if self.is_lost:
            try:
                self.host = self._connect()
            except DeviceError as error:
                self.machine.reason = f"still: {error.problem}"
                return False
        return True

    def _report(self, now_s: float) -> None:
        self.socket.report(
            Status(
                stamp_s=now_s,
                state=self.machine.state,
                reason=self.machine.reason,
                axes=tuple(axis.name for axis in self.host.axes),
                position=self._positions(),
                velocity=() if self.host.report is None else self.host.report.velocities,
                command=tuple(self.command),
                intent_index=self._sent_intent,
                sent_s=self._sent_s,
                acknowledged_s=self._acknowledged_s,
                n_bad_replies=self.host.n_bad,
            )
        )

    def _log(self, before: str, now_s: float) -> None:
        """One JSON line per transition, without neural data; a full disk must not stop the guardian."""
        state = self.machine.state
        entry = {
            "utc": _utc(),
            "monotonic_s": round(now_s, 4),
            "from": before,
            "to": state,
            "reason": self.machine.reason,
            "command": self.command,
            "position": self._positions(),
            "n_bad_replies": self.host.n_bad,
        }
        try:
            with self.config.log_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
                if state in (m.FAULT, m.STOP):
                    file.flush()
                    os.fsync(file.fileno())
        except OSError:
            pass

    def _shut_down(self) -> None:
        now_s = time.monotonic()
        self._stand_still()
        if self.machine.state in m.POWERED:
            self._say(self.host.stand, now_s)
        if self.machine.state != m.STOP:
            self._say(self.host.disarm, now_s)
            self.machine.request("disarm", "supervisor", now_s)
        self._note_transition(now_s)
        self._report(now_s)
        if not self.is_lost:
            self.host.close()
        self.socket.close()

    def _check_mapping(self, host: Host) -> None:
        names = [axis.name for axis in host.axes]
        unknown = [term["axis"] for term in self.config.maps if term["axis"] not in names]
        if unknown:
            raise DeviceError(
                f"The device on {self.config.port} has no axis {', '.join(unknown)}; it has {', '.join(names)}.",
                "Correct device.maps in the profile.",
            )


def _utc() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def main() -> None:
    """Guard one device; the only argument is the configuration's path."""
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stop.append(signum))
    try:
        Guardian(read_config(Path(sys.argv[1]))).run(stop)
    except BciError as error:
        print(error, file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
