"""Memory of a few bins: the last ones as they were, older ones as exponential averages."""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.types import Array


def fading_rates(fading_bins: tuple[float, ...]) -> Array:
    """Share of a new bin in each exponential average whose time constant is given in bins."""
    return 1.0 - np.exp(-1.0 / np.asarray(fading_bins, dtype=np.float64))


@njit(cache=True, nogil=True)
def remember(features: Array, rates: Array, memory: Array) -> None:
    """Take one bin into the memory.

    Parameters
    ----------
    features : Array
        Shape (n,).
    rates : Array
        Shape (n_fading,), see `fading_rates`.
    memory : Array
        Shape (n_lags + n_fading, n), written in place: the last bins, newest first, then the averages.
    """
    n_lags = memory.shape[0] - len(rates)
    for i in range(n_lags - 1, 0, -1):
        memory[i] = memory[i - 1]
    memory[0] = features
    for j in range(len(rates)):
        average = memory[n_lags + j]
        for c in range(len(features)):
            average[c] += rates[j] * (features[c] - average[c])


@njit(cache=True, nogil=True)
def remember_all(features: Array, rates: Array, memory: Array, out: Array) -> None:
    """Take many bins into the memory, (n_bins, n), and write what is remembered at each, (n_bins, n_taps, n)."""
    for i in range(features.shape[0]):
        remember(features[i], rates, memory)
        out[i] = memory
