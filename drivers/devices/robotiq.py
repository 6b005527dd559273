"""Robotiq 2F-85, 2F-140 and Hand-E over Modbus RTU: registers, and what the gripper can promise. Pure.

After Robotiq's instruction manuals (activation, registers, faults) and their example frames, which the tests hold.
The gripper stops by itself only after a second of silence (fault 9), and then keeps its grip: that is what a cup needs,
but it is no lease. Opening by "automatic release" is never used: it would drop what is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from bci.errors import DeviceError
from bci.settings import Section
from drivers.base import Check, Declaration
from drivers.devices import modbus
from drivers.dialogue.driver import Codec, SpokenDriver, axis_entry
from drivers.dialogue.joint import Joint, clamp
from drivers.dialogue.steps import Dialogue, Feedback, Pause, Request, ask

UNIT = 9
OUTPUTS, INPUTS, N_REGISTERS = 1000, 2000, 3
ACTIVATE, GO = 1 << 0, 1 << 3  # bits of the action request
RESET, ACTIVATING, ACTIVE = 0, 1, 3
MOVING, OPENED_ONTO, CLOSED_ONTO, ARRIVED = range(4)
FASTEST, SLOWEST_MM_S, FASTEST_MM_S = 255, 20.0, 150.0
FULL_CURRENT = 100  # of 10 mA: the manual's most, 1 A
ACTIVATION_S, POLL_S = 4.0, 0.1
FAULTS = {
    5: "action waits for an activation",
    7: "not activated",
    8: "too hot",
    9: "no communication for a second",
    10: "supply voltage too low",
    11: "automatic release in progress",
    12: "internal fault",
    13: "activation failed",
    14: "over-current",
    15: "automatic release completed",
}


@dataclass(frozen=True, slots=True)
class Command:
    """What the gripper is asked to do.

    Attributes
    ----------
    is_active, is_going : bool
        rACT: clearing it resets the gripper. rGTO: clearing it stops and holds.
    position, speed, force : int
        0 (open) to 255 (closed); 0 to 255; 0 to 255.
    """

    is_active: bool
    is_going: bool
    position: int = 0
    speed: int = 0
    force: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the gripper says: gACT, gGTO, gSTA, gOBJ, gFLT, and position, its request, and current (10 mA)."""

    is_active: bool
    is_going: bool
    activation: int
    contact: int
    fault: int
    requested: int
    position: int
    current: int


def encode(command: Command) -> tuple[int, int, int]:
    """The three output registers of a command."""
    action = ACTIVATE * command.is_active | GO * command.is_going
    return action << 8, command.position, command.speed << 8 | command.force


def decode(registers: Sequence[int]) -> Report | None:
    """The report in three input registers; None when there are not three of 16 bits."""
    if len(registers) != N_REGISTERS or not all(0 <= value <= 0xFFFF for value in registers):
        return None
    status, second, third = registers
    status >>= 8
    return Report(
        is_active=bool(status & ACTIVATE),
        is_going=bool(status & GO),
        activation=status >> 4 & 3,
        contact=status >> 6 & 3,
        fault=second >> 8 & 0xF,
        requested=second & 0xFF,
        position=third >> 8,
        current=third & 0xFF,
    )


class Options(Section):
    """What the profile may say under device.options."""

    stroke_mm: float = Field(85.0, ge=10.0, le=200.0)
    force: float = Field(0.3, ge=0.0, le=1.0)


class Robotiq:
    """What is said to one gripper, and what its answers mean.

    Parameters
    ----------
    joints : sequence of Joint
        Exactly one; raw 0 is open and 255 closed, the address is the Modbus unit.
    stroke_mm : float
        Full stroke of the fingers: 85, 140 or 50 (Hand-E).
    force : float
        Share of the gripper's force, 0 to 1.
    """

    def __init__(self, joints: Sequence[Joint], stroke_mm: float = 85.0, force: float = 0.3) -> None:
        (self.joint,) = joints
        self.joints: tuple[Joint, ...] = (self.joint,)
        self._is_active = self._is_going = False
        self.force = round(255 * force)
        speed = self.joint.axis.max_speed * self.joint.raw_per_unit / 255.0 * stroke_mm  # mm/s
        self.speed = round(clamp((speed - SLOWEST_MM_S) / (FASTEST_MM_S - SLOWEST_MM_S), 0.0, 1.0) * FASTEST)

    def greet(self) -> Dialogue[str]:
        """Ask for the status; nothing is written."""
        report = yield from self._report()
        state = {RESET: "reset", ACTIVATING: "activating", ACTIVE: "active"}.get(report.activation, "unknown")
        return f"robotiq gripper, unit {self.joint.address}, {state}, position {report.position}"

    def prepare(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Look at the fault status; nothing moves."""
        report = yield from self._report()
        if report.fault in (8, 10):
            raise DeviceError(f"The gripper tells of a fault: {FAULTS[report.fault]}.", "Cure the cause first.")
        state = "active" if report.activation == ACTIVE else "not active: arming makes a full stroke, keep clear"
        checks.append(Check("gripper", True, f"{state}; speed {self.speed}, force {self.force} of 255"))

    def arm(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Activate when it is not yet: **the fingers make a full stroke**; then hold."""
        report = yield from self._report()
        if report.activation != ACTIVE or report.fault >= 10:
            yield from self._write(Command(False, False))
            yield Pause(POLL_S)
            yield from self._write(Command(True, False))
            for _ in range(round(ACTIVATION_S / POLL_S)):
                yield Pause(POLL_S)
                report = yield from self._report()
                if report.activation == ACTIVE:
                    break
        if report.activation != ACTIVE or report.fault not in (0, 9):
            raise DeviceError(
                f"The gripper did not activate: {FAULTS.get(report.fault, 'no fault told')}.", "Free the fingers."
            )
        yield from self._write(Command(True, False, report.position, self.speed, self.force))
        echoed = yield from self._report()
        if echoed.requested != report.position:
            raise DeviceError(
                f"The gripper was told position {report.position} and repeats {echoed.requested}: what it is told, "
                "speed and force too, is not what it hears.",
                "Is it a 2F-85, 2F-140 or Hand-E?",
            )
        checks.append(Check("watchdog", True, "the gripper itself notices silence only after 1 s"))

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """Give a goal and read the status, in one exchange."""
        self._is_going = True
        command = Command(True, True, self.joint.to_raw(positions[0]), self.speed, self.force)
        registers = yield modbus.read_write(self.joint.address, INPUTS, N_REGISTERS, OUTPUTS, encode(command))
        return self._feedback(self._understand(registers))

    def watch(self) -> Dialogue[Feedback]:
        """Read without writing."""
        return self._feedback((yield from self._report()))

    def stand(self, positions: Sequence[float]) -> Request:
        """Stop where it is, and keep the grip."""
        self._is_going = False
        return modbus.write(self.joint.address, OUTPUTS, encode(Command(True, False))[:1])

    def disarm(self, positions: Sequence[float]) -> Request:
        """The same: what is held stays held. A stroke of activation is ended by a reset."""
        self._is_going = False
        return modbus.write(self.joint.address, OUTPUTS, encode(Command(self._is_active, False))[:1])

    def _feedback(self, report: Report) -> Feedback:
        is_told = report.fault in (8, *range(10, 16)) or (report.fault and self._is_going)
        faults = [f"gripper: {FAULTS.get(report.fault, f'fault {report.fault}')}"] if is_told else []
        if self._is_going and report.activation != ACTIVE:
            faults.append("gripper: not activated")
        is_held = report.is_going and report.contact in (OPENED_ONTO, CLOSED_ONTO)
        way = (report.requested > report.position) - (report.requested < report.position)
        effort = self.joint.to_effort(way * report.current / FULL_CURRENT)
        position = self.joint.to_position(report.position)
        return Feedback((position,), (), tuple(faults), "object held" if is_held else "", (effort,))

    def _report(self) -> Dialogue[Report]:
        registers = yield from ask(modbus.read(self.joint.address, modbus.READ_INPUT, INPUTS, N_REGISTERS))
        return self._understand(registers)

    def _understand(self, registers: tuple[int, ...] | None) -> Report:
        if registers is None:
            raise DeviceError("The gripper does not answer.", "Check cable, supply and unit number.")
        if isinstance(registers, modbus.Refusal):
            reason = modbus.EXCEPTIONS.get(registers[1], str(registers[1]))
            raise DeviceError(f"The gripper refuses: {reason}.", "Is it a 2F-85, 2F-140 or Hand-E?")
        report = decode(registers)
        if report is None:
            raise DeviceError("The gripper's status cannot be read.", "Is it a 2F-85, 2F-140 or Hand-E?")
        self._is_active = report.activation == ACTIVE
        return report

    def _write(self, command: Command) -> Dialogue[None]:
        answer = yield from ask(modbus.write(self.joint.address, OUTPUTS, encode(command)))
        if answer is None or isinstance(answer, modbus.Refusal):
            raise DeviceError("The gripper does not take a command.", "Check cable, supply and unit number.")


def _reply(registers: tuple[int, ...]) -> bytes:
    head = bytes((UNIT, modbus.READ_INPUT, 2 * len(registers)))
    return modbus.seal(head + b"".join(value.to_bytes(2, "big") for value in registers))


def _replies(data: bytes) -> list[tuple[int, ...]]:
    answer = modbus.read_registers(UNIT, modbus.READ_INPUT, N_REGISTERS, data)
    return [answer] if answer is not None and not isinstance(answer, modbus.Refusal) else []


def scan() -> Dialogue[str]:
    """Ask unit 9 for its status; nothing is written.

    Raises
    ------
    DeviceError
        When nobody answers.
    """
    registers = yield modbus.read(UNIT, modbus.READ_INPUT, INPUTS, N_REGISTERS)
    if registers is None or isinstance(registers, modbus.Refusal):
        raise DeviceError("No Robotiq gripper answers.", "Check cable and supply.")
    return f"Robotiq gripper, unit {UNIT}"


DRIVER = SpokenDriver(
    declaration=Declaration(
        name="robotiq",
        baud=115_200,
        safe_state="hold",
        has_watchdog=False,
        lease_max_ms=200,
        watchdog="After 1 s of silence it reports fault 9: too late for a lease. It ends the move to its last goal, "
        "which is at most one lease of travel away, and keeps its grip.",
    ),
    options=Options,
    raw=(0, 255),
    addresses=(1, 247),
    make=Robotiq,
    most_axes=1,
    twin="drivers.twins.robotiq",
    codecs=(Codec(examples=((0x3900, 0x00FF, 0xBD00), (0, 0, 0)), encode=_reply, decode=_replies, n_flips=3),),
    example={
        "axes": (axis_entry("hand", "1", (0.0, 1.0), 1.0, 6.0, 9, (0, 255)),),
        "options": {"stroke_mm": 85.0, "force": 0.3},
    },
)
