"""How efforts become features, and what drifts."""

import numpy as np
import pytest
from scipy import stats

from bci.simulation.drift import (
    Wander,
    bursts,
    change_gains,
    correlation_after,
    kill,
    sound_electrodes,
    turn_directions,
    turn_tuning,
)
from bci.simulation.encoding import Draws, count, counts, draw_sigma, encode, linear_gaussian


def encoded(population, efforts, seed=0):
    rows, y = np.empty((len(efforts), population.weights.shape[1])), np.zeros(population.weights.shape[1])
    for i, (own, shared) in enumerate(zip(*Draws(population, seed).take(len(efforts)), strict=True)):
        encode(population, own, shared, efforts[i], y)
        rows[i] = y
    return rows


def steady(n_bins, effort=(0.6, -0.3)):
    return np.tile(np.array(effort), (n_bins, 1))


def poisson(n=30, **options):
    random = np.random.default_rng(1)
    return counts(np.full(n, 20.0), random.normal(size=(2, n)), np.zeros(n), random, **options)


@pytest.mark.parametrize("sigma", [0.34, 0.6, 1.2])
def test_the_best_read_out_of_linear_features_has_the_noise_that_was_asked_for(sigma):
    population = linear_gaussian(96, 2, sigma, np.random.default_rng(0))
    rows = encoded(population, steady(4000)) - population.baseline
    read_out = rows @ np.linalg.pinv(population.weights)
    np.testing.assert_allclose(read_out.mean(axis=0), [0.6, -0.3], atol=4 * sigma / np.sqrt(4000))
    np.testing.assert_allclose(read_out.std(axis=0), sigma, rtol=0.05)


def test_linear_features_have_the_stated_equation():
    population = linear_gaussian(8, 2, 0.6, np.random.default_rng(0))
    own, shared = Draws(population, 3).take(5)
    expected = population.baseline + np.array([0.6, -0.3]) @ population.weights + population.spread * own
    np.testing.assert_allclose(encoded(population, steady(5), 3), expected, atol=1e-12)
    assert shared.shape == (5, 0)


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_the_same_seed_gives_the_same_bits_however_the_draws_are_cut(n_blocks):
    population = linear_gaussian(5, 2, 0.6, np.random.default_rng(0), common=0.2)
    whole = Draws(population, 7).take(20)
    again = Draws(population, 7)
    parts = [again.take(20 // n_blocks) for _ in range(n_blocks)]
    for i in range(2):
        np.testing.assert_array_equal(whole[i], np.vstack([part[i] for part in parts]))


@pytest.mark.parametrize(("mean", "fano"), [(0.3, 1.0), (4.0, 1.0), (0.3, 1.5), (4.0, 2.0)])
def test_counts_have_their_distribution(mean, fano):
    uniform = np.random.default_rng(0).random(20000)
    drawn = np.array([count(mean, fano, u) for u in uniform])
    known = stats.poisson(mean) if fano == 1.0 else stats.nbinom(mean / (fano - 1.0), 1.0 / fano)
    np.testing.assert_array_equal(drawn, known.ppf(uniform))


def test_counts_without_a_rate_are_zero_and_the_largest_uniform_ends():
    assert count(0.0, 1.0, 0.9) == 0.0
    assert count(0.5, 1.0, np.nextafter(1.0, 0.0)) < 40


def test_common_noise_is_shared_and_does_not_change_the_variance_of_a_linear_feature():
    quiet = linear_gaussian(40, 2, 0.6, np.random.default_rng(0))
    shared = linear_gaussian(40, 2, 0.6, np.random.default_rng(0), common=0.5)
    alone, together = encoded(quiet, steady(8000)), encoded(shared, steady(8000))
    np.testing.assert_allclose(together.std(axis=0), alone.std(axis=0), rtol=0.15)
    assert np.linalg.eigvalsh(np.corrcoef(together.T))[-2:].sum() > 15
    assert np.linalg.eigvalsh(np.corrcoef(alone.T))[-2:].sum() < 3


def test_common_noise_makes_counts_vary_together():
    rows = encoded(poisson(common=0.5), steady(6000))
    together = np.corrcoef(rows.reshape(-1, 10, 30).sum(axis=1).T)
    assert np.linalg.eigvalsh(together)[-1] > 3.0


def test_the_noise_of_days_is_the_published_mixture():
    random = np.random.default_rng(0)
    sigmas = np.array([draw_sigma(random) for _ in range(3000)])
    assert np.median(sigmas[sigmas > 0.45]) == pytest.approx(0.60, abs=0.02)
    assert np.median(sigmas[sigmas < 0.45]) == pytest.approx(0.34, abs=0.02)
    assert np.mean(sigmas > 0.45) == pytest.approx(0.67, abs=0.03)


def test_a_day_keeps_the_published_share_of_the_tuning_and_its_length():
    random = np.random.default_rng(0)
    tuning = linear_gaussian(96, 2, 0.6, random).weights
    turned = turn_tuning(tuning, correlation_after(86_400.0), random)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(tuning, axis=1))
    cosines = np.sum(turned * tuning, axis=1) / np.sum(tuning**2, axis=1)
    np.testing.assert_allclose(cosines, 0.91, atol=1e-12)


def test_days_multiply():
    directions = np.random.default_rng(1).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turned, random = directions, np.random.default_rng(2)
    for _ in range(5):
        turned = turn_directions(turned, 0.91, random)
    assert np.mean(np.sum(turned * directions, axis=1)) == pytest.approx(0.91**5, abs=0.03)


def test_means_wander_about_as_far_as_asked_and_step_when_asked():
    random = np.random.default_rng(0)
    slow = Wander(np.zeros(2000), 0.5, tau_s=600.0)
    for _ in range(100):
        slow.advance(60.0, random)
    assert slow.values.std() == pytest.approx(0.5, rel=0.1)
    jumpy = Wander(np.zeros(2000), 0.0, tau_s=1e9, steps_per_min=0.05, step=2.0)
    jumpy.advance(60.0, random)
    assert np.mean(np.abs(jumpy.values) > 1.9) == pytest.approx(0.05, abs=0.02)


def test_electrodes_die_and_stay_dead():
    electrodes, random = sound_electrodes(100), np.random.default_rng(0)
    is_dead = kill(electrodes, 0.3, random)
    change_gains(electrodes, 1.0, random)
    assert is_dead.sum() == 30
    assert not electrodes.gain[is_dead].any()
    assert electrodes.gain[~is_dead].min() >= 0.6
    assert electrodes.gain[~is_dead].max() <= 1.4


def test_bursts_come_as_often_and_last_as_long_as_asked():
    height = bursts(180_000, 0.02, 5.0, np.random.default_rng(0))
    begins = np.flatnonzero(np.diff(height, prepend=0.0) > 0)
    assert len(begins) == pytest.approx(300, abs=50)
    assert np.sum(height > 0) / len(begins) * 0.02 == pytest.approx(0.11, abs=0.02)
    assert set(height) == {0.0, 5.0}
