"""The settings are edited while the device is armed."""

import json
import time

import numpy as np
import pytest
from bench import LIMITS, wait_for

from drivers import base
from drivers.devices.node import Status
from drivers.devices.node_host import NodeHost
from drivers.dialogue.transport import Port
from drivers.twins.node import NodeDevice
from drivers.twins.terminal import on_terminal

SLOW = 0.1  # m/s, a quarter of what the axis can


def top_speed(bench, since_s):
    rows = np.array([row[:2] for row in bench.trace() if row[0] > since_s])
    return np.abs(np.diff(rows[:, 1]) / np.diff(rows[:, 0])).max()


@pytest.mark.fault("F28")
def test_limits_raised_while_armed_are_without_effect_and_the_next_arming_is_refused(bench):
    slow = {**bench.device(), "limits": {**LIMITS, "speed_fraction": 0.25}}
    bench.start_guardian(devices=[slow])
    bench.arm_and_move((1.0, 0.0, 0.0, 0.0))
    path = bench.folder / "guardian.json"
    before = path.read_text()
    edited = json.loads(before)
    edited["devices"][0]["limits"]["speed_fraction"] = 1.0
    edited["rules"]["lease_s"] = 10.0
    path.write_text(json.dumps(edited))
    edited_s = time.monotonic()
    assert bench.drive(0.6, (-1.0, 0.0, 0.0, 0.0)).state == "ACTIVE"
    silent_s = time.monotonic()
    bench.wait_logged("DISARMED")
    assert bench.last_motion_s() - silent_s < 0.15, "the longer lease was taken over"
    assert 0.9 * SLOW < top_speed(bench, edited_s) < 1.02 * SLOW
    time.sleep(0.2)
    stood_s = time.monotonic()
    bench.client.request("arm", "caregiver")
    bench.drive(3.0, (1.0, 0.0, 0.0, 0.0), until="ARMED")
    assert bench.log()[-1]["to"] == "DISARMED"
    assert "settings: the file was changed since the start" in bench.log()[-1]["reason"]
    assert bench.last_motion_s() < stood_s, (bench.story(), silent_s, stood_s)
    path.write_text(before)
    bench.client.request("arm", "caregiver")
    bench.drive(3.0, (0.0,) * 4, until="ACTIVE")
    moved_s = time.monotonic()
    bench.drive(0.6, (1.0, 0.0, 0.0, 0.0))
    assert top_speed(bench, moved_s) < 1.02 * SLOW


@pytest.mark.fault("F28")
def test_a_device_whose_axes_are_not_those_that_it_described_is_not_armed():
    device = NodeDevice()
    with on_terminal(device) as path, Port(path, 115200) as port:
        host = NodeHost(port)
        device._config_hash ^= 1  # its limits were changed after it had told them

        def hear():
            host.hear(time.monotonic())
            return host.phase

        host.prepare(0.1, time.monotonic())
        wait_for(lambda: hear() == base.PREPARED)
        host.arm(time.monotonic())
        wait_for(lambda: hear() == base.OFF)
        assert ("configuration", False) in [(check.subject, check.is_ok) for check in host.checks]
        assert isinstance(host.status, Status)
        assert not device.is_moving
