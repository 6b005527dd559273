"""Noise that all electrodes share, with a gain of its own on each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.errors import ProfileError
from bci.profile import Spikes, parse_profile
from bci.signals.regression import RegressionReference, add_products, regression_weights, subtract_predicted
from bci.signals.spikes import SpikeBank

RATE_HZ = 30_000.0


def shared_noise(n, n_channels=8, seed=0):
    random = np.random.default_rng(seed)
    gains = random.uniform(-2.0, 2.0, n_channels)
    own = random.normal(size=(n, n_channels))
    return own + 10 * random.normal(size=(n, 1)) * gains, own


def settings(**changes):
    return Spikes(**{"reference": "regression", "regression_s": 0.2, **changes})


def test_what_electrodes_share_with_gains_of_their_own_is_removed_and_an_average_leaves_it():
    samples, own = shared_noise(12_000)
    out = RegressionReference(settings(), 8, RATE_HZ).apply(samples)
    average = samples - samples.mean(axis=1, keepdims=True)
    assert out[7_000:].std() < 1.4 * own.std()
    assert average[7_000:].std() > 5 * own.std()
    for c in range(8):  # what is left is the electrode's own
        assert np.corrcoef(out[7_000:, c], own[7_000:, c])[0, 1] > 0.7


def test_the_weights_are_those_of_a_ridge_regression_on_the_other_channels():
    from sklearn.linear_model import Ridge

    x = shared_noise(2000, 5)[0]
    covariance = x.T @ x
    weights = regression_weights(covariance, 0.01)
    for c in range(5):
        others = np.delete(np.arange(5), c)
        theirs = Ridge(alpha=0.01 * np.trace(covariance) / 5, fit_intercept=False).fit(x[:, others], x[:, c])
        np.testing.assert_allclose(weights[others, c], theirs.coef_, rtol=1e-6)
    assert not np.diag(weights).any()


def test_a_channel_that_never_varies_predicts_nothing():
    x = shared_noise(500, 4)[0]
    x[:, 2] = 0.0
    weights = regression_weights(x.T @ x, 0.01)
    assert not weights[2].any()
    assert not weights[:, 2].any()
    assert not regression_weights(np.zeros((4, 4)), 0.01).any()


def test_a_masked_channel_predicts_no_other_from_the_next_sample_on():
    samples = shared_noise(12_000)[0]
    reference = RegressionReference(settings(), 8, RATE_HZ)
    reference.apply(samples)
    reference.use(np.arange(8) != 3)
    spoilt = samples.copy()
    spoilt[:, 3] = 1e9
    others = np.arange(8) != 3
    np.testing.assert_array_equal(reference.apply(samples)[:, others].copy(), reference.apply(spoilt)[:, others])


def test_it_is_learned_anew_when_the_profile_says_so_or_when_asked():
    first, second = shared_noise(12_000, seed=1)[0], shared_noise(24_000, seed=2)[0]
    for again in ("by itself", "when asked"):
        reference = RegressionReference(settings(regression_every_s=0.5 if again == "by itself" else 0), 8, RATE_HZ)
        reference.apply(first)
        before = reference.weights.copy()
        if again == "when asked":
            reference.relearn()
        out = reference.apply(second)
        assert not np.allclose(before, reference.weights)
        assert out[-5_000:].std() < 2.0


@given(cuts=st.lists(st.integers(0, 9000), max_size=10).map(sorted), seed=st.integers(0, 5))
def test_cutting_the_samples_elsewhere_gives_the_same_bits(cuts, seed):
    samples = shared_noise(9000, 5, seed)[0]
    features, labels = settings(regression_s=0.05, regression_every_s=0.12), tuple("abcde")
    whole = SpikeBank(features, labels, RATE_HZ).push(samples)
    bank = SpikeBank(features, labels, RATE_HZ)
    np.testing.assert_array_equal(whole, np.vstack([bank.push(part).copy() for part in np.split(samples, cuts)]))


@given(n=st.integers(0, 30), first=st.integers(0, 7), seed=st.integers(0, 99))
def test_the_kernels_equal_their_numpy_twins(n, first, seed):
    random = np.random.default_rng(seed)
    samples, weights = random.normal(size=(n, 6)), random.normal(size=(6, 6))
    out, products = np.empty((n, 6)), np.zeros((6, 6))
    subtract_predicted(weights, samples, out)
    np.testing.assert_allclose(out, samples - samples @ weights, atol=1e-12)
    add_products(samples, first, 5, products)
    np.testing.assert_allclose(products, np.triu(samples[first::5].T @ samples[first::5]), atol=1e-12)


def test_a_reference_that_cannot_be_learned_is_refused():
    with pytest.raises(ProfileError, match="needs at least 3 channels, there are 2"):
        SpikeBank(settings(), ("a", "b"), RATE_HZ)
    text = """
    schema_version = 1
    name = "utah"
    [stream]
    name = "Broadband"
    n_channels = 96
    rate_hz = 30000
    [features]
    kind = "spikes"
    reference = "regression"
    regression_every_s = 5
    [decoder]
    outputs = ["vx"]
    [device]
    [[device.maps]]
    intent = "vx"
    axis = "shoulder"
    gain = 1.0
    """
    with pytest.raises(ProfileError, match="must be longer than regression_s"):
        parse_profile(text, "x")
