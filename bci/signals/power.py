"""Log band power and envelopes: spatial filters, a filter bank, squared or rectified, in an exponential window."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.errors import ModelError
from bci.profile import BandPower
from bci.signals.arguments import as_rows
from bci.signals.filters import design_bandpass, design_notch, filter_sections, settled_state
from bci.signals.reference import Reference
from bci.signals.scratch import Scratch
from bci.types import Array

LOG_FLOOR = 1e-12
LEAST_SHARE = 0.7  # of a component's squared weights that must be on channels in use


@njit(cache=True, nogil=True)
def follow_power(k: float, samples: Array, power: Array) -> None:
    """Follow the power of each channel: ``power += k (x² - power)``.

    Parameters
    ----------
    k : float
        Sample period over the window's time constant, 0 to 1.
    samples : Array
        Shape (n_samples, n_channels).
    power : Array
        Shape (n_channels,), in place.
    """
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            power[c] += k * (samples[i, c] * samples[i, c] - power[c])


@njit(cache=True, nogil=True)
def follow_envelope(k: float, samples: Array, envelope: Array) -> None:
    """Follow the rectified value of each channel: ``envelope += k (|x| - envelope)``; arguments as `follow_power`."""
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            envelope[c] += k * (abs(samples[i, c]) - envelope[c])


@njit(cache=True, nogil=True)
def project(weights: Array, samples: Array, out: Array) -> None:
    """Spatial filters: ``out = samples @ weights``, sample by sample, so that the cut into chunks cannot change a bit.

    Parameters
    ----------
    weights : Array
        Shape (n_channels, n_components).
    samples : Array
        Shape (n_samples, n_channels).
    out : Array
        Shape (n_samples, n_components).
    """
    for i in range(samples.shape[0]):
        y = out[i]
        y[:] = 0.0
        for j in range(samples.shape[1]):
            x, row = samples[i, j], weights[j]
            for c in range(weights.shape[1]):
                y[c] += x * row[c]


def n_components(csp_pairs: int, n_classes: int) -> int:
    """Spatial filters per band: pairs for two classes, and for each of more classes against the rest."""
    return 2 * csp_pairs * (1 if n_classes == 2 else n_classes)


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
    spatial : Array, optional
        Learned filters, shape (n_bands, n_components, n_channels): then it is their outputs whose power is followed.

    Attributes
    ----------
    labels : tuple of str
        One per band and channel, or component; bands outermost.

    Raises
    ------
    ProfileError
        When the montage that the reference needs is not in the labels.
    ModelError
        When the filters do not belong to these channels and bands.
    """

    def __init__(
        self, features: BandPower, labels: tuple[str, ...], rate_hz: float, spatial: Array | None = None
    ) -> None:
        n_bands = len(features.bands_hz)
        if spatial is not None and spatial.shape[::2] != (n_bands, len(labels)):
            raise ModelError(
                f"The model's spatial filters are for {spatial.shape[0]} bands and {spatial.shape[2]} channels, not "
                f"for {n_bands} and {len(labels)}.",
                "Use the profile and montage that it was fitted with, or fit a new one with `bci fit`.",
            )
        self._n_channels = len(labels)
        self._spatial = spatial
        sources = labels if spatial is None else tuple(f"CSP{i + 1}" for i in range(spatial.shape[1]))
        self.labels = tuple(f"{source} {low:g}-{high:g} Hz" for low, high in features.bands_hz for source in sources)
        self._reference = Reference(features.reference, labels)
        notch = [] if features.notch_hz is None else [design_notch(features.notch_hz, rate_hz)]
        self._sos = [
            np.ascontiguousarray(np.vstack([*notch, design_bandpass(low, high, features.filter_order, rate_hz)]))
            for low, high in features.bands_hz
        ]
        self._is_envelope = features.measure == "envelope"
        self._follow = follow_envelope if self._is_envelope else follow_power
        self._states: list[Array] = []
        self._level: Array = np.zeros((n_bands, len(sources)))
        self._k = 1.0 - math.exp(-1e3 / (features.window_ms * rate_hz))
        self._source, self._band = Scratch(len(sources)), Scratch(len(sources))
        self._weights = [] if spatial is None else [np.ascontiguousarray(band.T) for band in spatial]

    def absorb(self, samples: Array) -> None:
        """Take in samples (n_samples, n_channels), finite and not empty."""
        referenced = self._reference.apply(as_rows(samples, self._n_channels))
        band = self._band.rows(len(samples))
        for b, sos in enumerate(self._sos):
            source = referenced
            if self._weights:
                source = self._source.rows(len(samples))
                project(self._weights[b], referenced, source)
            if len(self._states) == b:
                self._states.append(settled_state(sos, source[0]))
            filter_sections(sos, self._states[b], source, band)
            self._follow(self._k, band, self._level[b])

    def reduce(self, n_taken: int, n_samples: int) -> Array:
        """Features of a bin: what its last sample says, in a logarithm where it is power."""
        level = self._level.reshape(-1)
        return level.copy() if self._is_envelope else np.log(level + LOG_FLOOR)

    def drop(self) -> None:
        """Forget the bin that is being filled: the windows reach further back than it, and go on."""

    def use(self, is_used: Array) -> Array:
        """Leave out masked channels, boolean (n_channels,); return which features still mean what they say.

        A component is not believed when more than 30 % of its squared weights fell on masked channels.
        """
        is_known = self._reference.use(is_used) & is_used
        if self._spatial is None:
            return np.tile(is_known, len(self._sos))
        for weights, band in zip(self._weights, self._spatial, strict=True):
            np.multiply(band.T, is_known[:, None], out=weights)
        squares = self._spatial**2
        left = (squares * is_known).sum(axis=2) / np.maximum(squares.sum(axis=2), 1e-300)
        believed: Array = left.reshape(-1) >= LEAST_SHARE
        return believed
