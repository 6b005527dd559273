"""Causal second-order-section filters whose state is carried from chunk to chunk."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import signal

from bci.types import Array


@njit(cache=True, nogil=True)
def filter_sections(sos: Array, state: Array, samples: Array, out: Array) -> None:
    """Filter in direct form II transposed, sample by sample, so that the cut into chunks cannot change a bit.

    Parameters
    ----------
    sos : Array
        Shape (n_sections, 6), normalised (a0 = 1).
    state : Array
        Shape (n_channels, n_sections, 2), written in place.
    samples, out : Array
        Shape (n_samples, n_channels); may be the same array.
    """
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            x = samples[i, c]
            for s in range(sos.shape[0]):
                y = sos[s, 0] * x + state[c, s, 0]
                state[c, s, 0] = sos[s, 1] * x - sos[s, 4] * y + state[c, s, 1]
                state[c, s, 1] = sos[s, 2] * x - sos[s, 5] * y
                x = y
            out[i, c] = x


def design_bandpass(low_hz: float, high_hz: float, order: int, rate_hz: float) -> Array:
    """Butterworth band-pass as second-order sections, shape (order, 6)."""
    sos: Array = signal.butter(order, [low_hz, high_hz], btype="bandpass", fs=rate_hz, output="sos")
    return sos


def design_notch(notch_hz: float, rate_hz: float, quality: float = 30.0) -> Array:
    """Second-order notch as one section, shape (1, 6)."""
    sos: Array = signal.tf2sos(*signal.iirnotch(notch_hz, quality, fs=rate_hz))
    return sos


def settled_state(sos: Array, sample: Array) -> Array:
    """State of the filter had its input always been `sample` (n_channels,): no transient from an electrode's offset.

    Returns
    -------
    Array
        Shape (n_channels, n_sections, 2).
    """
    return np.ascontiguousarray(sample[:, None, None] * signal.sosfilt_zi(sos)[None, :, :])
