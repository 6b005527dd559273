"""What comes next follows from what was done; the state survives whatever happens to the process."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rehearsing import shipped

from bci.errors import SessionError
from bci.settings import Discrete
from calibration.program import Gate, Phase, make_program
from calibration.wizard import (
    MOST_TRIES,
    STALE_S,
    STATE_FILE,
    Attempt,
    Outcome,
    State,
    failed_gates,
    freshened,
    judge,
    load_state,
    next_phase,
    save_state,
    with_attempt,
)

PROGRAM = make_program(shipped("intracortical_rates"), "movement", 96)
NAMES = [phase.name for phase in PROGRAM]


def done(name, is_passed=True, ended_s=0.0, number=1):
    return Attempt(name, number, is_passed, (), {}, 1.0, ended_s)


def after(*steps):
    phase, outcome = next_phase(PROGRAM, [done(step.removeprefix("!"), not step.startswith("!")) for step in steps])
    return outcome if phase is None else phase.name


def test_the_steps_are_those_of_the_field_in_their_order():
    assert NAMES == ["signals", "rest", "observation", "assisted", "unassisted", "tuning", "discrete", "evaluation"]


def test_imagery_moves_a_hand_along_a_line_before_it_moves_it_in_the_plane():
    one, two = (make_program(shipped("eeg_motor_imagery", outputs=("vx", "vy")[:k]), "imagery", 39) for k in (1, 2))
    assert [phase.name for phase in one] == ["signals", "rest", "imagery", "line", "evaluation"]
    assert [phase.name for phase in two] == ["signals", "rest", "imagery", "line", "plane", "evaluation"]
    assert all(phase.back_to in [p.name for p in program] for program in (one, two) for phase in program)


def test_the_steps_follow_one_another_until_control_is_accepted():
    for i, name in enumerate(NAMES):
        assert after(*NAMES[:i]) == name
    assert after(*NAMES) is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("steps", "following"),
    [
        (["!signals"], "signals"),
        ([*NAMES[:2], "!observation"], "observation"),
        ([*NAMES[:3], "!assisted"], "observation"),
        ([*NAMES[:4], "!unassisted"], "assisted"),
        ([*NAMES[:7], "!evaluation"], "assisted"),
    ],
)
def test_a_step_that_fails_leads_back_to_the_one_that_can_mend_it(steps, following):
    assert after(*steps) == following


def test_after_a_failed_evaluation_everything_from_there_on_is_done_again():
    again = [*NAMES[:7], "!evaluation", "assisted"]
    assert after(*again) == "unassisted"
    assert after(*again, *NAMES[4:]) is Outcome.ACCEPTED


@pytest.mark.parametrize("name", ["signals", "observation", "evaluation"])
def test_after_three_cycles_the_wizard_says_that_it_is_not_good_enough(name):
    before = NAMES[: NAMES.index(name)]
    back = NAMES[NAMES.index(PROGRAM[NAMES.index(name)].back_to) : NAMES.index(name)]
    steps = [*before]
    for _ in range(MOST_TRIES):
        assert after(*steps) == name
        steps += [f"!{name}", *back]
    assert after(*steps) is Outcome.REJECTED


def test_a_click_that_cannot_be_learned_is_done_without_unless_the_profile_wants_it():
    assert after(*NAMES[:6], "!discrete", "!discrete") == "evaluation"
    wanting = make_program(shipped("intracortical_rates", discrete=Discrete()),
                           "movement", 96)  # fmt: skip
    attempts = [done(name) for name in NAMES[:6]] + [done("discrete", False)] * MOST_TRIES
    assert next_phase(wanting, attempts) == (None, Outcome.REJECTED)


@given(st.lists(st.booleans(), max_size=60))
def test_whatever_happens_it_comes_to_an_end(verdicts):
    attempts = []
    for is_passed in [*verdicts, *[False] * 40]:
        phase, outcome = next_phase(PROGRAM, attempts)
        if phase is None:
            assert outcome is not Outcome.OPEN
            return
        attempts.append(done(phase.name, is_passed))
    raise AssertionError("it goes on for ever")


GATED = Phase("rest", 1.0, (Gate("good", 0.7, is_least=True), Gate("bad", 0.1), Gate("maybe", 1.0, is_optional=True)),
              back_to="rest")  # fmt: skip


@pytest.mark.parametrize(
    ("measures", "failed"),
    [
        ({"good": 0.7, "bad": 0.1}, []),
        ({"good": 0.69, "bad": 0.1}, ["good"]),
        ({"good": 0.7, "bad": math.nan}, ["bad"]),
        ({"good": math.inf, "bad": 0.0}, ["good"]),
        ({"bad": 0.0}, ["good"]),
        ({"good": 1.0, "bad": 0.0, "maybe": 2.0}, ["maybe"]),
    ],
)
def test_a_gate_passes_only_what_was_measured_and_is_good_enough(measures, failed):
    attempt = judge(GATED, measures, 1, 1.0, 0.0)
    assert [result.measure for result in failed_gates(attempt)] == failed
    assert attempt.is_passed == (not failed)


def test_a_state_comes_back_as_it_was_also_with_what_is_not_a_number(tmp_path):
    attempt = judge(GATED, {"good": 0.5, "bad": math.nan, "far": math.inf}, 1, 2.5, 1e9)
    state = with_attempt(State("P01", "p", "h", "movement"), attempt)
    save_state(tmp_path, state)
    back = load_state(tmp_path)
    assert back.attempts[0].gates[0] == attempt.gates[0]
    assert math.isnan(back.attempts[0].measures["bad"])
    assert json.loads((tmp_path / STATE_FILE).read_text())["attempts"][0]["measures"]["far"] is None
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}', '{"schema_version": 1, "attempts": [{}]}'])
def test_a_damaged_state_is_refused_with_what_to_do(tmp_path, text):
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(SessionError, match="--new"):
        load_state(tmp_path)


def test_after_a_long_break_signals_and_rest_are_measured_again_and_nothing_else():
    state = State("P01", "p", "h", "movement", attempts=tuple(done(name, ended_s=100.0) for name in NAMES[:5]))
    assert freshened(state, 100.0 + STALE_S - 1) == state
    later = freshened(state, 100.0 + STALE_S + 1)
    assert next_phase(PROGRAM, later.attempts)[0].name == "signals"
    attempts = (*later.attempts, done("signals"), done("rest"))
    assert next_phase(PROGRAM, attempts)[0].name == "tuning"
