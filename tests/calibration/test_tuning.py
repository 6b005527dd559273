"""Gain and smoothing: the published optimum, and what moves it."""

import numpy as np
import pytest

from bci.errors import ModelError
from calibration.tuning import coloured, estimate_noise, expected_gain, sweep
from calibration.user_model import UserModel

# simulated before this project, in another program, with the same user and task: sigma, radius, seconds, tau ms, beta
OPTIMA = [
    (0.15, 0.05, 0.87, 56, 2.0), (0.15, 0.10, 0.70, 56, 3.0), (0.34, 0.05, 1.20, 90, 1.0), (0.34, 0.075, 0.98, 56, 1.4),
    (0.60, 0.05, 1.60, 123, 0.7), (0.60, 0.075, 1.27, 90, 0.9), (0.60, 0.10, 1.09, 56, 1.0),
    (0.85, 0.075, 1.54, 123, 0.7), (1.20, 0.075, 1.95, 123, 0.5), (1.70, 0.05, 3.41, 240, 0.3),
    (1.70, 0.075, 2.54, 190, 0.4), (1.70, 0.10, 2.04, 123, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("sigma", "radius", "seconds", "tau_ms", "beta"), OPTIMA)
def test_the_best_time_is_the_published_one_and_so_is_the_time_at_the_published_optimum(
    sigma, radius, seconds, tau_ms, beta
):
    found = sweep(sigma, radius, 0.5)
    there = sweep(sigma, radius, 0.5, taus_ms=np.array([float(tau_ms)]), betas=np.array([beta]), n_trials=300)
    assert found.best == pytest.approx(seconds, rel=0.10)
    assert there.best == pytest.approx(seconds, rel=0.10)
    assert found.success_rate.max() > 0.99


def test_the_map_is_a_function_of_its_seed_alone():
    one, same, other = sweep(0.6, 0.1, 0.3), sweep(0.6, 0.1, 0.3), sweep(0.6, 0.1, 0.3, seed=1)
    np.testing.assert_array_equal(one.time_to_target_s, same.time_to_target_s)
    assert not np.array_equal(one.time_to_target_s, other.time_to_target_s)
    assert one.time_to_target_s.shape == (6, 8)
    i, j = list(one.taus_ms).index(one.tau_ms), list(one.betas).index(one.beta)
    assert one.time_to_target_s[i, j] == one.best


def test_noisier_decoding_wants_less_gain_and_more_smoothing():
    quiet, noisy = sweep(0.3, 0.075, 0.5), sweep(1.5, 0.075, 0.5)
    assert noisy.beta < quiet.beta
    assert noisy.tau_ms > quiet.tau_ms


def test_slow_noise_costs_far_more_than_fast_noise_of_the_same_size():
    white, slow = sweep(0.6, 0.075, 0.5), sweep(0.6, 0.075, 0.5, correlation=0.8)
    assert slow.best == pytest.approx(2.51, rel=0.1)
    assert slow.best > 1.7 * white.best
    assert slow.beta < 0.6 * white.beta


@pytest.mark.parametrize(("delay_s", "seconds"), [(0.1, 1.11), (0.3, 1.39), (0.6, 1.68)])
def test_a_longer_delay_costs_what_was_published_when_tuned_again(delay_s, seconds):
    assert sweep(0.6, 0.075, 0.5, user=UserModel(delay_s=delay_s)).best == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize(("delay_s", "seconds"), [(0.1, 1.18), (0.3, 1.45), (0.4, 1.73), (0.5, 2.00)])
def test_and_more_when_gain_and_smoothing_stay_as_they_were(delay_s, seconds):
    there = {"taus_ms": np.array([90.0]), "betas": np.array([0.9])}
    assert sweep(0.6, 0.075, 0.5, user=UserModel(delay_s=delay_s), n_trials=400, **there).best == pytest.approx(
        seconds, rel=0.1
    )


def test_a_user_with_a_wrong_forward_model_does_worse():
    perfect = sweep(0.6, 0.075, 0.5)
    wrong = sweep(0.6, 0.075, 0.5, user=UserModel(believed_gain=0.5))
    assert wrong.best > 1.05 * perfect.best


@pytest.mark.parametrize("n_outputs", [1, 3, 4])
def test_other_dimensions_are_swept_too(n_outputs):
    assert sweep(0.4, 0.15, 0.3, n_outputs=n_outputs, n_trials=40).success_rate.max() == 1.0


@pytest.mark.parametrize(("sigma", "correlation"), [(0.6, 0.0), (1.2, 0.7)])
def test_noise_is_measured_whatever_the_gain_of_the_read_out(sigma, correlation):
    random = np.random.default_rng(0)
    angle = np.repeat(random.uniform(0, 2 * np.pi, 100), 50)
    v_int = np.column_stack([np.cos(angle), np.sin(angle)])
    noise = sigma * coloured(random.normal(size=(1, 5000, 2)), correlation)[0]
    measured = estimate_noise(0.3 * (v_int + noise), v_int)
    assert measured.sigma == pytest.approx(sigma, rel=0.06)
    assert measured.correlation == pytest.approx(correlation, abs=0.05)


def test_rest_and_lost_bins_do_not_count_as_noise():
    random = np.random.default_rng(0)
    v_int = np.tile([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, -1.0]], (100, 1))
    raw = v_int + 0.5 * random.normal(size=v_int.shape)
    raw[2::4] = 50.0
    raw[4] = np.nan
    assert estimate_noise(raw, v_int).sigma == pytest.approx(0.5, rel=0.1)


def test_noise_that_cannot_be_measured_is_refused_with_the_reason():
    v_int = np.tile([[1.0, 0.0]], (200, 1))
    with pytest.raises(ModelError, match="clear effort"):
        estimate_noise(v_int[:20], v_int[:20])
    with pytest.raises(ModelError, match="does not follow"):
        estimate_noise(-v_int, v_int)


def test_the_rule_of_thumb_is_within_its_margin_of_the_published_optima():
    for sigma, radius, _, _, beta in OPTIMA:
        if radius == 0.075:
            assert expected_gain(sigma, radius) == pytest.approx(beta, rel=0.25)
