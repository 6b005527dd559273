"""The Kalman decoder as a scikit-learn estimator: for a researcher with arrays and neither LSL nor devices."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from bci.decoding.curve import fit_curve, straight
from bci.decoding.fitted import Fitted
from bci.decoding.joint import DYNAMICS, RIDGES, Moments, choose, decode_held_out, gains, information
from bci.decoding.ranges import check_ranges
from bci.errors import ArgumentError
from bci.signals.arguments import as_row
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
        """Fit on features X (n_bins, n) and kinematics y (n_bins, d) or (n_bins,), consecutive bins in order.

        Raises
        ------
        ValueError
            When X, y or the weights do not fit one another, or a setting is out of its range.
        """
        check_ranges(self)
        X, Y, weights = self._validate(X, y, sample_weight, reset=True)
        if not weights.sum() > 0:
            raise ArgumentError("All sample weights are zero.", "Give at least some bins a weight above 0.")
        self._mean, self._scale = _standardise(X)
        self._rates = fading_rates(self.fading_bins)
        self._remembered = np.zeros((self.n_lags + len(self._rates), X.shape[1]))
        self._has_magnitudes = self.n_hinges > 0
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
        self._last = Z[-1], float(weights[-1])
        self._curve = straight(Z.shape[1], d)
        if self.n_hinges > 0 and len(Z) >= LEAST_BINS_FOR_A_CURVE:
            held_out = decode_held_out(Z, F, weights, self.n_folds, self.ridge_, self.dynamics_)
            self._curve = fit_curve(held_out, Z[:, :d], weights, self.n_hinges, self.n_folds)
        self._used = np.ones(self.n_features_in_, dtype=bool)
        return self._solve().reset()

    def partial_fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:
        """Learn from more bins, those that follow the last ones learned; what was learned before stays as the prior.

        The exact solution over everything seen, faded with `half_life_bins` at each call; many calls give the same as
        one. The curve, which belongs to the movements rather than to the electrodes, stays as `fit` found it, and what
        `step` has seen stays too. The first call is `fit`.

        Raises
        ------
        ValueError
            As `fit`; also when y has another number of columns than before.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y, sample_weight)
        check_ranges(self)
        X, Y, weights = self._validate(X, y, sample_weight, reset=False)
        fade = 1.0 if self.half_life_bins is None else 0.5 ** (len(X) / self.half_life_bins)
        return self._learn(X, Y, weights, fade)

    def recalibrate(self, X: Array, y: Array, sample_weight: Array | None = None, prior: float = 2.0) -> Self:
        """Follow a new day from a minute of it, X (n_bins, n) and y as in `fit`; what was learned before is the prior.

        `prior` is how many times as much as the new bins it counts, by their weights, and at most as much as it was:
        the new day corrects the means and what it shows clearly, and leaves the rest as it was. What `step` has seen
        is forgotten. Raises ValueError as `partial_fit` does.
        """
        check_is_fitted(self)
        if not 0.0 <= prior < np.inf:
            raise ArgumentError(f"prior is {prior}.", "Give a finite number, 0 or more.")
        X, Y, weights = self._validate(X, y, sample_weight, reset=False)
        self._remembered = np.zeros_like(self._remembered)
        self._last = np.zeros_like(self._last[0]), 0.0
        return self._learn(X, Y, weights, min(1.0, prior * float(weights.sum()) / self._moments.n)).reset()

    def _learn(self, X: Array, Y: Array, weights: Array, fade: float) -> Self:
        Z = self._states(Y)
        new = Moments.of(Z, self._remember(X) * self._tap_scale, weights, *self._last)
        total = self._moments.plus(new, own=fade)
        if not total.n > 0:
            raise ArgumentError("Nothing is left to learn from: all weights are zero.", "Give some bins a weight.")
        self._moments = total
        self._last = Z[-1], float(weights[-1])
        return self._solve()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")

    def _states(self, Y: Array) -> Array:
        """Kinematics in units of deviation and, for the curve, their magnitudes: (n_bins, d) or (n_bins, 2d)."""
        Z = (Y - self._y_mean) * self._y_scale
        mean, scale = self._magnitude
        return np.column_stack([Z, (np.abs(Z) - mean) * scale]) if self._has_magnitudes else Z

    def predict(self, X: Array) -> Array:
        """Decode consecutive bins, (n_bins, n), from rest: shape (n_bins, d), or (n_bins,) if y was.

        Where a session goes on, use `step`.
        """
        check_is_fitted(self)
        X = np.ascontiguousarray(validate_data(self, X, reset=False, dtype=np.float64))
        state, decoded = self._fitted.at_rest(), np.empty((len(X), len(self._y_mean)))
        for row, estimate in zip(X, decoded, strict=True):
            self._fitted.advance(row, state, estimate)
        return decoded[:, 0] if self._y_is_flat else decoded

    def step(self, features: Array) -> Array:
        """Decode one bin, features (n,), after the ones before: the estimate, shape (d,), a new array.

        A bin with a value that is not finite is predicted only.

        Raises
        ------
        ValueError
            When there are more or fewer than n features, or they are no real numbers; before `fit`.
        """
        if "_state" not in self.__dict__:
            check_is_fitted(self)
        features, estimate = as_row(features, len(self._mean)), np.empty(len(self._y_mean))
        self._fitted.advance(features, self._state, estimate)
        return estimate

    def reset(self) -> Self:
        """Forget the bins seen by `step`; keep what was learned."""
        if not hasattr(self, "_fitted"):
            check_is_fitted(self)
        self._state = self._fitted.at_rest()
        return self

    def use_channels(self, used: Array) -> Self:
        """Decode with some channels only, boolean (n,): the others are marginalised exactly, never set to zero.

        Solves anew from what was learned; a fraction of a second for a hundred channels.
        """
        check_is_fitted(self)
        used = np.asarray(used, dtype=bool)
        if used.shape != self._mean.shape or not used.any():
            raise ArgumentError(f"A mask of shape {used.shape} does not fit.", f"Give {len(self._mean)} truth values.")
        self._used = used.copy()
        return self._solve()

    def _validate(self, X: Array, y: Array, weights: Array | None, reset: bool) -> tuple[Array, Array, Array]:
        X, y = validate_data(
            self, X, y, reset=reset, multi_output=True, y_numeric=True, dtype=np.float64,
            ensure_min_samples=3 if reset else 1,
        )  # fmt: skip
        Y = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
        if not reset and Y.shape[1] != len(self._y_mean):
            raise ArgumentError(
                f"y has {Y.shape[1]} columns, the decoder was fitted with {len(self._y_mean)}.", "Give those."
            )
        checked = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
        if reset:
            self._y_is_flat = y.ndim == 1
        return X, Y, checked

    def _remember(self, X: Array) -> Array:
        """The memory at each bin, (n_bins, taps * n), after the bins learned before."""
        taps = np.empty((len(X), *self._remembered.shape))
        Z = np.clip((X - self._mean) * self._scale, -self.clip, self.clip)
        self._remembered = self._remembered.copy()  # copies of this decoder may share the old one
        remember_all(np.ascontiguousarray(Z), self._rates, self._remembered, taps)
        return taps.reshape(len(X), -1)

    def _solve(self) -> Self:
        used = np.tile(self._used, len(self._remembered))
        moments = self._moments if used.all() else self._moments.of_features(used)
        D, L = next(information(moments, (self.ridge_,)))
        weights = np.zeros((len(used), len(D)))
        weights[used] = L.T
        self._fitted = Fitted(
            mean=self._mean,
            scale=self._scale,
            clip=self.clip,
            n_lags=len(self._remembered) - len(self._rates),
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
        return self


def _standardise(X: Array) -> tuple[Array, Array]:
    """Mean and inverse deviation of each column; 0 for a column that does not vary."""
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
