"""An hour of the guardian with faults of every kind at random, on a clock of ours."""

import gc
import math
import random
from pathlib import Path

import pytest
from guarded import PERIOD_S, Guarded

from drivers.limits import clamp
from drivers.machine import ACTIVE, DISARMED, FAULT, STOP
from drivers.node import DISARMED as DEVICE_DISARMED

HOUR_S = 3600.0
SHARE = 0.001  # of all periods something breaks
STEP_S = 0.005
BOUND_S = 0.15
STILL = (0.0, 0.0, 0.0, 0.0)
NONSENSE = ((math.nan, 0.0, 0.0, 0.0), (math.inf,) * 4, (1e308,) * 4, (0.3,), ())


class Trouble:
    """What goes wrong, one thing at a time, each for a while."""

    def __init__(self, guarded, random_):
        self.guarded, self.random = guarded, random_
        self.counts = {}
        self.kind, self.until_s = "", 0.0
        self.held: list[bytes] = []
        self.step = guarded.twin.step
        guarded.port.harm = self.harm

    def strike(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.kind, self.until_s = kind, self.guarded.now_s + self.random.choice((0.02, 0.06, 0.2, 0.6, 1.5))
        twin = self.guarded.twin
        if kind == "device restarts":
            twin.session, twin.state, twin._goal = 0, DEVICE_DISARMED, [0.0] * 4
        elif kind == "device reports over-current":
            twin.faults |= 1 << 4
        elif kind == "cable pulled":
            self.guarded.port.is_unplugged = True
        elif kind == "device is stuck":
            twin.step = self.stuck
        elif kind == "somebody stops":
            self.guarded.ask("stop", "user")

    def stuck(self, now_ms, dt_s):
        twin = self.guarded.twin
        where = list(twin.positions)
        self.step(now_ms, dt_s)
        twin.positions[:], twin.velocities[:] = where, [0.0] * len(where)

    def look(self):
        """End what is over."""
        if self.kind and self.guarded.now_s >= self.until_s:
            self.kind = ""
            self.guarded.port.is_unplugged = False
            self.guarded.twin.step = self.step
            self.guarded.twin.faults &= ~(1 << 4)

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
         "decoder silent", "device restarts", "device reports over-current", "device is stuck", "cable pulled",
         "somebody stops")  # fmt: skip


def memory():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096, len(gc.get_objects())


@pytest.mark.slow
@pytest.mark.fault("F30")
def test_an_hour_of_faults_moves_nothing_that_may_not_move_and_costs_no_memory(tmp_path, monkeypatch):
    random_ = random.Random(30)
    guarded = Guarded("node", tmp_path, monkeypatch, STEP_S)
    trouble = Trouble(guarded, random_)
    may_move_s = asked_s = 0.0
    n_latched = n_active = i = 0
    before, used = "", None
    begun_s = guarded.now_s
    while guarded.now_s - begun_s < HOUR_S:
        i += 1
        if not trouble.kind and random_.random() < SHARE * STEP_S / PERIOD_S:
            trouble.strike(random_.choice(KINDS))
        now_s = guarded.now_s
        speed = clamp(0.9 * math.sin(2.0 * math.pi * now_s / 5.0), -0.7, 0.7)
        guarded.tick(trouble.velocity((speed, 0.5 * speed, 0.0, -speed)))
        trouble.look()

        state = guarded.state
        n_latched += state in (FAULT, STOP) and before not in (FAULT, STOP)
        n_active += state == ACTIVE
        if ACTIVE in (state, before):
            may_move_s = guarded.now_s + BOUND_S
        before = state
        assert guarded.moved_s <= may_move_s, (state, guarded.machine.reason, trouble.kind)
        assert all(-1e-9 <= p <= 1.0 + 1e-9 for p in guarded.where)

        if state in (DISARMED, FAULT, STOP) and now_s - asked_s > 1.0:  # somebody comes and asks
            asked_s = now_s
            guarded.ask({DISARMED: "arm", FAULT: "acknowledge", STOP: "reset_stop"}[state])
        if used is None and now_s - begun_s > HOUR_S / 4:
            used = memory()
    grown = [late - early for early, late in zip(used, memory(), strict=True)]
    assert set(trouble.counts) == set(KINDS)
    assert n_latched > 40
    assert n_active * STEP_S > HOUR_S / 2, "it was hardly ever at work"
    assert grown[0] < 2e6, f"{grown[0] / 1e6:.1f} MB more than after a quarter of the hour"
    assert grown[1] < 1000
    guarded.close()
