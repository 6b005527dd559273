"""A device that moves although nobody asked it to: found in every state, at the twin's true position, on our clock."""

import random

import pytest
from guarded import Guarded

from drivers.guardian.machine import ACTIVE, ARMED, DISARMED, FAULT, HOLD, STOP
from drivers.twins.node import NodeDevice

N_TRIALS = 20
DRIFT = 0.3  # of the range in a second: 0.9 rad/s


@pytest.fixture
def guarded(name, tmp_path, monkeypatch):
    guarded = Guarded(name, tmp_path, monkeypatch)
    yield guarded
    guarded.close()


def drifting(guarded, speed):
    """The first axis moves at this speed whatever it is told, until the result is called."""
    twin = guarded.twin
    axis = twin.axes[0]
    if isinstance(twin, NodeDevice):
        step = twin.step

        def drift(now_ms, dt_s):
            step(now_ms, dt_s)
            twin.positions[0] += speed * dt_s

        twin.step = drift
        return lambda: setattr(twin, "step", step)
    number, joint = next(iter(twin.joints.items()))
    servo = twin.servos[number]
    kind = type(servo)
    raw = speed * (joint.raw_upper - joint.raw_lower) / (axis.upper - axis.lower)

    def drift_servo(self, dt_s):
        self.position += raw * dt_s

    servo.__class__ = type("Drifting", (kind,), {"__slots__": (), "step": drift_servo})
    return lambda: setattr(servo, "__class__", kind)


def lead_to(guarded, state, still):
    """From anywhere into this state, standing; what the intents say there."""
    if state == ARMED:
        guarded.arm(still)
        guarded.ask("disarm")
        guarded.go(1.2, still)
        guarded.ask("arm")
        guarded.go(8.0, still, until=(ARMED,))
        guarded.go(0.1)
    else:
        guarded.arm(still)
        guarded.go(0.3, still)
        if state in (DISARMED, STOP):
            guarded.ask("disarm" if state == DISARMED else "stop")
            guarded.go(0.6, still)
        elif state == HOLD:
            guarded.go(0.3)
    assert guarded.state == state, guarded.machine.reason
    return still if state in (ACTIVE, DISARMED, STOP) else None


@pytest.mark.fault("F35")
@pytest.mark.parametrize("name", ["node", "feetech", "dynamixel"])
@pytest.mark.parametrize("state", [ARMED, ACTIVE, HOLD, DISARMED])
def test_a_device_that_drifts_is_a_fault_in_every_state(name, guarded, state, judge):
    still, random_, times_ms = (0.0,) * len(guarded.outputs), random.Random(35), []
    axis = guarded.twin.axes[0]
    for trial in range(N_TRIALS):
        intent = lead_to(guarded, state, still)
        if state == ACTIVE and trial % 2:
            intent = (0.1, *still[1:])
            guarded.go(0.3, intent)
        guarded.go(random_.uniform(0.0, 0.02), intent)
        sign = 1.0 if guarded.where[0] < 0.5 * (axis.lower + axis.upper) else -1.0
        end = drifting(guarded, sign * DRIFT * (axis.upper - axis.lower))
        times_ms.append(1e3 * guarded.go(1.0, intent, until=(FAULT,)))
        assert guarded.state == FAULT
        assert f"axis {axis.name} " in guarded.machine.reason
        end()
    judge(times_ms)


@pytest.mark.fault("F35")
@pytest.mark.parametrize("name", ["feetech"])
@pytest.mark.parametrize("state", [ARMED, DISARMED, STOP])  # in HOLD it is told in each period
def test_a_servo_that_sets_out_for_a_goal_that_nobody_gave_is_told_again_to_stand_and_people_are_told(
    guarded, state, judge
):
    times_ms, number = [], next(iter(guarded.twin.joints))
    for _ in range(N_TRIALS):
        intent = lead_to(guarded, state, (0.0,))
        guarded.twin.write(number, "goal_position", 3000 if guarded.where[0] < 0.0 else 1100)
        begun_s = guarded.now_s
        guarded.go(0.6, intent)
        times_ms.append(1e3 * (guarded.moved_s - begun_s))
        assert guarded.state == (STOP if state == STOP else FAULT)
        assert "axis pan moves although nothing was commanded" in guarded.machine.reason
        assert ("switch off its supply" in guarded.machine.reason) is (state == STOP)
    judge(times_ms, 400.0)


@pytest.mark.fault("F35")
@pytest.mark.parametrize("name", ["feetech"])
def test_what_never_had_power_or_gives_it_up_may_be_moved_by_hand(guarded):
    for servo in guarded.twin.servos.values():
        servo.position += 100
    guarded.go(1.0)
    for n in range(100):
        for servo in guarded.twin.servos.values():
            servo.position += 2
        guarded.go(0.02)
        assert guarded.state == DISARMED, n
