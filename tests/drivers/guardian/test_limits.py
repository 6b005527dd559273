"""Whatever comes in, what goes out is within every limit."""

import math
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.base import Axis
from drivers.guardian.limits import REST, Motion, bounds_of, braking_distance, clamp, limit

AXIS = Axis("x", "m", 0.0, 0.4, 0.4, 12.0)
DT = 0.02
anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 0.4, -0.4, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf]),
    st.sampled_from([None, "0.4", 10**400, True]),
)
reals = st.floats(allow_nan=True, allow_infinity=True)
steps = st.one_of(st.floats(1e-4, 0.2), st.sampled_from([0.0, -1.0, 1e-9, math.nan, math.inf, 1e308]))


def run(bounds, inputs):
    motions = [REST]
    for wanted, position, dt_s, effort in inputs:
        motions.append(limit(bounds, motions[-1], wanted, position, dt_s, effort))
    return motions


@given(
    st.lists(st.tuples(anything, reals, steps, reals), max_size=80),
    st.floats(0.05, 1.0),
    st.floats(0.05, 1.0),
)
def test_no_sequence_of_inputs_exceeds_speed_acceleration_or_jerk(inputs, speed, acceleration):
    bounds = bounds_of(AXIS, speed, acceleration)
    for (before, after), (_, _, dt_s, _) in zip(pairwise(run(bounds, inputs)), inputs, strict=True):
        assert math.isfinite(after.velocity)
        assert abs(after.velocity) <= bounds.speed * (1 + 1e-9)
        assert abs(after.acceleration) <= bounds.acceleration * (1 + 1e-9)
        if dt_s > 0:
            step_s = min(dt_s, 0.04)
            assert abs(after.velocity - before.velocity) <= bounds.acceleration * step_s * (1 + 1e-9)
            assert abs(after.acceleration - before.acceleration) <= bounds.jerk * step_s * (1 + 1e-9) + 1e-12
        else:
            assert after == before


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.004, 0.04)), min_size=30, max_size=200),
    st.floats(0.0, 0.4),
    st.integers(0, 2),
    st.floats(0.1, 1.0),
)
@example([(5.0, 0.02)] * 100, 0.0, 2, 1.0)
@example([(5.0, 0.02)] * 100, 0.2, 2, 0.1)
@example([(5.0, 0.02)] * 60 + [(-5.0, 0.02)] * 100, 0.0, 2, 0.3)
def test_the_axis_never_leaves_its_workspace_even_with_old_positions(script, position, delay, fraction):
    """The device follows within its own acceleration; positions are reported up to two periods late."""
    bounds = bounds_of(AXIS, 1.0, fraction)
    motion, velocity, history = REST, 0.0, [position] * (delay + 1)
    for wanted, dt_s in script:
        motion = limit(bounds, motion, wanted, history[-1 - delay], dt_s)
        for _ in range(10):
            velocity += clamp(motion.velocity - velocity, -12.0 * dt_s / 10, 12.0 * dt_s / 10)
            position += velocity * dt_s / 10
        history.append(position)
        assert -1e-3 <= position <= 0.4 + 1e-3


@given(st.floats(0.0, 1.0), st.floats(-12.0, 12.0), st.floats(1.0, 12.0))
def test_the_braking_distance_is_what_braking_takes(velocity, acceleration, most):
    """Against a simulation in steps of 0.1 ms."""
    acceleration, jerk, dt_s = clamp(acceleration, -most, most), most / 0.06, 1e-4
    v, a, travelled = velocity, acceleration, 0.0
    while v > 0.0:
        needed = a * abs(a) / (2 * jerk) + v  # velocity when the acceleration is released from now on
        a = max(a - jerk * dt_s, -most) if needed > 0.0 else min(a + jerk * dt_s, 0.0)
        v += a * dt_s
        travelled += max(v, 0.0) * dt_s
        if a == 0.0 and needed <= 0.0:
            break
    planned = braking_distance(velocity, acceleration, most, jerk)
    assert travelled <= planned * 1.02 + 2e-4


def test_a_reachable_wish_is_reached_and_held():
    bounds, motion = bounds_of(AXIS, 1.0, 0.5), REST
    velocities = []
    for _ in range(40):
        motion = limit(bounds, motion, 0.28, 0.1, DT)
        velocities.append(motion.velocity)
    assert velocities[-1] == pytest.approx(0.28, abs=1e-6)
    assert max(velocities) <= 0.28 + 1e-9
    assert velocities == sorted(velocities)


def test_full_speed_is_reached_in_a_fifth_of_a_second():
    bounds, motion, n = bounds_of(AXIS, 1.0, 1.0), REST, 0
    while motion.velocity < 0.39:
        motion, n = limit(bounds, motion, 0.4, 0.1, DT), n + 1
    assert n * DT <= 0.2


def test_motion_begins_gently():
    bounds = bounds_of(AXIS, 1.0, 0.2)
    first = limit(bounds, REST, 0.4, 0.1, DT)
    assert 0 < first.velocity < 0.5 * bounds.acceleration * DT


def test_small_wishes_are_rest():
    assert limit(bounds_of(AXIS, 1.0, 1.0), REST, 0.003, 0.2, DT) == REST


def test_at_the_wall_only_the_way_back_is_open():
    bounds, motion = bounds_of(AXIS, 1.0, 1.0), REST
    for _ in range(20):
        motion = limit(bounds, motion, 0.4, 0.4, DT)
        assert motion.velocity == 0.0
    for _ in range(30):
        motion = limit(bounds, motion, -0.4, 0.4, DT)
    assert motion.velocity == pytest.approx(-0.4, abs=1e-4)


@pytest.mark.parametrize(("effort", "moves"), [(0.2, True), (0.5, False), (math.nan, False), (-0.9, True)])
def test_it_does_not_push_on_beyond_the_force_ceiling_but_may_let_go(effort, moves):
    motion = limit(bounds_of(AXIS, 1.0, 1.0, 0.4), REST, 0.4, 0.2, DT, effort)
    assert (motion.velocity > 0.0) == moves


def test_a_hurried_wish_costs_a_few_microseconds():
    bounds, motion = bounds_of(AXIS, 1.0, 1.0), Motion(0.3, 0.0)
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            limit(bounds, motion, 0.4, 0.37, DT)
        best = min(best, (time.perf_counter() - start) / 200)
    assert best < 200e-6
