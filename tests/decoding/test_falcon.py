"""The FALCON benchmark's calls: batches of sessions, trials that end, tags."""

import doctest

import numpy as np
import pytest

from bci.decoding import FalconDecoder, KalmanDecoder, falcon
from bci.errors import ModelError

N = 12


def data(seed, n_bins=600):
    random = np.random.default_rng(seed)
    velocity = np.cumsum(random.normal(size=(n_bins, 2)), axis=0)
    velocity -= velocity.mean(axis=0)
    return velocity @ np.random.default_rng(99).normal(size=(2, N)) + random.normal(size=(n_bins, N)), velocity


@pytest.fixture(scope="module")
def decoder():
    return KalmanDecoder(n_hinges=20).fit(*data(0))


def evaluate(adapter, tags, sessions, dones=()):
    """As the benchmark does: reset, then bin by bin, shorter recordings filled with zeros."""
    adapter.reset(tags)
    length = max(len(X) for X in sessions)
    filled = [np.vstack([X, np.zeros((length - len(X), N))]) for X in sessions]
    decoded = []
    for t in range(length):
        decoded.append(adapter.predict(np.stack([X[t] for X in filled])))
        adapter.on_done(np.array([t in done for done in dones] if dones else [False] * len(sessions)))
    return np.stack(decoded, axis=1)


def test_recordings_side_by_side_decode_as_each_alone(decoder):
    sessions = [data(1, 300)[0], data(2, 200)[0], data(3, 250)[0]]
    together = evaluate(FalconDecoder(decoder, 3), ["a", "b", "c"], sessions)
    for X, decoded in zip(sessions, together, strict=True):
        np.testing.assert_array_equal(decoded[: len(X)], decoder.predict(X))


def test_bins_that_are_only_observed_count_for_what_follows(decoder):
    X = data(1, 100)[0]
    adapter = FalconDecoder(decoder)
    adapter.reset(["a"])
    for row in X[:-1]:
        adapter.observe(row[None])
    np.testing.assert_array_equal(adapter.predict(X[-1:])[0], decoder.predict(X)[-1])


def test_the_batch_leaves_the_decoder_that_was_given_untouched(decoder):
    X = data(1, 50)[0]
    decoder.reset()
    evaluate(FalconDecoder(decoder), ["a"], [data(4, 50)[0]])
    np.testing.assert_array_equal([decoder.step(row) for row in X], decoder.predict(X))


def test_a_session_with_a_decoder_of_its_own_is_decoded_by_that(decoder):
    other = KalmanDecoder(n_hinges=0).fit(*data(5))
    X = data(1, 50)[0]
    adapter = FalconDecoder({"": decoder, "b": other}, 2)
    a, b = evaluate(adapter, ["a", "b"], [X, X])
    np.testing.assert_array_equal(a, decoder.predict(X))
    np.testing.assert_array_equal(b, other.predict(X))


def test_a_recording_whose_tag_stays_goes_on_while_another_begins(decoder):
    X, Y = data(1, 100)[0], data(2, 40)[0]
    adapter = FalconDecoder(decoder, 2)
    evaluate(adapter, ["a", "b"], [X[:60], data(3, 60)[0]])
    a, c = evaluate(adapter, ["a", "c"], [X[60:], Y])
    np.testing.assert_array_equal(a, decoder.predict(X)[60:])
    np.testing.assert_array_equal(c, decoder.predict(Y))


@pytest.mark.parametrize("forgets", [True, False])
def test_a_trial_that_ends_begins_the_next_at_rest_only_where_trials_do_not_follow_each_other(decoder, forgets):
    X = data(1, 100)[0]
    adapter = FalconDecoder(decoder, forgets_between_trials=forgets)
    (decoded,) = evaluate(adapter, ["a"], [X], dones=({59},))
    np.testing.assert_array_equal(decoded[60:], decoder.predict(X[60:]) if forgets else decoder.predict(X)[60:])


def test_what_does_not_fit_is_refused_with_the_reason(decoder):
    adapter = FalconDecoder({"a": decoder}, 2)
    with pytest.raises(ModelError, match="No session has begun"):
        adapter.predict(np.zeros((2, N)))
    with pytest.raises(ModelError, match="1 tags for 2"):
        adapter.reset()
    with pytest.raises(ModelError, match="no decoder for session 'b'"):
        adapter.reset(["a", "b"])
    adapter.reset(["a", "a"])
    with pytest.raises(ModelError, match=r"shape \(2, 5\)"):
        adapter.predict(np.zeros((2, 5)))


def test_its_example_runs():
    assert doctest.testmod(falcon).failed == 0
