"""Decoders side by side on the same bins: ours, the field's baselines, and what scikit-learn offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from bci.decoding.estimator import KalmanDecoder
from bci.decoding.offline import PlainKalman
from bci.decoding.tangent import TangentSpaceClassifier
from bci.signals.filters import design_bandpass
from bci.types import Array

N_LAGS = 10
CASCADE_DEGREE = 3
SELECTION_FRACTION = 0.8  # of the training part: fit on it, choose on the rest
MU_AND_BETA = ((8.0, 30.0),)
EEG_BANKS = (
    MU_AND_BETA,
    ((8.0, 13.0), (13.0, 30.0)),
    tuple((low, low + 4.0) for low in np.arange(4.0, 40.0, 4.0)),  # Ang et al. (2008), filter bank of FBCSP
)
LOG_BANDS_HZ = ((8.0, 12.0), (12.0, 16.0), (16.0, 22.0), (22.0, 30.0))


def plain_kalman(Y: Array, X: Array, Y_test: Array, start: Array) -> Array:
    """Kalman filter on features as recorded, begun at the true state, as published."""
    return PlainKalman().fit(X, Y).predict(Y_test, start)


def our_decoder(Y: Array, X: Array, Y_test: Array, start: Array) -> Array:
    """`KalmanDecoder` as it comes."""
    decoded: Array = KalmanDecoder().fit(Y, X).predict(Y_test)
    return decoded


def our_linear_decoder(Y: Array, X: Array, Y_test: Array, start: Array) -> Array:
    """`KalmanDecoder` without its curve."""
    decoded: Array = KalmanDecoder(n_hinges=0).fit(Y, X).predict(Y_test)
    return decoded


def _ridge() -> KalmanDecoder:
    return KalmanDecoder(n_lags=N_LAGS, fading_bins=(), dynamics=0.0, n_hinges=0)


def ridge_with_lags(Y: Array, X: Array, Y_test: Array, start: Array) -> Array:
    """Ridge regression on ten lags, its penalty by cross-validation on blocks of the training part."""
    decoded: Array = _ridge().fit(Y, X).predict(Y_test)
    return decoded


def wiener_cascade(Y: Array, X: Array, Y_test: Array, start: Array) -> Array:
    """The same ridge regression, then a polynomial for each axis (Pohlmeyer et al. 2007, J Neurosci Methods 160:9)."""
    linear = _ridge().fit(Y, X)
    before, after = linear.predict(Y), linear.predict(Y_test)
    decoded = np.empty_like(after)
    for j in range(X.shape[1]):
        curve = Polynomial.fit(before[:, j], X[:, j], CASCADE_DEGREE)
        decoded[:, j] = curve(np.clip(after[:, j], before[:, j].min(), before[:, j].max()))
    return decoded


def best_of_sklearn(Y: Array, X: Array, Y_test: Array, start: Array) -> Array:
    """The linear model of scikit-learn, on ten lags, that does best on the end of the training part."""
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.linear_model import MultiTaskElasticNet, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    candidates: list[Any] = [
        RidgeCV(10.0 ** np.arange(7), alpha_per_target=True),
        PLSRegression(10, max_iter=100),
        PLSRegression(20, max_iter=100),
        MultiTaskElasticNet(0.01, max_iter=200),
    ]
    F, F_test = lagged(Y, N_LAGS), lagged(Y_test, N_LAGS)
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    Z = (X - mean) / deviation
    n = int(SELECTION_FRACTION * len(F))
    models = [make_pipeline(StandardScaler(), candidate) for candidate in candidates]
    scores = [model.fit(F[:n], Z[:n]).score(F[n:], Z[n:]) for model in models]
    chosen = models[int(np.argmax(scores))]
    decoded: Array = chosen.fit(F, Z).predict(F_test) * deviation + mean
    return decoded


def lagged(Y: Array, n_lags: int) -> Array:
    """Each bin with the ones before it, (n_bins, n_lags * n), the present one first; zeros before the beginning."""
    padded = np.vstack([np.zeros((n_lags - 1, Y.shape[1])), Y])
    return np.hstack([padded[n_lags - 1 - i : len(padded) - i] for i in range(n_lags)])


CONTINUOUS: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "plain Kalman": plain_kalman,
    "ours": our_decoder,
    "ours, linear": our_linear_decoder,
    "ridge, 10 lags": ridge_with_lags,
    "Wiener cascade": wiener_cascade,
    "best of scikit-learn": best_of_sklearn,
}


def our_classifier(
    X: Array, y: Array, sessions: Array, rate_hz: float, banks: tuple[tuple[tuple[float, float], ...], ...]
) -> TangentSpaceClassifier:
    """`TangentSpaceClassifier` with the filter bank that does best on training sessions held out one at a time."""
    names = np.unique(sessions)
    chosen = banks[0]
    if len(banks) > 1:
        accuracies = []
        for bank in banks:
            held_out = [(sessions != name, sessions == name) for name in names]
            accuracies.append(
                np.mean(
                    [
                        TangentSpaceClassifier(rate_hz, bank).fit(X[fit], y[fit], sessions[fit]).score(X[test], y[test])
                        for fit, test in held_out
                    ]
                )
            )
        chosen = banks[int(np.argmax(accuracies))]
    return TangentSpaceClassifier(rate_hz, chosen).fit(X, y, sessions)


class LogPowerClassifier:
    """The usual baseline: log power of each channel in some bands, then linear discriminant analysis, shrunk."""

    def __init__(self, rate_hz: float, bands_hz: tuple[tuple[float, float], ...]) -> None:
        self.rate_hz = rate_hz
        self.bands_hz = bands_hz

    def fit(self, X: Array, y: Array) -> LogPowerClassifier:
        """Fit on epochs X (n_epochs, n_channels, n_samples)."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        self._lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(self._features(X), y)
        return self

    def score(self, X: Array, y: Array) -> float:
        """Share of epochs whose label is right."""
        return float(self._lda.score(self._features(X), y))

    def _features(self, X: Array) -> Array:
        from scipy.signal import sosfilt

        skip = round(0.5 * self.rate_hz)
        X = X - X[..., :1]
        filtered = (sosfilt(design_bandpass(low, high, 4, self.rate_hz), X, axis=-1) for low, high in self.bands_hz)
        return np.hstack([np.log(np.var(z[..., skip:], axis=-1) + 1e-12) for z in filtered])
