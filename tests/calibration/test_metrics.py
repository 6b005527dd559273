import math

import numpy as np
import pytest

from calibration.metrics import (
    Trial,
    achieved_bit_rate,
    angular_error_deg,
    dial_in_s,
    effective_throughput,
    false_clicks_per_min,
    first_touch_s,
    idle_drift,
    index_of_difficulty,
    orthogonal_direction_changes,
    path_efficiency,
    summarise,
)
from calibration.paradigms import MOVE_S, REST_S, ObservationBlock


def trial(seconds, is_success=True, distance=0.4):
    return Trial("reach", 10.0, 10.0 + seconds, is_success, distance, radius=0.1, dwell_s=0.5)


def test_the_index_of_difficulty_is_the_shannon_form():
    assert index_of_difficulty(0.6, 0.2) == pytest.approx(2.0)


def test_success_time_and_throughput_of_hand_made_trials():
    summary = summarise([trial(1.5), trial(2.5), trial(10.0, is_success=False)])
    assert summary.success_rate == pytest.approx(2 / 3)
    assert summary.time_to_target_s == pytest.approx(2.0)
    assert summary.bit_rate_bps == pytest.approx(np.mean([math.log2(3) / 1.0, math.log2(3) / 2.0]))


def test_without_trials_there_are_no_figures():
    summary = summarise([])
    assert summary.n_trials == 0
    assert math.isnan(summary.success_rate)


def test_the_shown_hand_moves_from_target_to_target_without_a_jump_and_rests_between():
    block = ObservationBlock(4, 15.0, np.random.default_rng(0))
    positions = np.array([block.at(t)[0] for t in np.arange(0, 15, 0.01)])
    assert np.abs(np.diff(positions, axis=0)).max() < 0.03
    assert positions.min() >= 0.1 - 1e-9
    assert positions.max() <= 0.9 + 1e-9
    position, target, is_active = block.at(MOVE_S + 0.5 * REST_S)
    np.testing.assert_allclose(position, target)
    assert not is_active


STRAIGHT = np.column_stack([np.linspace(0.0, 1.0, 101), np.zeros(101)])
TARGET = np.array([1.0, 0.0])
# to the target, through it, back into it: out at 0.9, 1.0, 1.1, 1.2, 1.1, 1.0 and then still
OVERSHOOT = np.array([[0.0, 0.0], [0.5, 0.0], [0.95, 0.0], [1.2, 0.0], [1.3, 0.0], [1.05, 0.0], [1.0, 0.0], [1.0, 0.0]])


def test_a_straight_way_is_fully_efficient_and_a_detour_is_not():
    assert path_efficiency(STRAIGHT, TARGET, 0.1) == pytest.approx(1.0)
    corner = np.array([[0.0, 0.0], [0.0, 0.5], [0.9, 0.5], [0.9, 0.0]])  # 0.9 straight, 0.5 + 0.9 + 0.5 taken
    assert path_efficiency(corner, TARGET, 0.1) == pytest.approx(0.9 / 1.9)


def test_what_happens_on_the_target_does_not_count_as_way():
    wandering = np.vstack([STRAIGHT, TARGET + 0.05 * np.random.default_rng(0).normal(size=(50, 2))])
    assert path_efficiency(wandering, TARGET, 0.1) == pytest.approx(1.0)
    assert math.isnan(path_efficiency(wandering[100:], TARGET, 0.1))


def test_a_target_that_was_missed_still_has_an_efficiency():
    assert path_efficiency(np.array([[0.0, 0.0], [0.0, 1.0]]), TARGET, 0.1) == pytest.approx(0.9)
    assert path_efficiency(np.zeros((5, 2)), TARGET, 0.1) == 0.0


def test_dialling_in_is_from_the_first_touch_to_the_entry_that_lasts():
    assert first_touch_s(OVERSHOOT, TARGET, 0.1, 0.02) == pytest.approx(0.04)
    assert dial_in_s(OVERSHOOT, TARGET, 0.1, 0.02) == pytest.approx(0.06)
    assert dial_in_s(STRAIGHT, TARGET, 0.1, 0.02) == 0.0


def test_without_an_acquisition_there_is_no_dial_in_time():
    assert math.isnan(dial_in_s(OVERSHOOT[:5], TARGET, 0.1, 0.02))
    assert math.isnan(first_touch_s(OVERSHOOT[:2], TARGET, 0.1, 0.02))


def test_a_zigzag_turns_round_across_the_axis_once_a_tooth():
    teeth = np.column_stack([np.linspace(0, 1, 7), [0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0]])
    assert orthogonal_direction_changes(teeth, TARGET) == 5
    assert orthogonal_direction_changes(STRAIGHT, TARGET) == 0
    assert orthogonal_direction_changes(OVERSHOOT, TARGET) == 0  # along the axis, not across
    deep = np.column_stack([teeth, np.zeros(7), np.zeros(7)])
    assert orthogonal_direction_changes(deep, np.array([1.0, 0, 0, 0])) == 5


def test_effective_throughput_uses_where_movements_really_ended():
    starts, targets = np.zeros((4, 2)), np.tile(TARGET, (4, 1))
    ends = targets + np.array([[0.1, 0.3], [-0.1, -0.3], [0.1, 0.3], [-0.1, -0.3]])  # across does not count
    width = 4.133 * np.std([0.1, -0.1, 0.1, -0.1], ddof=1)
    expected = math.log2(1.0 / width + 1.0) / 2.0
    assert effective_throughput(starts, ends, targets, np.full(4, 2.0)) == pytest.approx(expected)
    assert math.isnan(effective_throughput(starts, targets, targets, np.full(4, 2.0)))


def test_the_bit_rate_is_the_one_published_for_a_grid_of_900():
    # 49 net targets a minute on 30 x 30: 8.0 bit/s as published for Webgrid
    assert achieved_bit_rate(900, 52, 3, 60.0) == pytest.approx(8.01, abs=0.01)
    assert achieved_bit_rate(36, 3, 5, 60.0) == 0.0


def test_angles_are_between_directions_whatever_the_lengths():
    decoded = np.array([[2.0, 0.0], [0.0, 3.0], [0.0, 0.0], [np.nan, 1.0]])
    intended = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert angular_error_deg(decoded, intended) == pytest.approx(45.0)
    assert math.isnan(angular_error_deg(decoded[2:], intended[2:]))


def test_only_clicks_that_nobody_wanted_are_false():
    clicks = [1.0, 5.5, 20.0, 40.0]
    assert false_clicks_per_min(clicks, [(5.0, 6.0), (39.0, 41.0)], 63.0) == pytest.approx(2.0)
    assert false_clicks_per_min([], [], 60.0) == 0.0


def test_drift_at_rest_is_a_mean_speed():
    path = np.array([[0.0, 0.0], [0.01, 0.0], [0.0, 0.0], [0.0, 0.01]])
    assert idle_drift(path, 0.02) == pytest.approx(0.5)
    assert math.isnan(idle_drift(path[:1], 0.02))
