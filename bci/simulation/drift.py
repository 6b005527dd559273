"""What changes while nobody means it to: tuning, means, gains, electrodes, bursts. All seeded.

Magnitudes: tuning turns by a correlation of 0.91 a day (Wilson et al. 2023); rates of half the units move by half their
mean within minutes (Perge et al. 2013, Journal of Neural Engineering).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bci.types import Array

CORRELATION_PER_DAY = 0.91
DAY_S = 86_400.0
BURST_HEIGHT = 5.0  # standard deviations, on every electrode at once
BURST_S = (0.02, 0.2)
STEP = 0.5  # deviations; about half the mean of a count in a short bin (Perge et al. 2013)
GAINS = (0.6, 1.4)  # of an electrode whose impedance has changed


class Electrodes(NamedTuple):
    """What the electrodes make of n features: y becomes gain y + offset spread.

    Attributes
    ----------
    gain : Array
        Shape (n,); 0 is a dead electrode.
    offset : Array
        Shape (n,), in standard deviations of the feature's noise.
    """

    gain: Array
    offset: Array


def sound_electrodes(n: int) -> Electrodes:
    """As new."""
    return Electrodes(np.ones(n), np.zeros(n))


def turn_tuning(weights: Array, correlation: float, random: np.random.Generator) -> Array:
    """Tuning (k, n) after a drift: each row keeps its length, and `correlation` with what it was.

    T' = rho T + sqrt(1 - rho²) T⊥, with T⊥ orthogonal to every row of T (Wilson et al. 2023, simulated drift).
    """
    lengths = np.linalg.norm(weights, axis=1, keepdims=True)
    basis = np.linalg.qr(weights.T)[0]
    aside = random.normal(size=weights.T.shape)
    aside = np.linalg.qr(aside - basis @ (basis.T @ aside))[0].T
    return np.ascontiguousarray(correlation * weights + np.sqrt(1.0 - correlation**2) * lengths * aside)


def turn_directions(directions: Array, correlation: float, random: np.random.Generator) -> Array:
    """Preferred directions (n, k), each of length 1, after a drift that keeps `correlation` with what they were."""
    n_others = directions.shape[1] - 1
    if n_others == 0:
        return directions
    aside = random.normal(size=directions.shape)
    aside -= np.sum(aside * directions, axis=1, keepdims=True) * directions
    turned = correlation * directions + np.sqrt((1.0 - correlation**2) / n_others) * aside
    unit: Array = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return unit


def correlation_after(seconds: float, time_lapse: float = 1.0) -> float:
    """How much of the tuning is left after a time; `time_lapse` times faster than in life."""
    return float(CORRELATION_PER_DAY ** (time_lapse * seconds / DAY_S))


@dataclass
class Wander:
    """Slow change of n means: an Ornstein-Uhlenbeck process, and rare steps.

    Attributes
    ----------
    values : Array
        Shape (n,), the present shift; in the unit of `deviation`.
    deviation : float
        Of the process.
    tau_s : float
        How long it remembers.
    steps_per_min : float
        Share of the n that jump in a minute,
    step : float
        by this much, up or down.
    """

    values: Array
    deviation: float
    tau_s: float = 600.0
    steps_per_min: float = 0.0
    step: float = 0.0

    def advance(self, dt_s: float, random: np.random.Generator) -> None:
        """Let time pass."""
        keep = np.exp(-dt_s / self.tau_s)
        n = len(self.values)
        self.values = keep * self.values + self.deviation * np.sqrt(1.0 - keep**2) * random.normal(size=n)
        if self.steps_per_min > 0.0:
            jumps = random.uniform(size=n) < self.steps_per_min * dt_s / 60.0
            self.values += jumps * self.step * random.choice([-1.0, 1.0], size=n)


def change_gains(electrodes: Electrodes, share: float, random: np.random.Generator) -> None:
    """Some electrodes change their impedance, in place; dead ones stay dead."""
    n = len(electrodes.gain)
    changed = random.uniform(size=n) < share
    electrodes.gain[:] = np.where(changed, electrodes.gain * random.uniform(*GAINS, size=n), electrodes.gain)


def kill(electrodes: Electrodes, share: float, random: np.random.Generator) -> Array:
    """A share of the electrodes dies at once, in place; which: boolean (n,)."""
    n = len(electrodes.gain)
    is_dead = np.zeros(n, dtype=np.bool_)
    is_dead[random.permutation(n)[: round(share * n)]] = True
    electrodes.gain[is_dead] = 0.0
    return is_dead


def bursts(n_bins: int, bin_s: float, per_minute: float, random: np.random.Generator) -> Array:
    """Height of common noise bursts in each bin, shape (n_bins,), in standard deviations: 5 for 20 to 200 ms."""
    height = np.zeros(n_bins)
    for begin in np.flatnonzero(random.uniform(size=n_bins) < per_minute * bin_s / 60.0):
        height[begin : begin + max(1, round(random.uniform(*BURST_S) / bin_s))] = BURST_HEIGHT
    return height


@dataclass(frozen=True)
class Drift:
    """What changes while a simulated amplifier runs.

    Attributes
    ----------
    time_lapse : float
        The tuning of neurons turns this many times faster than in life.
    wander : float
        Standard deviation of the slow change of means, in deviations of the noise.
    steps_per_min, gains_per_min, deaths_per_min : float
        Share of the electrodes whose mean steps, whose impedance changes, and who die, in a minute.
    bursts_per_min : float
        Bursts on all electrodes at once.
    dropouts_per_min : float
        How often the amplifier is not heard for a tenth of a second.
    """

    time_lapse: float = 1.0
    wander: float = 0.0
    steps_per_min: float = 0.0
    gains_per_min: float = 0.0
    deaths_per_min: float = 0.0
    bursts_per_min: float = 0.0
    dropouts_per_min: float = 0.0


class Ageing:
    """Electrodes that change while they are recorded from, as `Drift` says.

    Parameters
    ----------
    drift : Drift
        How much of each.
    spread : Array
        Shape (n,): standard deviation of each channel at rest.
    random : numpy.random.Generator
        Seeded source of everything random.
    """

    def __init__(self, drift: Drift, spread: Array, random: np.random.Generator) -> None:
        n = len(spread)
        self.electrodes = sound_electrodes(n)
        self._drift, self._spread, self._random = drift, spread, random
        self._means = Wander(np.zeros(n), drift.wander, steps_per_min=drift.steps_per_min, step=STEP)
        self._burst_left_s = 0.0

    def apply(self, samples: Array, dt_s: float) -> None:
        """Let `dt_s` pass, and change the samples (n_samples, n) of that time in place."""
        drift, minutes = self._drift, dt_s / 60.0
        self._means.advance(dt_s, self._random)
        if drift.gains_per_min > 0.0:
            change_gains(self.electrodes, drift.gains_per_min * minutes, self._random)
        is_dying = self._random.uniform(size=len(self._spread)) < drift.deaths_per_min * minutes
        self.electrodes.gain[is_dying] = 0.0
        if self._burst_left_s <= 0.0 and self._random.uniform() < drift.bursts_per_min * minutes:
            self._burst_left_s = self._random.uniform(*BURST_S)
        height = BURST_HEIGHT if self._burst_left_s > 0.0 else 0.0
        self._burst_left_s -= dt_s
        self.electrodes.offset[:] = self._means.values
        samples *= self.electrodes.gain
        samples += (self.electrodes.offset + height) * self._spread
