"""Broadband voltage of an array: spikes of the simulated neurons in noise, at the amplifier's rate."""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.simulation.neurons import Neurons
from bci.simulation.noise import Mains, Pink
from bci.types import Array

SPIKE_S = 0.0016
SPIKE_UV = (60.0, 120.0)  # depth of the trough
REFRACTORY_S = 0.0015
THERMAL_UV, FIELD_UV, MAINS_UV = 10.0, 40.0, 4.0
FIELD_RATE_HZ = 1000.0  # local field potential is made at this rate and interpolated
MOST_SPIKES = 64  # of one neuron in one block


class Broadband:
    """Microvolts at electrodes, one neuron near each, for an effort.

    Spikes have a negative trough of 0.3 ms and a slower positive hump; noise is thermal, local field potential and
    mains.

    Parameters
    ----------
    neurons : Neurons
        What they encode, one for each electrode.
    rate_hz : float
        Sampling rate, about 30 kHz.
    random : numpy.random.Generator
        Seeded source of the voltage; the neurons have their own.
    mains_hz : float
        50 or 60.
    """

    def __init__(
        self, neurons: Neurons, rate_hz: float, random: np.random.Generator, *, mains_hz: float = 50.0
    ) -> None:
        n = len(neurons.baseline_hz)
        self._neurons, self._rate_hz, self._random = neurons, rate_hz, random
        self._waveforms = random.uniform(*SPIKE_UV, size=(n, 1)) * waveform(rate_hz)
        self._tail: Array = np.zeros((self._waveforms.shape[1], n))
        self._refractory = round(REFRACTORY_S * rate_hz)
        self._last: Array = np.full(n, -self._refractory, dtype=np.int64)
        self._field, self._mains = Pink(n, FIELD_RATE_HZ, random), Mains(mains_hz, rate_hz, random)
        self._field_at: Array = self._field.take(1)
        self._n_spikes: Array = np.zeros(n, dtype=np.int64)

    @property
    def n_spikes(self) -> Array:
        """Spikes of each neuron so far, shape (n,)."""
        return self._n_spikes.copy()

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n), while the effort (k,) holds: about a bin at a time."""
        counts = np.minimum(self._neurons.counts(effort, n_samples / self._rate_hz), MOST_SPIKES).astype(np.int64)
        out: Array = THERMAL_UV * self._random.standard_normal((n_samples, len(counts)), dtype=np.float32)
        out = out.astype(np.float64)
        out += FIELD_UV * self._field_potential(n_samples)
        out += MAINS_UV * self._mains.take(n_samples)[:, None]
        when = self._random.integers(0, n_samples, size=(len(counts), MOST_SPIKES))
        placed = place_spikes(out, counts, when, self._waveforms, self._refractory, self._last, self._tail)
        self._n_spikes += placed
        return out

    def _field_potential(self, n_samples: int) -> Array:
        n_slow = max(1, round(n_samples * FIELD_RATE_HZ / self._rate_hz))
        points = np.vstack([self._field_at, self._field.take(n_slow)])
        self._field_at = points[-1:]
        at = np.arange(1, n_samples + 1) * n_slow / n_samples
        left = np.minimum(at.astype(np.int64), n_slow - 1)
        share = (at - left)[:, None]
        between: Array = points[left] * (1.0 - share) + points[left + 1] * share
        return between


def waveform(rate_hz: float) -> Array:
    """One spike, trough -1, shape (n_samples,)."""
    t_s = np.arange(round(SPIKE_S * rate_hz)) / rate_hz
    trough = -np.exp(-0.5 * ((t_s - 0.0004) / 0.00012) ** 2)
    hump = 0.35 * np.exp(-0.5 * ((t_s - 0.0009) / 0.00025) ** 2)
    shape: Array = trough + hump
    return shape / float(-shape.min())


@njit(cache=True, nogil=True)
def place_spikes(
    out: Array, counts: Array, when: Array, waveforms: Array, refractory: int, last: Array, tail: Array
) -> Array:
    """Add spikes to a voltage in place; how many of each neuron, shape (n,).

    Parameters
    ----------
    out : Array
        Shape (n_samples, n), written.
    counts, when : Array
        Integer, shapes (n,) and (n, most): how many spikes are wanted, and where; too close ones are left out.
    waveforms : Array
        Shape (n, length).
    refractory : int
        Samples between two spikes of a neuron.
    last : Array
        Integer, shape (n,): where the last spike was, counted from this block's beginning; written.
    tail : Array
        Shape (length, n): what spikes near the end leave for the next block; read and written.
    """
    n_samples, n = out.shape
    length = waveforms.shape[1]
    placed = np.zeros(n, dtype=np.int64)
    for i in range(min(length, n_samples)):
        for c in range(n):
            out[i, c] += tail[i, c]
    for i in range(length):  # a block may be shorter than a spike
        for c in range(n):
            tail[i, c] = tail[i + n_samples, c] if i + n_samples < length else 0.0
    for c in range(n):
        times = np.sort(when[c, : counts[c]])
        for at in times:
            if at - last[c] < refractory:
                continue
            last[c] = at
            placed[c] += 1
            for i in range(length):
                if at + i < n_samples:
                    out[at + i, c] += waveforms[c, i]
                else:
                    tail[at + i - n_samples, c] += waveforms[c, i]
        last[c] -= n_samples
    return placed
