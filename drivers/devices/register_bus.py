"""A bus of numbered servos with registers: instructions from the host, replies from one servo each, and what is done.

What Feetech and Dynamixel have in common: premises are read before power, limits are written and read back, the goal is
the present position before there is torque, and a write may be lost once. Bytes and tables are each one's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bci.errors import DeviceError
from drivers.base import Check
from drivers.dialogue.driver import check_place
from drivers.dialogue.joint import Joint, check_range
from drivers.dialogue.steps import Dialogue, Feedback, Request, agreed, ask

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


@dataclass(frozen=True, slots=True)
class Premise:
    """A register on which a limit rests, and what it must hold before there is power.

    Attributes
    ----------
    register : str
        Its name in the table.
    is_met : callable
        Whether a value is one with which the limit holds.
    problem : str
        What any other value means, after "Servo N has register VALUE: ".
    remedy : str
        What to do about it.
    """

    register: str
    is_met: Callable[[int], bool]
    problem: str
    remedy: str


def replies_of(replies: Iterable[Reply], servos: Sequence[int], n_parameters: int) -> dict[int, Reply] | None:
    """The replies of exactly these servos with exactly that many parameters; None while one is missing."""
    found = {r.servo: r for r in replies if r.servo in servos and len(r.parameters) == n_parameters}
    return found if len(found) == len(servos) else None


class RegisterBus(ABC):
    """What is said to the servos of one bus, whatever their bytes.

    Parameters
    ----------
    joints : sequence of Joint
        One per servo; raw numbers are steps.
    is_limp : bool
        Whether torque ends when the device is disarmed. An arm would fall: it holds instead.
    """

    title: str

    def __init__(self, joints: Sequence[Joint], is_limp: bool) -> None:
        self.joints = tuple(joints)
        self.is_limp = is_limp
        self.servos = [joint.address for joint in self.joints]

    @abstractmethod
    def premises(self) -> Sequence[Premise]:
        """What must be so of every servo, as it was set by whoever set it up."""

    @abstractmethod
    def limits(self, joint: Joint) -> dict[str, int]:
        """What is written to a servo before power, and read back."""

    @abstractmethod
    def watch(self) -> Dialogue[Feedback]:
        """Read without writing."""

    @abstractmethod
    def read(self, servo: int, name: str) -> Request:
        """Ask for one register; the answer is a reply per servo."""

    @abstractmethod
    def write(self, servo: int, name: str, value: int) -> Request:
        """Set one register."""

    @abstractmethod
    def value(self, reply: Reply, name: str) -> int:
        """What a reply says of one register."""

    def greet(self) -> Dialogue[str]:
        """Ask each servo for its model; nothing is written."""
        models = []
        for servo in self.servos:
            models.append(f"{servo}: model {(yield from self.get(servo, 'model'))}")
        return f"{self.title}, servos " + ", ".join(models)

    def prepare(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Read every register on which a limit rests; write the limits and read them back; look where it stands."""
        for joint in self.joints:
            premises = yield from self._check(joint)
            limits = self.limits(joint)
            for name, value in limits.items():
                yield from self.set(joint.address, name, value)
            words = f"as it must be: {_words(premises)}; read back: {_words(limits)}"
            checks.append(Check(f"servo {joint.address}", True, words))
        check_place(self.joints, (yield from self.watch()))

    def take_hold(self) -> Dialogue[None]:
        """The goal is where it stands, and only then, when it stands there still, there is torque."""
        place = (yield from agreed(self.watch, self.joints)).positions
        goals = self.goals(place)
        for servo in self.servos:
            yield from self.set(servo, "goal_position", goals[servo])
        yield from agreed(self.watch, self.joints, place)
        for servo in self.servos:
            yield from self.set(servo, "torque_enable", 1)

    def goals(self, positions: Sequence[float]) -> dict[int, int]:
        """Each servo's number for each axis's position."""
        return {joint.address: joint.to_raw(p) for joint, p in zip(self.joints, positions, strict=True)}

    def get(self, servo: int, name: str) -> Dialogue[int]:
        """Read one register."""
        replies = yield from ask(self.read(servo, name))
        if replies is None:
            raise DeviceError(f"Servo {servo} does not answer.", "Check its number, cable, power and the baud rate.")
        return self.value(replies[servo], name)

    def set(self, servo: int, name: str, value: int) -> Dialogue[None]:
        """Write and read back; a write may be lost once."""
        for _ in range(2):
            yield self.write(servo, name, value)
            found = yield from self.get(servo, name)
            if found == value:
                return
        raise DeviceError(f"Servo {servo} keeps {name} at {found}, not {value}.", "Check the servo.")

    def _check(self, joint: Joint) -> Dialogue[dict[str, int]]:
        found = {}
        for premise in self.premises():
            value = found[premise.register] = yield from self.get(joint.address, premise.register)
            if not premise.is_met(value):
                name = premise.register.replace("_", " ")
                raise DeviceError(f"Servo {joint.address} has {name} {value}: {premise.problem}.", premise.remedy)
        least = yield from self.get(joint.address, "min_position")
        most = yield from self.get(joint.address, "max_position")
        check_range(joint, least, most)
        return found | {"min_position": least, "max_position": most}


def _words(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


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
