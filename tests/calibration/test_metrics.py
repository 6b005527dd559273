import math

import numpy as np
import pytest

from calibration.metrics import Trial, index_of_difficulty, summarise
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
