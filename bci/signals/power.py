"""Log band power and envelopes: a filter bank, squared or rectified, in an exponential window."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.profile import BandPower
from bci.signals.filters import design_bandpass, design_notch, filter_sections, settled_state
from bci.signals.reference import Reference
from bci.types import Array

LOG_FLOOR = 1e-12


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


@njit(cache=True, nogil=True)
def smooth_envelope(k: float, envelope: Array, samples: Array, out: Array) -> None:
    """Follow the rectified value of each channel: ``envelope += k (|x| - envelope)``; arguments as `smooth_power`."""
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            envelope[c] += k * (abs(samples[i, c]) - envelope[c])
            out[i, c] = envelope[c]


class PowerBank:
    """From voltages to the log power, or the envelope, of each band and channel.

    Parameters
    ----------
    features : BandPower
        Reference, notch, bands, window and measure.
    labels : tuple of str
        Channel labels, for the montage.
    rate_hz : float
        Sampling rate.

    Attributes
    ----------
    labels : tuple of str
        One per band and channel, bands outermost.
    """

    def __init__(self, features: BandPower, labels: tuple[str, ...], rate_hz: float) -> None:
        self.labels = tuple(f"{label} {low:g}-{high:g} Hz" for low, high in features.bands_hz for label in labels)
        self._reference = Reference(features.reference, labels)
        notch = [] if features.notch_hz is None else [design_notch(features.notch_hz, rate_hz)]
        self._sos = [
            np.ascontiguousarray(np.vstack([*notch, design_bandpass(low, high, features.filter_order, rate_hz)]))
            for low, high in features.bands_hz
        ]
        self._is_envelope = features.measure == "envelope"
        self._smooth = smooth_envelope if self._is_envelope else smooth_power
        self._states: list[Array] = []
        self._level = [np.zeros(len(labels)) for _ in self._sos]
        self._k = 1.0 - math.exp(-1e3 / (features.window_ms * rate_hz))

    def push(self, samples: Array) -> Array:
        """Power or envelope of each band and channel at each sample.

        Parameters
        ----------
        samples : Array
            Shape (n_samples, n_channels), finite.

        Returns
        -------
        Array
            Shape (n_samples, n_bands * n_channels), bands outermost.
        """
        n_samples, n_channels = samples.shape
        out = np.empty((n_samples, len(self._sos) * n_channels))
        if n_samples == 0:
            return out
        referenced = self._reference.apply(samples)
        if not self._states:
            self._states = [settled_state(sos, referenced[0]) for sos in self._sos]
        band = np.empty_like(samples)
        for b, (sos, state, level) in enumerate(zip(self._sos, self._states, self._level, strict=True)):
            filter_sections(sos, state, referenced, band)
            self._smooth(self._k, level, band, band)
            out[:, b * n_channels : (b + 1) * n_channels] = band
        return out

    def reduce(self, total: Array, last: Array, n_samples: int) -> Array:
        """Features of one bin: what its last sample says, in a logarithm where it is power."""
        return last if self._is_envelope else np.log(last + LOG_FLOOR)
