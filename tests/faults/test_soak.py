"""An hour of the guardian with faults of every kind at random, on a clock of ours."""

import gc
import math
import random
from pathlib import Path

import pytest
from guarded import PERIOD_S, Guarded

from drivers.devices.node import DISARMED as DEVICE_DISARMED
from drivers.guardian.limits import clamp
from drivers.guardian.machine import ACTIVE, DISARMED, FAULT, STOP
from drivers.twins.node import NodeDevice

HOUR_S = 3600.0
LEAST = {"node": 0.0, "feetech": 0.002}  # about a step of the servos: they round their goals
BRAKING_S = 0.25  # of a servo, by its own profile
SHARE = 0.001  # of all periods something breaks
BOUND_S = 0.15
STILL = (0.0, 0.0, 0.0, 0.0)
OVER_CURRENT = 1 << 4
NONSENSE = ((math.nan, 0.0, 0.0, 0.0), (math.inf,) * 4, (1e308,) * 4, (0.3,), ())


class Node:
    """What can happen to a node device."""

    def __init__(self, twin):
        self.twin, self.step = twin, twin.step

    def restart(self):
        self.twin.session, self.twin.state, self.twin._goal = 0, DEVICE_DISARMED, [0.0] * 4

    def complain(self, is_wrong):
        self.twin.faults = self.twin.faults | OVER_CURRENT if is_wrong else self.twin.faults & ~OVER_CURRENT

    def stick(self, is_stuck):
        self.twin.step = self.stuck if is_stuck else self.step

    def stuck(self, now_ms, dt_s):
        where = list(self.twin.positions)
        self.step(now_ms, dt_s)
        self.twin.positions[:], self.twin.velocities[:] = where, [0.0] * len(where)


class Bus:
    """What can happen to the servos of a bus."""

    def __init__(self, twin):
        self.twin = twin

    def restart(self):
        """All servos lose their power for a moment: registers are as at power-on, where they stand."""
        positions = {number: servo.position for number, servo in self.twin.servos.items()}
        self.twin.__init__(list(self.twin.joints.values()))
        for number, position in positions.items():
            self.twin.servos[number].position = position

    def complain(self, is_wrong):
        self.twin.errors = {2: 1 << 3} if is_wrong else {}

    def stick(self, is_stuck):
        for servo in self.twin.servos.values():
            servo.is_stuck = is_stuck


class Trouble:
    """What goes wrong, one thing at a time, each for a while."""

    def __init__(self, guarded, random_):
        self.guarded, self.random = guarded, random_
        self.n, self.bag = 0, []
        self.kind, self.until_s = "", 0.0
        self.held: list[bytes] = []
        self.device = (Node if isinstance(guarded.twin, NodeDevice) else Bus)(guarded.twin)
        guarded.port.harm = self.harm

    def strike(self):
        """Each kind comes once before any comes again."""
        if not self.bag:
            self.bag = self.random.sample(KINDS, len(KINDS))
        kind = self.bag.pop()
        self.n += 1
        self.kind, self.until_s = kind, self.guarded.now_s + self.random.choice((0.02, 0.06, 0.2, 0.6, 1.5))
        if kind == "device restarts":
            self.device.restart()
        elif kind == "device reports a fault":
            self.device.complain(True)
        elif kind == "cable pulled":
            self.guarded.port.is_unplugged = True
        elif kind == "device is stuck":
            self.device.stick(True)
        elif kind == "somebody stops":
            self.guarded.ask("stop", "user")

    def look(self):
        """End what is over."""
        if self.kind and self.guarded.now_s >= self.until_s:
            self.kind = ""
            self.guarded.port.is_unplugged = False
            self.device.stick(False)
            self.device.complain(False)

    def harm(self, data, is_request):
        if self.kind == "flipped bits" and data:
            wire = bytearray(data)
            wire[self.random.randrange(len(wire))] ^= 1 << self.random.randrange(8)
            return bytes(wire)
        if self.kind == "noise":
            return self.random.randbytes(self.random.randrange(80))
        if self.kind == ("requests lost" if is_request else "answers lost"):
            return b""
        if self.kind == "requests held" and is_request:
            self.held.append(data)
            return b""
        if self.held and is_request:
            data, self.held = b"".join(self.held) + data, []  # all at once
        return data

    def velocity(self, wanted):
        """What the decoder says instead; None for nothing."""
        if self.kind == "decoder talks nonsense":
            return self.random.choice(NONSENSE)
        return None if self.kind == "decoder silent" else wanted


KINDS = ("flipped bits", "noise", "requests lost", "answers lost", "requests held", "decoder talks nonsense",
         "decoder silent", "device restarts", "device reports a fault", "device is stuck", "cable pulled",
         "somebody stops")  # fmt: skip


def memory():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096, len(gc.get_objects())


@pytest.mark.slow
@pytest.mark.fault("F30")
@pytest.mark.parametrize(
    ("name", "seconds", "step_s", "bound_s"),
    [("node", HOUR_S, 0.01, BOUND_S), ("feetech", HOUR_S / 4, 0.005, BOUND_S + BRAKING_S)],
)
def test_an_hour_of_faults_moves_nothing_that_may_not_move_and_costs_no_memory(
    name, seconds, step_s, bound_s, tmp_path, monkeypatch
):
    random_ = random.Random(30)
    guarded = Guarded(name, tmp_path, monkeypatch, step_s, least=LEAST[name])
    trouble = Trouble(guarded, random_)
    may_move_s = asked_s = 0.0
    n_latched = n_active = i = 0
    before, used = "", None
    begun_s = guarded.now_s
    while guarded.now_s - begun_s < seconds:
        i += 1
        if not trouble.kind and random_.random() < SHARE * step_s / PERIOD_S:
            trouble.strike()
        now_s = guarded.now_s
        speed = clamp(0.9 * math.sin(2.0 * math.pi * now_s / 5.0), -0.7, 0.7)
        guarded.tick(trouble.velocity((speed, 0.5 * speed, 0.0, -speed)[: len(guarded.outputs)]))
        trouble.look()

        state = guarded.state
        n_latched += state in (FAULT, STOP) and before not in (FAULT, STOP)
        n_active += state == ACTIVE
        if ACTIVE in (state, before):
            may_move_s = guarded.now_s + bound_s
        before = state
        assert guarded.moved_s <= may_move_s, (state, guarded.machine.reason, trouble.kind)
        assert all(a.lower - 1e-2 <= p <= a.upper + 1e-2 for a, p in zip(guarded.twin.axes, guarded.where, strict=True))

        if state in (DISARMED, FAULT, STOP) and now_s - asked_s > 1.0:  # somebody comes and asks
            asked_s = now_s
            guarded.ask({DISARMED: "arm", FAULT: "acknowledge", STOP: "reset_stop"}[state])
        if used is None and now_s - begun_s > seconds / 4:
            used = memory()
    grown = [late - early for early, late in zip(used, memory(), strict=True)]
    assert trouble.n > 2 * len(KINDS)
    assert n_latched > trouble.n / 4
    assert n_active * step_s > seconds / 2, "it was hardly ever at work"
    assert grown[0] < 2e6, f"{grown[0] / 1e6:.1f} MB more than after a quarter of the hour"
    assert grown[1] < 1000
    guarded.close()
