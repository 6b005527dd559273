"""Cosine-tuned neurons that drift."""

from __future__ import annotations

import numpy as np

from bci.simulation.drift import Wander, correlation_after, turn_directions
from bci.simulation.encoding import Population, counts, encode
from bci.types import Array

BASELINE_HZ = (5.0, 20.0)
DEPTH_HZ = 6.0  # median modulation of a tuned neuron
DEPTH_SPREAD = 0.5  # of its logarithm
SHARE_TUNED = 0.6
SPEED_SHARE = 0.3  # of the depth, added with effort in any direction
BASELINE_DRIFT_HZ = 1.0  # standard deviation of the slow wander


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
    fano : float
        Variance over mean of the counts; 1 is Poisson.
    common : float
        Standard deviation of what two common sources add to the logarithm of every rate.
    """

    def __init__(
        self,
        n_neurons: int,
        n_outputs: int,
        random: np.random.Generator,
        time_lapse: float = 1.0,
        *,
        fano: float = 1.0,
        common: float = 0.0,
    ) -> None:
        self._random = random
        self._time_lapse = time_lapse
        directions = random.normal(size=(n_neurons, n_outputs))
        self.directions: Array = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        depth = DEPTH_HZ * np.exp(DEPTH_SPREAD * random.normal(size=n_neurons))
        self.depth_hz: Array = depth * (random.uniform(size=n_neurons) < SHARE_TUNED)
        self.baseline_hz: Array = random.uniform(*BASELINE_HZ, size=n_neurons)
        self.wander = Wander(BASELINE_DRIFT_HZ * random.normal(size=n_neurons), BASELINE_DRIFT_HZ)
        still = np.zeros(n_neurons)
        self._noise = counts(still, still[None], still, random, fano=fano, common=common)
        self._y: Array = np.zeros(n_neurons)

    def population(self, bin_s: float) -> Population:
        """The neurons as they are now, for a closed loop of its own."""
        return self._noise._replace(
            baseline=self.baseline_hz + self.wander.values,
            weights=np.ascontiguousarray((self.depth_hz[:, None] * self.directions).T),
            speed=SPEED_SHARE * self.depth_hz,
            spread=np.sqrt(self._noise.fano * self.baseline_hz * bin_s),
            bin_s=bin_s,
        )

    def counts(self, effort: Array, dt_s: float) -> Array:
        """Spike counts of one bin, shape (n_neurons,), for an effort of shape (n_outputs,)."""
        self._drift(dt_s)
        population = self.population(dt_s)
        own, shared = self._random.random(len(self._y)), self._random.standard_normal(len(population.factors))
        encode(population, own, shared, np.asarray(effort, dtype=np.float64), self._y)
        return self._y.copy()

    def _drift(self, dt_s: float) -> None:
        self.wander.advance(dt_s, self._random)
        self.directions = turn_directions(self.directions, correlation_after(dt_s, self._time_lapse), self._random)
