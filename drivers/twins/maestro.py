"""A software twin of a Maestro board with hobby servos: ramps, errors, time-out and home."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from drivers.base import Axis
from drivers.devices.maestro import (
    ACCELERATION_RAW_S2,
    DRIVER,
    GET_ERRORS,
    GET_POSITION,
    N_BYTES,
    SET_SPEED,
    SET_TARGET,
    SPEED_RAW_S,
    TIMEOUT_ERROR,
    crc7,
)  # fmt: skip
from drivers.dialogue.joint import Joint
from drivers.twins.servo import Servo, hold, push
from drivers.twins.terminal import run

CRC_ERROR, PROTOCOL_ERROR = 1 << 3, 1 << 4
UNLIMITED = (4e4, 1e6)  # a hobby servo's own speed and acceleration, quarters of a microsecond


class MaestroBoard:
    """One board in CRC mode, every channel's home set to "off".

    Parameters
    ----------
    joints : sequence of Joint
        One per channel in use.
    timeout_s : float
        Serial time-out; 0 is off, as from the factory.

    Attributes
    ----------
    errors : int
        The error register.
    is_silent : bool
        Whether it answers nothing.
    pulses, servos : dict of Servo
        By channel: the pulse that the board ramps, and the servo that runs after it as fast as it can.
    """

    def __init__(self, joints: Sequence[Joint], timeout_s: float = 0.2) -> None:
        self.joints = {joint.address: joint for joint in joints}
        self.axes: tuple[Axis, ...] = tuple(joint.axis for joint in joints)
        self.timeout_ms = round(1e3 * timeout_s)
        self.errors = 0
        self.is_silent = False
        self.pulses = {joint.address: Servo(joint.raw_lower, joint.raw_lower, *UNLIMITED) for joint in joints}
        self.servos = {joint.address: Servo(joint.raw_lower, joint.raw_lower, *UNLIMITED) for joint in joints}
        self._pending = b""
        self._heard_ms = 0

    @property
    def positions(self) -> list[float]:
        """Where each servo truly is, units."""
        return [self.joints[channel].to_position(servo.position) for channel, servo in self.servos.items()]

    @property
    def is_moving(self) -> bool:
        """Whether any servo has speed."""
        return any(servo.velocity != 0.0 for servo in self.servos.values())

    @property
    def powers(self) -> list[bool]:
        """Whether each servo gets pulses."""
        return [pulse.is_powered for pulse in self.pulses.values()]

    def hold(self, is_held: bool) -> None:
        """A hand on every servo, or none."""
        hold(self.servos.values(), is_held)

    def push(self, share: float) -> None:
        """Push every servo by a share of its range, and let go."""
        push(self.servos.values(), self.joints.values(), share)

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers."""
        self._pending = (self._pending + data)[-512:]
        answer = b""
        while self._pending:
            code = self._pending[0]
            length = N_BYTES.get(code, 2)
            command = self._pending[:length]
            if code not in N_BYTES or any(byte & 0x80 for byte in command[1:]):
                if code & 0x80:
                    self._fail(PROTOCOL_ERROR)
                self._pending = self._pending[1:]
                continue
            if len(command) < length:
                break
            self._pending = self._pending[length:]
            if crc7(command[:-1]) != command[-1]:
                self._fail(CRC_ERROR)
                continue
            self._heard_ms = now_ms
            answer += self._obey(code, command[1:-1])
        return b"" if self.is_silent else answer

    def step(self, now_ms: int, dt_s: float) -> None:
        """Evaluate the time-out, then move."""
        if self.timeout_ms and now_ms - self._heard_ms > self.timeout_ms:
            self._fail(TIMEOUT_ERROR)
            self._heard_ms = now_ms
        for pulse, servo in zip(self.pulses.values(), self.servos.values(), strict=True):
            pulse.step(dt_s)
            servo.is_powered, servo.goal = pulse.is_powered, pulse.position  # without pulses it stays where it was
            servo.step(dt_s)

    def _fail(self, error: int) -> None:
        """Every error sends every channel home: here, pulses off."""
        self.errors |= error
        for pulse in self.pulses.values():
            pulse.is_powered = False

    def _obey(self, code: int, values: bytes) -> bytes:
        if code == GET_ERRORS:
            answer, self.errors = struct.pack("<H", self.errors), 0
            return answer
        pulse = self.pulses.get(values[0])
        if code == GET_POSITION:
            return struct.pack("<H", round(pulse.position) if pulse is not None and pulse.is_powered else 0)
        if pulse is None:
            return b""
        value = values[1] | values[2] << 7
        if code == SET_TARGET:
            if not pulse.is_powered:
                pulse.position = value  # nobody knows where the servo is: the first pulse has no ramp
            pulse.is_powered, pulse.goal = value != 0, value
        elif code == SET_SPEED:
            pulse.speed = SPEED_RAW_S * value or UNLIMITED[0]
        else:
            pulse.acceleration = ACCELERATION_RAW_S2 * value or UNLIMITED[1]
        return b""


def make(section: dict[str, Any]) -> MaestroBoard:
    """The twin of a device section."""
    speaker = DRIVER.build(section or DRIVER.example)
    return MaestroBoard(speaker.joints, getattr(speaker, "timeout_s", 0.2))


if __name__ == "__main__":
    run(make, __doc__ or "")
