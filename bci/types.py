"""What flows through the house: small frozen values with shapes and units.

Time is `pylsl.local_clock()`, seconds. Arrays have time first, then channels. NumPy is imported for annotations
only, so that the guardian process can use this module without loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        Shape (n_features,); NaN where a feature is hidden: its channel is masked, or its stream came too late. The
        values of a missing bin carry no meaning.
    is_missing : bool
        Samples of this bin were lost, or tell nothing: the decoder predicts and does not update.
    n_before : int
        Bins before this missing one that turn out to have been no signal either, although they were told as such.
    """

    index: int
    stamp_s: float
    features: Array
    is_missing: bool = False
    n_before: int = 0


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
class Position:
    """Where the cursor or hand is, as the participant sees it, from a moment on.

    Attributes
    ----------
    stamp_s : float
        From when it holds.
    values : tuple of float
        One per decoder output, in workspaces: 0 to 1 inside.
    """

    stamp_s: float
    values: tuple[float, ...]


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
        False after more than three missing or implausible bins in a row: the guardian then holds the device.
    click, hold : float
        Probability, 0 to 1, that a click (or grasp) is meant now, and that standing still is; 0 where the profile
        decodes no discrete intents. The velocity has been scaled by 1 - click - hold already.
    gate : float
        0 while the person rests, 1 while active, ramping between; the velocity has been scaled by it already.
    n_clicks : int
        Clicks detected since the decoder began: a rise by one is one click, so none is lost with a message.
    """

    index: int
    stamp_s: float
    velocity: tuple[float, ...]
    nis: float
    is_confident: bool
    click: float = 0.0
    hold: float = 0.0
    gate: float = 1.0
    n_clicks: int = 0


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


@dataclass(frozen=True, slots=True)
class Signal:
    """The regular stream that a decoder would read.

    Attributes
    ----------
    name, type, unit : str
        As LSL would give them.
    labels : tuple of str
        One per channel.
    rate_hz : float
        Nominal.
    samples : Array
        Shape (n_samples, n_channels).
    stamps_s : Array
        Shape (n_samples,), increasing; where samples were lost they jump.
    units : tuple of str
        One per channel, where they differ; `unit` is empty then.
    is_named : bool
        Whether the source itself gives name and type: a file of some kinds does not.
    n_set_aside : int
        Further channels of the source that are not among these, because their rate is another.
    """

    name: str
    type: str
    unit: str
    labels: tuple[str, ...]
    rate_hz: float
    samples: Array
    stamps_s: Array
    units: tuple[str, ...] = ()
    is_named: bool = True
    n_set_aside: int = 0

    @property
    def seconds(self) -> float:
        """From the first sample to one period after the last."""
        return float(self.stamps_s[-1] - self.stamps_s[0]) + 1.0 / self.rate_hz


@dataclass(frozen=True, slots=True)
class Kinematics:
    """Measured movement: positions first, then velocities.

    Attributes
    ----------
    names : tuple of str
        For example x, y, vx, vy.
    unit : str
        Of the positions; velocities are per second.
    values : Array
        Shape (n_samples, len(names)).
    stamps_s : Array
        Shape (n_samples,).
    """

    names: tuple[str, ...]
    unit: str
    values: Array
    stamps_s: Array


@dataclass(frozen=True, slots=True)
class Recording:
    """One file.

    Attributes
    ----------
    signal : Signal
        What is decoded.
    kinematics : Kinematics or None
        What was done, where it was measured.
    markers : tuple of (float, str)
        Stamp and text, in order.
    marker_name : str
        Name of the marker stream; empty where there is none.
    extras : tuple of Signal
        Further streams, where they were asked for.
    other_markers : mapping
        Name and markers of the other marker streams, which are not used.
    notes : tuple of str
        What is wrong with the file and was mended, left out or lost, a sentence each.
    is_damaged : bool
        Whether parts of the file could not be read.
    """

    signal: Signal
    kinematics: Kinematics | None = None
    markers: tuple[tuple[float, str], ...] = ()
    marker_name: str = ""
    extras: tuple[Signal, ...] = ()
    other_markers: Mapping[str, tuple[tuple[float, str], ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_damaged: bool = False
