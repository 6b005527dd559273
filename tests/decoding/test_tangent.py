"""Epochs whose covariance tells their class, through sessions that mix the channels differently."""

import numpy as np
import pytest

from bci.decoding.tangent import TangentSpaceClassifier
from bci.errors import ModelError

RATE_HZ = 250.0


def session(n=60, mixing=None, seed=0):
    """Two classes: the first or the second of four sources is strong at 12 Hz."""
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat([0, 1], n // 2))
    times_s = np.arange(500) / RATE_HZ
    X = random.normal(size=(n, 4, 500))
    phase = random.uniform(0, 2 * np.pi, size=n)
    for i, label in enumerate(y):
        X[i, label] += 1.2 * np.sin(2 * np.pi * 12 * times_s + phase[i])
    return (X if mixing is None else np.einsum("ij,tjs->tis", mixing, X)), y


def test_it_tells_classes_apart():
    X, y = session()
    X_test, y_test = session(seed=1)
    assert TangentSpaceClassifier(RATE_HZ).fit(X, y).score(X_test, y_test) > 0.95


def test_a_session_with_other_electrodes_is_decoded_after_a_few_epochs():
    X, y = session(n=100)
    mixing = np.diag([3.0, 0.3, 1.5, 0.5])
    X_test, y_test = session(n=100, mixing=mixing, seed=1)
    decoder = TangentSpaceClassifier(RATE_HZ).fit(X, y)
    always_new = [np.argmax(decoder.reset().step(epoch)) for epoch in X_test]
    later = slice(30, None)
    followed = np.mean(decoder.predict(X_test)[later] == y_test[later])
    assert followed > 0.9
    assert followed > np.mean(always_new[later] == y_test[later]) + 0.2


def test_sessions_in_training_may_differ_in_their_electrodes():
    X, y = session()
    mixing = np.diag([3.0, 0.3, 1.5, 0.5])
    X2, y2 = session(mixing=mixing, seed=1)
    both, labels, sessions = np.concatenate([X, X2]), np.concatenate([y, y2]), np.repeat([1, 2], 60)
    X_test, y_test = session(seed=2)
    knowing = TangentSpaceClassifier(RATE_HZ).fit(both, labels, sessions).score(X_test, y_test)
    assert knowing > 0.95


def test_one_by_one_gives_the_same_as_all_at_once_and_each_is_decided_without_the_later_ones():
    X, y = session()
    X_test, _ = session(seed=1)
    decoder = TangentSpaceClassifier(RATE_HZ).fit(X, y)
    expected = decoder.predict_proba(X_test)
    np.testing.assert_array_equal([decoder.step(epoch) for epoch in X_test], expected)
    np.testing.assert_array_equal(decoder.predict_proba(X_test[:10]), expected[:10])
    np.testing.assert_array_equal(decoder.reset().step(X_test[0]), expected[0])


@pytest.mark.parametrize("wrong", ["two dimensions", "nan", "one class", "labels missing"])
def test_wrong_epochs_are_refused_with_what_is_wanted(wrong):
    X, y = session()
    if wrong == "two dimensions":
        X = X[0]
    elif wrong == "nan":
        X[3, 2, 1] = np.nan
    elif wrong == "one class":
        y[:] = 1
    else:
        y = y[:-1]
    with pytest.raises(ModelError) as refusal:
        TangentSpaceClassifier(RATE_HZ).fit(X, y)
    assert refusal.value.remedy
