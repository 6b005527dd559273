"""A fitted `KalmanDecoder` at work in the loop: loaded from a model, its masks solved exactly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from bci.decoding.curve import Curve
from bci.decoding.fitted import Fitted
from bci.decoding.joint import FLOOR, Gains, Moments, gains
from bci.decoding.kinds import Readout
from bci.errors import ModelError
from bci.types import Array

MOST_TAPS = 5000  # features times what is remembered of each: their covariance still fits into memory


@dataclass(frozen=True)
class Sums:
    """What masks are solved from: f = Cx + noise, over the whole memory of every feature.

    Attributes
    ----------
    moments : Moments
        Of the states and of the p remembered features.
    inverse : Array
        (E[ffᵀ] + λI)⁻¹, shape (p, p).
    tap_scale : Array
        Shape (p,).
    ridge, dynamics : float
        Chosen when it was fitted.
    """

    moments: Moments
    inverse: Array
    tap_scale: Array
    ridge: float
    dynamics: float


class KalmanReadout(Readout):
    """The linear `KalmanDecoder`, or one with a curve: `kind = "kalman"`.

    Parameters
    ----------
    fitted : Fitted
        What decodes with every feature.
    sums : Sums
        What it was solved from.
    """

    def __init__(self, fitted: Fitted, sums: Sums) -> None:
        self.whole = self._fitted = fitted
        self.sums = sums
        self.provenance: dict[str, Any] = {
            "n_lags": fitted.n_lags, "fading_bins": np.round(-1.0 / np.log1p(-fitted.rates), 6).tolist(),
            "ridge_bins": sums.ridge, "dynamics": sums.dynamics,
        }  # fmt: skip
        self._state = fitted.at_rest()
        self._estimate: Array = np.empty(len(fitted.y_mean))
        self._nothing: Array = np.full(len(fitted.mean), np.nan)
        m = sums.moments
        self._S, _, self._fx, _ = m.covariances()
        self._H: Array = sums.inverse @ self._fx
        self._states = Moments(m.n, m.x, m.f[:0], m.xx, m.next_x, m.fx[:0], m.ff[:0, :0])  # what the filter needs

    @classmethod
    def fit(cls, features: Array, v_int: Array, weights: Array) -> Self:
        """Fit the linear decoder; ridge and trust in the dynamics by cross-validation on blocks."""
        from bci.decoding.estimator import KalmanDecoder  # scikit-learn: not for live processes

        decoder = KalmanDecoder(n_hinges=0)
        n_taps = features.shape[1] * (decoder.n_lags + len(decoder.fading_bins))
        if n_taps > MOST_TAPS:
            raise ModelError(
                f"{features.shape[1]} features, remembered {n_taps // features.shape[1]} times, are too many.",
                "This decoder has a memory of its own: set features.stack_bins = 1.",
            )
        return cls.of(decoder.fit(features, v_int, weights))

    @classmethod
    def of(cls, decoder: Any) -> Self:
        """A fitted `KalmanDecoder`, with all its channels, as it is."""
        return cls.from_arrays(_arrays(decoder._fitted, decoder._moments, decoder._tap_scale,
                                       decoder.ridge_, decoder.dynamics_))  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """Build what `to_arrays` told; the covariance of what is remembered is inverted here, once."""
        a = arrays
        fitted = Fitted(
            mean=a["mean"], scale=a["scale"], clip=float(a["clip"]), n_lags=int(a["n_lags"]), rates=a["rates"],
            L=a["L"], offset=a["offset"], gains=Gains(a["A"], a["P"], a["D"], a["L"].T), free=a["free"],
            origin=a["origin"], curve=Curve(**{name: a[f"curve_{name}"] for name in Curve.__annotations__}),
            y_mean=a["y_mean"], y_scale=a["y_scale"],
        )  # fmt: skip
        moments = Moments(float(a["n"]), a["x"], a["f"], a["xx"], a["next_x"], a["fx"], a["ff"])
        ff = moments.covariances()[3]
        inverse = np.linalg.inv(ff + float(a["ridge"]) / moments.n * np.eye(len(ff)))
        sums = Sums(moments, (inverse + inverse.T) / 2, a["tap_scale"], float(a["ridge"]), float(a["dynamics"]))
        if fitted.L.shape != (len(fitted.mean) * (fitted.n_lags + len(fitted.rates)), len(fitted.origin)):
            raise ValueError(f"L has shape {fitted.L.shape}")
        return cls(fitted, sums)

    def to_arrays(self) -> dict[str, Array]:
        """Weights and filter as they decode, and the sums that masks are solved from."""
        return _arrays(self.whole, self.sums.moments, self.sums.tap_scale, self.sums.ridge, self.sums.dynamics)

    def step(self, features: Array) -> Array:
        """Decode one bin; the same bits as `KalmanDecoder.predict` gives for it after the same ones."""
        self._fitted.advance(features, self._state, self._estimate)
        return self._estimate

    def coast(self) -> None:
        """Predict only, and remember the last bin once more."""
        self._fitted.advance(self._nothing, self._state, self._estimate)

    def use_features(self, is_used: Array) -> None:
        """Marginalise the others exactly, over their whole memory: only the hidden part is solved anew."""
        if is_used.all():
            self._fitted = self.whole
            return
        s, S = self.sums, self._S
        used = np.tile(is_used, len(s.tap_scale) // len(is_used))
        hidden = ~used
        H = self._H[used] - s.inverse[np.ix_(used, hidden)] @ np.linalg.solve(
            s.inverse[np.ix_(hidden, hidden)], self._H[hidden]
        )
        unexplained = S - self._fx[used].T @ H
        precision = np.linalg.inv((unexplained + unexplained.T) / 2 + FLOOR * S)
        D, L = precision - np.linalg.inv(S), precision @ H.T
        weights = np.zeros_like(self.whole.L)
        weights[used] = L.T
        self._fitted = dataclasses.replace(
            self.whole,
            L=weights * s.tap_scale[:, None],
            offset=-L @ (s.moments.f[used] / s.moments.n),
            gains=gains(self._states, (D + D.T) / 2, L, s.dynamics),
        )


def _arrays(fitted: Fitted, moments: Moments, tap_scale: Array, ridge: float, dynamics: float) -> dict[str, Array]:
    g = fitted.gains
    values = {
        **{name: getattr(fitted, name) for name in
           ("mean", "scale", "clip", "n_lags", "rates", "L", "offset", "free", "origin", "y_mean", "y_scale")},
        **{f"curve_{name}": value for name, value in vars(fitted.curve).items()},
        **vars(moments), "A": g.A, "P": g.P, "D": g.D,
        "tap_scale": tap_scale, "ridge": ridge, "dynamics": dynamics,
    }  # fmt: skip
    return {
        name: np.ascontiguousarray(value, dtype=np.float64).reshape(np.shape(value)) for name, value in values.items()
    }
