"""Which reports are believed, and what is wrong with a device."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import Axis, Report
from drivers.guardian.belief import Belief, judge_silence

AXIS = Axis("x", "m", 0.0, 0.4, 0.4, 12.0)


def belief(**options):
    return Belief((AXIS,), **options)


def report(now_s, position, **fields):
    return Report(now_s, fields.pop("asked_s", now_s), (position,), **fields)


def run(speed_of, velocity=0.3, seconds=1.0, **options):
    """Drive an axis that moves with `speed_of(t)`; when it is a fault, or infinity."""
    b, position = belief(**options), 0.0
    for i in range(round(seconds / 0.02)):
        now_s = 0.02 * i
        b.hear(report(now_s, position), True)
        b.command([velocity], 0.02, now_s)
        if b.follow(now_s) is not None:
            return now_s
        position += speed_of(now_s) * 0.02
    return math.inf


def test_an_axis_that_follows_is_left_alone_even_with_lag():
    assert run(lambda t: 0.3 if t > 0.1 else 0.0) == math.inf
    assert run(lambda t: 0.15) == math.inf


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.floats(-0.4, 0.4), st.integers(2, 40)), min_size=1, max_size=12),
    st.integers(0, 4),
    st.floats(0.6, 1.2),
)
def test_an_axis_that_follows_late_and_not_exactly_is_left_alone_whichever_way_it_turns(pieces, n_late, share):
    b, position = belief(), 0.2
    commands = [0.0] * n_late
    for velocity, n in pieces:
        for _ in range(n):
            now_s = 0.02 * len(commands)
            b.positions = (position,)
            b.command([velocity], 0.02, now_s)
            assert b.follow(now_s) is None
            commands.append(velocity)
            position += 0.02 * commands[-1 - n_late] * (share if commands[-1 - n_late] > 0.0 else 1.0)


def test_an_axis_that_sets_out_at_full_speed_after_standing_is_left_alone_although_it_lags():
    b, begun, ways = belief(), 0.1, [0.0] * 30 + [0.4] * 20
    for i, velocity in enumerate(ways):
        position = begun + 0.02 * sum(ways[: max(0, i - 3)])  # 80 ms late
        b.hear(report(0.02 * i, position), True)
        b.command([velocity], 0.02, 0.02 * i)
        assert b.follow(0.02 * i) is None


@pytest.mark.parametrize("velocity", [0.05, 0.1, 0.3])
def test_an_axis_that_gets_stuck_is_a_fault_soon(velocity):
    stuck_s = 0.5
    seen_s = run(lambda t: velocity if t < stuck_s else 0.0, velocity, seconds=2.0) - stuck_s
    assert 0.0 < seen_s <= 0.4


@pytest.mark.parametrize(("velocity", "window_s"), [(0.01, 1.0), (0.004, 3.0)])
def test_a_slow_axis_that_is_stuck_is_noticed_in_a_longer_window(velocity, window_s):
    assert run(lambda t: 0.0, velocity, seconds=4.0) == pytest.approx(window_s, abs=0.05)


def test_an_axis_that_moves_the_wrong_way_is_a_fault():
    assert run(lambda t: -0.3) <= 0.3


def reverse(lag_s, turn_s, speed, stuck_s=math.inf):
    """Drive to and fro with an axis that lags; when it is a fault, or infinity."""
    b, dt_s, positions = belief(), 0.02, [0.2]
    commands = [speed * max(-1.0, min(1.0, math.sin(math.pi * i * dt_s / turn_s) * 4.0)) for i in range(150)]
    for i in range(len(commands)):
        b.hear(report(i * dt_s, positions[-1]), True)
        b.command([commands[i]], dt_s, i * dt_s)
        if b.follow(i * dt_s) is not None:
            return i * dt_s
        moved = commands[max(0, i - round(lag_s / dt_s))] * dt_s if i * dt_s < stuck_s else 0.0
        positions.append(positions[-1] + moved)
    return math.inf


@given(
    lag_s=st.sampled_from([0.02, 0.04, 0.06]),
    turn_s=st.floats(0.15, 1.0),
    speed=st.floats(0.05, 0.4),
)
def test_an_axis_that_turns_with_a_lag_is_left_alone(lag_s, turn_s, speed):
    assert reverse(lag_s, turn_s, speed) == math.inf


def test_an_axis_that_gets_stuck_after_it_has_turned_is_a_fault_soon():
    assert 0.0 < reverse(0.02, 0.9, 0.3, stuck_s=1.1) - 1.1 <= 0.4


def test_a_gripper_may_be_held_up_by_what_it_grips():
    assert run(lambda t: 0.0, may_stall=("x",)) == math.inf


def test_an_impossible_position_is_not_believed_and_three_are_a_fault():
    b = belief()
    assert b.hear(report(0.0, 0.1), True) is None
    assert b.hear(report(0.02, 0.35), True) is None
    assert b.positions == (0.1,)
    assert b.hear(report(0.04, 0.105), True) is None
    assert b.positions == (0.105,)
    troubles = [b.hear(report(0.06 + 0.02 * i, 0.39), True) for i in range(3)]
    assert troubles[:2] == [None, None]
    assert troubles[2].is_fault
    assert b.positions == (0.105,)


def test_a_report_that_was_read_late_leaves_room_for_what_moved_since_it_was_asked_for():
    b = belief()
    b.hear(report(0.2, 0.1, asked_s=0.0), True)
    assert b.hear(report(0.202, 0.18, asked_s=0.2), True) is None
    assert b.positions == (0.18,)
    b.hear(report(0.222, 0.26, asked_s=0.22), True)
    assert b.positions == (0.18,)


def test_without_power_a_person_may_move_it_anywhere():
    b = belief()
    for i, position in enumerate((0.0, 0.4, -0.3, 0.9)):
        assert b.hear(report(0.02 * i, position), False) is None
        assert b.positions == (position,)


@given(st.lists(st.one_of(st.floats(), st.just(math.nan)), max_size=50))
def test_no_report_ever_makes_a_believed_position_jump(positions):
    b = belief()
    b.hear(report(0.0, 0.2), True)
    for i, position in enumerate(positions, 1):
        before = b.positions[0]
        b.hear(report(0.02 * i, position), True)
        assert abs(b.positions[0] - before) <= 0.4 * (0.06 + 0.02 * i) + 1e-12


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"faults": ("over-current",)}, "over-current"), ({"position": 0.5}, "outside"), ({"position": -0.2}, "outside")],
)
def test_faults_and_positions_outside_are_faults_at_once(fields, words):
    position = fields.pop("position", 0.2)
    trouble = belief().hear(report(0.0, position, **fields), True)
    assert trouble.is_fault
    assert words in trouble.cause


def test_four_damaged_answers_in_a_row_hold_and_more_than_a_twentieth_of_a_second_is_a_fault():
    b = belief()
    assert b.count(10, 3, 0.0) is None
    assert b.count(10, 6, 0.1) is None
    assert not b.count(10, 7, 0.1).is_fault
    assert b.count(11, 7, 0.2) is None
    for i in range(60):
        trouble = b.count(12 + i, 7 + i // 10, 0.3 + 0.02 * i)
        if trouble:
            break
    assert trouble.is_fault


@pytest.mark.parametrize(("silent_s", "verdict"), [(0.05, None), (0.15, False), (0.5, True), (math.inf, True)])
def test_silence_holds_first_and_is_a_fault_later(silent_s, verdict):
    trouble = judge_silence(silent_s)
    assert (None if trouble is None else trouble.is_fault) == verdict
