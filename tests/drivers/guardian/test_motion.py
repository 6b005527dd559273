"""What an axis may do with its commands and be believed, and what nobody asked for."""

import math
import random
from statistics import median

import pytest

from drivers.base import Axis
from drivers.guardian.motion import Following, Standing

AXIS = Axis("pan", "rad", -1.5, 1.5, 1.0, 4.0)
DT_S = 0.02
N_TRIALS = 40


def wishes(seed, seconds):
    """What a hand on a joystick makes of a few seconds, after the limits of acceleration."""
    random_ = random.Random(seed)
    velocity, wish, left = 0.0, 0.0, 0
    for _ in range(round(seconds / DT_S)):
        if not left:
            wish, left = random_.choice((0.0, *(random_.uniform(-0.6, 0.6) for _ in range(4)))), random_.randint(5, 50)
        left -= 1
        velocity += max(-0.04, min(0.04, wish - velocity))
        yield velocity


def drive(commands, speed_of, lag=2, broken_s=math.inf, noise=0.0, may_stall=()):
    """Move an axis as `speed_of(command)` says once it is broken; how long until that was noticed, and in what words.

    Before, it follows with `lag` periods.
    """
    following, random_ = Following((AXIS,), may_stall), random.Random(1)
    position, told = 0.0, [0.0] * (lag + 1)
    for i, command in enumerate(commands):
        now_s = i * DT_S
        following.command((command,), DT_S, now_s)
        astray = following.judge((position + random_.gauss(0.0, noise),), now_s)
        if astray is not None:
            return now_s - broken_s, astray[1]
        told.append(command)
        position += DT_S * (speed_of(told[-1 - lag]) if now_s >= broken_s else told[-1 - lag])
    return math.inf, ""


@pytest.mark.parametrize("share", [0.8, 0.5])
@pytest.mark.parametrize("lag", [0, 2, 5])
def test_an_axis_that_is_weak_one_way_is_left_alone(share, lag):
    for seed in range(N_TRIALS):
        commands = list(wishes(seed, 12.0))
        assert drive(commands, lambda v: v * (share if v > 0.0 else 1.0), lag, 0.0, noise=0.002) == (math.inf, ""), seed


def test_an_axis_that_gets_stuck_is_found_in_a_third_of_a_second():
    times_s = [drive([0.25] * 100, lambda v: 0.0, lag=1, broken_s=0.5 + 0.02 * n) for n in range(N_TRIALS)]
    assert {words for _, words in times_s} == {"does not follow"}
    assert median(seconds for seconds, _ in times_s) <= 0.32
    assert max(seconds for seconds, _ in times_s) <= 0.4


@pytest.mark.parametrize("command", [0.0, 0.1])
@pytest.mark.parametrize("drift", [-0.9, 0.9])
def test_an_axis_that_runs_away_is_found_at_once(command, drift):
    times_s = [drive([command] * 100, lambda v: drift, broken_s=0.5 + 0.02 * n) for n in range(N_TRIALS)]
    assert {words for _, words in times_s} == {"moves otherwise than it was told"}
    assert median(seconds for seconds, _ in times_s) <= 0.08


def test_an_axis_of_double_speed_is_found_each_time():
    for seed in range(N_TRIALS):
        seconds, words = drive(wishes(seed, 12.0), lambda v: 2.0 * v, broken_s=0.0)
        assert seconds < 12.0, seed
        assert words == "moves otherwise than it was told"


def test_an_axis_that_may_be_held_up_may_not_run_away():
    held_up = drive([0.25] * 200, lambda v: 0.0, broken_s=0.5, may_stall=("pan",))
    assert held_up == (math.inf, "")
    seconds, words = drive([0.25] * 200, lambda v: -0.9, broken_s=0.5, may_stall=("pan",))
    assert seconds <= 0.3
    assert words == "moves otherwise than it was told"


def test_what_moved_during_a_pause_of_the_guardian_is_explained_by_the_lease_of_the_last_set_point():
    following, position, now_s = Following((AXIS,), ()), 0.0, 0.0
    for i in range(500):
        pause_s = 0.095 if i % 5 == 0 else DT_S
        now_s, position = now_s + pause_s, position + 0.5 * pause_s
        following.command((0.5,), min(pause_s, 2 * DT_S), now_s)
        assert following.judge((position,), now_s) is None


def stand(speed_of, velocity=0.0, seconds=4.0, noise=0.0):
    """Let an axis stand that moves at `speed_of(t)`; when it was noticed."""
    standing, random_, position = Standing((AXIS,)), random.Random(2), 0.3
    standing.begin((velocity,), 0.0)
    for i in range(round(seconds / DT_S)):
        if standing.judge((position + random_.gauss(0.0, noise),), i * DT_S) is not None:
            return i * DT_S
        position += speed_of(i * DT_S) * DT_S
    return math.inf


def test_an_axis_that_stands_is_left_alone_although_it_brakes_and_its_report_is_noisy():
    assert stand(lambda t: 0.0, noise=0.01) == math.inf
    assert stand(lambda t: 1.0 if t < 0.1 else max(0.0, 1.0 - 4.0 * (t - 0.1)), velocity=1.0, noise=0.005) == math.inf


@pytest.mark.parametrize("speed", [0.9, -0.9, 0.05, -0.02])
def test_an_axis_that_drifts_while_it_stands_is_found_before_it_has_gone_far(speed):
    assert abs(speed) * stand(lambda t: speed) <= 0.06 + 3.0 * DT_S * abs(speed) + 0.06 * abs(speed)


def test_an_axis_that_goes_on_after_it_was_told_to_end_its_motion_is_found():
    assert stand(lambda t: 0.25, velocity=0.25) <= 0.6


@pytest.mark.parametrize("n_wrong", [1, 2, 3, 8])
def test_impossible_reports_are_no_motion(n_wrong):
    standing = Standing((AXIS,))
    standing.begin((0.0,), 0.0)
    for i in range(60):
        assert standing.judge((0.3 + 0.5 * (i % 12 < n_wrong),), i * DT_S) is None
