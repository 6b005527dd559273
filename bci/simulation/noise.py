"""Noise of recordings, block by block: pink, rhythmic, and from the mains. Each keeps its state, so blocks join."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from bci.types import Array

POLES_HZ = (0.3, 1.2, 5.0, 20.0)  # first-order sections, two octaves apart: their sum falls about as 1/f
LINE_DRIFT_HZ = 0.02


class Pink:
    """Noise with a spectrum near 1/f from 0.3 Hz up, standard deviation 1, in n independent channels."""

    def __init__(self, n: int, rate_hz: float, random: np.random.Generator) -> None:
        self._random = random
        self._keep = np.exp(-2 * np.pi * np.array(POLES_HZ) / rate_hz)
        self._state = random.normal(size=(len(POLES_HZ), n)) * self._keep[:, None]
        self._n = n

    def take(self, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n)."""
        total = np.zeros((n_samples, self._n))
        for i, keep in enumerate(self._keep):
            white = np.sqrt(1.0 - keep**2) * self._random.standard_normal((n_samples, self._n))
            section, state = lfilter([1.0], [1.0, -keep], white, axis=0, zi=self._state[i : i + 1])
            self._state[i] = state[0]
            total += section
        pink: Array = total / np.sqrt(len(POLES_HZ))
        return pink


class Rhythm:
    """Narrow-band noise around a frequency, as rhythms of the brain are, standard deviation 1, in n channels."""

    def __init__(self, n: int, hz: float, width_hz: float, rate_hz: float, random: np.random.Generator) -> None:
        radius = np.exp(-np.pi * width_hz / rate_hz)
        angle = 2 * np.pi * hz / rate_hz
        a, b = -2 * radius * np.cos(angle), radius**2
        variance = (1 + b) / ((1 - b) * ((1 + b) ** 2 - a**2))  # of a second-order autoregressive process
        self._denominator = np.array([1.0, a, b])
        self._gain = 1.0 / np.sqrt(variance)
        self._random, self._n = random, n
        self._state: Array = np.zeros((2, n))
        self.take(round(3 * rate_hz / width_hz))  # settle

    def take(self, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n)."""
        white = self._gain * self._random.standard_normal((n_samples, self._n))
        rhythm, self._state = lfilter([1.0], self._denominator, white, axis=0, zi=self._state)
        samples: Array = rhythm
        return samples


class Mains:
    """A sine of the mains, amplitude 1: the same phase everywhere, its frequency wandering a little."""

    def __init__(self, hz: float, rate_hz: float, random: np.random.Generator) -> None:
        self._hz, self._rate_hz, self._random = hz, rate_hz, random
        self._phase = random.uniform(0, 2 * np.pi)

    def take(self, n_samples: int) -> Array:
        """The next samples, shape (n_samples,)."""
        hz = self._hz + LINE_DRIFT_HZ * self._random.standard_normal()
        phases = self._phase + 2 * np.pi * hz / self._rate_hz * np.arange(1, n_samples + 1)
        self._phase = float(phases[-1] % (2 * np.pi))
        sine: Array = np.sin(phases)
        return sine


class Follower:
    """Values that follow what is asked for with a time constant, sample by sample."""

    def __init__(self, start: Array, tau_s: float, rate_hz: float) -> None:
        self._keep = np.exp(-1.0 / (tau_s * rate_hz))
        self._value = np.asarray(start, dtype=np.float64)

    def take(self, wanted: Array, n_samples: int) -> Array:
        """The next samples, shape (n_samples, len(wanted)), on their way to `wanted`."""
        left = self._keep ** np.arange(1, n_samples + 1)[:, None]
        values: Array = wanted + left * (self._value - wanted)
        self._value = values[-1]
        return values
