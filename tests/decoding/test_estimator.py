"""The decoder as a researcher uses it: arrays in, arrays out, by scikit-learn's conventions."""

import copy
import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from bci.decoding import KalmanDecoder, estimator
from bci.decoding.joint import Moments, information
from bci.decoding.offline import PlainKalman
from bci.errors import ModelError

SEQUENCE = "bins follow one another: order and neighbours matter to a filter with memory"
EXPECTED = {
    "check_methods_sample_order_invariance": SEQUENCE,
    "check_methods_subset_invariance": SEQUENCE,
    "check_sample_weight_equivalence_on_dense_data": "to repeat a bin is not to weigh it: it moves the memory",
}


@parametrize_with_checks([KalmanDecoder()], expected_failed_checks=lambda _: EXPECTED)
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def recording(n=20, d=4, n_bins=1500, seed=0, noise=2.0):
    """Kinematics that wander, and features that follow them with noise."""
    random = np.random.default_rng(seed)
    y = np.zeros((n_bins, d))
    for i in range(1, n_bins):
        y[i] = 0.95 * y[i - 1] + random.normal(size=d)
    X = y @ random.normal(size=(d, n)) + 5.0 + noise * random.normal(size=(n_bins, n))
    return X, y


def lagged(X, k):
    padded = np.vstack([np.zeros((k - 1, X.shape[1])), X])
    return np.hstack([padded[k - 1 - i : len(padded) - i] for i in range(k)])


def test_without_dynamics_it_is_ridge_regression_with_lags():
    X, y = recording()
    ours = KalmanDecoder(n_lags=10, fading_bins=(), ridge=100.0, dynamics=0.0, n_hinges=0).fit(X[:1000], y[:1000])
    z = (X - X[:1000].mean(axis=0)) / X[:1000].std(axis=0)
    F, F_test = lagged(z[:1000], 10), lagged(z[1000:], 10)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=100.0)).fit(F, y[:1000])
    np.testing.assert_allclose(ours.predict(X[1000:]), theirs.predict(F_test), atol=1e-6)


def test_without_memory_it_is_the_plain_kalman_filter():
    X, y = recording(n_bins=8000)
    ours = KalmanDecoder(n_lags=1, fading_bins=(), ridge=1e-9, dynamics=1.0, n_hinges=0).fit(X[:7000], y[:7000])
    theirs = PlainKalman().fit(y[:7000], X[:7000])
    np.testing.assert_allclose(ours.predict(X[7000:])[50:], theirs.predict(X[7000:])[50:], atol=0.05)


def test_it_chooses_dynamics_where_the_memory_is_short():
    X, y = recording(noise=15.0)
    assert KalmanDecoder(n_lags=1, fading_bins=()).fit(X, y).dynamics_ > 0


def test_step_by_step_gives_the_same_bits_as_all_at_once():
    X, y = recording()
    decoder = KalmanDecoder().fit(X[:1000], y[:1000])
    expected = decoder.predict(X[1000:])
    np.testing.assert_array_equal([decoder.step(row) for row in X[1000:]], expected)


def test_learning_in_parts_equals_the_weighted_solution_over_everything():
    X, y = recording(n_bins=900)
    settings = {"n_lags": 1, "fading_bins": (), "ridge": 10.0, "dynamics": 0.0, "n_hinges": 0}
    parts = KalmanDecoder(**settings, half_life_bins=300.0).fit(X[:600], y[:600]).partial_fit(X[600:], y[600:])
    z = (X - X[:600].mean(axis=0)) / X[:600].std(axis=0)
    weights = np.r_[np.full(600, 0.5), np.ones(300)]
    theirs = Ridge(alpha=10.0).fit(z, y, sample_weight=weights)
    np.testing.assert_allclose(parts.predict(X[:200]), theirs.predict(z[:200]), atol=1e-6)


@pytest.mark.parametrize("n_chunk", [1, 3, 8, 100])
def test_learning_in_chunks_equals_learning_at_once(n_chunk):
    X, y = recording(n=6, n_bins=720)
    weights = np.random.default_rng(3).uniform(size=120)
    once, chunks = (KalmanDecoder(ridge=10.0, dynamics=1.0, n_hinges=0).fit(X[:600], y[:600]) for _ in range(2))
    once.partial_fit(X[600:], y[600:], weights)
    for i in range(0, 120, n_chunk):
        part = slice(600 + i, min(600 + i + n_chunk, 720))
        chunks.partial_fit(X[part], y[part], weights[i : i + n_chunk])
    np.testing.assert_allclose(chunks.predict(X), once.predict(X), rtol=1e-9, atol=1e-9)


def test_what_was_decoded_so_far_is_kept_while_learning():
    X, y = recording(n=6, n_bins=720)
    decoder = KalmanDecoder(ridge=10.0, dynamics=1.0, n_hinges=0).fit(X[:600], y[:600])
    expected = decoder.predict(X[600:])[-1]
    for row, truth in zip(X[600:], y[600:], strict=True):
        estimate = decoder.step(row)
        decoder.partial_fit(row[None], truth[None], np.full(1, 1e-9))
    np.testing.assert_allclose(estimate, expected, rtol=1e-3, atol=1e-3)


def test_recalibration_counts_the_weight_of_bins_and_not_their_number():
    X, y = recording(n_bins=900)
    settings = {"ridge": 10.0, "dynamics": 0.0, "n_hinges": 0}
    some = np.r_[np.zeros(60), np.ones(60)]
    ours = KalmanDecoder(**settings).fit(X[:600], y[:600]).recalibrate(X[600:720], y[600:720], some, prior=2.0)
    assert ours._moments.n == pytest.approx(2.0 * 60 + 60)


def test_a_copy_learns_without_its_original():
    X, y = recording(n_bins=900)
    decoder = KalmanDecoder(ridge=10.0, dynamics=0.0).fit(X[:600], y[:600])
    before = copy.copy(decoder).partial_fit(X[600:700], y[600:700]).predict(X)
    copy.copy(decoder).partial_fit(X[800:], y[800:])
    np.testing.assert_array_equal(copy.copy(decoder).partial_fit(X[600:700], y[600:700]).predict(X), before)


@pytest.mark.parametrize("n_silent", [1, 3])
def test_the_plain_kalman_filter_of_the_docstring_takes_silent_and_doubled_channels(n_silent):
    X, y = recording()
    plain = {"n_lags": 1, "fading_bins": (), "ridge": 0.0, "dynamics": 1.0, "n_hinges": 0}
    more = np.column_stack([X, np.zeros((len(X), n_silent)), X[:, :1]])
    expected = KalmanDecoder(**plain).fit(X, y).predict(X)
    np.testing.assert_allclose(KalmanDecoder(**plain).fit(more, y).predict(more), expected, atol=1e-6)


def test_it_decodes_movements_that_are_not_gaussian_better_than_the_linear_decoder():
    """Still or fast, along one axis at a time."""
    random = np.random.default_rng(0)
    y = np.repeat(random.normal(size=(400, 2)) * 4 * (random.integers(0, 3, size=(400, 1)) == [0, 1]), 10, axis=0)
    X = y @ random.normal(size=(2, 20)) + 12 * random.normal(size=(4000, 20))
    score = {n: KalmanDecoder(n_hinges=n).fit(X[:3000], y[:3000]).score(X[3000:], y[3000:]) for n in (0, 400)}
    assert score[400] > score[0] + 0.02


def test_a_minute_of_a_new_day_brings_back_what_moved_and_keeps_what_did_not():
    X, y = recording(n=40, n_bins=5000, noise=8.0)
    random = np.random.default_rng(1)
    new_X = X[4000:] * random.uniform(0.7, 1.3, size=40) + random.normal(scale=8.0, size=40)
    minute, rest, y_minute, y_rest = new_X[:300], new_X[300:], y[4000:4300], y[4300:]
    frozen = KalmanDecoder().fit(X[:4000], y[:4000])
    before = frozen.score(rest, y_rest)
    alone = KalmanDecoder().fit(minute, y_minute).score(rest, y_rest)
    followed = frozen.recalibrate(minute, y_minute).score(rest, y_rest)
    assert followed > before + 0.1
    assert followed > alone


def test_to_recalibrate_is_to_weigh_what_came_before():
    X, y = recording(n_bins=900)
    settings = {"n_lags": 1, "fading_bins": (), "ridge": 10.0, "dynamics": 0.0, "n_hinges": 0}
    ours = KalmanDecoder(**settings).fit(X[:800], y[:800]).recalibrate(X[800:], y[800:], prior=2.0)
    z = (X - X[:800].mean(axis=0)) / X[:800].std(axis=0)
    theirs = Ridge(alpha=10.0).fit(z, y, sample_weight=np.r_[np.full(800, 200 / 800), np.ones(100)])
    np.testing.assert_allclose(ours.predict(X[:200]), theirs.predict(z[:200]), atol=1e-6)


def test_masked_channels_are_marginalised_as_if_they_had_never_been_there():
    X, y = recording()
    used = np.arange(20) % 3 > 0
    settings = {"ridge": 30.0, "dynamics": 1.0, "n_hinges": 0}
    masked = KalmanDecoder(**settings).fit(X, y).use_channels(used)
    never = KalmanDecoder(**settings).fit(X[:, used], y)
    nonsense = np.where(used, X, 1e6)
    np.testing.assert_allclose(masked.predict(nonsense), never.predict(X[:, used]), atol=1e-8)
    masked.use_channels(np.ones(20, dtype=bool))
    np.testing.assert_allclose(masked.predict(X), KalmanDecoder(**settings).fit(X, y).predict(X), atol=1e-8)


def test_a_mask_that_does_not_fit_is_refused():
    X, y = recording()
    with pytest.raises(ModelError, match="mask"):
        KalmanDecoder().fit(X, y).use_channels(np.ones(19, dtype=bool))


@given(
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0]),
    where=st.lists(st.integers(0, 19), min_size=1, max_size=20),
    n_bins=st.integers(1, 30),
)
def test_nonsense_never_leaves_the_decoder(bad, where, n_bins):
    X, y = recording(n_bins=400)
    decoder = KalmanDecoder(ridge=10.0, dynamics=1.0).fit(X, y)
    for row in X[:50]:
        decoder.step(row)
    row = X[50].copy()
    row[where] = bad
    for _ in range(n_bins):
        assert np.abs(decoder.step(row)).max() < 1e4
    for row in X[51:100]:
        assert np.isfinite(decoder.step(row)).all()


def test_bins_that_are_missing_are_predicted():
    X, y = recording()
    decoder = KalmanDecoder(n_lags=1, fading_bins=()).fit(X, y)
    for row in X[:100]:
        before = decoder.step(row)
    missing = decoder.step(np.full(20, np.nan))
    np.testing.assert_allclose(missing - y.mean(axis=0), 0.95 * (before - y.mean(axis=0)), atol=0.3)


def test_constant_features_are_left_out():
    X, y = recording()
    with_constant = np.column_stack([X, np.full(len(X), 7.0)])
    settings = {"ridge": 10.0, "dynamics": 0.0}
    np.testing.assert_allclose(
        KalmanDecoder(**settings).fit(with_constant, y).predict(with_constant),
        KalmanDecoder(**settings).fit(X, y).predict(X),
        atol=1e-8,
    )


def test_the_folds_and_pipelines_of_scikit_learn_work():
    X, y = recording()
    pipeline = make_pipeline(StandardScaler(), KalmanDecoder(n_lags=2, fading_bins=(5.0,)))
    assert cross_val_score(pipeline, X, y, cv=TimeSeriesSplit(3)).min() > 0.5
    assert clone(pipeline).get_params()["kalmandecoder__n_lags"] == 2


def test_moments_fade_and_add_as_weighted_sums():
    X, y = recording(n_bins=60)
    w = np.random.default_rng(2).uniform(size=60)
    whole, first, second = Moments.of(y, X, w), Moments.of(y[:30], X[:30], w[:30]), Moments.of(y[30:], X[30:], w[30:])
    np.testing.assert_allclose(first.plus(second).ff, whole.ff)
    np.testing.assert_allclose(whole.plus(second, others=-1.0).fx, first.fx)


def test_the_information_is_that_of_the_observation_model():
    """D = CᵀQ⁻¹C and L = CᵀQ⁻¹, computed the long way."""
    X, y = recording(n_bins=500)
    moments = Moments.of(y, X, np.ones(500))
    S, _, fx, ff = moments.covariances()
    C = np.linalg.solve(S, fx.T).T
    Q = ff + 7.0 / 500 * np.eye(20) - C @ S @ C.T
    D, L = next(information(moments, (7.0,)))
    np.testing.assert_allclose(D, C.T @ np.linalg.solve(Q, C), rtol=1e-5)
    np.testing.assert_allclose(L, C.T @ np.linalg.inv(Q), rtol=1e-5, atol=1e-8)


def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(estimator).failed == 0
