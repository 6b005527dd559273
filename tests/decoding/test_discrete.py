"""Click, hold and rest, told apart from features whose truth is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import BIN_S, decoder_of, model_of, neurons

from bci.decoding.discrete import CLIP, DiscreteDecoder, infer, predict
from bci.decoding.model import StateModel
from bci.errors import ModelError
from bci.profile import Decoder
from bci.settings import Discrete
from calibration.states import fit_states, judge_states

STATES = ("idle", "move", "click", "hold")
N = 12


def truth(seed=0, apart=1.5, states=STATES):
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(N, 2))
    return StateModel(states, apart * random.normal(size=(len(states), N)), np.eye(N) + 0.3 * mixing @ mixing.T)


def session(model, seed=1, n_spells=150):
    """Spells of 0.6 to 1.6 s in each state, unlike the one before, and features of it."""
    random = np.random.default_rng(seed)
    states, before = [], -1
    for _ in range(n_spells):
        before = random.choice([s for s in range(len(model.states)) if s != before])
        states += [before] * random.integers(30, 80)
    states = np.array(states)
    Y = model.means[states] + random.multivariate_normal(np.zeros(N), model.covariance, size=len(states))
    return np.array(model.states)[states], Y


def decoder(model, **settings):
    return DiscreteDecoder(model, Discrete(**settings), BIN_S)


def run(decoder, Y):
    out = []
    for y in Y:
        decoder.step(y)
        out.append((decoder.click, decoder.hold, decoder.gate, decoder.n_clicks))
    return np.array(out)


@given(seed=st.integers(0, 50), n_states=st.integers(2, 4))
def test_the_kernel_equals_the_forward_filter_written_with_matrices(seed, n_states):
    model, random = truth(seed, 0.5, STATES[:n_states]), np.random.default_rng(seed)
    stay = random.uniform(0.5, 0.99, n_states)
    T = np.diag(stay) + (1 - np.eye(n_states)) * ((1 - stay) / (n_states - 1))[:, None]
    probability = random.dirichlet(np.ones(n_states))
    centre, inverse = model.means.mean(axis=0), np.linalg.inv(model.covariance)
    away = model.means - centre
    y = centre + random.normal(size=N)
    likelihood = np.exp([-0.5 * 0.7 * (y - mean) @ inverse @ (y - mean) for mean in model.means])
    expected = likelihood * (T.T @ probability)
    ours = probability.copy()
    infer(y, centre, np.full(N, 1e9), away @ inverse, away, 0.7, stay, np.empty(n_states), ours)
    np.testing.assert_allclose(ours, expected / expected.sum(), atol=1e-12)
    predicted = probability.copy()
    predict(stay, predicted)
    np.testing.assert_allclose(predicted, T.T @ probability, atol=1e-12)


def test_states_that_last_are_told_apart():
    model = truth()
    states, Y = session(model)
    d = decoder(model)
    right = 0
    for y, state in zip(Y, states, strict=True):
        d.step(y)
        right += model.states[int(np.argmax(d.probability))] == state
    assert right > 0.95 * len(Y)


def test_one_long_click_counts_once_after_its_dwell_and_only_bins_in_a_row_count():
    model = truth(states=("move", "click"))
    d = decoder(model, dwell_ms=100.0, click_s=10.0, move_s=10.0)
    move, click = model.means
    run(d, [move] * 50)
    assert run(d, [click] * 4)[-1, 3] == 0
    assert run(d, [move] * 5 + [click] * 4 + [move] * 5)[-1, 3] == 0
    assert run(d, [click] * 5)[-1, 3] == 1
    assert run(d, [click] * 500)[-1, 3] == 1


def test_a_click_within_the_refractory_time_is_no_second_click():
    model = truth(states=("move", "click"))
    d = decoder(model, dwell_ms=40.0, refractory_ms=500.0)
    move, click = model.means
    run(d, [move] * 20)
    assert run(d, ([click] * 5 + [move] * 5) * 2)[-1, 3] == 1
    assert run(d, [move] * 25 + [click] * 5)[-1, 3] == 2


def test_missing_bins_never_click():
    model = truth(states=("move", "click"))
    d = decoder(model, dwell_ms=100.0, click_s=1000.0)
    run(d, [model.means[1]] * 4)
    for _ in range(20):
        d.coast()
    assert d.n_clicks == 0


def test_the_gate_opens_and_closes_with_hysteresis_and_a_ramp():
    model = truth(states=("idle", "move"))
    d = decoder(model, gate_open_ms=200.0, gate_close_ms=500.0, gate_ramp_ms=100.0)
    idle, move = model.means
    assert run(d, [idle] * 50)[-1, 2] == 0.0
    opening = run(d, [move] * 40)[:, 2]
    assert 9 <= np.argmax(opening > 0) <= 11
    np.testing.assert_allclose(np.diff(opening)[np.diff(opening) > 1e-9], 0.2)
    assert opening[-1] == 1.0
    assert run(d, [idle] * 20)[-1, 2] == 1.0  # a short rest is not the end
    run(d, [move] * 5)
    closing = run(d, [idle] * 40)[:, 2]
    assert 24 <= np.argmax(closing < 1) <= 26
    assert closing[-1] == 0.0


def test_without_an_idle_state_the_gate_is_always_open_and_without_a_click_none_is_decoded():
    d = decoder(truth(states=("move", "hold")))
    out = run(d, session(truth(states=("move", "hold")))[1])
    np.testing.assert_array_equal(out[:, 2], 1.0)
    np.testing.assert_array_equal(out[:, [0, 3]], 0.0)


def test_masked_features_are_marginalised_as_if_they_had_never_been_there():
    model = truth(apart=0.5)
    used = np.arange(N) % 3 > 0
    masked = decoder(model)
    masked.use_features(used)
    few = decoder(StateModel(STATES, model.means[:, used], model.covariance[np.ix_(used, used)]))
    _, Y = session(model, n_spells=5)
    nonsense = np.where(used, Y, np.random.default_rng(2).choice([np.nan, 1e308, -1e9, 0.0], size=Y.shape))
    for row, y in zip(nonsense, Y[:, used], strict=True):
        masked.step(row)
        few.step(y)
        np.testing.assert_allclose(masked.probability, few.probability, atol=1e-9)
    masked.use_features(np.ones(N, dtype=bool))
    np.testing.assert_allclose(masked._weights, decoder(model)._weights, atol=1e-12)


def test_one_wild_feature_counts_at_most_five_deviations():
    model = truth()
    a, b = decoder(model), decoder(model)
    y, far = model.means[0].copy(), model.means[0].copy()
    y[3] = model.means[:, 3].mean() + CLIP * np.sqrt(model.covariance[3, 3] + np.var(model.means[:, 3]))
    far[3] = 1e300
    a.step(y)
    b.step(far)
    np.testing.assert_allclose(a.probability, b.probability)


NONSENSE = st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, 5e-324])


@given(rows=st.lists(st.lists(NONSENSE, min_size=N, max_size=N), min_size=1, max_size=20))
def test_nonsense_never_leaves_the_discrete_decoder(rows):
    d = decoder(truth())
    for row in rows:
        d.step(np.array(row))
        assert np.isfinite(d.probability).all()
        assert abs(d.probability.sum() - 1.0) < 1e-9
        assert 0.0 <= d.share <= 1.0


def test_the_velocity_is_shut_at_rest_and_damped_while_a_click_rises():
    C, v_int, Y = neurons(n=N, n_bins=500)
    model = truth(states=("idle", "move", "click"), apart=3.0)
    model = dataclasses.replace(model, means=model.means + C[:, 2], covariance=np.eye(N))
    with_states = dataclasses.replace(model_of(C, v_int), discrete=model, nis_gate=1e9)
    plain, d = decoder_of(model_of(C, v_int, nis_gate=1e9)), decoder_of(with_states, discrete=Discrete())
    for y in Y:
        plain.step(y)
        d.step(y)
        np.testing.assert_allclose(d.velocity, plain.velocity * d.discrete.share)
    assert d.effort.tolist() == plain.effort.tolist()


def test_a_model_of_the_states_is_found_again_and_judged_on_what_it_has_not_seen():
    model = truth()
    states, Y = session(model)
    fitted, score = fit_states(Y, states, Discrete(), BIN_S)
    assert fitted.states == STATES
    np.testing.assert_allclose(fitted.means, model.means, atol=0.2)
    assert score.n_detected >= 0.95 * score.n_clicks > 10
    assert score.false_per_min < 1.0
    assert 0.1 <= score.latency_s < 0.3
    assert score.open_at_rest < 0.6  # spells of a second, of which closing takes a half
    assert score.open_when_active > 0.7
    again = judge_states(fitted, *reversed(session(model, seed=9)), Discrete(), BIN_S)
    assert again.false_per_min < 1.0


def test_bins_that_err_together_are_trusted_less():
    model = truth(apart=0.7)
    states, Y = session(model)
    noise = Y - model.means[[STATES.index(state) for state in states]]
    for i in range(1, len(noise)):
        noise[i] = 0.95 * noise[i - 1] + np.sqrt(1 - 0.95**2) * noise[i]
    slow = model.means[[STATES.index(state) for state in states]] + noise
    assert fit_states(slow, states, Discrete(), BIN_S)[0].trust < 0.5
    assert fit_states(Y, states, Discrete(), BIN_S)[0].trust >= 0.5


@pytest.mark.parametrize("states", [np.full(500, "move"), np.r_[np.full(490, "move"), np.full(10, "click")]])
def test_too_little_to_tell_states_apart_is_refused(states):
    with pytest.raises(ModelError, match=r"two states|click"):
        fit_states(np.random.default_rng(0).normal(size=(500, N)), states.astype("<U8"), Discrete(), BIN_S)


def test_a_gate_without_hysteresis_is_refused():
    with pytest.raises(ValueError, match="gate_close must be below gate_open"):
        Decoder(outputs=("vx",), discrete=Discrete(gate_open=0.4, gate_close=0.4))


def test_the_score_of_clicks_is_not_that_of_the_blocks_which_chose_the_threshold():
    """One fifth is full of what looks much like a click: it asks for a threshold that it must not be judged with."""
    model = truth()
    states, Y = session(model)
    inside = slice(len(Y) // 5, 2 * len(Y) // 5)
    means = dict(zip(STATES, model.means, strict=True))
    half = (np.asarray(states) == "move") & (np.arange(len(Y)) // 10 % 3 == 0)
    half[: inside.start] = half[inside.stop :] = False
    Y[half] += 0.8 * (means["click"] - means["move"])
    fitted, score = fit_states(Y, states, Discrete(), BIN_S)
    chosen = Discrete(click_probability=fitted.click_probability)
    assert score.false_per_min > fit_states(Y, states, chosen, BIN_S)[1].false_per_min
