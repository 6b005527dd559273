"""Kinds of decoder: the velocity read-out of the model itself, a Kalman filter with memory, and what others bring.

Whatever the kind, one decoder moves the device (`bci.decoding.velocity`): it masks, judges bins, coasts, smooths,
shapes and clicks; a kind only says how intended velocity is read from the features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Self

import numpy as np

from bci.errors import ModelError
from bci.types import Array

GROUP = "bci.decoders"
VELOCITY = "velocity"  # reads with the encoding model itself: no further arrays
OURS = (EntryPoint("kalman", "bci.decoding.live_kalman:KalmanReadout", GROUP),)
LEAST_SLOPE = 0.25  # of decoded on intended effort: a decoder that tells less is not made faster than four times


class Readout:
    """How intended velocity is read from features: what a kind of decoder brings.

    Its arrays are all that a model file keeps of it; they hold no Python objects.

    Attributes
    ----------
    provenance : dict
        What is worth remembering of a fit, plain values.
    """

    provenance: dict[str, Any]

    @classmethod
    def fit(cls, features: Array, v_int: Array, weights: Array) -> Self:
        """Learn from consecutive bins: features (n_bins, n), intended velocity (n_bins, k), weights (n_bins,)."""
        raise NotImplementedError

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """The same as was saved; it begins at rest."""
        raise NotImplementedError

    def to_arrays(self) -> dict[str, Array]:
        """All that `from_arrays` needs."""
        raise NotImplementedError

    def step(self, features: Array) -> Array:
        """Read one bin.

        Parameters
        ----------
        features : Array
            Shape (n,), finite: a hidden one has the value that the others and the last velocity let expect.

        Returns
        -------
        Array
            Intended velocity (k,), not smoothed, in the units of `v_int`; may be the same array every bin.
        """
        raise NotImplementedError

    def coast(self) -> None:
        """Take note of a bin that is missing, or not believed. Without memory there is nothing to do."""

    def use_features(self, is_used: Array) -> None:
        """Read from some features only, boolean (n,). Where this does nothing, the filled features are read."""


@dataclass(frozen=True)
class SavedReadout:
    """A fitted read-out as a model keeps it.

    Attributes
    ----------
    kind : str
        Its name in the entry point group.
    gain : float
        One length of intention decodes to one on average, after this.
    arrays : dict of str to Array
        Its own.
    provenance : dict
        Of its fit.
    """

    kind: str
    gain: float
    arrays: dict[str, Array]
    provenance: dict[str, Any] = field(default_factory=dict)


def kinds() -> dict[str, EntryPoint]:
    """Every kind that is installed, by name, but the velocity read-out."""
    return {entry.name: entry for entry in (*entry_points(group=GROUP), *OURS)}


def find_kind(kind: str) -> type[Readout]:
    """The class of a kind.

    Raises
    ------
    ModelError
        When it is not installed, or cannot be loaded.
    """
    installed = kinds()
    if kind not in installed:
        raise ModelError(
            f"The decoder '{kind}' is not installed; there are {', '.join((VELOCITY, *sorted(installed)))}.",
            f"Install the package that brings it by entry point '{GROUP}', or fit another with `bci fit --decoder`.",
        )
    try:
        found: type[Readout] = installed[kind].load()
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"The decoder '{kind}' cannot be loaded: {error}.", f"Repair or remove '{installed[kind].value}'."
        ) from error
    return found


def fit_readout(kind: str, features: Array, v_int: Array, weights: Array) -> SavedReadout | None:
    """Fit a read-out of some kind, and its gain; None for the velocity read-out, which is the model itself.

    Raises
    ------
    ModelError
        When the kind is not installed, or what it decodes has nothing to do with what was meant.
    """
    if kind == VELOCITY:
        return None
    readout = find_kind(kind).fit(features, v_int, weights)
    saved = SavedReadout(kind, 1.0, readout.to_arrays(), getattr(readout, "provenance", {}))
    fresh = make_readout(saved, features.shape[1], v_int.shape[1])
    decoded = np.array([fresh.step(row).copy() for row in np.ascontiguousarray(features)])
    meant = float(weights @ np.sum(v_int**2, axis=1))
    slope = float(weights @ np.sum(decoded * v_int, axis=1)) / meant if meant > 0.0 else 0.0
    if not slope > 0.0:
        raise ModelError(
            f"What the decoder '{kind}' learned points nowhere near what was meant (slope {slope:.2f}).",
            "Look at the signals, record for longer, or fit another kind with `bci fit --decoder`.",
        )
    return SavedReadout(kind, 1.0 / max(slope, LEAST_SLOPE), saved.arrays, saved.provenance)


def make_readout(saved: SavedReadout, n: int, k: int) -> Readout:
    """A read-out at rest, tried once: what compiles or loads late does so now.

    Raises
    ------
    ModelError
        When the kind is not installed, or its arrays do not fit n features and k outputs.
    """
    kind = find_kind(saved.kind)
    try:
        tried = np.asarray(kind.from_arrays(saved.arrays).step(np.zeros(n)))
        readout = kind.from_arrays(saved.arrays)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise ModelError(
            f"The arrays of decoder '{saved.kind}' cannot be used: {error!r}.", "Fit it again with `bci fit`."
        ) from error
    if tried.shape != (k,):
        raise ModelError(
            f"The decoder '{saved.kind}' gives shape {tried.shape}, not ({k},).", "Fit it again with `bci fit`."
        )
    return readout
