"""Classify epochs of EEG or EMG by their covariances, in the tangent space, re-centred while they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from scipy import signal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from bci.decoding.ranges import check_ranges
from bci.errors import ArgumentError, ModelError
from bci.signals.arguments import as_numbers
from bci.signals.filters import design_bandpass
from bci.types import Array

PRIOR_TRIALS = 10  # for which the mean of the training counts at the beginning of a new session


class TangentSpaceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Band-passed covariances, whitened by their Riemannian mean, then logistic regression on their logarithms.

    Between sessions electrodes, skin and arousal move the mean of the covariances far more than what tells the classes
    apart. Each session is therefore whitened by a mean of its own, which needs no labels: in training by that of the
    whole session, afterwards by one that follows the epochs as they come.

    Needs pyriemann (``pip install 'bci-decoder[eeg]'``).

    Parameters
    ----------
    rate_hz : float
        Sampling rate of the epochs.
    bands_hz : tuple of (float, float)
        One covariance for each.
    skip_s : float
        Left out at the beginning of each epoch: reaction time and the filters' settling.
    regularisation : float
        C of the logistic regression.
    forgetting : float
        Least share of a new epoch in the mean that follows; 0 never forgets.

    Attributes
    ----------
    classes_ : Array
        The labels.

    References
    ----------
    Barachant et al. (2012), IEEE Trans Biomed Eng 59:920; Zanini et al. (2018), IEEE Trans Biomed Eng 65:1107.
    """

    def __init__(
        self,
        rate_hz: float,
        bands_hz: tuple[tuple[float, float], ...] = ((8.0, 30.0),),
        skip_s: float = 0.5,
        regularisation: float = 0.05,
        forgetting: float = 0.02,
    ) -> None:
        self.rate_hz = rate_hz
        self.bands_hz = bands_hz
        self.skip_s = skip_s
        self.regularisation = regularisation
        self.forgetting = forgetting

    def fit(self, X: Array, y: Array, sessions: Array | None = None) -> Self:
        """Fit on epochs X (n_epochs, n_channels, n_samples) with labels y and, where known, the session of each."""
        from pyriemann.geometry.mean import mean_riemann

        check_ranges(self)
        X, y = _epochs(X), np.asarray(y)
        if y.ndim != 1:
            raise ArgumentError(f"Labels have shape {y.shape}.", f"Give ({len(X)},): one for each epoch.")
        if X.shape[2] <= round(self.skip_s * self.rate_hz) + 1:
            raise ArgumentError(
                f"Epochs of {X.shape[2]} samples end before the {self.skip_s:g} s that are left out.",
                "Give longer ones, or a shorter skip_s.",
            )
        sessions = np.zeros(len(X)) if sessions is None else np.asarray(sessions)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2 or not len(X) == len(y) == len(sessions):
            raise ModelError(
                f"{len(X)} epochs with {len(y)} labels of {len(self.classes_)} classes cannot be told apart.",
                "Give one label for each epoch, of at least two classes.",
            )
        covariances = self._covariances(X)  # (n_bands, n_epochs, n_channels, n_channels)
        self._shape = X.shape[1:]
        features = np.empty((len(X), covariances.shape[0] * _n_upper(X.shape[1])))
        for session in np.unique(sessions):
            inside = sessions == session
            means = [mean_riemann(band[inside]) for band in covariances]
            features[inside] = _tangents(covariances[:, inside], means)
        self._means = [mean_riemann(band) for band in covariances]
        self._classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=self.regularisation, max_iter=1000)
        ).fit(features, y)
        return self.reset()

    def predict(self, X: Array) -> Array:
        """Labels of the epochs of one session, in order; each is decided with the epochs up to it."""
        labels: Array = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return labels

    def predict_proba(self, X: Array) -> Array:
        """Probability of each class, (n_epochs, n_classes), of the epochs of one session, in order."""
        check_is_fitted(self)
        X = _epochs(X)
        self._check_channels(X)
        means = [mean.copy() for mean in self._means]
        return np.array([self._decide(epoch, means, i + 1) for i, epoch in enumerate(X)])

    def step(self, epoch: Array) -> Array:
        """Probability of each class, (n_classes,), of one epoch (n_channels, n_samples) after the ones before."""
        check_is_fitted(self)
        X = _epochs(np.asarray(epoch)[None])
        self._check_channels(X)
        self._n_seen += 1
        return self._decide(X[0], self._current, self._n_seen)

    def reset(self) -> Self:
        """Begin a new session."""
        if not hasattr(self, "_classifier"):
            check_is_fitted(self)
        self._current = [mean.copy() for mean in self._means]
        self._n_seen = 0
        return self

    def _check_channels(self, X: Array) -> None:
        if X.shape[1] != self._shape[0] or X.shape[2] <= round(self.skip_s * self.rate_hz) + 1:
            raise ArgumentError(
                f"Epochs have {X.shape[1]} channels and {X.shape[2]} samples, those of the training {self._shape}.",
                "Give epochs of the same channels and length.",
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_current")

    def _decide(self, epoch: Array, means: list[Array], n_seen: int) -> Array:
        from pyriemann.geometry.geodesic import geodesic_riemann

        covariances = self._covariances(epoch[None])
        share = max(1.0 / (PRIOR_TRIALS + n_seen), self.forgetting)
        for i, covariance in enumerate(covariances[:, 0]):
            means[i] = geodesic_riemann(means[i], covariance, share)
        probability: Array = self._classifier.predict_proba(_tangents(covariances, means))[0]
        return probability

    def _covariances(self, X: Array) -> Array:
        return np.array(list(self._band_covariances(X)))

    def _band_covariances(self, X: Array) -> Iterator[Array]:
        from pyriemann.geometry.covariance import covariances

        start = round(self.skip_s * self.rate_hz)
        X = X - X[..., :1]
        for low, high in self.bands_hz:
            sos = design_bandpass(low, high, 4, self.rate_hz)
            yield covariances(signal.sosfilt(sos, X, axis=-1)[..., start:], "oas")


def _tangents(covariances: Array, means: list[Array]) -> Array:
    """Logarithms of whitened covariances, (n_epochs, n_bands * n_upper), from (n_bands, n_epochs, n, n)."""
    from pyriemann.geometry.tangentspace import tangent_space

    return np.hstack([tangent_space(band, mean) for band, mean in zip(covariances, means, strict=True)])


def _n_upper(n: int) -> int:
    return n * (n + 1) // 2


def _epochs(X: Array) -> Array:
    X = as_numbers(X, "Epochs")
    if X.ndim != 3 or not np.isfinite(X).all():
        raise ModelError(
            f"Epochs of shape {X.shape} cannot be used.",
            "Give finite values of shape (n_epochs, n_channels, n_samples), and leave out epochs with lost samples.",
        )
    return X
