"""What a driver says and hears, without a port or a clock: requests, pauses, and what comes of them.

A driver's work is written as generators. Each yields a `Request` and is given what the answer meant, or None when none
came in time; or yields a `Pause`, during which nobody speaks. Who owns the port runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


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
    """

    wire: bytes
    n_reply: int = 0
    read: Callable[[bytes], Any] = lambda data: None
    work_s: float = 0.0


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
    """

    positions: tuple[float, ...]
    velocities: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    note: str = ""


Dialogue: TypeAlias = Generator[Request | Pause, Any, T]
