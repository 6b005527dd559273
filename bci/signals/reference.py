"""Re-referencing: common average, and the small Laplacian from the montage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from bci.errors import ProfileError
from bci.types import Array

N_NEIGHBOURS = 4


@njit(cache=True, nogil=True)
def subtract_mean_of(neighbours: Array, samples: Array, out: Array) -> None:
    """Subtract from each channel the mean of its neighbours.

    Parameters
    ----------
    neighbours : Array
        Integer, shape (n_channels, n_neighbours): which channels to average.
    samples, out : Array
        Shape (n_samples, n_channels), two different arrays.
    """
    n_neighbours = neighbours.shape[1]
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            total = 0.0
            for j in range(n_neighbours):
                total += samples[i, neighbours[c, j]]
            out[i, c] = samples[i, c] - total / n_neighbours


def everyone(n_channels: int) -> Array:
    """Neighbours of the common average reference: all channels, for each channel."""
    return np.tile(np.arange(n_channels), (n_channels, 1))


def nearest(labels: Sequence[str], n_neighbours: int = N_NEIGHBOURS) -> Array:
    """Neighbours of the small Laplacian: the nearest electrodes by their standard 10-05 positions.

    Raises
    ------
    ProfileError
        When a label is not an electrode of the 10-05 system, or there are too few channels.

    References
    ----------
    Hjorth (1975), Electroencephalography and Clinical Neurophysiology 39:526; McFarland et al. (1997) 103:386.
    """
    import mne

    by_name = mne.channels.make_standard_montage("colin27_1005").get_positions()["ch_pos"]
    positions = {name.lower(): position for name, position in by_name.items()}
    unknown = [label for label in labels if label.lower() not in positions]
    if unknown:
        raise ProfileError(
            f"features.reference: 'laplacian' needs electrode positions, and {', '.join(unknown)} "
            "is not in the 10-05 system.",
            "List the scalp channels in stream.channels, or choose 'average' or 'none'.",
        )
    if len(labels) <= n_neighbours:
        raise ProfileError(
            f"features.reference: 'laplacian' needs more than {n_neighbours} channels, there are {len(labels)}.",
            "Choose 'average' or 'none'.",
        )
    places = np.array([positions[label.lower()] for label in labels])
    distances = np.linalg.norm(places[:, None, :] - places[None, :, :], axis=2)
    return np.ascontiguousarray(np.argsort(distances, axis=1, kind="stable")[:, 1 : n_neighbours + 1])
