"""Gain, speed and bias, in the units of the workspace."""

import numpy as np
import pytest

from bci.decoding.shaping import make_shaper
from bci.profile import Decoder


def shaper(**settings):
    return make_shaper(Decoder(outputs=("vx", "vy"), beta=0.7, **settings), 2, 0.02, fast=0.5)


def velocity_of(shape, *effort):
    out = np.empty(2)
    shape.apply(np.array(effort), out)
    return out


def test_nothing_is_shaped_unless_the_profile_says_so():
    assert shaper() is None


def test_the_speed_power_keeps_direction_and_the_threshold():
    shape = shaper(speed_power=1.5, speed_threshold=0.4)
    np.testing.assert_allclose(velocity_of(shape, 0.24, 0.32), 0.7 * np.array([0.24, 0.32]))
    slow, fast = velocity_of(shape, 0.06, 0.08), velocity_of(shape, 0.6, 0.8)
    assert np.linalg.norm(slow) == pytest.approx(0.7 * 0.1 * 0.25**0.5)
    assert np.linalg.norm(fast) == pytest.approx(0.7 * 2.5**0.5)
    assert slow[1] / slow[0] == pytest.approx(4 / 3)
    np.testing.assert_array_equal(velocity_of(shape, 0.0, 0.0), [0.0, 0.0])


def test_a_bias_of_fast_movements_is_found_and_subtracted():
    shape, random = shaper(bias_tau_s=5.0), np.random.default_rng(0)
    angles = random.uniform(0, 2 * np.pi, 4000)
    for angle in angles:
        velocity_of(shape, np.cos(angle) + 0.2, np.sin(angle))
    np.testing.assert_allclose(shape.bias, [0.2, 0.0], atol=0.08)


def test_slow_movements_tell_nothing_about_the_bias_and_it_has_a_limit():
    shape = shaper(bias_tau_s=1.0)
    for _ in range(1000):
        velocity_of(shape, 0.3, 0.3)
    np.testing.assert_array_equal(shape.bias, [0.0, 0.0])
    for _ in range(1000):
        velocity_of(shape, 1.0, 0.0)
    np.testing.assert_allclose(shape.bias, [0.3, 0.0])
