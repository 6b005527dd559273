"""What flows through the house: small frozen values with shapes and units.

Time is `pylsl.local_clock()`, seconds. Arrays have time first, then channels. NumPy is imported for annotations
only, so that the guardian process can use this module without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive samples of one stream, with no gap inside.

    Attributes
    ----------
    samples : Array
        Shape (n_samples, n_channels), in the stream's unit.
    stamps_s : Array
        Shape (n_samples,), on the local clock, increasing.
    n_lost : int
        Samples that the source sent, or should have sent, between the previous chunk and this one.
    """

    samples: Array
    stamps_s: Array
    n_lost: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """The features of one bin.

    Attributes
    ----------
    index : int
        Bins since the start, missing ones counted.
    stamp_s : float
        Stamp of the bin's last sample; for a missing bin the stamp it would have had.
    features : Array
        Shape (n_features,); the values of a missing bin carry no meaning.
    is_missing : bool
        Samples of this bin were lost: the decoder predicts and does not update.
    """

    index: int
    stamp_s: float
    features: Array
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """What the participant meant to do from a moment on, until the next label.

    Attributes
    ----------
    stamp_s : float
        From when it holds.
    v_int : tuple of float
        Intended velocity, one value per decoder output; a vector of length 1 is full effort, zeros are rest.
    weight : float
        How much to learn from it, 0 (nothing) to 1.
    """

    stamp_s: float
    v_int: tuple[float, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Intent:
    """What the decoder understood of one bin; a request, never a command.

    Attributes
    ----------
    index : int
        Bin number.
    stamp_s : float
        Stamp of the last sample that it rests on.
    velocity : tuple of float
        One value per decoder output, in output units per second.
    nis : float
        Normalised innovation squared over the number of features, 1 when the features are as the model expects.
    is_confident : bool
        False while coasting over missing or implausible bins: the guardian then holds the device.
    """

    index: int
    stamp_s: float
    velocity: tuple[float, ...]
    nis: float
    is_confident: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something an operator or a later reader of the recording wants to know.

    Attributes
    ----------
    stamp_s : float
        When, on the local clock.
    source : str
        Which room says so, for example ``streams`` or ``guardian``.
    code : str
        A stable word to search for, for example ``gap``.
    text : str
        One sentence for people.
    """

    stamp_s: float
    source: str
    code: str
    text: str
