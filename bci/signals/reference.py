"""Re-referencing: common average, and the small Laplacian from the montage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from bci.errors import ProfileError
from bci.signals.arguments import as_mask, as_rows
from bci.signals.scratch import Scratch
from bci.types import Array

N_NEIGHBOURS = 4
LEAST_NEIGHBOURS = 3
FARTHEST_M = 0.085  # neighbours in the 10-20 system are 70 to 77 mm apart on the template's head, in the 10-10 29 to 39


@njit(cache=True, nogil=True)
def subtract_mean_of(neighbours: Array, weights: Array, samples: Array, out: Array) -> None:
    """Subtract from each channel the weighted mean of its neighbours.

    Parameters
    ----------
    neighbours : Array
        Integer, shape (n_channels, n_neighbours): which channels to average.
    weights : Array
        Shape (n_channels, n_neighbours), each row's sum is 1 (or 0 where no neighbour is left).
    samples, out : Array
        Shape (n_samples, n_channels), two different arrays.
    """
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            mean = 0.0
            for j in range(neighbours.shape[1]):
                mean += weights[c, j] * samples[i, neighbours[c, j]]
            out[i, c] = samples[i, c] - mean


@njit(cache=True, nogil=True)
def subtract_average(weights: Array, samples: Array, out: Array) -> None:
    """Subtract the mean over channels at each sample.

    Parameters
    ----------
    weights : Array
        Shape (n_channels,), summing to 1.
    samples, out : Array
        Shape (n_samples, n_channels); may be the same array.
    """
    for i in range(samples.shape[0]):
        mean = 0.0
        for c in range(samples.shape[1]):
            mean += weights[c] * samples[i, c]
        for c in range(samples.shape[1]):
            out[i, c] = samples[i, c] - mean


def montage() -> dict[str, Array]:
    """Positions of the electrodes of the 10-05 system on an average head, metres, by name in small letters."""
    import mne

    by_name = mne.channels.make_standard_montage("colin27_1005").get_positions()["ch_pos"]
    return {name.lower(): np.asarray(position) for name, position in by_name.items()}


def nearest(labels: Sequence[str]) -> tuple[Array, Array]:
    """Neighbours of the small Laplacian: the nearest electrodes, by their 10-05 positions on a template head.

    Returns
    -------
    neighbours : Array
        Integer, shape (n_channels, 4), nearest first.
    is_near : Array
        Boolean, shape (n_channels, 4): false for one that is too far away to say anything about this place.

    Raises
    ------
    ProfileError
        When a label is not an electrode of the 10-05 system, or a channel has fewer than 3 neighbours within 85 mm.

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
    if len(labels) <= N_NEIGHBOURS:
        raise ProfileError(
            f"features.reference: 'laplacian' needs more than {N_NEIGHBOURS} channels, there are {len(labels)}.",
            "Choose 'average' or 'none'.",
        )
    places = np.array([positions[label.lower()] for label in labels])
    distances_m = np.linalg.norm(places[:, None, :] - places[None, :, :], axis=2)
    order = np.argsort(distances_m, axis=1, kind="stable")[:, 1 : N_NEIGHBOURS + 1]
    neighbours = np.ascontiguousarray(order)
    is_near = np.take_along_axis(distances_m, neighbours, axis=1) <= FARTHEST_M
    lonely = [label for label, n in zip(labels, is_near.sum(axis=1), strict=True) if n < LEAST_NEIGHBOURS]
    if lonely:
        raise ProfileError(
            f"features.reference: 'laplacian' needs {LEAST_NEIGHBOURS} electrodes within {1e3 * FARTHEST_M:.0f} mm of "
            f"each channel, and {', '.join(lonely)} has fewer.",
            "Add their neighbours to stream.channels, leave these channels out, or choose 'average' or 'none'.",
        )
    return neighbours, is_near


class Reference:
    """The re-reference of a profile; masked channels take no part in it.

    Parameters
    ----------
    kind : str
        ``none``, ``average`` or ``laplacian``.
    labels : sequence of str
        Channel labels, for the montage.
    """

    def __init__(self, kind: str, labels: Sequence[str]) -> None:
        self._kind = kind
        self._n_channels = len(labels)
        self._neighbours: Array = np.empty((0, 0), dtype=np.int64)
        self._is_near: Array = np.empty((0, 0), dtype=np.bool_)
        if kind == "laplacian":
            self._neighbours, self._is_near = nearest(labels)
        self._out = Scratch(len(labels))
        self.use(np.ones(len(labels), dtype=np.bool_))

    def use(self, is_used: Array) -> Array:
        """Take the reference from these channels only, boolean (n_channels,); return which channels still have one."""
        is_used = as_mask(is_used, self._n_channels, "channels")
        self._weights = is_used / max(1, np.count_nonzero(is_used))
        if self._kind != "laplacian":
            return np.ones(len(is_used), dtype=np.bool_)
        counted = self._is_near & is_used[self._neighbours]
        n = counted.sum(axis=1)
        self._weights = counted / np.maximum(1, n)[:, None]
        has_reference: Array = n > 0
        return has_reference

    def apply(self, samples: Array) -> Array:
        """Re-referenced samples (n_samples, n_channels), valid until the next call; the same where nothing is done."""
        samples = as_rows(samples, self._n_channels)
        if self._kind == "none":
            return samples
        out = self._out.rows(len(samples))
        if self._kind == "average":
            subtract_average(self._weights, samples, out)
        else:
            subtract_mean_of(self._neighbours, self._weights, samples, out)
        return out
