"""An order to end power is given until the device must have heard it: at the twin's own power, on our clock."""

import random

import pytest
from guarded import Guarded

from drivers.devices import node
from drivers.guardian.machine import DISARMED, FAULT, STOP
from drivers.twins.node import NodeDevice

N_TRIALS = 20
DEAF_S = 0.12
LIMP = {"feetech": {"is_limp": True}, "dynamixel": {"is_limp": True}}
limp = pytest.mark.parametrize("name", ["node", *LIMP])


@pytest.fixture
def guarded(name, tmp_path, monkeypatch):
    guarded = Guarded(name, tmp_path, monkeypatch, options=LIMP.get(name))
    yield guarded
    guarded.close()


def has_power(twin):
    if isinstance(twin, NodeDevice):
        return twin.state not in (node.DISARMED, node.ESTOP)
    return any(twin.read(number, "torque_enable") for number in twin.servos)


def is_latched(twin):
    return not isinstance(twin, NodeDevice) or twin.state == node.ESTOP


def hear_nothing(data, is_request):
    return b"" if is_request else data


@pytest.mark.fault("F37")
@limp
@pytest.mark.parametrize("verb", ["stop", "disarm"])
def test_a_bus_that_is_deaf_when_it_is_told_to_end_is_told_until_it_hears(guarded, verb, judge):
    still, random_, times_ms = (0.0,) * len(guarded.outputs), random.Random(37), []
    for _ in range(N_TRIALS):
        guarded.arm(still)
        guarded.go(0.2 + random_.uniform(0.0, 0.02), still)
        guarded.port.harm = hear_nothing
        guarded.ask(verb)
        asked_s = guarded.now_s
        guarded.go(DEAF_S)
        assert has_power(guarded.twin)
        guarded.port.harm = lambda data, is_request: data
        while has_power(guarded.twin) and guarded.now_s - asked_s < 2.0:
            guarded.tick()
        times_ms.append(1e3 * (guarded.now_s - asked_s))
        guarded.go(1.5)
        assert guarded.state == (STOP if verb == "stop" else DISARMED), guarded.machine.reason
        assert verb == "disarm" or is_latched(guarded.twin)
        assert "did not disarm" not in guarded.machine.reason
    judge(times_ms)


@pytest.mark.fault("F37")
@limp
@pytest.mark.parametrize("verb", ["stop", "disarm"])
def test_one_that_stays_deaf_is_told_to_people_and_stays_latched(guarded, verb):
    still = (0.0,) * len(guarded.outputs)
    guarded.arm(still)
    guarded.port.harm = hear_nothing
    guarded.ask(verb)
    guarded.go(1.2)
    assert guarded.state == (STOP if verb == "stop" else FAULT)
    assert "did not disarm" in guarded.machine.reason
    assert "switch off its supply" in guarded.machine.reason
    if verb == "stop":
        assert guarded.machine.reason.startswith("stopped by the caregiver")
    guarded.port.harm = lambda data, is_request: data
    guarded.go(0.2)
    assert not has_power(guarded.twin)
    assert guarded.state in (STOP, FAULT)


@pytest.mark.fault("F37")
@limp
def test_a_session_that_ends_waits_until_a_deaf_bus_has_heard(guarded, monkeypatch):
    guarded.arm((0.0,) * len(guarded.outputs))
    guarded.port.harm = hear_nothing
    asked_s = guarded.now_s

    def wait(seconds):
        guarded.pass_time(seconds)
        if guarded.now_s - asked_s >= DEAF_S:
            guarded.port.harm = lambda data, is_request: data
        return []

    monkeypatch.setattr(guarded.guardian, "_wait", wait)
    guarded.guardian._shut_down([])
    assert not has_power(guarded.twin)
    assert guarded.now_s - asked_s <= 0.5
