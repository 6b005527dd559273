"""The estimates on which the live decoder rests, where data are few, weighted, or far from zero."""

import numpy as np
import pytest

from bci.decoding.estimation import fit_observation

N = 30


def data(n_bins, seed=0, level=0.0):
    random = np.random.default_rng(seed)
    X = np.column_stack([random.normal(size=(n_bins, 2)), np.ones(n_bins)])
    C = np.column_stack([random.normal(size=(N, 2)), np.full(N, level)])
    return X, X @ C.T + random.normal(size=(n_bins, N)), C


def test_the_ridge_does_not_draw_the_intercept_to_zero():
    X, Y, _ = data(2000, level=50.0)
    for ridge in (0.0, 0.1, 10.0):
        C, _ = fit_observation(X, Y, ridge, has_intercept=True)
        np.testing.assert_allclose((Y - X @ C.T).mean(axis=0), 0.0, atol=1e-9)
    biased, _ = fit_observation(X, Y, 0.1)
    assert np.abs((Y - X @ biased.T).mean()) > 1.0


def test_to_move_all_features_moves_the_intercept_only():
    X, Y, _ = data(500)
    near, far = (fit_observation(X, Y + shift, 0.3, has_intercept=True) for shift in (0.0, 100.0))
    np.testing.assert_allclose(far[0] - near[0], np.outer(np.ones(N), [0.0, 0.0, 100.0]), atol=1e-9)
    np.testing.assert_allclose(far[1], near[1], atol=1e-9)


@pytest.mark.parametrize("n_bins", [12, 20, 33, 45, 62])
@pytest.mark.parametrize("seed", range(4))
def test_without_shrinkage_and_with_few_bins_the_noise_is_still_invertible_and_the_gate_on(n_bins, seed):
    X, Y, C = data(n_bins, seed)
    fitted, Q = fit_observation(X, Y, 0.0, 0.0, has_intercept=True)
    assert np.linalg.cond(Q) < 1e3
    X_new, _, _ = data(300, seed + 100)
    new = X_new @ C.T + np.random.default_rng(9).normal(size=(300, N)) - X_new @ fitted.T
    nis = np.sum(new * np.linalg.solve(Q, new.T).T, axis=1) / N
    assert np.median(nis) < 20.0


def test_where_bins_are_many_nothing_is_shrunk_that_was_not_asked_for():
    X, Y, _ = data(2000)
    C, Q = fit_observation(X, Y)
    residual = Y - X @ C.T
    np.testing.assert_allclose(Q, residual.T @ residual / 2000, atol=1e-12)
