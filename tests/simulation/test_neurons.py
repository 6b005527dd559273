import numpy as np
import pytest

from bci.simulation.neurons import Neurons


def recorded(seed, n_bins=200, effort=(1.0, 0.0)):
    neurons = Neurons(50, 2, np.random.default_rng(seed))
    return np.array([neurons.counts(np.array(effort), 0.02) for _ in range(n_bins)])


def test_the_same_seed_gives_the_same_counts_and_another_seed_others():
    np.testing.assert_array_equal(recorded(3), recorded(3))
    assert not np.array_equal(recorded(3), recorded(4))


def test_counts_are_poisson_around_a_cosine():
    neurons = Neurons(40, 2, np.random.default_rng(0))
    turns = [
        (neurons.counts(np.array([1.0, 0.0]), 0.02), neurons.counts(np.array([-1.0, 0.0]), 0.02)) for _ in range(20000)
    ]  # one after the other, so that the slow wander is in both
    there, back = np.array(turns).transpose(1, 0, 2)
    difference_hz = (there.mean(axis=0) - back.mean(axis=0)) / 0.02
    expected_hz = 2 * neurons.depth_hz * neurons.directions[:, 0]
    clear = (neurons.baseline_hz > 8) & (neurons.depth_hz < 6)
    np.testing.assert_allclose(difference_hz[clear], expected_hz[clear], atol=1.5)
    np.testing.assert_allclose(there.var(axis=0), there.mean(axis=0), rtol=0.15)


def test_a_day_turns_the_tuning_as_published():
    neurons = Neurons(3000, 4, np.random.default_rng(0))
    before = neurons.directions.copy()
    for _ in range(24):
        neurons._drift(3600.0)
    similarity = np.mean(np.sum(before * neurons.directions, axis=1))
    assert similarity == pytest.approx(0.91, abs=0.02)
