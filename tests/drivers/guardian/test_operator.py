"""Nothing moves while nobody at the console could stop it; every request is answered, and names who asked."""

import math
import signal
import time

import pytest
from bench import RULES, wait_for
from hypothesis import given
from hypothesis import strategies as st

from bci.types import Intent
from drivers.guardian.answers import Answers
from drivers.guardian.link import GuardianClient, GuardianSocket, Request
from drivers.guardian.machine import ACTIVE, ARMED, CHECKING, DISARMED, FAULT, HOLD, POWERED, STOP, Machine, Rules

RULES_S = {"spool_s": 0.1, "operator_s": 0.5, "hold_to_disarm_s": 1.0}


def intent(now_s):
    return Intent(0, now_s - 0.01, (0.1, 0.2), 1.0, True)


def machine_of(**rules):
    return Machine(Rules(**{**RULES_S, **rules}), 2, False, 0.0)


def armed(**rules):
    machine = machine_of(**rules)
    machine.hear_operator(0.0, 0.0)
    assert machine.request("arm", "caregiver", 0.0) == ""
    machine.checked([], 0.1)
    return machine


def run(machine, begin_s, end_s, beats=lambda now_s: False):
    """Good intents at 50 Hz; the state after each."""
    states = []
    for i in range(round((end_s - begin_s) / 0.02)):
        now_s = begin_s + 0.02 * i
        if beats(now_s):
            machine.hear_operator(now_s, now_s)
        machine.take(intent(now_s), now_s)
        machine.tick(now_s)
        states.append(machine.state)
    return states


def test_a_console_that_falls_silent_holds_after_half_a_second_and_disarms_after_the_hold():
    machine = armed()
    assert run(machine, 0.2, 0.5)[-1] == ACTIVE
    machine.tick(0.51)
    assert (machine.state, machine.role) == (HOLD, "supervisor")
    assert "console is silent" in machine.reason
    assert set(run(machine, 0.52, 1.5)) == {HOLD}
    assert run(machine, 1.5, 1.6)[-1] == DISARMED


def test_a_console_that_comes_back_within_the_hold_is_followed_again_after_five_good_intents():
    machine = armed()
    run(machine, 0.2, 0.8)
    assert machine.state == HOLD
    machine.hear_operator(0.8, 0.8)
    states = run(machine, 0.8, 1.0)
    assert states[:4] == [HOLD] * 4
    assert states[4] == ACTIVE


def test_an_armed_device_is_disarmed_and_none_is_armed_while_the_console_is_silent():
    machine = armed()
    machine.tick(1.4)
    assert machine.state == ARMED
    machine.tick(1.51)
    assert machine.state == DISARMED
    assert "console is silent" in machine.request("arm", "caregiver", 1.6)
    assert machine.state == DISARMED
    assert "console is silent" in machine_of().request("arm", "caregiver", 0.0)  # nobody was ever there


@pytest.mark.parametrize("wired", [{"operator_s": 0.0}, {}])
def test_only_a_wired_stop_button_makes_a_console_dispensable(wired):
    machine = machine_of(**wired)
    assert (machine.request("arm", "caregiver", 0.0) == "") is bool(wired)


def test_a_beat_that_waited_in_a_queue_is_as_old_as_it_says_and_one_of_the_future_is_of_now():
    machine = armed()
    machine.hear_operator(0.1, 0.7)
    machine.take(intent(0.7), 0.7)
    assert "console is silent" in machine._refusal("arm", "caregiver", 0.7) or machine.state != DISARMED
    assert run(machine, 0.7, 0.9)[-1] != ACTIVE
    machine.hear_operator(1e9, 0.9)
    machine.hear_operator(math.nan, 0.9)
    assert run(machine, 0.9, 1.1)[-1] == ACTIVE
    assert run(machine, 1.1, 1.5)[-1] == HOLD


@given(st.lists(st.tuples(st.sampled_from(["arm", "disarm", "reset_stop", "beat", "ok", "pause"]),
                          st.floats(0.02, 2.0)), min_size=5, max_size=30))  # fmt: skip
def test_whatever_happens_nothing_moves_half_a_second_after_the_last_beat(steps):
    """Good intents never cease, except in a pause."""
    machine, now_s, beat_s = armed(), 0.1, 0.0
    for act, wait_s in steps:
        if act == "beat":
            beat_s = now_s
            machine.hear_operator(now_s, now_s)
        elif act == "ok":
            machine.checked([], now_s)
        elif act != "pause":
            machine.request(act, "caregiver", now_s)
        for _ in range(round(wait_s / 0.02)):
            now_s += 0.02
            if act != "pause":
                machine.take(intent(now_s), now_s)
            machine.tick(now_s)
            assert now_s - beat_s <= 0.5 or machine.state != ACTIVE
            assert now_s - beat_s <= 1.6 or machine.state not in POWERED


@pytest.mark.parametrize(
    ("state", "verb", "role", "why"),
    [
        (DISARMED, "disarm", "caregiver", "nothing has power in DISARMED"),
        (DISARMED, "arm", "supervisor", "the supervisor may not arm"),
        (DISARMED, "arm", "process", "the process may not arm"),
        (DISARMED, "acknowledge", "caregiver", "it is DISARMED, not FAULT"),
        (ARMED, "arm", "caregiver", "it is ARMED, not DISARMED"),
        (STOP, "reset_stop", "user", "only a caregiver resets a stop"),
        (FAULT, "acknowledge", "signal", "the signal may not accept a fault"),
        (DISARMED, "dance", "caregiver", "there is no request 'dance'"),
        (DISARMED, "stop", "stranger", "there is no role 'stranger'"),
    ],
)
def test_what_is_refused_is_refused_with_the_reason_and_changes_nothing(state, verb, role, why):
    machine = armed() if state == ARMED else machine_of(operator_s=0.0)
    if state == STOP:
        machine.request("stop", "user", 0.2)
    elif state == FAULT:
        machine.fail("it burns", 0.2)
    assert machine.request(verb, role, 0.3) == why
    assert machine.state == state


def test_a_transition_names_the_role_and_by_what_and_the_first_stop_is_the_one_to_know():
    machine = armed()
    machine.request("disarm", "process", 0.2, "The loop died: it was ended by SIGKILL")
    assert machine.role == "process"
    assert machine.reason == "disarmed by the process (The loop died: it was ended by SIGKILL)"
    machine.request("stop", "caregiver", 0.3, "key space")
    assert machine.request("stop", "caregiver", 0.4, "another terminal") == ""
    assert machine.reason == "stopped by the caregiver (key space)"


def test_without_a_person_only_a_demonstration_arms():
    assert machine_of(operator_s=0.0).request("arm", "supervisor", 0.0) != ""
    demonstration = machine_of(operator_s=0.0, arms_itself=True)
    assert demonstration.request("arm", "supervisor", 0.0, "the demo arms its twin") == ""
    assert (demonstration.state, demonstration.role) == (CHECKING, "supervisor")


def test_an_answer_is_given_once_and_a_refusal_written_down_once_while_nothing_changes():
    answers = Answers()
    refused = Request("arm", "caregiver", "key a", 7)
    assert answers.note(refused, "it is STOP") == "refused arm by the caregiver (key a): it is STOP"
    assert (answers.text, answers.number) == ("refused: it is STOP", 7)
    assert answers.note(Request("arm", "caregiver", "key a", 8), "it is STOP") == ""
    assert answers.number == 8
    assert answers.note(Request("reset_stop", "caregiver", "key r", 9), "") == ""
    assert answers.text == "granted"
    assert answers.note(refused, "it is STOP") == ""  # a repetition
    assert answers.number == 9
    assert answers.note(Request("arm", "caregiver", "key a", 10), "it is STOP") != ""


def test_beats_are_few_stamped_and_heard_beside_intents(tmp_path):
    guardian, client = GuardianSocket(tmp_path), GuardianClient(tmp_path, "console")
    assert guardian.beat_s == -math.inf
    before_s = time.monotonic()
    for _ in range(1000):
        client.beat()
    client.send_intent(intent(1.0))
    assert len(guardian.receive()) == 1
    assert before_s <= guardian.beat_s <= time.monotonic()
    client.close()
    guardian.close()


def test_the_guardian_answers_by_number_and_logs_what_it_refused(bench):
    bench.start_guardian()
    number = bench.client.request("reset_stop", "caregiver", "key r")
    wait_for(lambda: bench.look() and bench.statuses[-1].answer_to == number)
    assert bench.statuses[-1].answer == "refused: it is DISARMED, not STOP"
    entry = bench.log()[-1]
    assert (entry["from"], entry["to"], entry["role"]) == (DISARMED, DISARMED, "caregiver")
    assert entry["reason"] == "refused reset_stop by the caregiver (key r): it is DISARMED, not STOP"


def test_a_guardian_that_is_ended_names_the_signal(bench):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    guardian.send_signal(signal.SIGTERM)
    guardian.wait(5)
    entry = bench.log()[-1]
    assert (entry["to"], entry["role"], entry["reason"]) == (DISARMED, "signal", "disarmed by the signal (SIGTERM)")


def test_a_guardian_without_processor_time_names_itself_and_not_the_device(bench):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    guardian.send_signal(signal.SIGSTOP)
    time.sleep(0.4)
    guardian.send_signal(signal.SIGCONT)
    bench.wait_logged(DISARMED)
    (entry,) = [entry for entry in bench.log() if "was away" in entry["reason"]]
    assert entry["role"] == "supervisor"


def test_a_device_that_moves_is_held_and_disarmed_when_the_beats_end_although_intents_go_on(bench):
    bench.start_guardian(rules={**RULES, "operator_s": 0.5})
    bench.client.request("arm", "caregiver")
    assert bench.drive(0.5).state == DISARMED
    assert "console is silent" in bench.log()[-1]["reason"]

    def drive(seconds, until=""):
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and bench.drive(0.02, (0.3, 0.0, 0.0, 0.0)).state != until:
            bench.client.beat()

    drive(0.3)
    bench.client.request("arm", "caregiver")
    drive(3.0, ACTIVE)
    drive(0.5)
    assert bench.statuses[-1].state == ACTIVE, bench.story()
    bench.drive(2.5, (0.3, 0.0, 0.0, 0.0), until=DISARMED)
    states = [entry["to"] for entry in bench.log()]
    assert states[-2:] == [HOLD, DISARMED], bench.story()
