"""Log band power: a filter bank, squared, in an exponential window."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.profile import BandPower
from bci.signals.filters import design_bandpass, design_notch, filter_sections, settled_state
from bci.signals.reference import everyone, nearest, subtract_mean_of
from bci.types import Array


@njit(cache=True, nogil=True)
def smooth_power(k: float, power: Array, samples: Array, out: Array) -> None:
    """Follow the power of each channel: ``power += k (x² - power)``.

    Parameters
    ----------
    k : float
        Sample period over the window's time constant, 0 to 1.
    power : Array
        Shape (n_channels,), the state, written in place.
    samples, out : Array
        Shape (n_samples, n_channels); may be the same array.
    """
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            power[c] += k * (samples[i, c] * samples[i, c] - power[c])
            out[i, c] = power[c]


class PowerBank:
    """From voltages to the power of each band and channel, sample by sample.

    Parameters
    ----------
    features : BandPower
        Reference, notch, bands and window.
    labels : tuple of str
        Channel labels, for the montage.
    rate_hz : float
        Sampling rate.
    """

    def __init__(self, features: BandPower, labels: tuple[str, ...], rate_hz: float) -> None:
        self.labels = tuple(f"{label} {low:g}-{high:g} Hz" for low, high in features.bands_hz for label in labels)
        self._neighbours: Array | None = None
        if features.reference == "average":
            self._neighbours = everyone(len(labels))
        elif features.reference == "laplacian":
            self._neighbours = nearest(labels)
        notch = [] if features.notch_hz is None else [design_notch(features.notch_hz, rate_hz)]
        self._sos = [
            np.ascontiguousarray(np.vstack([*notch, design_bandpass(low, high, features.filter_order, rate_hz)]))
            for low, high in features.bands_hz
        ]
        self._states: list[Array] = []
        self._power = [np.zeros(len(labels)) for _ in self._sos]
        self._k = 1.0 - math.exp(-1e3 / (features.window_ms * rate_hz))

    def push(self, samples: Array) -> Array:
        """Power of each band and channel at each sample.

        Parameters
        ----------
        samples : Array
            Shape (n_samples, n_channels), finite.

        Returns
        -------
        Array
            Shape (n_samples, n_bands * n_channels), squared units, bands outermost.
        """
        n_samples, n_channels = samples.shape
        out = np.empty((n_samples, len(self._sos) * n_channels))
        if n_samples == 0:
            return out
        referenced = samples
        if self._neighbours is not None:
            referenced = np.empty_like(samples)
            subtract_mean_of(self._neighbours, samples, referenced)
        if not self._states:
            self._states = [settled_state(sos, referenced[0]) for sos in self._sos]
        band = np.empty_like(samples)
        for b, (sos, state, power) in enumerate(zip(self._sos, self._states, self._power, strict=True)):
            filter_sections(sos, state, referenced, band)
            smooth_power(self._k, power, band, band)
            out[:, b * n_channels : (b + 1) * n_channels] = band
        return out
