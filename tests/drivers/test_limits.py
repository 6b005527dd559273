import math

from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Axis
from drivers.limits import AxisLimiter

AXIS = Axis("x", "m", 0.0, 0.4, 0.4, 12.0)
DT = 0.02
anything = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(anything, max_size=60), anything)
def test_whatever_is_wanted_the_velocity_is_finite_and_within_the_limits(wanted, position):
    limiter = AxisLimiter(AXIS, 0.5, 0.25)
    before = 0.0
    for value in wanted:
        velocity = limiter.limit(value, position, DT)
        assert abs(velocity) <= 0.2 + 1e-12
        if math.isfinite(value) and math.isfinite(position) and AXIS.lower + 0.1 < position < AXIS.upper - 0.1:
            assert abs(velocity - before) <= 3.0 * DT + 1e-9
        before = velocity


@given(st.lists(st.floats(-5, 5), min_size=30, max_size=200), st.floats(0.0, 0.4), st.integers(0, 2))
def test_the_axis_never_leaves_its_workspace_even_with_old_positions(wanted, position, delay):
    """The device follows within its own acceleration; positions are reported up to two periods late."""
    limiter = AxisLimiter(AXIS, 1.0, 1.0)
    velocity, history = 0.0, [position] * (delay + 1)
    for value in wanted:
        goal = limiter.limit(value, history[-1 - delay], DT)
        for _ in range(10):
            change = max(-12.0 * DT / 10, min(12.0 * DT / 10, goal - velocity))
            velocity += change
            position += velocity * DT / 10
        history.append(position)
        assert -1e-3 <= position <= 0.4 + 1e-3


def test_a_reachable_wish_is_reached_and_held():
    limiter = AxisLimiter(AXIS, 1.0, 0.5)
    velocities = [limiter.limit(0.28, 0.1, DT) for _ in range(30)]
    assert velocities[-1] == 0.28
    assert max(velocities) == 0.28


def test_motion_begins_gently_and_ends_as_fast_as_allowed():
    limiter = AxisLimiter(AXIS, 1.0, 0.2)
    first = limiter.limit(0.4, 0.1, DT)
    assert 0 < first < 0.5 * limiter.acceleration * DT
    while limiter.velocity < 0.39:
        limiter.limit(0.4, 0.1, DT)
    limiter.stop()
    assert limiter.velocity == 0.0


def test_small_wishes_are_rest():
    assert AxisLimiter(AXIS, 1.0, 1.0).limit(0.003, 0.2, DT) == 0.0


def test_at_the_wall_only_the_way_back_is_open():
    limiter = AxisLimiter(AXIS, 1.0, 1.0)
    for _ in range(20):
        assert limiter.limit(0.4, 0.4, DT) == 0.0
    for _ in range(20):
        velocity = limiter.limit(-0.4, 0.4, DT)
    assert velocity == -0.4
