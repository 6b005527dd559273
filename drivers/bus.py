"""What is said on a bus of numbered servos: instructions from the host, replies from one servo each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EVERYONE = 0xFE


@dataclass(frozen=True, slots=True)
class Instruction:
    """From the host to one servo, or to everyone."""

    servo: int
    code: int
    parameters: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """From a servo: its error byte, and what was read."""

    servo: int
    error: int
    parameters: bytes = b""


def replies_of(replies: Iterable[Reply], servos: Sequence[int], n_parameters: int) -> dict[int, Reply] | None:
    """The replies of exactly these servos with exactly that many parameters; None while one is missing."""
    found = {r.servo: r for r in replies if r.servo in servos and len(r.parameters) == n_parameters}
    return found if len(found) == len(servos) else None
