"""Discrete intents: a click (or grasp), standing still, and rest, beside the continuous velocity.

Features are Gaussian in each state with one covariance (linear discriminant analysis); a hidden Markov model adds that
states last. Its forward filter gives the probability of each state, bin by bin:

    π⁻ = Tᵀπ        π ∝ π⁻ exp(trust wᵀ(z - a/2))        w = Σ⁻¹a        a = μ - m        z = y - m

Kim et al. (2011), IEEE Trans Neural Syst Rehabil Eng 19:193: click beside velocity from the same units. Velliste et al.
(2014), J Neurosci 34:6011: a gate at rest.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.decoding.model import StateModel
from bci.errors import ArgumentError
from bci.settings import Discrete
from bci.signals.arguments import as_mask, as_row
from bci.types import Array

CLIP = 5.0  # deviations from the mean of all states at which a feature counts no more


@njit(cache=True, nogil=True, error_model="numpy")
def infer(
    y: Array, centre: Array, reach: Array, weights: Array, away: Array, trust: float, stay: Array, score: Array,
    probability: Array,
) -> None:  # fmt: skip
    """One bin of the forward filter, in place.

    Parameters
    ----------
    y : Array
        Features, shape (n,); those that are not finite tell nothing.
    centre, reach : Array
        m, and how far from it a feature counts, shape (n,).
    weights, away : Array
        w and a, shape (n_states, n).
    trust : float
        Power of the likelihood.
    stay : Array
        Shape (n_states,): probability that a state lasts another bin; the rest is shared by the others.
    score : Array
        Scratch, shape (n_states,).
    probability : Array
        π, shape (n_states,), in place.
    """
    score[:] = 0.0
    for i in range(len(y)):
        if np.isfinite(y[i]):
            z = min(max(y[i] - centre[i], -reach[i]), reach[i])
            for s in range(len(score)):
                score[s] += weights[s, i] * (z - 0.5 * away[s, i])
    most = score[0]
    for s in range(1, len(score)):
        most = max(most, score[s])
    predict(stay, probability)
    total = 0.0
    for s in range(len(score)):
        probability[s] *= np.exp(trust * (score[s] - most))
        total += probability[s]
    for s in range(len(score)):
        probability[s] = probability[s] / total if total > 0.0 else 1.0 / len(score)


@njit(cache=True, nogil=True, error_model="numpy")
def predict(stay: Array, probability: Array) -> None:
    """π ← Tᵀπ, in place."""
    left = 0.0
    for s in range(len(stay)):
        left += (1.0 - stay[s]) * probability[s]
    for s in range(len(stay)):
        gone = (1.0 - stay[s]) * probability[s]
        probability[s] += (left - gone) / (len(stay) - 1) - gone


class DiscreteDecoder:
    """Click, hold and rest, bin by bin.

    Parameters
    ----------
    model : StateModel
        Fitted.
    settings : Discrete
        When a click counts, how long states last, when the gate opens and closes.
    bin_s : float
        Bin width.

    Attributes
    ----------
    probability : Array
        Shape (n_states,), in the order of `model.states`; the same array every bin.
    gate : float
        0 at rest, 1 when active, ramping between; always 1 where the model knows no idle state.
    n_clicks : int
        Clicks detected: probability high for the dwell, not within the refractory time of the last one, and only once
        until it has fallen again.
    """

    def __init__(self, model: StateModel, settings: Discrete, bin_s: float) -> None:
        n_states, n = model.means.shape
        if len(model.states) != n_states or model.covariance.shape not in ((n,), (n, n)):
            raise ArgumentError(
                f"{len(model.states)} states cannot have means {model.means.shape} and covariance "
                f"{model.covariance.shape}.",
                "Fit them with `bci fit`.",
            )
        self.model, self.settings = model, settings
        self.probability: Array = np.full(n_states, 1.0 / n_states)
        lasting_s = [getattr(settings, f"{state}_s") for state in model.states]
        self._stay: Array = np.exp(-bin_s / np.array(lasting_s))
        self._centre: Array = model.means.mean(axis=0)
        is_diagonal = model.covariance.ndim == 1
        self._precision: Array = 1.0 / model.covariance if is_diagonal else np.linalg.inv(model.covariance)
        variance = model.covariance if is_diagonal else np.diag(model.covariance)
        self._reach: Array = CLIP * np.sqrt(variance + np.var(model.means, axis=0))
        self._weights, self._away, self._score = np.zeros((n_states, n)), np.zeros((n_states, n)), np.zeros(n_states)
        self._click, self._hold, self._idle = (_place(model.states, name) for name in ("click", "hold", "idle"))
        self._high = settings.click_probability or model.click_probability
        self._dwell_bins = max(1, round(settings.dwell_ms / 1e3 / bin_s))
        self._refractory_bins = round(settings.refractory_ms / 1e3 / bin_s)
        self._open_bins = max(1, round(settings.gate_open_ms / 1e3 / bin_s))
        self._close_bins = max(1, round(settings.gate_close_ms / 1e3 / bin_s))
        self._ramp = min(1.0, bin_s / (settings.gate_ramp_ms / 1e3))
        self.gate = 0.0 if self._idle >= 0 else 1.0
        self.is_open = self._idle < 0
        self.n_clicks = 0
        self._n_high = self._n_refractory = self._n_turning = 0
        self.use_features(np.ones(n, dtype=np.bool_))

    @property
    def click(self) -> float:
        """Probability that a click is meant now."""
        return float(self.probability[self._click]) if self._click >= 0 else 0.0

    @property
    def hold(self) -> float:
        """Probability that standing still is meant now."""
        return float(self.probability[self._hold]) if self._hold >= 0 else 0.0

    @property
    def share(self) -> float:
        """What is left of the velocity: nothing at rest, and the less the more a click or hold is meant."""
        return self.gate * max(0.0, 1.0 - self.click - self.hold)

    def step(self, y: Array) -> None:
        """Take in one bin, features of shape (n,); ValueError where they are not."""
        y = as_row(y, len(self._centre))
        infer(
            y, self._centre, self._reach, self._weights, self._away, self.model.trust, self._stay, self._score,
            self.probability,
        )  # fmt: skip
        self._decide(is_seen=True)

    def coast(self) -> None:
        """Predict one bin without features: probabilities drift to their average, and nothing is clicked."""
        predict(self._stay, self.probability)
        self._decide(is_seen=False)

    def use_features(self, is_used: Array) -> None:
        """Tell states apart by some features only, boolean (n,): the others are marginalised exactly."""
        away, hidden = self._away, np.flatnonzero(~as_mask(is_used, len(self._centre)))
        away[:] = self.model.means - self._centre
        away[:, hidden] = 0.0
        if self._precision.ndim == 1:
            self._weights[:] = away * self._precision
            return
        if len(hidden):
            block = self._precision[np.ix_(hidden, hidden)]
            away[:, hidden] = -np.linalg.solve(block, self._precision[hidden] @ away.T).T
        self._weights[:] = away @ self._precision
        self._weights[:, hidden] = 0.0

    def _decide(self, is_seen: bool) -> None:
        settings = self.settings
        if self._n_refractory:
            self._n_refractory -= 1
        if not is_seen or self.click < self._high:
            self._n_high = 0
        else:
            self._n_high += 1
            if self._n_high == self._dwell_bins and not self._n_refractory:
                self.n_clicks += 1
                self._n_refractory = self._refractory_bins
        if self._idle < 0:
            return
        active = 1.0 - float(self.probability[self._idle])
        is_turning = active < settings.gate_close if self.is_open else active > settings.gate_open
        self._n_turning = self._n_turning + 1 if is_turning else 0
        if self._n_turning >= (self._close_bins if self.is_open else self._open_bins):
            self.is_open, self._n_turning = not self.is_open, 0
        self.gate = min(1.0, self.gate + self._ramp) if self.is_open else max(0.0, self.gate - self._ramp)


def _place(states: tuple[str, ...], name: str) -> int:
    return states.index(name) if name in states else -1
