"""The guardian with a device's twin in this process, on a clock that is ours: what it does depends on no computer."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

from bench import LIMITS, MAPS, OUTPUTS, RULES
from memory import DRIVERS, TWINS, MemoryPort

from bci.errors import DeviceError
from bci.types import Intent
from drivers.devices.node_host import NodeHost
from drivers.dialogue.positioner import Positioner
from drivers.dialogue.transport import QUICK_S
from drivers.guardian import process, unit
from drivers.guardian.link import Request
from drivers.guardian.machine import ACTIVE, DISARMED
from drivers.guardian.process import Guardian
from drivers.guardian.settings import read_config
from drivers.twins.node import NodeDevice

PERIOD_S = 0.02
BAUD = 1_000_000
RETURN_DELAY_S = 5e-4  # of each servo, as they are delivered


class Clock:
    """Takes the place of `time.monotonic`."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Wire(MemoryPort):
    """Bytes take their time on it; `harm` may change what the device hears (True) and what it says (False)."""

    latency_s, path, baud = QUICK_S, "memory", BAUD

    def __init__(self, twin, clock, delay_s=0.0):
        self.clock, self.delay_s = clock, delay_s
        self.harm = lambda data, is_request: data
        self.is_awaited = False  # whoever reads waits for an answer, so time passes, for the device too
        self.pass_time = lambda seconds: None
        self._due: list[tuple[float, bytes]] = []
        self._always_readable = os.open("/dev/zero", os.O_RDONLY)
        super().__init__(twin)

    now_s = property(lambda self: self.clock.now_s, lambda self, value: None)

    @property
    def is_answering(self) -> bool:
        return bool(self._due)

    @property
    def has_answer(self) -> bool:
        return bool(self._due) and self._due[0][0] <= self.now_s

    def read(self):
        if self.is_unplugged:
            raise DeviceError("Port memory is gone.", "Plug it in.")
        if self.is_awaited:
            self.pass_time(0.001)
        data = b"".join(answer for due_s, answer in self._due if due_s <= self.now_s)
        self._due = [entry for entry in self._due if entry[0] > self.now_s]
        return data

    def write(self, data):
        if self.is_unplugged:
            raise DeviceError("Port memory is gone.", "Plug it in.")
        answer = self.twin.feed(self.harm(data, True), round(1e3 * self.now_s))
        answer = self.harm(answer, False)
        if answer:
            on_wire_s = (len(data) + len(answer)) * 10 / BAUD if self.delay_s else 0.0
            self._due.append((self.now_s + on_wire_s + self.delay_s, answer))

    def fileno(self):
        return self._always_readable

    def close(self):
        self._due.clear()

    def end(self):
        os.close(self._always_readable)


class Post:
    """The guardian's socket."""

    def __init__(self):
        self.inbox, self.asks, self.requests, self.status = [], [], object(), None

    n_refused = 0
    beat_s = math.inf  # somebody is always at the console here

    def receive(self):
        messages, self.inbox = self.inbox, []
        return messages

    def asked(self):
        asks, self.asks = self.asks, []
        return asks

    def report(self, status):
        self.status = status

    def show(self, checks):
        self.checks = checks

    def close(self):
        pass


class Guarded:
    """A guardian, its device, and a hand on the intents; `step_s` is how finely time passes, `least` what is motion."""

    def __init__(self, name, folder: Path, monkeypatch, step_s=0.002, may_stall=(), least=0.0, options=None, **limits):
        self.clock, self.step_s, self.least = Clock(), step_s, least
        monkeypatch.setattr(time, "monotonic", self.clock)
        self.asleep_s = 0.0  # what a clock that goes on while the computer sleeps is ahead of ours
        monkeypatch.setattr(process, "asleep_for_s", lambda: self.asleep_s)
        monkeypatch.setattr(unit, "load_driver", lambda reference: self)
        self.driver = DRIVERS.get(name)
        if self.driver is None:
            self.outputs, maps, self.twin = OUTPUTS, MAPS, NodeDevice()
        else:
            self.outputs = ("go",)
            options = {**self.driver.example["options"], **(options or {})}
            self.speaker = self.driver.build({**self.driver.example, "options": options})
            self.twin = TWINS[name](self.speaker.joints)
            maps = [{"intent": "go", "axis": axis.name, "gain": 1.0} for axis in self.twin.axes]
        n = 0 if self.driver is None else len(self.twin.axes)
        self.port = Wire(self.twin, self.clock, n * RETURN_DELAY_S)
        self.port.pass_time = self.pass_time
        self.moved_s, self.where = 0.0, tuple(self.twin.positions)
        self.guardian = Guardian(read_config(self._config(folder, maps, {"may_stall": list(may_stall), **limits})))
        self.guardian.socket.close()
        self.post = self.guardian.socket = Post()
        self.machine = self.guardian.machine
        self.next_s = self.intent_s = self.clock.now_s
        self.index = 0

    def _config(self, folder, maps, limits):
        path = folder / "guardian.json"
        device = {"name": "d", "driver": "-", "section": {"port": "memory", "maps": maps},
                  "limits": {**LIMITS, **limits}}  # fmt: skip
        fields = {"outputs": self.outputs, "rules": RULES, "devices": [device], "socket_dir": str(folder),
                  "state_dir": str(folder), "log_path": str(folder / "g.jsonl"),
                  "ready_file": str(folder / "ready")}  # fmt: skip
        path.write_text(json.dumps(fields))
        return path

    def open(self, section):
        """As the driver of the only device."""
        if self.driver is None:
            self.port.is_awaited = True
            try:
                self.host = NodeHost(self.port)
            finally:
                self.port.is_awaited = False
        else:
            self.host = Positioner(
                self.port, BAUD, self.speaker, self.driver.declaration, n_misses=self.driver.n_misses
            )
        return self.host

    @property
    def now_s(self):
        return self.clock.now_s

    @property
    def state(self):
        return self.machine.state

    def tick(self, velocity=None, is_paused=False):
        """Let the shortest time pass; an intent comes every 20 ms. A guardian that is paused has no turn."""
        self.pass_time(self.step_s)
        now_s = self.clock.now_s
        if velocity is not None and now_s >= self.intent_s:
            self.index += 1
            self.post.inbox.append(Intent(self.index, now_s, velocity, 1.0, True))
            self.intent_s = now_s + PERIOD_S - 1e-6
        if not is_paused:
            self.turn()

    def pass_time(self, seconds):
        """For the device, and whoever looks at it."""
        self.clock.now_s += seconds
        self.twin.step(round(1e3 * self.clock.now_s), seconds)
        where = tuple(self.twin.positions)
        if any(abs(b - a) > self.least for a, b in zip(self.where, where, strict=True)):
            self.where, self.moved_s = where, self.clock.now_s

    def turn(self):
        """What the guardian does now, if there is anything to do."""
        now_s, guardian = self.now_s, self.guardian
        ready = [guardian.socket] if self.post.inbox else []
        ready += [self.post.requests] if self.post.asks else []
        if self.port.has_answer and not self.port.is_unplugged:
            ready += guardian.units
        if ready or now_s >= min(self.next_s, guardian._deadline_s()):
            self.next_s = guardian.step(ready, self.next_s, now_s)
        while guardian.has_more and not self.port.has_answer:
            self.next_s = guardian.step([], self.next_s, now_s)

    def go(self, seconds, velocity=None, until=None, until_asked=False):
        """Let time pass, at most until a state is reached, or an answer is on its way; how long that took."""
        begun_s = self.now_s
        while self.now_s - begun_s < seconds - 1e-9 and not (until and self.state in until):
            if until_asked and self.port.is_answering:
                break
            self.tick(velocity)
        return self.now_s - begun_s

    def pause(self, seconds, velocity):
        """Give the guardian no processor time; intents wait in its socket, answers at its port."""
        for _ in range(round(seconds / self.step_s)):
            self.tick(velocity, is_paused=True)

    def ask(self, verb, role="caregiver"):
        self.post.asks.append(Request(verb, role))

    def arm(self, still=(0.0,)):
        """From whatever state a person can lead out of, to ACTIVE."""
        self.go(1.2, still)  # what was damaged before is no longer counted
        for verb in ("reset_stop", "acknowledge", "disarm"):
            self.ask(verb)
        self.go(0.4, still)
        assert self.state == DISARMED, self.machine.reason
        self.ask("arm")
        self.go(8.0, still, until=(ACTIVE,))
        assert self.state == ACTIVE, self.machine.reason

    def close(self):
        self.port.end()
        self.guardian.log.close()
