"""Each kind of device behind the real guardian: its process, its twin's process, a real pseudo-terminal."""

import json
import signal
import time

import pytest
from bench import LIMITS, Bench, wait_for

from drivers.devices import dynamixel, feetech, fes, maestro, robotiq
from drivers.guardian.machine import ACTIVE, DISARMED, FAULT, STOP

DRIVERS = {module.DRIVER.declaration.name: module.DRIVER for module in (feetech, dynamixel, robotiq, maestro, fes)}
every = pytest.mark.parametrize("guarded", DRIVERS, indirect=True)


class Guarded(Bench):
    """A bench for one of the other drivers; intents move all its axes alike."""

    def start_device(self, name):
        self.name, driver = name, DRIVERS[name]
        self.axes = [axis["name"] for axis in driver.example["axes"]]
        ready, section = self.folder / "twin.ready", self.folder / "device.json"
        section.write_text(json.dumps({**driver.example, "port": "twin"}))
        files = ("--ready", str(ready), "--trace", str(self.folder / "trace.csv"), "--device", str(section))
        twin = self.start(driver.twin, *files)
        wait_for(lambda: ready.exists() or twin.poll() is not None)
        self.port = ready.read_text()
        section = {**driver.example, "port": self.port, "baud": driver.declaration.baud}
        section["maps"] = [{"intent": "go", "axis": axis, "gain": 1.0} for axis in self.axes]
        limits = {**LIMITS, "may_stall": ["grip", "hand"]}
        device = {"name": name, "driver": f"{driver.make.__module__}:DRIVER", "section": section, "limits": limits}
        self.start_guardian(outputs=("go",), devices=[device])
        return twin

    def arm(self):
        self.drive(0.4, (0.0,))
        self.client.request("arm", "caregiver")
        return self.drive(8.0, (0.0,), until=ACTIVE)

    def trace(self):
        rows = [line.split(",") for line in (self.folder / "trace.csv").read_text().split("\n")[1:-1]]
        return [tuple(map(float, row)) for row in rows]


@pytest.fixture
def guarded(tmp_path, request):
    guarded = Guarded(tmp_path)
    guarded.twin = guarded.start_device(request.param)
    yield guarded
    guarded.close()


@every
def test_it_is_armed_follows_intents_and_is_disarmed(guarded):
    assert guarded.drive(0.3, (0.3,)).state == DISARMED
    status = guarded.arm()
    assert status.state == ACTIVE, status.reason
    before = guarded.trace()[-1][1:]
    status = guarded.drive(1.0, (0.3,))
    assert status.state == ACTIVE, status.reason
    assert status.acknowledged_s >= status.sent_s or status.acknowledged_s != status.acknowledged_s
    time.sleep(0.1)
    assert any(abs(b - a) > 0.02 for row in guarded.trace()[-20:] for a, b in zip(before, row[1:], strict=True))
    guarded.client.request("disarm", "user")
    guarded.wait(DISARMED)
    asked_s = time.monotonic()
    guarded.drive(0.5, (0.3,))
    assert guarded.last_motion_s() < asked_s + 0.4


@pytest.mark.parametrize("guarded", ["feetech", "dynamixel"], indirect=True)
def test_a_stop_ends_motion_and_stays(guarded):
    guarded.arm()
    guarded.drive(0.4, (0.5,))
    guarded.client.request("stop", "user")
    guarded.wait(STOP)
    stopped_s = time.monotonic()
    guarded.drive(0.5, (0.5,))
    assert guarded.statuses[-1].state == STOP
    assert guarded.last_motion_s() < stopped_s + 0.4


@pytest.mark.parametrize("guarded", ["robotiq", "maestro", "fes"], indirect=True)
def test_a_killed_guardian_leaves_a_device_that_comes_to_rest(guarded):
    guarded.arm()
    guarded.drive(0.4, (0.5,))
    guarded.processes[-1].send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    time.sleep(0.8)
    assert guarded.last_motion_s() < killed_s + 0.5


@pytest.mark.parametrize("guarded", ["feetech"], indirect=True)
def test_a_vanished_port_is_a_fault(guarded):
    guarded.arm()
    guarded.twin.kill()
    status = guarded.wait(FAULT)
    assert "gone" in status.reason or "answer" in status.reason or "silent" in status.reason
