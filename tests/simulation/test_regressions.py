"""What the whole decoder achieves on simulated participants, held: noise 0.6, radius 0.075, dwell 0.5 s, delay 0.2 s.

The measured figures are in docs/simulator.md; the bounds are those that the project has set itself.
"""

import numpy as np
import pytest

from bci.simulation import regressions


@pytest.fixture(autouse=True)
def _one_machine_one_verdict(monkeypatch):
    """Three participants are enough here; the documentation has more."""
    monkeypatch.setattr(regressions, "SEEDS", (0, 1, 2))


def test_a_tuned_decoder_needs_at_most_1_35_s_and_hardly_ever_fails():
    summary = regressions.frozen(400.0)
    assert summary.n_trials > 700
    assert summary.time_to_target_s <= 1.35
    assert summary.success_rate >= 0.99


def test_from_random_weights_control_is_there_in_the_second_minute():
    first, second = regressions.learning_curve(2)
    assert second.time_to_target_s <= 1.45
    assert second.success_rate >= 0.99
    assert first.success_rate >= 0.9


def test_a_third_of_the_electrodes_gone_costs_at_most_15_percent_when_they_are_masked():
    assert regressions.cost_of_dropout(0.3, 400.0) <= 0.15


def test_without_masking_it_would_cost_far_more():
    assert regressions.cost_of_dropout(0.3, 60.0, is_masked=False) > 0.5


def test_five_bursts_a_minute_cost_at_most_10_percent():
    assert regressions.cost_of_bursts(5.0, 400.0) <= 0.10


def test_a_shift_of_every_mean_costs_at_most_10_percent_when_it_is_tracked():
    assert regressions.cost_of_shift(300.0, 0.5, seconds=180.0) <= 0.10


def test_untracked_it_would_cost_far_more():
    assert regressions.cost_of_shift(None, 0.5, seconds=60.0, settle_s=10.0) > 0.3


def test_after_half_the_tuning_has_changed_control_is_back_within_a_minute_and_a_half():
    before, spans = regressions.recovery(0.5, half_life_s=30.0, n_spans=4)
    assert spans[0] > 1.05 * before
    assert spans[2:].mean() <= 1.10 * before


def test_after_all_of_it_has_changed_control_is_back_by_the_second_minute():
    _, minutes = regressions.recovery(0.0, half_life_s=30.0, n_spans=2, span_s=60.0)
    assert minutes[1] <= 1.5


def test_a_decoder_left_alone_decays_over_days_as_published():
    week = regressions.decay_over_days((0, 3, 7, 14), 0.6, seconds=120.0)
    for (seconds, _), published in zip(week, (1.30, 1.48, 1.93, 3.57), strict=True):
        assert seconds == pytest.approx(published, rel=0.15)
    assert week[2][1] >= 0.99


def test_movement_time_grows_with_distance_and_one_over_the_squared_radius_rather_than_by_fitts_law():
    """As in people who control a cursor with an implant (Willett et al. 2017, Journal of Neural Engineering)."""
    times_s = regressions.movement_times(seconds=100.0)
    distance, radius = np.meshgrid(regressions.DISTANCES, regressions.RADII, indexing="ij")
    weights, explained = regressions.law_of(times_s, distance, 1 / radius**2)
    assert explained > 0.93
    assert (weights[1:] > 0).all()
    assert regressions.law_of(times_s, np.log2(distance / (2 * radius) + 1))[1] < explained - 0.2
    assert (np.diff(times_s, axis=0) > 0).all()
    assert (np.diff(times_s, axis=1) < 0).all()
