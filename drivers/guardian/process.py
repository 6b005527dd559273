"""The guardian: the one process that owns the devices. The decoder asks; the guardian decides.

It imports neither NumPy nor Numba, waits for nobody, and holds every device still whenever intents are late, missing,
nonsense, or not confident, or a device cannot be believed.
"""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bci.errors import BciError, DeviceError
from drivers import base
from drivers.base import Check
from drivers.guardian import machine as m
from drivers.guardian.answers import Answers
from drivers.guardian.arming import Arming
from drivers.guardian.faultlog import FaultLog, transition
from drivers.guardian.link import GuardianSocket, Request, Status
from drivers.guardian.settings import Config, read_config
from drivers.guardian.sleep import asleep_for_s
from drivers.guardian.stopfile import StopMemory
from drivers.guardian.unit import PERIOD_S, Unit, axis_labels, open_units

PATIENCE_S = 1.25 * PERIOD_S  # after an intent, for the next one, before the guardian acts without
LONGEST_UNTOLD_S = 1.5 * PERIOD_S  # a set-point is reported with its acknowledgement, but not later than this
UNHEARD = "did not disarm: nothing answers since it was told to"
SEE_OFF_S = 0.5  # for devices to hear the last order
SLEPT_S = 0.3  # as suspended; shorter is the time between looking at two clocks
STALLED_S = 0.25  # a guardian that was away for longer does not go on by itself
URGENT = (m.ARMED, m.DISARMED, m.FAULT, m.STOP)


class Guardian:
    """Machine, devices and socket together.

    Parameters
    ----------
    config : Config
        What to guard and how.

    Raises
    ------
    DeviceError
        When a port or a device is not there, or a mapping names an axis that its device does not have.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.stops = StopMemory(config.state_dir, config.stop_names)
        self.units = open_units(config.devices, config.outputs)
        self.machine = m.Machine(config.rules, len(config.outputs), self.stops.is_latched(), time.monotonic())
        self.axes = axis_labels(self.units)
        self.socket = GuardianSocket(config.socket_dir)
        self.log = FaultLog(config.log_path)
        self.answers = Answers()
        self.arming: Arming | None = None
        self.checks: list[Check] = []
        self._moved_s = self._told_s = -math.inf
        self._asleep_s = asleep_for_s()
        self._is_fresh = self._is_untold = False
        self._intent_index = -1
        self._tickets: list[int] = []
        self._parent = os.getppid()
        self._sent_s = self._acknowledged_s = math.nan

    def run(self, stop: list[int]) -> None:
        """Guard until `stop` holds something, or a driver raises what it should not; then stop and disarm."""
        self.config.ready_file.touch()
        gc.freeze()  # a collection then looks only at what has come since, not at every module
        next_s = last_s = time.monotonic()
        try:
            while not stop:
                ready = self._wait(max(0.0, min(next_s, self._deadline_s()) - time.monotonic()))
                now_s = time.monotonic()
                if now_s - last_s > STALLED_S:
                    self.machine.lose_power(f"the guardian was away for {now_s - last_s:.1f} s", now_s, m.SUPERVISOR)
                last_s = now_s
                next_s = self.step(ready, next_s, now_s)
        finally:
            self._shut_down(stop)

    @property
    def has_more(self) -> bool:
        """Whether there is something to do although nothing has arrived."""
        return self._is_fresh or self._is_untold

    def step(self, ready: list[Any], next_s: float, now_s: float) -> float:
        """One turn; return when the next period begins.

        Hearing comes first, requests before all, then acting, then telling, each in a turn of its own: what waits to be
        heard never waits for the rest. A period that is due, and a new state, are acted on at once.
        """
        asleep_s, self._asleep_s = self._asleep_s, asleep_for_s()
        if self._asleep_s - asleep_s > SLEPT_S:
            words = f"the computer slept for {self._asleep_s - asleep_s:.0f} s"
            self.machine.lose_power(words, now_s, m.SUPERVISOR)
        has_changed = self._note_transition(now_s)
        if self.socket.requests in ready:
            for request in self.socket.asked():
                self._grant(request, now_s)
                has_changed |= self._note_transition(now_s)  # before a device is judged by what was
        for unit in self.units:
            if unit in ready or now_s >= unit.deadline_s():
                unit.hear(now_s)
                self._judge(unit, now_s)
        if self.socket in ready:
            self._is_fresh |= self._hear_clients(now_s)
        self.machine.tick(now_s)
        has_changed |= self._note_transition(now_s)
        is_due, is_overdue = now_s >= next_s, now_s - self._told_s >= LONGEST_UNTOLD_S
        if is_due or has_changed or (self._is_fresh and not ready):
            next_s = now_s + (PATIENCE_S if self._is_fresh else PERIOD_S)
            self._is_fresh = False
            self._drive(now_s)
            has_changed |= self._note_transition(now_s)
        elif is_overdue or (self._is_untold and not ready):
            self._check_ways(now_s)
            has_changed |= self._note_transition(now_s)
            self._report(now_s)
        is_acknowledged = self._note_acknowledgement(now_s)
        self._is_untold |= is_due or has_changed or is_acknowledged
        return next_s

    def _deadline_s(self) -> float:
        if self.has_more:
            return -math.inf
        return min([self.machine.next_deadline_s(), *(unit.deadline_s() for unit in self.units)])

    def _wait(self, wait_s: float) -> list[Any]:
        sources: list[Any] = [self.socket.requests, self.socket, *(unit for unit in self.units if not unit.is_lost)]
        try:
            return select.select(sources, [], [], wait_s)[0]
        except (OSError, ValueError):
            return sources  # one of the ports is gone: reading tells which

    def _hear_clients(self, now_s: float) -> bool:
        """Take in intents; true when a good one came."""
        is_fresh = False
        intents = self.socket.receive()
        self.machine.hear_operator(self.socket.beat_s, now_s)
        for intent in intents:
            self.machine.take(intent, now_s)
            if self.machine.intent is intent:
                is_fresh = True
                if self.machine.state == m.ACTIVE:
                    for unit in self.units:
                        asks = unit.mapping.take(intent, now_s)
                        if asks:
                            self.machine.request(asks, m.USER, now_s)
        return is_fresh

    def _grant(self, request: Request, now_s: float) -> None:
        """Grant or refuse a request, answer it, and log a refusal."""
        machine = self.machine
        if request.verb == "acknowledge" and machine.state == m.FAULT and not self._recover(now_s):
            why = machine.reason
        else:
            why = machine.request(request.verb, request.role, now_s, request.origin)
        refusal = self.answers.note(request, why)
        if refusal:
            self._write_down(m.Entry(machine.state, machine.state, refusal, request.role), now_s)

    def _judge(self, unit: Unit, now_s: float) -> None:
        """Compare what a device says with what it should do; one stop stops all."""
        state = self.machine.state
        if unit.phase == base.STOPPED:
            if state != m.STOP:
                self.machine.request("stop", m.DEVICE, now_s)
        elif unit.trouble is not None and (state in m.POWERED or unit.trouble.is_fault):
            cause = self._named(unit, unit.trouble.cause)
            if unit.trouble.is_fault:
                self.machine.fail(cause, now_s)
            else:
                self.machine.hold(cause, now_s)
        elif state in m.POWERED and unit.phase == base.OFF:
            self.machine.lose_power("the device has disarmed itself", now_s)

    def _named(self, unit: Unit, cause: str) -> str:
        return f"{unit.config.name}: {cause}" if len(self.units) > 1 else cause

    def _drive(self, now_s: float) -> None:
        """Say to each device what the state demands: a set-point, or only a question."""
        machine = self.machine
        is_moving = machine.state == m.ACTIVE and machine.intent is not None
        authority, lease_s = machine.authority(now_s), machine.lease_left_s(now_s)
        dt_s = min(now_s - self._moved_s, 2 * PERIOD_S)
        for unit in self.units:
            if is_moving and machine.intent is not None and lease_s > 0.0:
                unit.move(machine.intent, authority, lease_s, dt_s, now_s)
            else:
                self._watch(unit, now_s)
            if machine.state in m.POWERED:
                unit.check_silence(machine.since_s, now_s)
            if unit.trouble is not None:
                self._judge(unit, now_s)
        self._moved_s = now_s
        if is_moving and machine.intent is not None and machine.intent.index != self._intent_index:
            self._intent_index = machine.intent.index
            self._tickets = [unit.ticket for unit in self.units]
            self._sent_s, self._acknowledged_s = time.monotonic(), math.nan
        if machine.state == m.CHECKING and self.arming is not None:
            self._check(self.arming, now_s)

    def _check_ways(self, now_s: float) -> None:
        """Look whether every device has gone where it was sent, or stands where nothing sends it."""
        state = self.machine.state
        for unit in self.units if state != m.CHECKING else ():
            if state == m.ACTIVE:
                unit.check_way(now_s)
            else:
                was_astray = unit.is_astray
                unit.check_place(now_s)
                if state in m.LATCHED and unit.is_astray and unit.trouble is not None:
                    (unit.stop if state == m.STOP else unit.disarm)(now_s)  # what may still be done: say it again
                    if not was_astray:
                        self._alarm(unit, unit.trouble.cause, now_s)
            self._judge(unit, now_s)

    def _watch(self, unit: Unit, now_s: float) -> None:
        """Ask a device that may not move; what it was told to end by must have been heard."""
        was_unheard = unit.is_unheard
        unit.insist(now_s)
        unit.watch(now_s)
        if unit.is_unheard and not was_unheard:
            self._alarm(unit, UNHEARD, now_s)

    def _alarm(self, unit: Unit, cause: str, now_s: float) -> None:
        """Tell people what only they can end; it hides no latched state and its reason."""
        words = f"{self._named(unit, cause)}: switch off its supply"
        if self.machine.state in m.LATCHED:
            self.machine.note(f"{self.machine.reason}; {words}")
        else:
            self.machine.fail(words, now_s)

    def _check(self, arming: Arming, now_s: float) -> None:
        result = arming.step(self.machine, now_s)
        self._show(arming.checks)
        if result is not None:
            failed = [f"{check.subject}: {check.found}" for check in self.checks if not check.is_ok]
            self.machine.checked([] if result else failed or ["a device does not accept power"], now_s)

    def _show(self, checks: list[Check]) -> None:
        if checks != self.checks:
            self.checks = checks
            self.socket.show(checks)

    def _note_acknowledgement(self, now_s: float) -> bool:
        """Whether all devices have just confirmed the set-points of the newest intent."""
        if not math.isnan(self._acknowledged_s) or not self._tickets:
            return False
        if all(unit.host.acknowledged >= ticket for unit, ticket in zip(self.units, self._tickets, strict=True)):
            self._acknowledged_s = now_s
            return True
        return False

    def _note_transition(self, now_s: float) -> bool:
        """Act once on each state that was entered, however short, in order, and log it; true when there was one."""
        entries = self.machine.entries
        has_changed = bool(entries)
        while entries:
            entry = entries.popleft()
            self._act(entry, now_s)
            self._write_down(entry, now_s)
        return has_changed

    def _act(self, entry: m.Entry, now_s: float) -> None:
        before, state = entry.before, entry.state
        if state == m.STOP:
            for unit in self.units:
                unit.stop(now_s)
            if before != m.STOP and not self.stops.keep(entry.reason):
                self.machine.note(f"{entry.reason}; it will be forgotten by the next session: {self.stops.complaint}")
        elif (state == m.FAULT and before != state) or (state == m.DISARMED and before in (m.CHECKING, *m.POWERED)):
            for unit in self.units:
                unit.stand(now_s)
                unit.disarm(now_s)
        elif state == m.DISARMED and before in (m.FAULT, m.STOP):
            self._show([])  # what was found before is no longer known
            if before == m.STOP:
                self.stops.release()
                for unit in self.units:
                    unit.reset_stop(now_s)
        elif state == m.HOLD:
            for unit in self.units:
                unit.stand(now_s)
        elif state == m.CHECKING:
            self.arming = Arming(self.config, self.units, self.log, self.stops, now_s)
        elif state == m.ACTIVE:
            for unit in self.units:
                unit.rest()

    def _recover(self, now_s: float) -> bool:
        """Open what was lost again, and look whether the cause is gone; words on what is not.

        A device that latches its own fault is asked to let go; it does so, for the next attempt, if its cause is gone.
        """
        for unit in self.units:
            try:
                unit.recover(now_s)
            except DeviceError as error:
                self.machine.note(f"still: {error.problem}")
                return False
            report = unit.host.report
            if report is not None and report.faults:
                unit.reset_stop(now_s)
                self.machine.note(f"still: device: {', '.join(report.faults)}")
                return False
            unit.trouble = None
        return True

    def _report(self, now_s: float) -> None:
        self._told_s, self._is_untold = now_s, False
        machine = self.machine
        notes = [unit.host.report.note for unit in self.units if unit.host.report]
        notes += ["a second decoder is refused"] * bool(self.socket.n_refused)
        self.socket.report(
            Status(
                stamp_s=now_s,
                state=machine.state,
                reason=machine.reason,
                axes=self.axes,
                position=tuple(p for unit in self.units for p in unit.belief.positions),
                velocity=tuple(v for unit in self.units if unit.host.report for v in unit.host.report.velocities),
                command=tuple(v for unit in self.units for v in unit.command),
                intent_index=self._intent_index,
                sent_s=self._sent_s,
                acknowledged_s=self._acknowledged_s,
                n_bad_replies=sum(unit.host.n_bad for unit in self.units),
                note="; ".join(notes),
                answer=self.answers.text,
                answer_to=self.answers.number,
            )
        )

    def _write_down(self, entry: m.Entry, now_s: float) -> None:
        """One record per transition, without neural data."""
        command = [v for unit in self.units for v in unit.command]
        position = [p for unit in self.units for p in unit.belief.positions]
        n_bad = sum(unit.host.n_bad for unit in self.units)
        record = transition(entry, now_s, command, position, n_bad)
        if entry.state == m.ARMED or (entry.before == m.CHECKING and entry.state == m.DISARMED):
            record["checks"] = [[c.subject, c.is_ok, c.found] for c in self.checks]
        self.log.write(record, is_urgent=entry.state in URGENT)

    def _shut_down(self, stop: list[int]) -> None:
        now_s = time.monotonic()
        name = signal.Signals(stop[-1]).name if stop else "the guardian fails"
        is_orphan = os.getppid() != self._parent
        origin = f"{name}, the session's console is gone" if is_orphan else name
        self.machine.request("disarm", m.SIGNAL if stop else m.SUPERVISOR, now_s, origin)
        self._note_transition(now_s)
        for unit in self.units if self.machine.state != m.STOP else ():
            unit.disarm(now_s)
        self._see_off(now_s + SEE_OFF_S)
        self._report(time.monotonic())
        for unit in self.units:
            unit.close()
        self.socket.close()
        self.log.close()

    def _see_off(self, until_s: float) -> None:
        """Wait until each device must have heard that it is to end, for a moment."""
        asked_s = -math.inf
        while any(unit.is_told for unit in self.units) and (now_s := time.monotonic()) < until_s:
            if now_s - asked_s >= PERIOD_S:  # a slow device is not asked faster than it can answer
                asked_s = now_s
                for unit in self.units:
                    self._watch(unit, now_s)
            self._wait(0.005)
            self.socket.receive()
            for unit in self.units:
                unit.hear(time.monotonic())
        for unit in self.units:
            if unit.is_told:
                self._alarm(unit, UNHEARD, time.monotonic())
        self._note_transition(time.monotonic())


def main() -> None:
    """Guard the devices of one session; the only argument is the configuration's path."""
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
