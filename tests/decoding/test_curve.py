"""The curve between a linear estimate and the kinematics: it finds what is bent, and leaves alone what is straight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.decoding.curve import CLIP, correct, fit_curve, straight


def corrected(curve, U, d):
    out, z = np.empty((len(U), d)), np.empty(U.shape[1])
    for u, row in zip(U, out, strict=True):
        correct(u, curve.mean, curve.scale, curve.W, curve.c, curve.B, curve.b, z, row)
    return out


def bent(n_bins=4000, seed=0):
    """Two states that a linear decoder has seen through noise, and that move mostly along the axes."""
    random = np.random.default_rng(seed)
    X = random.standard_t(2.2, size=(n_bins, 2)).clip(-8, 8) * (random.integers(0, 2, size=(n_bins, 1)) == [0, 1])
    U = 0.6 * (X + 0.5 * random.normal(size=X.shape))
    return U, X


def test_a_curve_finds_what_a_line_cannot():
    U, X = bent()
    U_test, X_test = bent(seed=1)
    H = np.linalg.lstsq(U, X, rcond=None)[0]
    line = np.mean((X_test - U_test @ H) ** 2)
    curve = fit_curve(U @ H, X, np.ones(len(X)), 200, 5)
    assert np.mean((X_test - corrected(curve, U_test @ H, 2)) ** 2) < 0.9 * line


def test_noise_that_has_no_curve_gets_none():
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 2))
    U = (X + random.normal(size=X.shape)) / 2  # the best estimate of X already
    curve = fit_curve(U, X, np.ones(500), 200, 5)
    fresh = random.normal(size=(2000, 2))
    assert np.sqrt(np.mean((corrected(curve, fresh, 2) - fresh) ** 2)) < 0.1


def test_the_kernel_says_what_the_equation_says():
    U, X = bent(500)
    curve = fit_curve(U, X, np.ones(500), 50, 5)
    z = np.clip((U - curve.mean) * curve.scale, -CLIP, CLIP)
    expected = U + np.column_stack([z, np.maximum(0, z @ curve.W.T + curve.c)]) @ curve.B.T + curve.b
    np.testing.assert_allclose(corrected(curve, U, 2), expected, atol=1e-10)


@given(factor=st.floats(2.0, 1e12), seed=st.integers(0, 99))
def test_far_from_what_was_seen_the_correction_stays_what_it_was_at_the_edge(factor, seed):
    U, X = bent(500)
    curve = fit_curve(U, X, np.ones(500), 50, 5)
    far = curve.mean + np.random.default_rng(seed).choice([-CLIP, CLIP], size=2) / curve.scale
    beyond = curve.mean + factor * (far - curve.mean)
    at_edge = corrected(curve, far[None], 2)[0] - far
    np.testing.assert_allclose(corrected(curve, beyond[None], 2)[0] - beyond, at_edge, rtol=1e-3, atol=1e-3 * factor)


@pytest.mark.parametrize("n_hinges", [0, 50])
def test_bins_without_weight_teach_nothing(n_hinges):
    U, X = bent(600)
    weights = np.r_[np.ones(300), np.zeros(300)]
    nonsense = X.copy()
    nonsense[300:] = 1e3
    np.testing.assert_allclose(
        fit_curve(U, X, weights, n_hinges, 6).B, fit_curve(U, nonsense, weights, n_hinges, 6).B, atol=1e-9
    )


def test_a_straight_curve_is_the_estimate_itself():
    U, _ = bent(20)
    np.testing.assert_array_equal(corrected(straight(2, 2), U, 2), U)
