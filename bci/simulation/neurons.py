"""Cosine-tuned Poisson neurons that drift."""

from __future__ import annotations

import numpy as np

from bci.types import Array

BASELINE_HZ = (5.0, 20.0)
DEPTH_HZ = 6.0  # median modulation of a tuned neuron
DEPTH_SPREAD = 0.5  # of its logarithm
SHARE_TUNED = 0.6
SPEED_SHARE = 0.3  # of the depth, added with effort in any direction
BASELINE_DRIFT_HZ = 1.0  # standard deviation of the slow wander
BASELINE_DRIFT_TAU_S = 600.0
TUNING_CORRELATION_PER_DAY = 0.91


class Neurons:
    """Spike counts that encode an intended velocity.

    λ = max(0, b + d (p·u) + s|u|), n ~ Poisson(λ dt), with preferred directions p that turn and baselines b that
    wander. Magnitudes after Georgopoulos et al. (1982) and, for the drift, Perge et al. (2013) and Wilson et al.
    (2025).

    Parameters
    ----------
    n_neurons, n_outputs : int
        How many neurons, and dimensions of the intention.
    random : numpy.random.Generator
        Seeded source of everything random.
    time_lapse : float
        Tuning drifts this many times faster than in life, so that a minute shows what days do.
    """

    def __init__(self, n_neurons: int, n_outputs: int, random: np.random.Generator, time_lapse: float = 1.0) -> None:
        self._random = random
        self._time_lapse = time_lapse
        directions = random.normal(size=(n_neurons, n_outputs))
        self.directions: Array = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        depth = DEPTH_HZ * np.exp(DEPTH_SPREAD * random.normal(size=n_neurons))
        self.depth_hz: Array = depth * (random.uniform(size=n_neurons) < SHARE_TUNED)
        self.baseline_hz: Array = random.uniform(*BASELINE_HZ, size=n_neurons)
        self.wander_hz: Array = BASELINE_DRIFT_HZ * random.normal(size=n_neurons)

    def counts(self, effort: Array, dt_s: float) -> Array:
        """Spike counts of one bin, shape (n_neurons,), for an effort of shape (n_outputs,)."""
        self._drift(dt_s)
        speed = np.linalg.norm(effort)
        rate_hz = (
            self.baseline_hz
            + self.wander_hz
            + self.depth_hz * (self.directions @ effort)
            + SPEED_SHARE * self.depth_hz * speed
        )
        counts: Array = self._random.poisson(np.maximum(rate_hz, 0.0) * dt_s).astype(np.float64)
        return counts

    def _drift(self, dt_s: float) -> None:
        keep = np.exp(-dt_s / BASELINE_DRIFT_TAU_S)
        kick = BASELINE_DRIFT_HZ * np.sqrt(1.0 - keep**2)
        self.wander_hz = keep * self.wander_hz + kick * self._random.normal(size=self.wander_hz.shape)
        n_others = self.directions.shape[1] - 1
        if n_others == 0:
            return
        same = TUNING_CORRELATION_PER_DAY ** (self._time_lapse * dt_s / 86_400)
        aside = self._random.normal(size=self.directions.shape)
        aside -= np.sum(aside * self.directions, axis=1, keepdims=True) * self.directions
        turned = same * self.directions + np.sqrt((1.0 - same**2) / n_others) * aside
        self.directions = turned / np.linalg.norm(turned, axis=1, keepdims=True)
