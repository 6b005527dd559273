"""The forms of the observation noise against the matrices that they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.decoding.noise import (
    LANES,
    covariance,
    dot,
    factor_hidden,
    fill_hidden,
    make_noise,
    multiply,
    precision_times,
    squared_norm,
    symmetric,
)

FORMS = ["full", "diagonal", "low_rank"]


def correlated(n=13, n_factors=2, seed=0):
    """Covariance with unlike variances, a few common factors, and own noise."""
    random = np.random.default_rng(seed)
    loadings = random.normal(size=(n, n_factors))
    deviation = random.uniform(0.5, 2.0, n)
    Q = loadings @ loadings.T + np.diag(random.uniform(0.5, 1.5, n))
    return Q * np.outer(deviation, deviation)


def whole(noise, ess):
    """Q as a matrix in every form."""
    Q = covariance(noise, ess)
    return Q if Q.ndim == 2 else np.diag(Q)


def inverse_of(noise, ess):
    """Q⁻¹ that the form stands for."""
    return precision_times(noise, ess, np.eye(len(noise.q)))


@pytest.mark.parametrize("form", FORMS)
def test_products_agree_with_the_covariance_that_the_form_stands_for(form):
    noise, nu = make_noise(correlated(), form, 50.0), np.random.default_rng(1).normal(size=13)
    inverse = np.linalg.inv(whole(noise, 50.0))
    np.testing.assert_allclose(inverse_of(noise, 50.0), inverse, atol=1e-9)
    quadratic = squared_norm(noise.M, 50.0, noise.q, noise.p, noise.factors, nu, np.empty(13))
    assert quadratic == pytest.approx(nu @ inverse @ nu)


def test_the_full_form_is_exact_and_the_others_keep_the_variances():
    Q = correlated()
    np.testing.assert_allclose(covariance(make_noise(Q, "full", 9.0), 9.0), Q)
    np.testing.assert_allclose(covariance(make_noise(Q, "diagonal", 9.0), 9.0), np.diag(Q))
    np.testing.assert_allclose(np.diag(covariance(make_noise(Q, "low_rank", 9.0), 9.0)), np.diag(Q), rtol=0.05)


def test_a_few_factors_explain_noise_that_has_a_few_factors():
    Q = correlated(n=60, n_factors=3)
    structured = covariance(make_noise(Q, "low_rank", 1.0), 1.0)
    assert np.linalg.norm(structured - Q) < 0.02 * np.linalg.norm(Q)


@given(
    form=st.sampled_from(FORMS),
    hidden=st.lists(st.integers(0, 12), min_size=1, max_size=9, unique=True),
    seed=st.integers(0, 100),
)
def test_hidden_features_are_marginalised_exactly(form, hidden, seed):
    """νᵀQ⁻¹ν and CᵀQ⁻¹ν of the filled innovation are those of the visible features and the noise among them."""
    noise = make_noise(correlated(seed=seed), form, 3.0)
    random = np.random.default_rng(seed)
    nu, C = random.normal(size=13), random.normal(size=(13, 4))
    seen = np.setdiff1d(np.arange(13), hidden)
    expected = np.linalg.inv(whole(noise, 3.0)[np.ix_(seen, seen)])
    names, filled = np.zeros(13, dtype=np.int64), nu.copy()
    names[: len(hidden)] = hidden
    filled[hidden] = np.nan
    form_of, factor = (noise.M, noise.q, noise.p, noise.factors), np.empty((13, 13))
    factor_hidden(*form_of, names, len(hidden), factor)
    fill_hidden(*form_of, names, len(hidden), filled, factor, np.empty(13))
    quadratic = squared_norm(noise.M, 3.0, noise.q, noise.p, noise.factors, filled, np.empty(13))
    assert quadratic == pytest.approx(nu[seen] @ expected @ nu[seen], rel=1e-8)
    np.testing.assert_allclose(precision_times(noise, 3.0, C.T) @ filled, C[seen].T @ expected @ nu[seen], atol=1e-8)
    np.testing.assert_array_equal(filled[seen], nu[seen])


@given(n=st.integers(1, 40), seed=st.integers(0, 100))
def test_kernels_equal_their_numpy_twins_at_every_length(n, seed):
    random = np.random.default_rng(seed)
    triangle, x = np.tril(random.normal(size=(n, n))) + np.triu(np.full((n, n), np.nan), 1), random.normal(size=n)
    M = np.tril(triangle) + np.tril(triangle, -1).T
    np.testing.assert_array_equal(symmetric(triangle), M)
    out, empty = np.empty(n), np.zeros((0, n))
    multiply(triangle, x, out, np.empty(4 * LANES))
    np.testing.assert_allclose(out, M @ x, atol=1e-10)
    assert dot(x, M[0]) == pytest.approx(x @ M[0], abs=1e-10)
    assert squared_norm(triangle, 2.0, np.ones(n), np.zeros(0), empty, x, np.empty(n)) == pytest.approx(
        2 * x @ M @ x, abs=1e-9
    )
