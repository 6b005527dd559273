"""A computer that sleeps and wakes goes on with nothing: at the twin's true position, on our clock."""

import time

import pytest
from guarded import Guarded

from drivers.guardian.machine import ACTIVE, DISARMED
from drivers.guardian.sleep import asleep_for_s

N_TRIALS = 20


@pytest.fixture
def guarded(name, tmp_path, monkeypatch):
    guarded = Guarded(name, tmp_path, monkeypatch)
    yield guarded
    guarded.close()


@pytest.mark.fault("F36")
@pytest.mark.parametrize("name", ["node", "feetech", "dynamixel", "robotiq"])
def test_a_computer_that_slept_has_disarmed_and_only_a_person_arms_again(guarded, judge):
    still, times_ms = (0.0,) * len(guarded.outputs), []
    for trial in range(N_TRIALS):
        guarded.arm(still)
        axis = guarded.twin.axes[0]
        moving = (0.25 if guarded.where[0] < 0.5 * (axis.lower + axis.upper) else -0.25, *still[1:])
        guarded.go(0.4 + 0.003 * trial, moving)
        assert guarded.state == ACTIVE
        guarded.asleep_s += 0.4 if trial % 2 else 3600.0
        woken_s = guarded.now_s
        guarded.go(1.0, moving)
        assert guarded.state == DISARMED
        assert guarded.machine.reason.startswith("the computer slept for ")
        times_ms.append(1e3 * (guarded.moved_s - woken_s))
    judge(times_ms)


@pytest.mark.parametrize("name", ["node"])
def test_a_turn_that_takes_a_while_is_no_sleep(guarded):
    guarded.arm((0.0,) * 4)
    for _ in range(50):
        guarded.asleep_s += 0.25
        guarded.go(0.02, (0.2, 0.0, 0.0, 0.0))
        guarded.asleep_s -= 0.25
        guarded.go(0.02, (0.2, 0.0, 0.0, 0.0))
    assert guarded.state == ACTIVE


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock that goes on in sleep")
def test_the_clock_that_goes_on_in_sleep_stands_still_against_ours_while_awake():
    before = asleep_for_s()
    time.sleep(0.05)
    assert asleep_for_s() - before == pytest.approx(0.0, abs=0.01)
