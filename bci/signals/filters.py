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
        Shape (n_sections, 2, n_channels), written in place; channels are innermost, where the loop runs vectorised.
    samples, out : Array
        Shape (n_samples, n_channels); may be the same array.
    """
    for i in range(samples.shape[0]):
        x = out[i]
        for c in range(samples.shape[1]):
            x[c] = samples[i, c]
        for s in range(sos.shape[0]):
            b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], sos[s, 4], sos[s, 5]
            first, second = state[s, 0], state[s, 1]
            for c in range(samples.shape[1]):
                y = b0 * x[c] + first[c]
                first[c] = b1 * x[c] - a1 * y + second[c]
                second[c] = b2 * x[c] - a2 * y
                x[c] = y


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
        Shape (n_sections, 2, n_channels).
    """
    return np.ascontiguousarray(signal.sosfilt_zi(sos)[:, :, None] * sample)
