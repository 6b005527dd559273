"""Learning for as long as people live with a decoder: rounding must fade, and no floor may be missing."""

import numpy as np
import pytest
from synthetic import BIN_S, decoder_of, model_of

from bci.decoding.adaptation import LEAST_SEEN
from bci.decoding.noise import precision_times, symmetric

N_BINS, HALF_LIFE_S = 1_000_000, 20.0  # 5.6 hours of labels in one go: a week of use, and a thousand half-lives
N, DEAD, FAINT = 6, 2, 3


def week(seed=0):
    """Features of very unlike size, one dead, one faint; for long stretches only one output is meant, or nothing."""
    random = np.random.default_rng(seed)
    C = random.normal(size=(N, 3)) * np.array([1.0, 30.0, 0.0, 1e-3, 1.0, 1.0])[:, None]
    v_int = np.repeat(random.normal(size=(N_BINS // 25, 2)), 25, axis=0)
    v_int /= np.linalg.norm(v_int, axis=1, keepdims=True)
    v_int[200_000:400_000, 1] = 0.0
    weights = np.where(np.arange(N_BINS) % 50_000 < 5_000, 0.0, 1.0)
    common = random.normal(size=(N_BINS, 1)) @ random.normal(size=(1, N))
    scale = np.array([0.6, 20.0, 0.0, 6e-4, 0.6, 0.6])
    Y = v_int @ C[:, :2].T + C[:, 2] + scale * (random.normal(size=(N_BINS, N)) + 0.5 * common)
    return C, v_int, weights, Y


@pytest.mark.parametrize("form", ["full", "diagonal"])
def test_a_million_labelled_bins_end_where_the_batch_solution_is(form):
    C, v_int, weights, Y = week()
    variances = np.array([0.36, 400.0, 0.01, 1e-6, 0.36, 0.36])
    decoder = decoder_of(model_of(C, v_int, Q=np.diag(variances), nis_gate=1e9), noise=form)
    decoder._floor = N * 1e-3 * 1e-7  # that of the faintest feature, so that the batch solution needs none
    n_learned = N_BINS if form == "full" else N_BINS // 10
    for i, (y, v, w) in enumerate(zip(Y[:n_learned], v_int.tolist(), weights.tolist(), strict=False)):
        decoder.learn(y, v, w, HALF_LIFE_S)
        if i % 1000 == 999:
            assert abs(decoder.to_model().C).max() < 200.0
    learned = decoder.to_model()
    weights = weights[:n_learned]
    ages = np.cumsum((weights > 0)[::-1])[::-1] - 1
    faded = weights * 0.5 ** (ages * BIN_S / HALF_LIFE_S)
    X = np.column_stack([v_int[:n_learned], np.ones(n_learned)])
    R = X.T @ (X * faded[:, None])
    expected = np.linalg.solve(R, X.T @ (Y[:n_learned] * faded[:, None])).T
    alive = np.arange(N) != DEAD
    error = np.abs(learned.C - expected)[alive] / np.sqrt(variances[alive, None])
    assert error.max() < 5e-3
    assert learned.n_effective == pytest.approx(faded.sum(), rel=1e-9)
    residual = Y[:n_learned] - X @ expected.T
    Q = residual.T @ (residual * faded[:, None]) / faded.sum()
    if form == "full":
        deviation = np.sqrt(np.diag(Q))[alive]
        difference = (learned.Q - Q)[np.ix_(alive, alive)] / np.outer(deviation, deviation)
        assert np.abs(difference).max() < 0.01
        exact = precision_times(decoder._noise, decoder._n_effective, decoder._Ct[:2])
        np.testing.assert_allclose(decoder._L, exact, rtol=1e-6, atol=1e-9 * np.abs(exact).max())
        assert np.linalg.eigvalsh(symmetric(decoder._noise.M))[0] > 0
    else:
        np.testing.assert_allclose(decoder._q[alive], np.diag(Q)[alive], rtol=0.02)
    decoder.step(Y[-1])
    assert np.isfinite(decoder.velocity).all()
    assert np.linalg.norm(decoder.velocity) < 3.0


def test_an_output_that_is_never_meant_again_keeps_its_tuning_while_the_other_goes_on_learning():
    """Forgetting goes on for what is seen: an hour in one direction must not freeze the decoder."""
    random = np.random.default_rng(1)
    C, v_int = random.normal(size=(10, 3)), random.choice([-1.0, 1.0], size=(60_000, 1)) * [[1.0, 0.0]]
    new = C.copy()
    new[:, 0] = random.normal(size=10)
    decoder = decoder_of(model_of(C, np.random.default_rng(2).normal(size=(2000, 2)), nis_gate=1e9))
    Y = v_int @ new[:, :2].T + new[:, 2] + 0.6 * random.normal(size=(len(v_int), 10))
    for y, v in zip(Y, v_int.tolist(), strict=True):
        decoder.learn(y, v, 1.0, HALF_LIFE_S)
    learned = decoder.to_model()
    np.testing.assert_allclose(learned.C[:, 0], new[:, 0], atol=0.1)
    np.testing.assert_allclose(learned.C[:, 1], C[:, 1], atol=0.05)
    assert learned.n_effective == pytest.approx(HALF_LIFE_S / BIN_S / np.log(2), rel=0.01)
    assert learned.R[1, 1] > 0.5 * LEAST_SEEN


def precision(model):
    """What each feature has of its own, given the others."""
    return 1.0 / model.Q if model.Q.ndim == 1 else np.diag(np.linalg.inv(model.Q))


@pytest.mark.parametrize("form", ["full", "diagonal", "low_rank"])
def test_a_channel_masked_for_an_hour_comes_back_neither_louder_nor_surer(form):
    """Filled in by what the others let expect it has no noise of its own: its precision must not grow with that."""
    random = np.random.default_rng(3)
    n, n_bins = 12, 30_000
    C, v_int = random.normal(size=(n, 3)), np.repeat(random.normal(size=(n_bins // 25, 2)), 25, axis=0)
    v_int /= np.linalg.norm(v_int, axis=1, keepdims=True)
    mixing = random.normal(size=(n, 2))
    Q = 0.36 * np.eye(n) + 0.1 * mixing @ mixing.T
    Y = v_int @ C[:, :2].T + C[:, 2] + random.multivariate_normal(np.zeros(n), Q, size=n_bins)
    decoder = decoder_of(model_of(C, v_int, Q=Q, nis_gate=1e9), noise=form)
    before = decoder.to_model()
    used = np.arange(n) >= 3
    decoder.use_features(used)
    for y, v in zip(Y, v_int.tolist(), strict=True):
        decoder.learn(np.where(used, y, 1e6), v, 1.0, 10.0)
    decoder.use_features(np.ones(n, dtype=bool))
    after = decoder.to_model()
    ratio = precision(after)[:3] / precision(before)[:3]
    assert (ratio < 1.5).all()
    assert (ratio > 0.5).all()
    np.testing.assert_allclose(after.C[:3], before.C[:3], atol=0.3)
