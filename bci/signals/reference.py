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


@njit(cache=True, nogil=True)
def subtract_average(samples: Array, out: Array) -> None:
    """Subtract the mean over all channels at each sample; both (n_samples, n_channels), may be the same array."""
    n_channels = samples.shape[1]
    for i in range(samples.shape[0]):
        total = 0.0
        for c in range(n_channels):
            total += samples[i, c]
        for c in range(n_channels):
            out[i, c] = samples[i, c] - total / n_channels


def montage() -> dict[str, Array]:
    """Positions of the electrodes of the 10-05 system on an average head, metres, by name in small letters."""
    import mne

    by_name = mne.channels.make_standard_montage("colin27_1005").get_positions()["ch_pos"]
    return {name.lower(): np.asarray(position) for name, position in by_name.items()}


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
    positions = montage()
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


class Reference:
    """The re-reference of a profile.

    Parameters
    ----------
    kind : str
        ``none``, ``average`` or ``laplacian``.
    labels : sequence of str
        Channel labels, for the montage.
    """

    def __init__(self, kind: str, labels: Sequence[str]) -> None:
        self._kind = kind
        self._neighbours: Array = nearest(labels) if kind == "laplacian" else np.empty((0, 0), dtype=np.int64)

    def apply(self, samples: Array) -> Array:
        """Re-referenced samples (n_samples, n_channels): a new array, or the same where there is nothing to do."""
        if self._kind == "none":
            return samples
        out = np.empty_like(samples)
        if self._kind == "average":
            subtract_average(samples, out)
        else:
            subtract_mean_of(self._neighbours, samples, out)
        return out
