"""Who may move the device, and when: every rule with the time in our hands."""

import copy
import dataclasses
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.types import Intent
from drivers.guardian.machine import ACTIVE, ARMED, CHECKING, DISARMED, FAULT, HOLD, STOP, Machine, Rules


def intent(now_s, velocity=(0.1, 0.2), is_confident=True, age_s=0.01, **discrete):
    return Intent(0, now_s - age_s, velocity, 1.0, is_confident, **discrete)


def armed(**rules):
    machine = Machine(Rules(**{"spool_s": 0.1, **rules}), 2, False, 0.0)
    machine.request("arm", "caregiver", 0.0)
    machine.checked([], 0.1)
    return machine


def active():
    machine = armed()
    for i in range(5):
        machine.take(intent(0.2 + 0.02 * i), 0.2 + 0.02 * i)
    assert machine.state == ACTIVE
    return machine, 0.28


def test_five_good_intents_in_a_row_begin_motion_and_a_bad_one_starts_the_count_again():
    machine = armed()
    for _ in range(4):
        machine.take(intent(1.0), 1.0)
    machine.take(intent(1.0, is_confident=False), 1.0)
    for _ in range(4):
        machine.take(intent(1.0), 1.0)
        assert machine.state == ARMED
    machine.take(intent(1.0), 1.0)
    assert machine.state == ACTIVE


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"velocity": (math.nan, 0.0)}, "not finite"),
        ({"velocity": (math.inf, 0.0)}, "not finite"),
        ({"velocity": (0.1,)}, "1 values, not 2"),
        ({"is_confident": False}, "not confident"),
        ({"click": math.nan}, "between 0 and 1"),
        ({"gate": 1.5}, "between 0 and 1"),
        ({"age_s": 0.2}, "200 ms old"),
        ({"age_s": -10.0}, "ms old"),
    ],
)
def test_a_bad_intent_holds_the_device_at_once(bad, reason):
    machine, now = active()
    machine.take(intent(now + 0.02, **bad), now + 0.02)
    assert machine.state == HOLD
    assert reason in machine.reason


def test_silence_for_a_lease_holds_then_disarms_and_intents_alone_never_arm_again():
    machine, now = active()
    machine.tick(now + 0.099)
    assert machine.state == ACTIVE
    machine.tick(now + 0.101)
    assert machine.state == HOLD
    machine.tick(now + 1.2)
    assert machine.state == DISARMED
    for i in range(100):
        machine.take(intent(now + 2 + i / 50), now + 2 + i / 50)
        machine.tick(now + 2 + i / 50)
    assert machine.state == DISARMED


def test_fresh_intents_within_a_second_continue_with_a_ramp_from_rest():
    machine, now = active()
    machine.tick(now + 0.2)
    assert machine.authority(now + 0.2) == 0.0
    for _ in range(5):
        machine.take(intent(now + 0.5), now + 0.5)
    assert machine.state == ACTIVE
    assert machine.authority(now + 0.5) == 0.0
    assert machine.authority(now + 0.65) == pytest.approx(0.5)
    assert machine.authority(now + 5.0) == 1.0


def test_the_lease_deadline_is_known_so_that_nobody_sleeps_past_it():
    machine, now = active()
    assert machine.next_deadline_s() == pytest.approx(now + 0.1)
    assert armed().next_deadline_s() == math.inf


def test_armed_without_use_ends():
    machine = armed()
    machine.tick(59.0)
    assert machine.state == ARMED
    machine.tick(60.2)
    assert machine.state == DISARMED


def test_failed_checks_are_all_named():
    machine = Machine(Rules(), 2, False, 0.0)
    machine.request("arm", "caregiver", 0.0)
    machine.checked(["this is wrong", "that too"], 0.1)
    assert machine.state == DISARMED
    assert machine.reason == "not armed: this is wrong; that too"


def test_only_a_caregiver_arms_acknowledges_and_resets():
    machine = Machine(Rules(), 2, False, 0.0)
    machine.request("arm", "user", 0.0)
    assert machine.state == DISARMED
    machine.fail("stuck", 0.0)
    machine.request("acknowledge", "user", 0.0)
    assert machine.state == FAULT
    machine.request("acknowledge", "caregiver", 0.0)
    assert machine.state == DISARMED
    machine.request("stop", "user", 0.0)
    machine.request("reset_stop", "user", 0.0)
    assert machine.state == STOP
    machine.request("reset_stop", "caregiver", 0.0)
    assert machine.state == DISARMED


def test_a_stop_survives_a_restart_and_outranks_a_fault():
    machine = Machine(Rules(), 2, True, 0.0)
    machine.fail("anything", 1.0)
    machine.request("arm", "caregiver", 1.0)
    assert machine.state == STOP


commands = st.one_of(
    st.tuples(st.just("request"), st.sampled_from(["disarm", "stop", "nonsense"]), st.just("user")),
    st.tuples(st.just("request"), st.sampled_from(["arm", "acknowledge", "reset_stop"]), st.just("user")),
    st.tuples(st.just("intent"), st.booleans(), st.floats(-1, 1)),
    st.tuples(st.just("checked"), st.booleans(), st.none()),
    st.tuples(st.just("wait"), st.floats(0, 2), st.none()),
    st.tuples(st.just("fail"), st.none(), st.none()),
    st.tuples(st.just("lose"), st.none(), st.none()),
)


@given(st.lists(commands, max_size=60))
def test_without_a_caregiver_nothing_ever_moves(script):
    machine, now = Machine(Rules(), 2, False, 0.0), 0.0
    for kind, first, second in script:
        if kind == "request":
            machine.request(first, second, now)
        elif kind == "intent":
            machine.take(intent(now, is_confident=first, age_s=second), now)
        elif kind == "checked":
            machine.checked([] if first else ["no"], now)
        elif kind == "fail":
            machine.fail("cause", now)
        elif kind == "lose":
            machine.lose_power("cause", now)
        else:
            now += first
            machine.tick(now)
        assert machine.state not in (CHECKING, ARMED, ACTIVE, HOLD)
        assert machine.authority(now) == 0.0


def test_a_powered_device_stands_for_a_second_before_anything_moves():
    machine = armed(spool_s=1.0)
    for i in range(60):
        now_s = 0.2 + 0.02 * i
        machine.take(intent(now_s), now_s)
        assert machine.state == (ACTIVE if now_s >= 1.1 else ARMED), now_s


def test_intents_of_rest_begin_nothing():
    machine = armed()
    for i in range(20):
        machine.take(dataclasses.replace(intent(1.0 + 0.02 * i), gate=0.0), 1.0 + 0.02 * i)
    assert machine.state == ARMED


def test_long_rest_ends_power():
    machine, now = active()
    for i in range(70):
        machine.take(dataclasses.replace(intent(now + i), gate=0.0), now + i)
        machine.tick(now + i)
    assert machine.state == DISARMED
    assert "at rest" in machine.reason


def test_a_participant_may_arm_only_where_the_profile_says_so_and_with_a_wish_that_lasts():
    machine = Machine(Rules(user_may_arm=True), 2, False, 0.0)
    for now_s in (0.0, 0.4, 0.8, 3.0, 3.4, 3.8, 4.2, 4.6):
        machine.request("arm", "user", now_s)
        assert machine.state == DISARMED
    for now_s in (5.0, 5.4):
        machine.request("arm", "user", now_s)
    assert machine.state == CHECKING
    assert machine.role == "user"
    machine.fail("stuck", 6.0)
    machine.request("acknowledge", "user", 6.0)
    assert machine.state == DISARMED
    machine.request("stop", "user", 7.0)
    machine.request("reset_stop", "user", 7.0)
    assert machine.state == STOP


@pytest.mark.parametrize("role", ["supervisor", "device", "stranger", ""])
def test_no_machine_leads_away_from_safety(role):
    machine = Machine(Rules(user_may_arm=True), 2, False, 0.0)
    for now_s in range(10):
        machine.request("arm", role, now_s / 4)
    assert machine.state == DISARMED
    machine.fail("stuck", 3.0)
    machine.request("acknowledge", role, 3.0)
    assert machine.state == FAULT


def test_authority_rises_smoothly_and_never_falls():
    machine, now = active()
    shares = [machine.authority(now + 0.001 * i) for i in range(400)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert max(after - before for before, after in pairwise(shares)) < 0.0051


def test_the_lease_that_a_set_point_gets_is_what_is_left_of_the_intents():
    machine, now = active()
    assert machine.lease_left_s(now) == pytest.approx(0.1)
    assert machine.lease_left_s(now + 0.06) == pytest.approx(0.04)
    assert machine.lease_left_s(now + 0.2) == 0.0


def test_a_cause_that_may_pass_holds_and_intents_do_not_count_while_it_lasts():
    machine, now = active()
    for i in range(20):
        machine.hold("damaged answers", now + 0.02 * i)
        machine.take(intent(now + 0.02 * i), now + 0.02 * i)
    assert machine.state == HOLD
    for i in range(5):
        machine.take(intent(now + 0.5 + 0.02 * i), now + 0.5 + 0.02 * i)
    assert machine.state == ACTIVE


@pytest.mark.parametrize("active_s", [0.1, 0.9, 1.1, 5.0, 50.0])
def test_a_hold_lasts_its_time_and_can_be_left_however_long_it_moved_before(active_s):
    machine, now_s = active()
    end_s = now_s + active_s
    while now_s < end_s:
        now_s += 0.02
        machine.take(intent(now_s), now_s)
        machine.tick(now_s)
    assert machine.state == ACTIVE
    lost_s = now_s + machine.rules.lease_s + 0.001
    machine.tick(lost_s)
    assert machine.state == HOLD
    machine.tick(lost_s + 0.99 * machine.rules.hold_to_disarm_s)
    assert machine.state == HOLD
    resumed, back_s = copy.deepcopy(machine), lost_s + 0.9
    for _ in range(5):
        resumed.take(intent(back_s), back_s)
    assert resumed.state == ACTIVE
    machine.tick(lost_s + 1.01 * machine.rules.hold_to_disarm_s)
    assert machine.state == DISARMED


VERBS = st.sampled_from(
    ["arm", "disarm", "stop", "acknowledge", "reset_stop", "intent", "tick", "hold", "fail", "passed"]
)


@given(st.lists(st.tuples(VERBS, st.sampled_from(["user", "caregiver"]), st.floats(0.0, 1.5)), max_size=80))
def test_every_state_that_is_entered_is_handed_over_once_and_no_stop_is_ever_skipped(steps):
    machine, now_s = Machine(Rules(), 2, False, 0.0), 0.0
    states, n_stops = [], 0
    for verb, role, wait_s in steps:
        now_s += wait_s
        if verb == "intent":
            machine.take(intent(now_s), now_s)
        elif verb == "tick":
            machine.tick(now_s)
        elif verb == "hold":
            machine.hold("a cause", now_s)
        elif verb == "fail":
            machine.fail("a fault", now_s)
        elif verb == "passed":
            machine.checked([], now_s)
        else:
            n_stops += verb == "stop" and machine.state != STOP
            machine.request(verb, role, now_s)
        states.append(machine.state)
    entries = list(machine.entries)
    assert all(after.before == before.state for before, after in pairwise(entries))
    assert entries[-1].state == machine.state
    assert sum(entry.state == STOP and entry.before != STOP for entry in entries) == n_stops
    powered = [entry for entry in entries if entry.state == ARMED]
    assert all(entry.before == CHECKING for entry in powered)
