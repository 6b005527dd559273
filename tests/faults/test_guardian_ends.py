"""The guardian dies, is ended, or a driver raises in it, while the device moves by intents that go on."""

import os
import signal
import time
from itertools import pairwise

import numpy as np
import pytest
from bench import Bench

SPEED = 0.4
FAULTY = """
import sys
from pathlib import Path
from drivers.devices.node_host import NodeHost
from drivers.devices.node import DEVICE
from drivers.dialogue.transport import Port

FLAG = Path(__file__).with_name("flag")

class Faulty(NodeHost):
    def drive(self, velocities, lease_s, now_s):
        if FLAG.exists():
            sys.exit(7) if FLAG.read_text() == "exit" else [][0]
        return super().drive(velocities, lease_s, now_s)

class Driver:
    declaration, twin = DEVICE, ""
    def open(self, section):
        return Faulty(Port(section["port"], section["baud"]))

DRIVER = Driver()
"""


def start_faulty(bench):
    (bench.folder / "flag").unlink(missing_ok=True)
    return bench.start_guardian(devices=[{**bench.device(), "driver": "faulty:DRIVER"}])


def move(bench):
    """Arm, again where a loaded machine was refused, and move toward the farther wall at full speed."""
    bench.drive(0.15, (0.0,) * 4)
    for _ in range(3):
        bench.client.request("arm", "caregiver")
        status = bench.drive(3.0, (0.0,) * 4, until="ACTIVE")
        if status.state == "ACTIVE":
            break
    assert status.state == "ACTIVE", bench.story()
    side = 1.0 if status.position[0] < 0.2 else -1.0
    end_s = time.monotonic() + 2.0
    while abs(status.velocity[0]) < 0.95 * SPEED:
        assert time.monotonic() < end_s, bench.story()
        status = bench.drive(0.02, (side, 0.0, 0.0, 0.0))
    return status


def brake_s(bench, harmed_s):
    """Stamp of the last true position at full speed: then the bytes that stop it took effect."""
    rows = [row for row in bench.trace() if row[0] > harmed_s - 0.05]
    fast = [b[0] for a, b in pairwise(rows) if abs(b[1] - a[1]) > 0.95 * SPEED * (b[0] - a[0])]
    return fast[-1]


def end_again_and_again(bench, start, harms):
    """End a guardian in each way; how long the device still moved, and went on at full speed, ms."""
    random = np.random.default_rng(3)
    times, braking = [], []
    for harm in harms:
        guardian = start(bench)
        assert bench.now().state == "DISARMED"
        began_s = time.monotonic()
        bench.drive(0.1, (1.0, 0.0, 0.0, 0.0))
        assert bench.last_motion_s() < began_s, "a guardian that was started again moved without being armed"
        move(bench)
        time.sleep(random.uniform(0, 0.02))
        harmed_s = time.monotonic()
        lives_on = harm(guardian)
        for _ in range(12):  # intents go on: nobody hears them
            bench.send((1.0, 0.0, 0.0, 0.0))
            time.sleep(0.02)
        if lives_on:
            assert bench.now().state == "FAULT", bench.story()
            guardian.terminate()
        guardian.wait(5)
        time.sleep(0.1)
        times.append(1e3 * (bench.last_motion_s() - harmed_s))
        braking.append(1e3 * (brake_s(bench, harmed_s) - harmed_s))
        assert times[-1] > 0.0
    return times, braking


@pytest.mark.slow
@pytest.mark.fault("F5")
def test_a_killed_guardian_leaves_a_device_that_stops_by_its_lease(bench, judge):
    harms = [lambda guardian: guardian.kill()] * 20
    times, _ = end_again_and_again(bench, Bench.start_guardian, harms)
    judge(times)


@pytest.mark.slow
@pytest.mark.fault("F29")
def test_a_guardian_that_ends_in_whatever_way_stops_the_device_itself(bench, judge, monkeypatch):
    """Ctrl-C, SIGTERM, an exception in a driver, an exit from it: stop bytes in 50 ms, long before the lease."""
    (bench.folder / "faulty.py").write_text(FAULTY)
    monkeypatch.setenv("PYTHONPATH", f"{bench.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def raise_flag(text):
        part = bench.folder / "part"
        part.write_text(text)
        part.rename(bench.folder / "flag")
        return text == "raise"  # a driver that raises loses its device; the guardian of the others lives on

    harms = [
        lambda guardian: guardian.send_signal(signal.SIGINT),
        lambda guardian: guardian.send_signal(signal.SIGTERM),
        lambda guardian: raise_flag("raise"),
        lambda guardian: raise_flag("exit"),
    ] * 5
    times, braking = end_again_and_again(bench, start_faulty, harms)
    judge(times)
    assert max(braking) <= 50.0, f"stop bytes after {max(braking):.0f} ms"
    assert bench.log()[-1]["to"] == "DISARMED"
