"""The Kalman decoder as a scikit-learn estimator: for a researcher with arrays and neither LSL nor devices."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from bci.decoding.curve import fit_curve, straight
from bci.decoding.fitted import Fitted
from bci.decoding.joint import DYNAMICS, RIDGES, Moments, choose, decode_held_out, gains, information
from bci.errors import ModelError
from bci.signals.memory import fading_rates, remember_all
from bci.types import Array

LEAST_BINS_FOR_A_CURVE = 100  # fewer do not tell a curve from chance


class KalmanDecoder(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Decode continuous kinematics from binned features, causally.

    A Kalman filter whose observation is a short memory of the features: the last bins as they were and two exponential
    averages, and whose states are the kinematics and their magnitudes; a curve then reads the kinematics from the
    states, because movements are not Gaussian (`bci.decoding.curve`). How far its dynamics are believed and how
    strongly each part is regularised are found by cross-validation on blocks of the training data. With ``n_hinges=0``
    it is linear; then ``n_lags=1, fading_bins=(), ridge=0, dynamics=1`` is the plain Kalman filter (Wu et al. 2006),
    and ``n_lags=10, fading_bins=(), dynamics=0`` ridge regression with ten lags.

    Parameters
    ----------
    n_lags : int
        Bins remembered as they were, the present one counted.
    fading_bins : tuple of float
        Time constants of exponential averages, in bins.
    ridge : float or None
        Added to the variance of each remembered feature, in bins; None chooses by cross-validation.
    dynamics : float or None
        0 decodes each bin from its memory alone, 1 believes the fitted dynamics fully; None chooses among 0, .9 and 1.
    n_hinges : int
        Of the curve; 0 leaves the decoder linear.
    n_folds : int
        Blocks of the cross-validation.
    clip : float
        Features count at most this many deviations from their mean: no outlier moves the estimate far.
    half_life_bins : float or None
        In `partial_fit`, after this many bins what was learned before counts half; None forgets nothing.

    Attributes
    ----------
    ridge_, dynamics_ : float
        What was chosen.
    n_features_in_ : int
        Features per bin.

    Examples
    --------
    >>> import numpy as np
    >>> from bci.decoding import KalmanDecoder
    >>> random = np.random.default_rng(0)
    >>> velocity = np.cumsum(random.normal(size=(2000, 2)), axis=0)
    >>> velocity -= velocity.mean(axis=0)
    >>> spikes = velocity @ random.normal(size=(2, 30)) + 20 * random.normal(size=(2000, 30))
    >>> decoder = KalmanDecoder().fit(spikes[:1500], velocity[:1500])
    >>> bool(decoder.score(spikes[1500:], velocity[1500:]) > 0.8)
    True
    """

    def __init__(
        self,
        *,
        n_lags: int = 8,
        fading_bins: tuple[float, ...] = (5.0, 12.0),
        ridge: float | None = None,
        dynamics: float | None = None,
        n_hinges: int = 400,
        n_folds: int = 5,
        clip: float = 20.0,
        half_life_bins: float | None = None,
    ) -> None:
        self.n_lags = n_lags
        self.fading_bins = fading_bins
        self.ridge = ridge
        self.dynamics = dynamics
        self.n_hinges = n_hinges
        self.n_folds = n_folds
        self.clip = clip
        self.half_life_bins = half_life_bins

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:
        """Fit on features X (n_bins, n) and kinematics y (n_bins, d) or (n_bins,), consecutive bins in order."""
        X, Y, weights = self._validate(X, y, sample_weight, reset=True)
        self._mean, self._scale = _standardise(X)
        self._rates = fading_rates(self.fading_bins)
        F = self._remember(X)
        self._tap_scale = _standardise(F)[1]
        self._y_mean, y_scale = _standardise(Y)
        self._y_scale = np.where(y_scale > 0, y_scale, 1.0)
        self._magnitude = _standardise(np.abs((Y - self._y_mean) * self._y_scale))
        F *= self._tap_scale
        Z = self._states(Y)
        ridges = RIDGES if self.ridge is None else (self.ridge,)
        trusts = DYNAMICS if self.dynamics is None else (self.dynamics,)
        d = Y.shape[1]
        self.ridge_, self.dynamics_ = choose(Z, F, weights, self.n_folds, ridges, trusts, d)
        self._moments = Moments.of(Z, F, weights)
        self._curve = straight(Z.shape[1], d)
        if self.n_hinges > 0 and len(Z) >= LEAST_BINS_FOR_A_CURVE:
            held_out = decode_held_out(Z, F, weights, self.n_folds, self.ridge_, self.dynamics_)
            self._curve = fit_curve(held_out, Z[:, :d], weights, self.n_hinges, self.n_folds)
        self._used = np.ones(self.n_features_in_, dtype=bool)
        return self._solve()

    def partial_fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:
        """Learn from more bins, consecutive among themselves; what was learned before stays as the prior.

        The exact solution over everything seen, faded with `half_life_bins`; the curve, which belongs to the movements
        rather than to the electrodes, stays as `fit` found it. The first call is `fit`.
        """
        if not hasattr(self, "_moments"):
            return self.fit(X, y, sample_weight)
        fade = 1.0 if self.half_life_bins is None else 0.5 ** (len(X) / self.half_life_bins)
        return self._learn(X, y, sample_weight, fade)

    def recalibrate(self, X: Array, y: Array, sample_weight: Array | None = None, prior: float = 2.0) -> Self:
        """Follow a new day from a minute of it, X (n_bins, n) and y as in `fit`; what was learned before is the prior.

        `prior` is how many times as much as the new bins it counts, at most as much as it was: the new day corrects
        the means and what it shows clearly, and leaves the rest as it was.
        """
        check_is_fitted(self)
        return self._learn(X, y, sample_weight, min(1.0, prior * len(X) / self._moments.n))

    def _learn(self, X: Array, y: Array, sample_weight: Array | None, fade: float) -> Self:
        X, Y, weights = self._validate(X, y, sample_weight, reset=False)
        new = Moments.of(self._states(Y), self._remember(X) * self._tap_scale, weights)
        self._moments = self._moments.plus(new, own=fade)
        return self._solve()

    def _states(self, Y: Array) -> Array:
        """Kinematics in units of deviation and, for the curve, their magnitudes: (n_bins, d) or (n_bins, 2d)."""
        Z = (Y - self._y_mean) * self._y_scale
        mean, scale = self._magnitude
        return np.column_stack([Z, (np.abs(Z) - mean) * scale]) if self.n_hinges > 0 else Z

    def predict(self, X: Array) -> Array:
        """Decode consecutive bins, (n_bins, n), from rest: shape (n_bins, d), or (n_bins,) if y was.

        Where a session goes on, use `step`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        state, decoded = self._fitted.at_rest(), np.empty((len(X), len(self._y_mean)))
        for row, estimate in zip(X, decoded, strict=True):
            self._fitted.advance(row, state, estimate)
        return decoded[:, 0] if self._y_is_flat else decoded

    def step(self, features: Array) -> Array:
        """Decode one bin, features (n,), after the ones before: the estimate, shape (d,), a new array.

        A bin with a value that is not finite is predicted only.
        """
        estimate = np.empty(len(self._y_mean))
        self._fitted.advance(features, self._state, estimate)
        return estimate

    def reset(self) -> Self:
        """Forget the bins seen by `step`; keep what was learned."""
        self._state = self._fitted.at_rest()
        return self

    def use_channels(self, used: Array) -> Self:
        """Decode with some channels only, boolean (n,): the others are marginalised exactly, never set to zero.

        Solves anew from what was learned; a fraction of a second for a hundred channels.
        """
        check_is_fitted(self)
        used = np.asarray(used, dtype=bool)
        if used.shape != (self.n_features_in_,) or not used.any():
            raise ModelError(f"A mask of shape {used.shape} does not fit.", f"Give {self.n_features_in_} truth values.")
        self._used = used
        return self._solve()

    def _validate(self, X: Array, y: Array, weights: Array | None, reset: bool) -> tuple[Array, Array, Array]:
        X, y = validate_data(
            self, X, y, reset=reset, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=3
        )
        if reset:
            self._y_is_flat = y.ndim == 1
        Y = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
        return X, Y, _check_sample_weight(weights, X, dtype=np.float64)

    def _remember(self, X: Array) -> Array:
        taps = np.empty((len(X), self.n_lags + len(self._rates), X.shape[1]))
        Z = np.clip((X - self._mean) * self._scale, -self.clip, self.clip)
        remember_all(np.ascontiguousarray(Z), self._rates, np.zeros(taps.shape[1:]), taps)
        return taps.reshape(len(X), -1)

    def _solve(self) -> Self:
        used = np.tile(self._used, self.n_lags + len(self._rates))
        moments = self._moments if used.all() else self._moments.of_features(used)
        D, L = next(information(moments, (self.ridge_,)))
        weights = np.zeros((len(used), len(D)))
        weights[used] = L.T
        self._fitted = Fitted(
            mean=self._mean,
            scale=self._scale,
            clip=self.clip,
            n_lags=self.n_lags,
            rates=self._rates,
            L=weights * self._tap_scale[:, None],
            offset=-L @ (moments.f / moments.n),
            gains=gains(moments, D, L, self.dynamics_),
            free=moments.covariances()[1],
            origin=moments.x / moments.n,
            curve=self._curve,
            y_mean=self._y_mean,
            y_scale=self._y_scale,
        )
        return self.reset()


def _standardise(X: Array) -> tuple[Array, Array]:
    """Mean and inverse deviation of each column; 0 for a column that does not vary."""
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
