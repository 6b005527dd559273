"""A software twin of a bus of Dynamixel servos: control table, bus watchdog and dynamics, with faults to put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers.base import Axis
from drivers.devices.dynamixel import (
    ACCELERATION_STEPS_S2,
    ALERT,
    DRIVER,
    PING,
    POSITION_MODE,
    READ,
    SPEED_STEPS_S,
    SYNC_READ,
    SYNC_WRITE,
    TABLE,
    TRIPPED,
    WRITE,
    decode_instructions,
    encode,
    pack,
    unpack,
)  # fmt: skip
from drivers.devices.register_bus import EVERYONE, Instruction, Reply
from drivers.dialogue.joint import Joint
from drivers.twins.servo import Servo, hold, push
from drivers.twins.terminal import run

EEPROM_END = 64
GOALS = range(100, 120)
READ_ONLY = (*range(0, 7), 70, *range(120, 147))
ACCESS_ERROR, RANGE_ERROR = 7, 4


class DynamixelBus:
    """Several servos on one wire.

    Parameters
    ----------
    joints : sequence of Joint
        Where the servos stand at power-on: in the middle.
    mode : int
        Operating mode of all.

    Attributes
    ----------
    silent : set of int
        Servos that answer nothing.
    has_watchdog : bool
        False for old firmware, whose watchdog never trips.
    corrupt : callable or None
        Applied to all bytes that the bus answers.
    """

    def __init__(self, joints: Sequence[Joint], mode: int = POSITION_MODE) -> None:
        self.joints = {joint.address: joint for joint in joints}
        self.axes: tuple[Axis, ...] = tuple(joint.axis for joint in joints)
        self.silent: set[int] = set()
        self.has_watchdog = True
        self.corrupt: Any = None
        self._memory = {joint.address: bytearray(147) for joint in joints}
        self.servos: dict[int, Servo] = {}
        self._pending = b""
        self._heard_ms = 0
        for joint in joints:
            lower, upper = joint.raw_bounds
            middle = round((lower + upper) / 2)
            self.servos[joint.address] = Servo(middle, middle, 1e4, 1e5)
            defaults = {"model": 1200, "firmware": 52, "mode": mode, "secondary_id": 255,
                        "current_limit": 1193, "max_position": 4095, "goal_position": middle}  # fmt: skip
            for name, value in defaults.items():
                self.write(joint.address, name, value)

    @property
    def positions(self) -> list[float]:
        """Where each servo truly is, units."""
        return [self.joints[servo].to_position(s.position) for servo, s in self.servos.items()]

    @property
    def is_moving(self) -> bool:
        """Whether any servo has speed."""
        return any(servo.velocity != 0.0 for servo in self.servos.values())

    @property
    def powers(self) -> list[bool]:
        """Whether each servo has torque."""
        return [servo.is_powered for servo in self.servos.values()]

    def hold(self, is_held: bool) -> None:
        """A hand on every servo, or none."""
        hold(self.servos.values(), is_held)

    def push(self, share: float) -> None:
        """Push every servo by a share of its range, and let go."""
        push(self.servos.values(), self.joints.values(), share)

    def read(self, servo: int, name: str) -> int:
        """A register's value."""
        address, size, _ = TABLE[name]
        return unpack(bytes(self._memory[servo][address : address + size]), name)

    def write(self, servo: int, name: str, value: int) -> None:
        """Set a register's value, read-only ones too."""
        address, size, _ = TABLE[name]
        self._memory[servo][address : address + size] = pack(value, name)

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers. Every instruction, to whichever servo, feeds the watchdogs."""
        self._pending = (self._pending + data)[-2048:]
        instructions = decode_instructions(self._pending)
        if instructions:
            self._pending = b""
            self._heard_ms = now_ms
        answer = b"".join(map(self._answer, instructions))
        return answer if self.corrupt is None else self.corrupt(answer)

    def step(self, now_ms: int, dt_s: float) -> None:
        """Evaluate the watchdogs, then move."""
        for number, servo in self.servos.items():
            is_powered = self.read(number, "torque_enable") == 1
            watchdog = self.read(number, "bus_watchdog")
            is_late = now_ms - self._heard_ms > 20 * watchdog
            if self.has_watchdog and is_powered and 0 < watchdog < 128 and is_late:
                self.write(number, "bus_watchdog", TRIPPED)
                servo.goal, servo.velocity = servo.position, 0.0
            if self.read(number, "bus_watchdog") != TRIPPED:
                servo.goal = self.read(number, "goal_position")
            servo.is_powered = is_powered
            servo.speed = SPEED_STEPS_S * self.read(number, "profile_velocity") or 1e4
            servo.acceleration = ACCELERATION_STEPS_S2 * self.read(number, "profile_acceleration") or 1e5
            servo.step(dt_s)
            self.write(number, "position", round(servo.position))
            self.write(number, "velocity", round(servo.velocity / SPEED_STEPS_S))
            self.write(number, "current", round(servo.effort * self.read(number, "current_limit")))

    def _answer(self, instruction: Instruction) -> bytes:
        known = self._memory.keys() - self.silent
        servo, parameters = instruction.servo, instruction.parameters
        if instruction.code in (SYNC_READ, SYNC_WRITE) and servo == EVERYONE and len(parameters) > 4:
            start, n = (int.from_bytes(parameters[i : i + 2], "little") for i in (0, 2))
            if instruction.code == SYNC_READ:
                return b"".join(self._reply(i, 0, self._block(i, start, n)) for i in parameters[4:] if i in known)
            for i in range(4, len(parameters) - n, n + 1):
                if parameters[i] in known:
                    self._store(parameters[i], start, parameters[i + 1 : i + 1 + n])
            return b""
        if instruction.code == PING:
            asked = sorted(known) if servo == EVERYONE else [servo] if servo in known else []
            return b"".join(self._reply(i, 0, self._block(i, 0, 2) + self._block(i, 6, 1)) for i in asked)
        if servo not in known:
            return b""
        start = int.from_bytes(parameters[:2], "little")
        if instruction.code == READ and len(parameters) == 4:
            return self._reply(servo, 0, self._block(servo, start, int.from_bytes(parameters[2:], "little")))
        if instruction.code == WRITE and len(parameters) > 2:
            return self._reply(servo, self._store(servo, start, parameters[2:]))
        return self._reply(servo, 2)  # an instruction that it does not know

    def _reply(self, servo: int, error: int, parameters: bytes = b"") -> bytes:
        return encode(Reply(servo, error | ALERT * bool(self.read(servo, "hardware_error")), parameters))

    def _block(self, servo: int, start: int, n: int) -> bytes:
        return bytes(self._memory[servo][start : start + n])

    def _store(self, servo: int, start: int, data: bytes) -> int:
        """Write as a servo would; the error number, 0 when it was taken."""
        if start in READ_ONLY or start + len(data) > len(self._memory[servo]):
            return ACCESS_ERROR
        if start < EEPROM_END and self.read(servo, "torque_enable"):
            return ACCESS_ERROR
        if start in GOALS and self.read(servo, "bus_watchdog") == TRIPPED:
            return RANGE_ERROR
        if start == TABLE["goal_position"][0]:
            goal = unpack(data, "goal_position")
            if not self.read(servo, "min_position") <= goal <= self.read(servo, "max_position"):
                return 6
        self._memory[servo][start : start + len(data)] = data
        return 0


def make(section: dict[str, Any]) -> DynamixelBus:
    """The twin of a device section."""
    speaker = DRIVER.build(section or DRIVER.example)
    return DynamixelBus(speaker.joints, 5 if getattr(speaker, "goal_current", 0) else POSITION_MODE)


if __name__ == "__main__":
    run(make, __doc__ or "")
