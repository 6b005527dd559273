"""Spikes in broadband voltages: threshold crossings and spike-band power, without sorting.

Both carry nearly what sorted units do for movement: Trautmann et al. (2019), Neuron 103:292, on threshold crossings;
Nason et al. (2020), Nature Biomedical Engineering 4:973, on spike-band power.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.profile import Spikes
from bci.signals.arguments import as_rows
from bci.signals.filters import design_bandpass, filter_sections, settled_state
from bci.signals.reference import Reference
from bci.signals.regression import RegressionReference
from bci.signals.scratch import Scratch
from bci.types import Array

SETTLING_S = 0.1  # from which the first estimate of the noise is taken; nothing crosses before
DEVIATION = 1.0 / 0.6745  # of a Gaussian, over the median of its absolute value
MEDIAN_OF_MEAN = 0.6745 / 0.7979  # median over mean of the absolute value of a Gaussian
MEDIAN_RATE = 0.857  # a relative step of k per sample brings the median nearer with the time constant 1 / (.857 k)
LEVEL_S = 0.05  # time constant of the level that stands in for a blanked sample


@njit(cache=True, nogil=True)
def cross(
    samples: Array,
    multiple: float,
    k: float,
    n_settling: int,
    n_refractory: int,
    n_blank: int,
    least_channels: int,
    seen: Array,
    blank: Array,
    median: Array,
    since: Array,
    is_above: Array,
    crossings: Array,
    is_blank: Array,
) -> None:
    """Mark the first sample of each channel beyond its threshold, and the samples that an artifact spoils.

    Parameters
    ----------
    samples : Array
        Shape (n_samples, n_channels), band-passed.
    multiple : float
        Threshold in robust deviations of the noise: the median of the absolute value over 0.6745 (Quiroga et al. 2004,
        Neural Computation 16:1661). Below zero for the usual negative-going spikes.
    k : float
        Least relative step of the median that is followed, per sample.
    n_settling, n_refractory, n_blank : int
        Samples before anything may cross; between two crossings of a channel; that an artifact spoils.
    least_channels : int
        So many channels beyond their threshold at once are an artifact.
    seen, blank : Array
        Integer, shape (1,): samples since the start, and still to be blanked; in place.
    median, since, is_above : Array
        Shape (n_channels,): of the absolute value; samples since the last crossing; whether the last sample was beyond;
        in place.
    crossings : Array
        Shape (n_samples, n_channels), 0 or 1, written.
    is_blank : Array
        Boolean, shape (n_samples,), written.
    """
    n_channels = samples.shape[1]
    sign = -1.0 if multiple < 0 else 1.0
    factor = abs(multiple) * DEVIATION
    for i in range(samples.shape[0]):
        n = seen[0]
        seen[0] = n + 1
        crossings[i] = 0.0
        is_blank[i] = False
        if n < n_settling:
            for c in range(n_channels):
                median[c] += (MEDIAN_OF_MEAN * abs(samples[i, c]) - median[c]) / (n + 1)
            continue
        n_above = 0
        for c in range(n_channels):
            n_above += sign * samples[i, c] > factor * median[c] > 0.0
        if n_above >= least_channels:
            blank[0] = n_blank
        if blank[0] > 0:
            blank[0] -= 1
            is_blank[i] = True
            for c in range(n_channels):
                since[c] += 1
                is_above[c] = True
            continue
        step = max(k, 1.0 / (MEDIAN_RATE * (n + 1)))
        for c in range(n_channels):
            x = samples[i, c]
            above = sign * x > factor * median[c] > 0.0
            since[c] += 1
            if above and not is_above[c] and since[c] >= n_refractory:
                crossings[i, c] = 1.0
                since[c] = 0
            is_above[c] = above
            median[c] *= 1.0 + step if abs(x) > median[c] else 1.0 - step


@njit(cache=True, nogil=True)
def rectify(samples: Array, is_blank: Array, k: float, level: Array, out: Array) -> None:
    """Absolute values (n_samples, n_channels), with the channel's level, followed with the share k, where blanked."""
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            if not is_blank[i]:
                value = abs(samples[i, c])
                level[c] += k * (value - level[c])
                out[i, c] = value
            else:
                out[i, c] = level[c]


@njit(cache=True, nogil=True)
def add(samples: Array, total: Array) -> None:
    """Add samples (n_samples, n) to `total` (n,) one after the other: pairwise sums would depend on the cut."""
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            total[c] += samples[i, c]


class SpikeBank:
    """From broadband voltages to threshold crossings and spike-band power.

    Parameters
    ----------
    features : Spikes
        Reference, bands, threshold, refractory time, blanking.
    labels : tuple of str
        Channel labels.
    rate_hz : float
        Sampling rate.

    Attributes
    ----------
    labels : tuple of str
        One per feature: crossings of all channels, then spike-band power of all.
    """

    def __init__(self, features: Spikes, labels: tuple[str, ...], rate_hz: float) -> None:
        n = len(labels)
        self._features = features
        self._n_channels = n
        parts = {"crossings": "crossings", "power": "spike-band power"}
        self.labels = tuple(f"{label} {parts[part]}" for part in features.measures for label in labels)
        self._reference = (
            RegressionReference(features, n, rate_hz)
            if features.reference == "regression"
            else Reference(features.reference, labels)
        )
        self._wide = design_bandpass(*features.band_hz, features.filter_order, rate_hz)
        self._narrow = design_bandpass(*features.spike_band_hz, features.filter_order, rate_hz)
        self._states: tuple[Array, Array] | None = None
        self._k = 1.0 / (MEDIAN_RATE * features.adapt_s * rate_hz)
        self._k_level = 1.0 - math.exp(-1.0 / (LEVEL_S * rate_hz))
        self._n_settling = round(SETTLING_S * rate_hz)
        self._n_refractory = max(1, round(features.refractory_ms * rate_hz / 1e3))
        self._n_blank = max(1, round(features.blank_ms * rate_hz / 1e3))
        self._least_channels = max(3, math.ceil(features.blank_share * n))
        self._seen, self._blank = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        self._median, self._level = np.zeros(n), np.zeros(n)
        self._since = np.full(n, self._n_refractory, dtype=np.int64)
        self._is_above = np.zeros(n, dtype=np.bool_)
        self._band, self._crossings, self._out = Scratch(n), Scratch(n), Scratch(len(self.labels))
        self._is_blank = Scratch(1)
        self._total: Array = np.zeros(len(self.labels))

    @property
    def deviation(self) -> Array:
        """Robust deviation of each channel's noise, in the stream's unit, shape (n_channels,)."""
        return DEVIATION * self._median

    def push(self, samples: Array) -> Array:
        """Crossings (0 or 1) and rectified spike band at each sample, as `labels` say: valid until the next call."""
        samples = as_rows(samples, self._n_channels)
        n_samples, n = samples.shape
        out = self._out.rows(n_samples)
        if n_samples == 0:
            return out
        referenced = self._reference.apply(samples)
        if self._states is None:
            self._states = settled_state(self._wide, referenced[0]), settled_state(self._narrow, referenced[0])
        band, crossings = self._band.rows(n_samples), self._crossings.rows(n_samples)
        is_blank = self._is_blank.rows(n_samples)[:, 0]
        filter_sections(self._wide, self._states[0], referenced, band)
        cross(
            band, self._features.threshold, self._k, self._n_settling, self._n_refractory, self._n_blank,
            self._least_channels, self._seen, self._blank, self._median, self._since, self._is_above, crossings,
            is_blank,
        )  # fmt: skip
        for i, measure in enumerate(self._features.measures):
            part = out[:, i * n : (i + 1) * n]
            if measure == "power":
                filter_sections(self._narrow, self._states[1], referenced, band)
                rectify(band, is_blank, self._k_level, self._level, part)
            else:
                part[:] = crossings
        return out

    def absorb(self, samples: Array) -> None:
        """Take in samples (n_samples, n_channels), finite."""
        add(self.push(samples), self._total)

    def reduce(self, n_taken: int, n_samples: int) -> Array:
        """Features of a bin of `n_samples` of which `n_taken` came: number of crossings, mean rectified spike band."""
        values = self._total * (n_samples / n_taken)
        self.drop()
        for i, measure in enumerate(self._features.measures):
            part = values[i * self._n_channels : (i + 1) * self._n_channels]
            if measure == "power":
                part /= n_samples
            elif self._features.transform == "sqrt":
                np.sqrt(part, out=part)
        return values

    def drop(self) -> None:
        """Forget the bin that is being filled."""
        self._total[:] = 0.0

    def use(self, is_used: Array) -> Array:
        """Leave masked channels out of the reference, boolean (n_channels,); return which features are believed."""
        return np.tile(self._reference.use(is_used) & is_used, len(self._features.measures))
