"""A software twin of a Robotiq gripper: registers, activation stroke, object detection, faults."""

from __future__ import annotations

import struct
from typing import Any

from drivers.base import Axis
from drivers.devices import modbus
from drivers.devices.robotiq import (
    ACTIVATE,
    ACTIVATING,
    ACTIVE,
    ARRIVED,
    CLOSED_ONTO,
    DRIVER,
    FASTEST_MM_S,
    GO,
    INPUTS,
    MOVING,
    N_REGISTERS,
    OPENED_ONTO,
    OUTPUTS,
    RESET,
    SLOWEST_MM_S,
)  # fmt: skip
from drivers.dialogue.joint import Joint
from drivers.twins.terminal import run

ACTIVATION_MS = 600  # a real one takes longer
SILENCE_MS = 1000
NO_COMMUNICATION = 9


class Gripper:
    """One gripper, open at power-on.

    Parameters
    ----------
    joint : Joint
        Its axis; the address is the Modbus unit.
    stroke_mm : float
        Of the fingers.

    Attributes
    ----------
    object_at : float or None
        Where, 0 to 255, fingers that close meet something.
    fault : int
        Fault number that it tells.
    is_silent : bool
        Whether it answers nothing.
    """

    def __init__(self, joint: Joint, stroke_mm: float = 85.0) -> None:
        self.joint = joint
        self.axes: tuple[Axis, ...] = (joint.axis,)
        self.stroke_mm = stroke_mm
        self.object_at: float | None = None
        self.fault = 0
        self.is_silent = False
        self.is_held = False
        self.position = 0.0
        self.outputs = [0, 0, 0]
        self._velocity = 0.0
        self._contact = ARRIVED
        self._activation = RESET
        self._activated_ms = 0
        self._heard_ms = 0
        self._now_ms = 0
        self._pending = b""

    @property
    def positions(self) -> list[float]:
        """Where the fingers truly are, units."""
        return [self.joint.to_position(self.position)]

    @property
    def is_moving(self) -> bool:
        """Whether the fingers have speed."""
        return self._velocity != 0.0 or self._activation == ACTIVATING

    @property
    def powers(self) -> list[bool]:
        """Whether it is activated."""
        return [self._activation == ACTIVE]

    def hold(self, is_held: bool) -> None:
        """A hand between the fingers, or none."""
        self.is_held = is_held

    def push(self, share: float) -> None:
        """Its gear locks itself: fingers do not give."""

    @property
    def inputs(self) -> list[int]:
        """The three registers that the host reads."""
        action, request = self.outputs[0] >> 8, self.outputs[1] & 0xFF
        status = action & (ACTIVATE | GO) | self._activation << 4 | self._contact << 6
        force = self.outputs[2] & 0xFF
        is_pushing = action & GO and (self.is_held or self._contact in (CLOSED_ONTO, OPENED_ONTO))
        current = 10 if self._velocity else force * 100 // 255 if is_pushing else 0
        return [status << 8, self.fault << 8 | request, round(self.position) << 8 | current]

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers."""
        self._pending = (self._pending + data)[-512:]
        answer, start = b"", 0
        while start < len(self._pending):
            length = _length(self._pending[start:])
            frame = self._pending[start : start + length]
            if length and len(frame) == length and frame[0] == self.joint.address and modbus.is_sealed(frame):
                self._pending, start = self._pending[start + length :], 0
                self._heard_ms = now_ms
                if self.fault == NO_COMMUNICATION:
                    self.fault = 0
                answer += self._answer(frame)
            else:
                start += 1
        return b"" if self.is_silent else answer

    def step(self, now_ms: int, dt_s: float) -> None:
        """Activate, move, meet objects, miss the host."""
        self._now_ms = now_ms
        action = self.outputs[0] >> 8
        self._velocity = 0.0
        if not action & ACTIVATE:
            self._activation = RESET
            return
        if self._activation == RESET:
            self._activation, self._activated_ms = ACTIVATING, now_ms
        if self._activation == ACTIVATING:
            share = (now_ms - self._activated_ms) / ACTIVATION_MS  # closes, then opens
            self.position = max(0.0, 255.0 * (1.0 - abs(2.0 * share - 1.0)))
            if share >= 1.0:
                self._activation = ACTIVE
            return
        if now_ms - self._heard_ms > SILENCE_MS and self.fault == 0:
            self.fault = NO_COMMUNICATION
        if action & GO and self.fault == 0 and not self.is_held:
            self._move(dt_s)

    def _move(self, dt_s: float) -> None:
        goal, speed = self.outputs[1] & 0xFF, self.outputs[2] >> 8
        mm_s = SLOWEST_MM_S + speed / 255.0 * (FASTEST_MM_S - SLOWEST_MM_S)
        most = 255.0 * mm_s / self.stroke_mm * dt_s
        wanted = max(-most, min(most, goal - self.position))
        barrier = 255.0 if self.object_at is None else max(self.object_at, self.position)
        moved = min(self.position + wanted, barrier) - self.position
        self.position += moved
        self._velocity = moved / dt_s
        if abs(goal - self.position) < 0.5:
            self._contact = ARRIVED
        elif moved == 0.0:
            self._contact = CLOSED_ONTO if goal > self.position else OPENED_ONTO
        else:
            self._contact = MOVING

    def _answer(self, frame: bytes) -> bytes:
        unit, function = frame[0], frame[1]
        if function in (modbus.READ_HOLDING, modbus.READ_INPUT):
            start, n = struct.unpack(">HH", frame[2:6])
            return self._registers(unit, function, start, n)
        if function == modbus.WRITE:
            start, n = struct.unpack(">HH", frame[2:6])
            if not self._store(start, struct.unpack(f">{n}H", frame[7:-2])):
                return modbus.seal(bytes((unit, function | 0x80, 2)))
            return modbus.seal(frame[:6])
        start, n, written, n_written = struct.unpack(">HHHH", frame[2:10])
        if not self._store(written, struct.unpack(f">{n_written}H", frame[11:-2])):
            return modbus.seal(bytes((unit, function | 0x80, 2)))
        return self._registers(unit, function, start, n)

    def _registers(self, unit: int, function: int, start: int, n: int) -> bytes:
        if not INPUTS <= start < start + n <= INPUTS + N_REGISTERS:
            return modbus.seal(bytes((unit, function | 0x80, 2)))
        values = self.inputs[start - INPUTS : start - INPUTS + n]
        return modbus.seal(bytes((unit, function, 2 * n)) + struct.pack(f">{n}H", *values))

    def _store(self, start: int, values: tuple[int, ...]) -> bool:
        if not OUTPUTS <= start < start + len(values) <= OUTPUTS + N_REGISTERS:
            return False
        self.outputs[start - OUTPUTS : start - OUTPUTS + len(values)] = values
        return True


def _length(data: bytes) -> int:
    """Bytes of the request that begins here; 0 when none can be told."""
    function = data[1] if len(data) > 1 else 0
    if function in (modbus.READ_HOLDING, modbus.READ_INPUT):
        return 8
    if function == modbus.WRITE and len(data) > 6 and data[6] == 2 * int.from_bytes(data[4:6], "big"):
        return 9 + data[6]
    if function == modbus.READ_WRITE and len(data) > 10 and data[10] == 2 * int.from_bytes(data[8:10], "big"):
        return 13 + data[10]
    return 0


def make(section: dict[str, Any]) -> Gripper:
    """The twin of a device section."""
    section = section or dict(DRIVER.example)
    stroke_mm = float((section.get("options") or {}).get("stroke_mm", 85.0))
    return Gripper(DRIVER.build(section).joints[0], stroke_mm)


if __name__ == "__main__":
    run(make, __doc__ or "")
