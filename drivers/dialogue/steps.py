"""What a driver says and hears, without a port or a clock: requests, pauses, and what comes of them.

A driver's work is written as generators. Each yields a `Request` and is given what the answer meant, or None when none
came in time; or yields a `Pause`, during which nobody speaks. Who owns the port runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from bci.errors import DeviceError
from drivers.base import Check
from drivers.dialogue.joint import Joint

T = TypeVar("T")
N_AGREEING = 3  # reports in a row, before a place is believed that a motor is to hold …
MOST_REPORTS = 10  # … of at most so many
AGREEMENT = 0.02  # of the range


@dataclass(frozen=True, slots=True)
class Request:
    """Bytes to write, and how to understand what comes back.

    Attributes
    ----------
    wire : bytes
        May hold several instructions, when only the last one is answered.
    n_reply : int
        Bytes of the whole answer, from which its deadline follows; 0 for none.
    read : callable
        From everything that came since `wire` was written to the answer's meaning, or None while it is not whole.
    work_s : float
        What the device may need before it answers, beyond the bytes.
    spacing_s : float
        It is written no sooner than so long after the last one that has a spacing; 0 for at once.
    """

    wire: bytes
    n_reply: int = 0
    read: Callable[[bytes], Any] = lambda data: None
    work_s: float = 0.0
    spacing_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for this long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a device reports about itself in one period.

    Attributes
    ----------
    positions : tuple of float
        One per axis, in its units.
    velocities : tuple of float
        In units per second; empty when the device does not measure them.
    faults : tuple of str
        In words; empty when all is well.
    note : str
        Anything else that people want to see, for example ``object held``.
    efforts : tuple of float
        As in `drivers.base.Report`.
    """

    positions: tuple[float, ...]
    velocities: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    note: str = ""
    efforts: tuple[float, ...] = ()


Dialogue: TypeAlias = Generator[Request | Pause, Any, T]


class Speaker(Protocol):
    """What is said to one device, as dialogues; it has no port and no clock."""

    joints: tuple[Joint, ...]

    def greet(self) -> Dialogue[str]:
        """Who is there, in words; nothing is changed, nothing moves."""
        ...

    def prepare(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Without power: look, set limits, read them back, and append what was found; raise what must not be so."""
        ...

    def arm(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Give power, standing still; prove the watchdog where that needs power."""
        ...

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """One period: goals out, feedback in."""
        ...

    def watch(self) -> Dialogue[Feedback]:
        """Feedback only."""
        ...

    def stand(self, positions: Sequence[float]) -> Request:
        """End motion and keep power; `positions` is where the device was last seen."""
        ...

    def disarm(self, positions: Sequence[float]) -> Request:
        """End motion and lead to the safe state."""
        ...


def ask(request: Request, n_tries: int = 3) -> Dialogue[Any]:
    """Ask what may be asked again without harm; None when every answer failed to come."""
    for _ in range(n_tries):
        answer = yield request
        if answer is not None:
            return answer
    return None


def agreed(
    watch: Callable[[], Dialogue[Feedback]], joints: Sequence[Joint], before: Sequence[float] | None = None
) -> Dialogue[Feedback]:
    """Read until three reports in a row tell of the same place; what a weak checksum lets through once is not believed.

    Parameters
    ----------
    watch : callable
        Asks for one report.
    joints : sequence of Joint
        Their ranges say what is the same: within 2 %.
    before : sequence of float, optional
        Where it was seen already: it must be there still.

    Raises
    ------
    DeviceError
        When they contradict each other, or what was seen before; and whatever `watch` raises.
    """
    reports: list[Feedback] = []
    for _ in range(MOST_REPORTS):
        reports.append((yield from watch()))
        places = [report.positions for report in reports[-N_AGREEING:]] + ([] if before is None else [before])
        if len(reports) >= N_AGREEING and all(map(_is_one_place, joints, zip(*places, strict=True))):
            return reports[-1]
    raise DeviceError(
        "It does not stand still, or its reports contradict each other.",
        "Hold it still; check the cable, then arm again.",
    )


def _is_one_place(joint: Joint, positions: Sequence[float]) -> bool:
    return max(positions) - min(positions) <= AGREEMENT * (joint.axis.upper - joint.axis.lower)
