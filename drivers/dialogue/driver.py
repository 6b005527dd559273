"""A driver made of dialogues: how it is built from the device section of a profile, and opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from bci.devices import DeviceAxis
from bci.errors import DeviceError
from bci.settings import Section
from drivers.base import Axis, Declaration, Host
from drivers.dialogue.exchange import converse
from drivers.dialogue.joint import Joint
from drivers.dialogue.positioner import Positioner
from drivers.dialogue.steps import Feedback, Speaker
from drivers.dialogue.transport import Port

AXIS_FIELDS = ("lower", "upper", "max_speed", "max_acceleration", "raw_lower", "raw_upper")


@dataclass(frozen=True, slots=True)
class Codec:
    """What the conformance suite checks of a driver's bytes.

    Attributes
    ----------
    examples : tuple
        Messages of every kind.
    encode : callable
        From a message to bytes.
    decode : callable
        From bytes that may begin anywhere to the messages in them; never raises.
    n_flips : int
        Any so many flipped bits in one frame are always noticed: 0 when there is no checksum on this way.
    """

    examples: tuple[Any, ...]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Sequence[Any]]
    n_flips: int


@dataclass(frozen=True, slots=True)
class SpokenDriver:
    """A kind of device that is reached by dialogues over a serial port: satisfies `drivers.base.Driver`.

    Attributes
    ----------
    declaration : Declaration
        What it can and cannot promise.
    options : type of Section
        The profile's options with their types and ranges, as `make` takes them by name.
    raw : (float, float)
        Least and greatest number that the device understands as a position.
    addresses : (int, int)
        Of its servos or channels.
    make : callable
        From joints and the profile's options to a `Speaker`; raises DeviceError on options that contradict each other.
    twin : str
        Module that is a twin in software, run as ``python -m``; empty when there is none.
    codecs : tuple of Codec
        Both ways of the wire.
    example : mapping
        A device section with axes and options, for tests and for the twin.
    n_misses : int
        Periods without an answer that are borne while powered.
    most_axes : int
        On one port.
    """

    declaration: Declaration
    options: type[Section]
    raw: tuple[float, float]
    addresses: tuple[int, int]
    make: Callable[..., Speaker]
    twin: str
    codecs: tuple[Codec, ...]
    example: Mapping[str, Any]
    n_misses: int = 3
    most_axes: int = 32

    def build(self, section: Mapping[str, Any]) -> Speaker:
        """Make the speaker of a device from its section of the profile.

        Raises
        ------
        DeviceError
            When axes are missing or contradict themselves, or an option is unknown or wrong.
        """
        options = dict(section.get("options") or {})
        known = list(self.options.model_fields)
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise DeviceError(
                f"Driver '{self.declaration.name}' has no option {', '.join(unknown)}; it has {', '.join(known)}.",
                "Correct device.options in the profile.",
            )
        try:
            values = self.options.model_validate(options, strict=True)
        except ValidationError as error:
            raise DeviceError(
                f"Driver '{self.declaration.name}': option {_words(error)}.", "Correct device.options in the profile."
            ) from None
        joints = read_joints(section.get("axes") or ())
        self._check_joints(joints)
        return self.make(joints, **values.model_dump())

    def _check_joints(self, joints: Sequence[Joint]) -> None:
        if len(joints) > self.most_axes:
            raise DeviceError(
                f"Driver '{self.declaration.name}' has at most {self.most_axes} axes, the profile names {len(joints)}.",
                "Correct device.axes in the profile.",
            )
        for joint in joints:
            values = {"address": (joint.address, self.addresses), "raw_lower": (joint.raw_lower, self.raw),
                      "raw_upper": (joint.raw_upper, self.raw)}  # fmt: skip
            for field, (value, (least, most)) in values.items():
                if not least <= value <= most:
                    raise DeviceError(
                        f"Axis '{joint.axis.name}': {field} {value:g} is not within {least:g} to {most:g}, which is "
                        f"what driver '{self.declaration.name}' can say.",
                        "Correct device.axes in the profile.",
                    )

    def open(self, section: Mapping[str, Any]) -> Host:
        """Open the port and greet the device.

        Raises
        ------
        DeviceError
            When the port or the device is not there, or the section does not fit it.
        """
        speaker = self.build(section)
        baud = int(section.get("baud") or self.declaration.baud)
        port = Port(str(section["port"]), baud)
        try:
            words = converse(port, baud, speaker.greet())
        except DeviceError:
            port.close()
            raise
        is_limp = getattr(speaker, "is_limp", False)
        declaration = replace(self.declaration, safe_state="limp") if is_limp else self.declaration
        return Positioner(port, baud, speaker, declaration, words, self.n_misses)


def read_joints(entries: Sequence[Mapping[str, Any]]) -> tuple[Joint, ...]:
    """Read the axes of a device section.

    Raises
    ------
    DeviceError
        When there is none, one contradicts itself, or two share a name or an address.
    """
    joints = tuple(map(_joint, entries))
    if not joints:
        raise DeviceError("The profile names no axis of the device.", "Add one table [[device.axes]] for each.")
    for values in ([joint.axis.name for joint in joints], [joint.address for joint in joints]):
        if len(set(values)) < len(values):
            raise DeviceError(f"Two axes share one of {values}.", "Correct device.axes in the profile.")
    return joints


def _joint(entry: Mapping[str, Any]) -> Joint:
    try:
        a = DeviceAxis.model_validate(dict(entry), strict=True)
    except ValidationError as error:
        name = entry.get("name", "")
        raise DeviceError(f"Axis '{name}': {_words(error)}.", "Correct device.axes in the profile.") from None
    axis = Axis(a.name, a.unit, a.lower, a.upper, a.max_speed, a.max_acceleration)
    return Joint(axis, a.address, a.raw_lower, a.raw_upper)


def _words(error: ValidationError) -> str:
    """The first field that is wrong, why, and what it is."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{field} {reason}, and is {first['input']!r}" if field else reason


def axis_entry(
    name: str,
    unit: str,
    bounds: tuple[float, float],
    max_speed: float,
    max_acceleration: float,
    address: int,
    raw: tuple[float, float],
) -> dict[str, Any]:
    """One table [[device.axes]], for a driver's example."""
    numbers = (*bounds, max_speed, max_acceleration, *raw)
    return {"name": name, "unit": unit, "address": address, **dict(zip(AXIS_FIELDS, numbers, strict=True))}


def check_place(joints: Sequence[Joint], feedback: Feedback) -> None:
    """What must be true of a device's first report before it gets power.

    Raises
    ------
    DeviceError
        When it tells of a fault, or an axis stands outside its bounds by more than 2 % of them.
    """
    if feedback.faults:
        raise DeviceError("; ".join(feedback.faults) + ".", "Cure the cause first.")
    for joint, position in zip(joints, feedback.positions, strict=True):
        axis, margin = joint.axis, 0.02 * (joint.axis.upper - joint.axis.lower)
        if not axis.lower - margin <= position <= axis.upper + margin:
            raise DeviceError(
                f"Axis {axis.name} stands at {position:.3g} {axis.unit}, outside its bounds.", "Move it inside by hand."
            )
