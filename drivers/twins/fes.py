"""A software twin of a ScienceMode 4 stimulator: low level only; it remembers every pulse that it gave."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from drivers.base import Axis
from drivers.devices.fes import (
    CHANNEL_CONFIG,
    DRIVER,
    GET_DEVICE_ID,
    LOW_LEVEL_INIT,
    LOW_LEVEL_STOP,
    Packet,
    decode,
    encode,
)  # fmt: skip
from drivers.dialogue.joint import Joint
from drivers.twins.terminal import run

LASTS_MS = 30  # a muscle's answer to one pulse, in the trace
NOT_INITIALISED, PARAMETER = 7, 2


class Stimulator:
    """One stimulator; nothing stimulates unless a pulse was just asked for.

    Parameters
    ----------
    joints : sequence of Joint
        One per channel in use.

    Attributes
    ----------
    pulses : list of (int, int, float, float)
        Milliseconds, channel, largest current (mA), and charge that was left (µC), of every pulse.
    errors : dict of int to int
        Error number per channel, for example 10 for an electrode that came off.
    is_silent : bool
        Whether it answers nothing.
    """

    def __init__(self, joints: Sequence[Joint]) -> None:
        self.joints = {joint.address: joint for joint in joints}
        self.axes: tuple[Axis, ...] = tuple(joint.axis for joint in joints)
        self.pulses: list[tuple[int, int, float, float]] = []
        self.errors: dict[int, int] = {}
        self.is_silent = False
        self.is_initialised = False
        self._last: dict[int, tuple[int, float]] = {}
        self._now_ms = 0
        self._pending = b""

    @property
    def positions(self) -> list[float]:
        """Level of each channel in this moment, units; the lower bound when no pulse was just given."""
        levels = []
        for channel, joint in self.joints.items():
            stamp_ms, current_ma = self._last.get(channel, (-(10**9), 0.0))
            is_on = self._now_ms - stamp_ms <= LASTS_MS
            levels.append(joint.to_position(current_ma) if is_on else joint.axis.lower)
        return levels

    @property
    def is_moving(self) -> bool:
        """Whether any channel stimulates."""
        return any(self._now_ms - stamp_ms <= LASTS_MS for stamp_ms, _ in self._last.values())

    @property
    def powers(self) -> list[bool]:
        """Whether it would give a pulse that it is asked for."""
        return [self.is_initialised] * len(self.axes)

    def hold(self, is_held: bool) -> None:
        """A hand changes nothing of a current."""

    def push(self, share: float) -> None:
        """Nor does it here."""

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers."""
        self._pending = (self._pending + data)[-1024:]
        packets = decode(self._pending)
        if packets:
            self._pending = b""
        answer = b"".join(self._answer(packet, now_ms) for packet in packets)
        return b"" if self.is_silent else answer

    def step(self, now_ms: int, dt_s: float) -> None:
        """Let time pass."""
        self._now_ms = now_ms

    def _answer(self, packet: Packet, now_ms: int) -> bytes:
        if packet.command == GET_DEVICE_ID:
            return encode(Packet(packet.command + 1, packet.number, b"\0TWIN000001"))
        if packet.command == LOW_LEVEL_INIT:
            self.is_initialised = True
        elif packet.command == LOW_LEVEL_STOP:
            self.is_initialised = False
        elif packet.command == CHANNEL_CONFIG:
            result = self._pulse(packet.data, now_ms)
            place = packet.data[0] >> 5 & 3 | packet.data[0] & 0x10  # channel, connector
            return encode(
                Packet(
                    packet.command + 1,
                    packet.number,
                    bytes((result, place, 0)),
                )
            )
        return encode(Packet(packet.command + 1, packet.number, b"\0"))

    def _pulse(self, data: bytes, now_ms: int) -> int:
        if not data or len(data) != 1 + 4 * ((data[0] & 0xF) + 1):
            return PARAMETER
        if not self.is_initialised:
            return NOT_INITIALISED
        channel = data[0] >> 5 & 3 | (data[0] >> 4 & 1) << 2
        if error := self.errors.get(channel, 0):
            return error
        words = struct.unpack(f">{(len(data) - 1) // 4}I", data[1:])
        phases = [((word >> 20), ((word >> 10 & 0x3FF) - 300) / 2.0) for word in words]
        largest_ma = max(abs(current_ma) for _, current_ma in phases)
        left_uc = sum(duration_us * current_ma for duration_us, current_ma in phases) / 1000.0
        self.pulses.append((now_ms, channel, largest_ma, left_uc))
        self._last[channel] = (now_ms, largest_ma)
        return 0


def make(section: dict[str, Any]) -> Stimulator:
    """The twin of a device section."""
    return Stimulator(DRIVER.build(section or DRIVER.example).joints)


if __name__ == "__main__":
    run(make, __doc__ or "")
