"""A software twin of a bus of Feetech servos: registers and dynamics, with faults that can be put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers.base import Axis
from drivers.devices.feetech import (
    DRIVER,
    PING,
    READ,
    SYNC_READ,
    SYNC_WRITE,
    TABLES,
    WRITE,
    Series,
    decode_instructions,
    encode,
    pack,
    unpack,
)  # fmt: skip
from drivers.devices.register_bus import EVERYONE, Instruction, Reply
from drivers.dialogue.joint import Joint
from drivers.twins.servo import Servo, hold, push
from drivers.twins.terminal import run


class FeetechBus:
    """Several servos on one wire.

    Parameters
    ----------
    joints : sequence of Joint
        Where the servos stand at power-on: in the middle.
    series : {"sts", "scs"}
        Which servos.

    Attributes
    ----------
    silent : set of int
        Servos that answer nothing.
    errors : dict of int to int
        Error bits per servo.
    corrupt : callable or None
        Applied to all bytes that the bus answers.
    """

    def __init__(self, joints: Sequence[Joint], series: Series = "sts") -> None:
        self.joints = {joint.address: joint for joint in joints}
        self.axes: tuple[Axis, ...] = tuple(joint.axis for joint in joints)
        self.series: Series = series
        self.silent: set[int] = set()
        self.errors: dict[int, int] = {}
        self.corrupt: Any = None
        self._memory = {joint.address: bytearray(90) for joint in joints}
        self.servos: dict[int, Servo] = {}
        self._pending = b""
        for joint in joints:
            lower, upper = joint.raw_bounds
            middle = round((lower + upper) / 2)
            self.servos[joint.address] = Servo(middle, middle, 1e4, 1e5)
            defaults = {
                "model": 777, "return_delay": 0, "max_position": 4095 if series == "sts" else 1023,
                "angular_resolution": 1, "goal_position": middle, "torque_limit": 1000,
                "voltage": 120, "temperature": 30,
            }  # fmt: skip
            for name, value in defaults.items():
                if name in TABLES[series]:
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
        address, size, _ = TABLES[self.series][name]
        return unpack(bytes(self._memory[servo][address : address + size]), name, self.series)

    def write(self, servo: int, name: str, value: int) -> None:
        """Set a register's value, read-only ones too."""
        address, size, _ = TABLES[self.series][name]
        self._memory[servo][address : address + size] = pack(value, name, self.series)

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers."""
        self._pending = (self._pending + data)[-1024:]
        instructions = decode_instructions(self._pending)
        if instructions:
            self._pending = b""
        answer = b"".join(map(self._answer, instructions))
        return answer if self.corrupt is None else self.corrupt(answer)

    def step(self, now_ms: int, dt_s: float) -> None:
        """Move, and write down where everything is."""
        for number, servo in self.servos.items():
            servo.is_powered = self.read(number, "torque_enable") == 1
            servo.goal = self.read(number, "goal_position")
            servo.speed = self.read(number, "goal_velocity") or 3400.0
            if self.series == "sts":
                servo.acceleration = 100.0 * self.read(number, "acceleration") or 1e5
            servo.step(dt_s)
            self.write(number, "position", round(servo.position))
            self.write(number, "velocity", round(servo.velocity))
            self.write(number, "load", round(servo.effort * 1000))
            self.write(number, "status", self.errors.get(number, 0))

    def _answer(self, instruction: Instruction) -> bytes:
        known = self._memory.keys() - self.silent
        servo, parameters = instruction.servo, instruction.parameters
        if instruction.code == SYNC_READ and servo == EVERYONE and self.series == "sts" and len(parameters) > 2:
            asked = (n for n in parameters[2:] if n in known)
            return b"".join(self._reply(n, self._block(n, parameters[0], parameters[1])) for n in asked)
        if instruction.code == SYNC_WRITE and servo == EVERYONE and len(parameters) > 2:
            step = parameters[1] + 1
            for i in range(2, len(parameters), step):
                if parameters[i] in known and len(parameters[i : i + step]) == step:
                    self._store(parameters[i], parameters[0], parameters[i + 1 : i + step])
            return b""
        if servo not in known:
            return b""
        if instruction.code == READ and len(parameters) == 2:
            return self._reply(servo, self._block(servo, *parameters))
        if instruction.code == WRITE and len(parameters) > 1:
            self._store(servo, parameters[0], parameters[1:])
            return self._reply(servo)
        return self._reply(servo) if instruction.code == PING else b""

    def _reply(self, servo: int, parameters: bytes = b"") -> bytes:
        return encode(Reply(servo, self.errors.get(servo, 0), parameters))

    def _block(self, servo: int, start: int, n: int) -> bytes:
        return bytes(self._memory[servo][start : start + n])

    def _store(self, servo: int, start: int, data: bytes) -> None:
        if start + len(data) <= 56:  # what follows is read-only
            self._memory[servo][start : start + len(data)] = data


def make(section: dict[str, Any]) -> FeetechBus:
    """The twin of a device section."""
    speaker = DRIVER.build(section or DRIVER.example)
    return FeetechBus(speaker.joints, getattr(speaker, "series", "sts"))


if __name__ == "__main__":
    run(make, __doc__ or "")
