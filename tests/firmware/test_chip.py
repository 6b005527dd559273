"""The firmware's own binary on an emulated ATmega328P: what its pins do; the rows of the fault table are in faults.

Times are the chip's own (cycles), from an event at its pins to the pin's edge.
"""

import time
from itertools import pairwise

import pytest
from node_chip import milliseconds
from wire_host import FULL_SPEED

from drivers.devices.node import DISARMED, ESTOP, Setpoint, fault_names
from drivers.twins.node import AXES

N_TRIALS = 20
BOUND_LEASE_MS, BOUND_STOP_MS = 150.0, 20.0


def test_it_greets_describes_arms_moves_and_disarms_itself_a_second_after_the_last_set_point(chip):
    host = chip.greet()
    assert host.axes == AXES
    assert (host.ack.watchdog_ms, host.ack.reset_cause) == (60, 0)
    assert host.ask().state == DISARMED
    chip.moving(host)
    since = chip.mark()
    held = chip.wait("MOVING", 0, since)
    off = chip.wait("ENABLE", 0, since)
    assert host.ask().state == DISARMED
    assert "lease ran out" in fault_names(host.status.faults)
    assert milliseconds(held, off) == pytest.approx(1000 - 33, abs=35)  # held from the lease's end, which brakes first


def test_the_stop_button_cuts_power_and_a_reset_waits_for_its_release(chip):
    times_ms = []
    host = chip.greet()
    for _ in range(N_TRIALS):
        chip.moving(host, 0.01)
        since = chip.mark()
        chip.do("stop")
        pressed = chip.wait("STOP", 1, since)
        times_ms.append(milliseconds(pressed, chip.wait("ENABLE", 0, since)))
        assert "stop input" in fault_names(host.ask().faults)
        host.reset_stop()
        assert host.ask().state == ESTOP
        chip.do("release")
        chip.wait("STOP", 0, since)
        time.sleep(0.01)
        host.reset_stop()
        assert host.ask().state == DISARMED
    assert max(times_ms) <= BOUND_STOP_MS


def test_servo_pulses_are_those_of_the_position_and_none_without_power(make_chip):
    chip = make_chip("hand")
    host = chip.greet()
    assert [axis.name for axis in host.axes] == ["hand"]
    assert not [edge for edge in chip.look() if edge.pin == "SERVO0"]
    deadline = time.monotonic() + 30
    while host.status.positions[0] < FULL_SPEED and time.monotonic() < deadline:
        if host.ask().state == DISARMED:
            host.arm(200)
        host.send(Setpoint(200, host.status.tick_ms, 0, (FULL_SPEED // 2,)))
        time.sleep(0.02)
    time.sleep(0.1)
    pulses = [e for e in chip.look() if e.pin == "SERVO0"]
    widths_us = [1e3 * milliseconds(up, down) for up, down in zip(pulses[::2], pulses[1::2], strict=False)]
    starts = [milliseconds(a, b) for a, b in zip(pulses[::2], pulses[2::2], strict=False)]
    assert widths_us[0] == pytest.approx(1000, abs=15)
    assert widths_us[-1] == pytest.approx(2000, abs=15)
    assert all(after > before - 15 for before, after in pairwise(widths_us))
    assert starts[:10] == pytest.approx([20.0] * 10, abs=0.1)
    chip.do("stop")
    off = chip.wait("ENABLE", 0)
    time.sleep(0.1)
    later = [e for e in chip.look() if e.pin == "SERVO0" and e.cycle > off.cycle + 40_000]
    assert later == []


def test_a_relay_opens_with_the_lease_and_stays_open(make_chip):
    chip = make_chip("relay")
    host = chip.greet()
    for _ in range(200):
        if chip.level("ENABLE"):
            break
        if host.ask().state == DISARMED:
            host.arm(100)
        host.send(Setpoint(100, host.status.tick_ms, 0, (0,)))
        time.sleep(0.01)
    since = chip.mark() - 1
    off = chip.wait("ENABLE", 0, since)
    assert milliseconds(chip.last_before(off, "FRAME", 0), off) <= BOUND_LEASE_MS
    status = host.ask()
    assert status.state == DISARMED
    assert host.ask(Setpoint(100, status.tick_ms, 0, (0,))).state == DISARMED
    assert not chip.level("ENABLE")
