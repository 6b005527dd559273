"""What is said on a bus of numbered servos: instructions from the host, replies from one servo each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bci.errors import DeviceError
from drivers.dialogue.steps import Dialogue, Request

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


def scan(maker: str, ask: Callable[[int], Request]) -> Dialogue[str]:
    """Ask numbers 1 to 8 whether they are there; nothing is written.

    Raises
    ------
    DeviceError
        When nobody answers.
    """
    found = []
    for servo in range(1, 9):
        answer = yield ask(servo)
        if answer is not None:
            found.append(str(servo))
    if not found:
        raise DeviceError(f"No {maker} servo answers.", "Check power and baud rate.")
    return f"{maker} servos {', '.join(found)}"
