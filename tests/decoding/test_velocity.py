"""The live decoder on synthetic neurons whose truth is known."""

import dataclasses

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given
from hypothesis import strategies as st
from synthetic import BIN_S, decoder_of, model_of, neurons

from bci.decoding.adaptation import LEAST_SEEN
from bci.decoding.noise import covariance, precision_times
from bci.decoding.velocity import NOISE_FLOOR


def test_one_length_of_effort_decodes_to_beta():
    C, v_int, _ = neurons()
    decoder = decoder_of(model_of(C, v_int), tau_s=0.05, beta=0.7)
    direction = np.array([0.6, -0.8])
    for _ in range(100):
        decoder.step(C[:, :2] @ direction + C[:, 2])
    np.testing.assert_allclose(decoder.velocity, 0.7 * direction, rtol=0.02)


@pytest.mark.parametrize("tau_s", [0.06, 0.12, 0.6])
def test_tau_is_the_time_constant_of_the_answer(tau_s):
    C, v_int, _ = neurons()
    decoder = decoder_of(model_of(C, v_int), tau_s=tau_s, beta=1.0)
    n_bins = round(tau_s / BIN_S)
    for _ in range(n_bins):
        decoder.step(C[:, 0] + C[:, 2])
    assert decoder.velocity[0] == pytest.approx(1 - np.exp(-1), rel=0.02)


def test_the_normalised_innovation_is_one_when_features_are_as_expected():
    C, v_int, Y = neurons()
    decoder = decoder_of(model_of(C, v_int), tau_s=0.12, beta=1.0)
    nis = [decoder.step(y) for y in Y]
    assert np.mean(nis) == pytest.approx(1.0, abs=0.1)


def test_an_implausible_bin_changes_nothing_and_the_velocity_decays():
    C, v_int, Y = neurons()
    decoder = decoder_of(model_of(C, v_int), tau_s=0.12, beta=1.0)
    for y in Y[:50]:
        decoder.step(y)
    before = decoder.velocity.copy()
    for i in range(5):
        assert decoder.step(np.full(40, 50.0)) > 3.0
        assert decoder.is_confident == (i < 3)
    np.testing.assert_allclose(decoder.velocity, before * decoder.alpha**5)


@pytest.mark.parametrize("tau_s", [0.12, 2.0])
def test_coasting_decays_with_tau_then_ramps_to_zero_and_is_not_confident_beyond_three_bins(tau_s):
    """Science brief 4.3: beyond 200 ms to zero; fault table, F8: held. The same for missing and implausible bins."""
    C, v_int, Y = neurons()
    decoder = decoder_of(model_of(C, v_int), tau_s=tau_s)
    for y in Y[:50]:
        decoder.step(y)
    before, speeds, confident = np.linalg.norm(decoder.velocity), [], []
    for i in range(60):
        if i % 2:
            decoder.coast()
        else:
            decoder.step(np.full(40, 50.0))
        speeds.append(np.linalg.norm(decoder.velocity) / before)
        confident.append(decoder.is_confident)
    decay = decoder.alpha ** np.arange(1, 61)
    ramp = np.clip(2.0 - np.arange(1, 61) * BIN_S / 0.2, 0.0, 1.0)
    np.testing.assert_allclose(speeds, decay * ramp, atol=1e-12)
    assert confident == [True] * 3 + [False] * 57
    decoder.step(Y[50])
    assert decoder.is_confident
    assert np.linalg.norm(decoder.velocity) <= before  # from rest again: no leap back to where it was


def test_nothing_is_learned_for_a_second_after_an_implausible_bin():
    C, v_int, Y = neurons(n_bins=200)
    decoder = decoder_of(model_of(C, v_int))
    decoder.step(np.full(40, 50.0))
    before = decoder.to_model().C
    learned = []
    for y, v in zip(Y[:60], v_int[:60], strict=True):
        decoder.learn(y, tuple(v), 1.0, 10.0)
        learned.append(decoder.n_learned)
        decoder.step(y)
    assert learned == [0] * 50 + list(range(1, 11))
    assert np.any(before != decoder.to_model().C)


@given(bad=st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308]), where=st.integers(0, 39))
def test_nonsense_in_one_channel_never_reaches_the_velocity(bad, where):
    C, v_int, Y = neurons(n_bins=100)
    decoder = decoder_of(model_of(C, v_int), tau_s=0.12, beta=1.0)
    for y in Y[:20]:
        decoder.step(y)
    y = Y[20].copy()
    y[where] = bad
    decoder.step(y)
    assert np.isfinite(decoder.velocity).all()
    for y in Y[21:60]:
        decoder.step(y)
    assert np.isfinite(decoder.velocity).all()
    assert decoder.is_confident


def test_learning_equals_weighted_least_squares_over_everything_seen():
    """Dangi's statistics R, S, T, kept as sums with the floors of noise and memory, against the rank-one recursion."""
    C, v_int, Y = neurons(n_bins=800)
    start = model_of(C + 0.5, v_int[:200])
    decoder = decoder_of(start, tau_s=0.12, beta=1.0)
    R, S = start.R.copy(), start.C @ start.R
    T = start.n_effective * start.Q + start.C @ start.R @ start.C.T
    n_effective, half_life_s = start.n_effective, 4.0
    decay = 0.5 ** (BIN_S / half_life_s)
    weights = np.random.default_rng(5).uniform(0.1, 1.0, len(Y))
    floor = NOISE_FLOOR * np.mean(np.diag(start.Q)) * len(C)
    for i, (y, v, w) in enumerate(zip(Y, v_int, weights, strict=True)):
        x = np.append(v, 1.0)
        R = decay * R + w * np.outer(x, x)
        S = decay * S + w * np.outer(y, x)
        T = decay * T + w * np.outer(y, y)
        T[i % len(C), i % len(C)] += w * floor
        state, least = i % len(C) % 2, 2 * (1 - decay) * LEAST_SEEN
        c = S @ np.linalg.inv(R)[:, state]
        R[state, state] += least
        S[:, state] += least * c
        T += least * np.outer(c, c)
        n_effective = decay * n_effective + w
        decoder.learn(y, tuple(v), w, half_life_s)
    learned = decoder.to_model()
    C_batch = S @ np.linalg.inv(R)
    np.testing.assert_allclose(learned.C, C_batch, atol=1e-8)
    np.testing.assert_allclose(learned.Q, (T - S @ C_batch.T) / n_effective, atol=1e-8)
    assert learned.n_effective == pytest.approx(n_effective)


def test_what_is_derived_follows_the_learning_exactly():
    """L = CᵀQ⁻¹ is carried along by rank-one updates: after thousands of bins it is what C and Q say."""
    C, v_int, Y = neurons(n_bins=3000)
    decoder = decoder_of(model_of(C, v_int))
    for y, v in zip(Y, v_int, strict=True):
        decoder.learn(y, tuple(v), 0.8, 5.0)
    expected = precision_times(decoder._noise, decoder._n_effective, decoder._Ct[:-1])
    np.testing.assert_allclose(decoder._L, expected, rtol=1e-7)


@pytest.mark.parametrize("form", ["diagonal", "low_rank"])
def test_the_structured_forms_learn_the_same_tuning_and_variances(form):
    C, v_int, Y = neurons(n_bins=2000)
    start = model_of(C + 0.5, v_int)
    full, structured = decoder_of(start), decoder_of(start, noise=form)
    for y, v in zip(Y, v_int, strict=True):
        full.learn(y, tuple(v), 1.0, 10.0)
        structured.learn(y, tuple(v), 1.0, 10.0)
    np.testing.assert_allclose(structured.to_model().C, full.to_model().C, atol=1e-9)
    np.testing.assert_allclose(structured._noise.q, np.diag(full.to_model().Q), rtol=1e-6)


def test_the_diagonal_form_decodes_like_the_full_one_where_the_noise_is_independent():
    C, v_int, Y = neurons(n_bins=200)
    full, diagonal = decoder_of(model_of(C, v_int)), decoder_of(model_of(C, v_int), noise="diagonal")
    for y in Y:
        assert full.step(y) == pytest.approx(diagonal.step(y))
        np.testing.assert_allclose(full.velocity, diagonal.velocity)


def decoded(decoder, Y):
    out = []
    for y in Y:
        decoder.step(y)
        out.append(decoder.velocity.copy())
    return np.array(out)


@pytest.mark.parametrize("form", ["full", "diagonal", "low_rank"])
def test_a_masked_channel_never_moves_the_estimate(form):
    """Masked features decode as if the model had been fitted without them, whatever they show."""
    C, v_int, Y = neurons(n_bins=300)
    random = np.random.default_rng(3)
    common = random.normal(size=(300, 2)) @ random.normal(size=(2, 40))
    mixing = random.normal(size=(40, 2))
    Q = 0.36 * np.eye(40) + 0.2 * mixing @ mixing.T
    used = np.arange(40) % 4 > 0
    masked = decoder_of(model_of(C, v_int, Q=Q), noise=form)
    masked.use_features(used)
    few = model_of(C, v_int, Q=Q)
    structured = covariance(masked._noise, 1.0 if form != "full" else few.n_effective)
    structured = structured if structured.ndim == 2 else np.diag(structured)
    few = dataclasses.replace(
        few,
        C=C[used],
        Q=structured[np.ix_(used, used)],
        feature_labels=tuple(f"n{i}" for i in np.flatnonzero(used)),
    )
    without = decoder_of(few)
    Y = Y + 0.3 * common
    nonsense = np.where(used, Y, random.choice([1e300, -1e9, np.nan, 0.0], size=Y.shape))
    np.testing.assert_allclose(decoded(masked, nonsense), decoded(without, Y[:, used]), atol=2e-6)


def test_a_masked_channel_comes_back_with_what_it_knew():
    C, v_int, Y = neurons(n_bins=600)
    decoder, same = decoder_of(model_of(C, v_int)), decoder_of(model_of(C, v_int))
    used = np.arange(40) > 10
    decoder.use_features(used)
    for y, v in zip(Y[:300], v_int[:300], strict=True):
        decoder.learn(np.where(used, y, 99.0), tuple(v), 1.0, 60.0)
    np.testing.assert_allclose(decoder.to_model().C[~used], C[~used], atol=0.25)
    decoder.use_features(np.ones(40, dtype=bool))
    error = np.linalg.norm(decoded(decoder, Y[300:]) - decoded(same, Y[300:]), axis=1)
    assert error.mean() < 0.1


def test_the_influence_of_one_wild_feature_is_bounded_and_the_bin_is_believed():
    C, v_int, Y = neurons(n_bins=200)
    velocities = []
    for size in (20.0, 1e6, 1e300):
        decoder, spoilt = decoder_of(model_of(C, v_int)), Y.copy()
        spoilt[::5, 7] = size
        velocities.append(decoded(decoder, spoilt))
        assert decoder.is_confident
    np.testing.assert_array_equal(velocities[0], velocities[2])
    np.testing.assert_array_equal(velocities[1], velocities[2])
    difference = velocities[0] - decoded(decoder_of(model_of(C, v_int)), Y)
    assert np.sqrt(np.mean(difference**2)) < 0.1


def test_a_third_of_far_features_makes_a_bin_implausible():
    C, v_int, Y = neurons(n_bins=50)
    decoder = decoder_of(model_of(C, v_int))
    decoded(decoder, Y)
    y = Y[-1].copy()
    y[:14] += 100.0
    assert decoder.step(y) == np.inf


def test_a_bin_without_enough_finite_features_is_predicted_only():
    C, v_int, Y = neurons(n_bins=50)
    decoder = decoder_of(model_of(C, v_int))
    decoded(decoder, Y)
    before = decoder.velocity.copy()
    y = Y[-1].copy()
    y[:30] = np.nan
    assert decoder.step(y) == np.inf
    np.testing.assert_allclose(decoder.velocity, before * decoder.alpha)


def test_a_feature_that_stands_still_for_days_does_no_harm():
    """Forgetting alone would let its precision double with every half-life."""
    C, v_int, Y = neurons(n=12, n_bins=2000)
    Y[:, 4] = 0.0
    decoder = decoder_of(model_of(C, v_int))
    for _ in range(20):  # 800 s with a half-life of 2 s: 400 doublings
        for y, v in zip(Y, v_int, strict=True):
            decoder.learn(y, tuple(v), 1.0, 2.0)
    learned = decoder.to_model()
    assert np.linalg.eigvalsh(learned.Q)[0] > 1e-5
    for y in Y[:50]:
        decoder.step(y)
    assert np.isfinite(decoder.velocity).all()


def test_an_output_that_is_never_labelled_again_is_not_forgotten():
    C, v_int, Y = neurons(n_bins=2000)
    decoder = decoder_of(model_of(C, v_int))
    v_int = v_int * [1.0, 0.0]
    Y = v_int @ C[:, :2].T + C[:, 2] + 0.6 * np.random.default_rng(0).normal(size=Y.shape)
    for _ in range(10):
        for y, v in zip(Y, v_int, strict=True):
            decoder.learn(y, tuple(v), 1.0, 2.0)
    np.testing.assert_allclose(decoder.to_model().C[:, 1], C[:, 1], atol=0.5)


def test_bins_of_weight_zero_neither_teach_nor_make_forget():
    C, v_int, Y = neurons(n_bins=100)
    decoder = decoder_of(model_of(C, v_int))
    before = decoder.to_model()
    for y, v in zip(Y, v_int, strict=True):
        decoder.learn(y, tuple(v), 0.0, 1.0)
    np.testing.assert_array_equal(decoder.to_model().C, before.C)
    assert decoder.to_model().n_effective == before.n_effective


def test_a_decoder_with_random_weights_learns_to_decode():
    C, v_int, Y = neurons(n_bins=6000, noise=1.5)
    wrong = np.random.default_rng(9).normal(size=C.shape)
    decoder = decoder_of(model_of(wrong, v_int, noise=4.0, nis_gate=50.0), tau_s=0.12, beta=1.0)
    errors = []
    for y, v in zip(Y, v_int, strict=True):
        decoder.step(y)
        errors.append(np.linalg.norm(decoder.velocity - v))
        decoder.learn(y, tuple(v), 1.0, 30.0)
    assert np.mean(errors[-1000:]) < 0.5 * np.mean(errors[:100])


def test_hours_of_learning_keep_the_noise_symmetric_and_positive():
    C, v_int, Y = neurons(n=10)
    decoder = decoder_of(model_of(C, v_int), tau_s=0.12, beta=1.0)
    for _ in range(20):
        for y, v in zip(Y, v_int, strict=True):
            decoder.learn(y, tuple(v), 1.0, 10.0)
    learned = decoder.to_model()
    assert np.linalg.eigvalsh(learned.Q)[0] > 0
    np.testing.assert_array_equal(learned.Q, learned.Q.T)
    decoder.step(Y[0])
    assert np.isfinite(decoder.velocity).all()


def with_position(n_bins=4000, seed=0):
    """Features that follow position as well: velocity alone explains them badly."""
    random = np.random.default_rng(seed)
    C, v_int, Y = neurons(n_bins=n_bins, seed=seed)
    C_p = 3.0 * random.normal(size=(40, 2))
    position = np.clip(0.5 + np.cumsum(BIN_S * v_int, axis=0), 0.0, 1.0)
    Y = Y + position @ C_p.T
    full = np.column_stack([C[:, :2], C_p, C[:, 2]])
    x = np.column_stack([v_int, position, np.ones(len(v_int))])
    return full, x, Y


def test_known_position_is_taken_out_as_if_it_had_never_been_in_the_features():
    """The causal intervention: what C_p p explains leaves the innovation, and p has no covariance."""
    C, x, Y = with_position(n_bins=500)
    velocity_only = decoder_of(model_of(C[:, [0, 1, 4]], x[:, :2]))
    informed = decoder_of(model_of(C, x[:, :2], R=x.T @ x))
    for y, row in zip(Y, x, strict=True):
        informed.show(tuple(row[2:4]))
        nis = informed.step(y)
        assert nis == pytest.approx(velocity_only.step(y - C[:, 2:4] @ row[2:4]))
        np.testing.assert_allclose(informed.velocity, velocity_only.velocity, atol=1e-12)


def test_where_no_position_is_shown_it_is_the_sum_of_what_was_decoded():
    C, x, Y = with_position(n_bins=500)
    decoder, position = decoder_of(model_of(C, x[:, :2], R=x.T @ x), beta=0.3), np.full(2, 0.5)
    for y in Y:
        decoder.step(y)
        position = np.clip(position + BIN_S * decoder.velocity, -1.0, 2.0)
        np.testing.assert_allclose(decoder._known[:2], position)


@pytest.mark.parametrize("shown", [(np.nan, 0.5), (np.inf, 0.5), (0.5,), (1e308, -1e308)])
def test_a_position_that_cannot_be_does_no_harm(shown):
    C, x, Y = with_position(n_bins=100)
    decoder = decoder_of(model_of(C, x[:, :2], R=x.T @ x))
    for y in Y:
        decoder.show(shown)
        decoder.step(y)
        assert np.linalg.norm(decoder.velocity) < 5.0


def test_tuning_to_position_is_learned_with_that_to_velocity():
    C, x, Y = with_position()
    decoder = decoder_of(model_of(0.0 * C, x[:, :2], R=1e-3 * x.T @ x, nis_gate=1e9, noise=3.0))
    for y, row in zip(Y, x, strict=True):
        decoder.show(tuple(row[2:4]))
        decoder.learn(y, tuple(row[:2]), 1.0, 60.0)
    np.testing.assert_allclose(decoder.to_model().C, C, atol=0.5)


@given(tau_s=st.floats(0.03, 1.0), seed=st.integers(0, 20))
def test_it_is_the_steady_state_of_the_textbook_kalman_filter(tau_s, seed):
    """Random-walk velocity with W = (1 - α)²/α D⁻¹: filterpy's gain settles, and decodes the same."""
    C, v_int, Y = neurons(n_bins=500, seed=seed)
    model = model_of(C, v_int, nis_gate=1e9)
    decoder = decoder_of(model, tau_s=tau_s)
    D = C[:, :2].T @ C[:, :2] / 0.36
    a = decoder.alpha
    textbook = KalmanFilter(dim_x=2, dim_z=40)
    textbook.F, textbook.H, textbook.R = np.eye(2), C[:, :2], model.Q
    textbook.Q, textbook.P = (1 - a) ** 2 / a * np.linalg.inv(D), (1 - a) * np.linalg.inv(D)
    before = textbook.P.copy()
    for y in Y[:50]:
        textbook.predict()
        textbook.update((y - C[:, 2])[:, None])
        decoder.step(y)
        np.testing.assert_allclose(decoder.effort, textbook.x[:, 0], atol=0.01)
    np.testing.assert_allclose(textbook.P, before, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_one_to_ten_outputs_decode_and_learn(k):
    random = np.random.default_rng(k)
    C, v_int = random.normal(size=(60, k + 1)), np.repeat(random.normal(size=(40, k)) / np.sqrt(k), 25, axis=0)
    Y = v_int @ C[:, :k].T + C[:, k] + 0.3 * random.normal(size=(1000, 60))
    X = np.column_stack([v_int, np.ones(1000)])
    model = model_of(C, v_int, noise=0.3, outputs=tuple(f"v{i}" for i in range(k)), R=X.T @ X)
    decoder = decoder_of(model, tau_s=0.03)
    for y, v in zip(Y, v_int.tolist(), strict=True):
        decoder.step(y)
        decoder.learn(y, v, 1.0, 60.0)
    np.testing.assert_allclose(decoder.velocity, v_int[-1], atol=0.3)


def test_thousands_of_channels_decode_and_learn_in_the_diagonal_form_without_a_matrix():
    random = np.random.default_rng(0)
    n = 4096
    C, v_int = random.normal(size=(n, 3)), np.repeat(random.normal(size=(20, 2)), 25, axis=0)
    Y = v_int @ C[:, :2].T + C[:, 2] + 3.0 * random.normal(size=(500, n))
    decoder = decoder_of(model_of(C, v_int, Q=np.full(n, 9.0)), tau_s=0.03, noise="diagonal")
    used = random.uniform(size=n) > 0.3
    decoder.use_features(used)
    for y, v in zip(np.where(used, Y, np.nan), v_int.tolist(), strict=True):
        decoder.step(y)
        decoder.learn(y, v, 1.0, 60.0)
    np.testing.assert_allclose(decoder.velocity, v_int[-1], atol=0.3)
    learned = decoder.to_model()
    assert learned.Q.shape == (n,)
    np.testing.assert_array_equal(learned.Q[~used], 9.0)
