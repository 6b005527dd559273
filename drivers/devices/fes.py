"""Functional electrical stimulation by ScienceMode 4 (Hasomed P24), **experimental**: bytes and safeguards. Pure.

Only the low-level layer is used: one command gives one pulse, and no command means no stimulation, so a host that dies
is silence within one period. (The mid-level layer repeats by itself and goes on for up to two seconds.) Bytes are
checked against the vendor's package `science-mode-4`; its serial connection is not used, for it sends the last command
again after a fault. Here nothing is ever sent again.

What no profile and no intent can pass: a pulse follows the one before after 1/frequency at the least, the frequency is
at most 60 Hz, the way from nothing to the ceiling takes half a second, and a channel gets at most 1 mC a second.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import Field

from bci.errors import DeviceError
from bci.settings import Section
from drivers.base import Check, Declaration
from drivers.dialogue.driver import Codec, SpokenDriver, axis_entry
from drivers.dialogue.joint import Joint
from drivers.dialogue.steps import Dialogue, Feedback, Request

START, STOP, ESCAPE, KEY = 0xF0, 0x0F, 0x81, 0x55
LOW_LEVEL_INIT, CHANNEL_CONFIG, LOW_LEVEL_STOP, GET_DEVICE_ID = 0, 2, 4, 52
N_CHANNELS, MAX_POINTS = 8, 16
MOST_MA, MOST_US = 150.0, 4095
INTERPHASE_US = 100
BALANCE = 0.01  # of the charge of one phase
LEAST_HZ, MOST_HZ = 20.0, 60.0  # slower, and a pulse would be rarer than a lease of intents bears
RAMP_S = 0.5  # from nothing to the ceiling, at the least
MOST_UC_S = 1000.0  # charge of the positive phases of one channel in a second
WORK_S = 0.005
ERRORS = {
    1: "transfer", 2: "parameter", 3: "protocol", 4: "stimulation time-out", 7: "not initialised", 8: "high voltage",
    9: "demultiplexer time-out", 10: "electrode", 11: "command", 16: "pulse time-out", 21: "busy", 28: "low current",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packet:
    """Command number (10 bits), packet number (6 bits), data."""

    command: int
    number: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Point:
    """A stretch of constant current within a pulse."""

    duration_us: int
    current_ma: float


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 1021, start 0; of `123456789` it is 31C3."""
    return binascii.crc_hqx(data, 0)


def stuff(data: bytes) -> bytes:
    """Escape every start, stop and escape byte."""
    return b"".join(_escaped(b) if b in (START, STOP, ESCAPE) else bytes((b,)) for b in data)


def unstuff(stuffed: bytes) -> bytes | None:
    """Undo `stuff`; None when the stuffing is broken."""
    out, escaped = bytearray(), False
    for byte in stuffed:
        if escaped:
            if byte ^ KEY not in (START, STOP, ESCAPE):
                return None
            out.append(byte ^ KEY)
            escaped = False
        elif byte == ESCAPE:
            escaped = True
        elif byte in (START, STOP):
            return None
        else:
            out.append(byte)
    return None if escaped else bytes(out)


def encode(packet: Packet) -> bytes:
    """Bytes on the wire: F0, length and CRC-16 (each byte escaped), stuffed command, number and data, 0F."""
    payload = stuff(struct.pack(">H", packet.number << 10 | packet.command) + packet.data)
    head = struct.pack(">HH", len(payload) + 10, crc16(payload))
    return bytes((START,)) + b"".join(map(_escaped, head)) + payload + bytes((STOP,))


def decode(data: bytes) -> list[Packet]:
    """Every whole packet in a stream of bytes that may begin anywhere and hold anything."""
    packets, i = [], data.find(START)
    while 0 <= i <= len(data) - 12:
        packet, end = _packet_at(data, i)
        if packet is not None:
            packets.append(packet)
        i = data.find(START, end if packet is not None else i + 1)
    return packets


def _packet_at(data: bytes, i: int) -> tuple[Packet | None, int]:
    head = data[i + 1 : i + 9]
    if head[::2] != bytes((ESCAPE,)) * 4:
        return None, i
    length, crc = struct.unpack(">HH", bytes(b ^ KEY for b in head[1::2]))
    end = i + length
    if not 12 <= length <= len(data) - i or data[end - 1] != STOP or crc16(data[i + 9 : end - 1]) != crc:
        return None, i
    payload = unstuff(data[i + 9 : end - 1])
    if payload is None or len(payload) < 2:
        return None, i
    (head_word,) = struct.unpack(">H", payload[:2])
    return Packet(head_word & 0x3FF, head_word >> 10, payload[2:]), end


def _escaped(byte: int) -> bytes:
    return bytes((ESCAPE, byte ^ KEY))


def biphasic(current_ma: float, width_us: int) -> tuple[Point, Point, Point]:
    """One charge-balanced pulse: a phase, a pause, and the same phase with the other sign."""
    return Point(width_us, current_ma), Point(INTERPHASE_US, 0.0), Point(width_us, -current_ma)


def pulse(channel: int, points: Sequence[Point], ceiling_ma: float) -> bytes:
    """Data of the command that gives one pulse now.

    Raises
    ------
    ValueError
        When a current exceeds the ceiling, or the charges as packed (in steps of 0.5 mA) do not cancel within 1 %: such
        a pulse must never reach a wire.
    """
    if not (0 <= channel < N_CHANNELS and 1 <= len(points) <= MAX_POINTS):
        raise ValueError(f"channel {channel} with {len(points)} points does not exist")
    words, charge, largest = [], 0, 0
    for point in points:
        if not (-ceiling_ma <= point.current_ma <= ceiling_ma and ceiling_ma <= MOST_MA):
            raise ValueError(f"{point.current_ma} mA exceeds the ceiling of {ceiling_ma} mA")
        if not 0 <= point.duration_us <= MOST_US:
            raise ValueError(f"a phase of {point.duration_us} µs does not exist")
        half_ma = round(2.0 * point.current_ma)
        charge += half_ma * point.duration_us
        largest = max(largest, abs(half_ma * point.duration_us))
        words.append(point.duration_us << 20 | half_ma + 300 << 10)
    if not abs(charge) <= BALANCE * largest:
        raise ValueError(f"the pulse leaves a charge of {abs(charge) / 2000:g} µC")
    first = 0x80 | (channel & 3) << 5 | (channel >> 2) << 4 | len(points) - 1
    return struct.pack(f">B{len(words)}I", first, *words)


def read_answer(command: int, number: int, data: bytes) -> Packet | None:
    """The acknowledgement of exactly this command and packet number."""
    return next((p for p in decode(data) if (p.command, p.number) == (command + 1, number) and p.data), None)


class Options(Section):
    """What the profile may say under device.options."""

    ceiling_ma: float = Field(gt=0.0, le=MOST_MA)
    width_us: int = Field(200, ge=10, le=500)
    frequency_hz: float = Field(40.0, ge=LEAST_HZ, le=MOST_HZ)
    is_experimental: bool = False


class Fes:
    """What is said to one stimulator, and what its answers mean.

    Parameters
    ----------
    joints : sequence of Joint
        Address is the channel (0 to 3 yellow, 4 to 7 green), raw numbers are mA: the lower one at rest, the upper one
        at full level.
    ceiling_ma : float
        Set with the clinician for this participant; part of the session file. No pulse may exceed it.
    width_us : int
        Of each phase.
    frequency_hz : float
        Of the pulses while there is a level, however often intents come; 20 to 60.
    is_experimental : bool
        Must be true, in so many words, in the profile.
    """

    def __init__(
        self,
        joints: Sequence[Joint],
        ceiling_ma: float,
        width_us: int = 200,
        frequency_hz: float = 40.0,
        is_experimental: bool = False,
    ) -> None:
        charge_uc_s = ceiling_ma * width_us * frequency_hz / 1000.0
        if not charge_uc_s <= MOST_UC_S:
            raise DeviceError(
                f"The ceiling gives {charge_uc_s:g} µC a second; {MOST_UC_S:g} are the most.",
                "Lower ceiling_ma, width_us or frequency_hz in the profile, with the clinician.",
            )
        for joint in joints:
            if not joint.raw_lower < joint.raw_upper <= ceiling_ma:
                raise DeviceError(
                    f"Axis {joint.axis.name} asks for {joint.raw_upper:g} mA on channel {joint.address}; "
                    f"the ceiling is {ceiling_ma:g} mA.",
                    "Ask the clinician.",
                )
            most = (joint.axis.upper - joint.axis.lower) / RAMP_S
            if not joint.axis.max_speed <= most:
                raise DeviceError(
                    f"Axis {joint.axis.name} has a max_speed of {joint.axis.max_speed:g} per second; {most:g} is the "
                    f"most: from nothing to full level in {RAMP_S:g} s.",
                    "Lower max_speed of the axis in the profile.",
                )
        self.joints = tuple(joints)
        self.ceiling_ma = ceiling_ma
        self.width_us = width_us
        self.frequency_hz = frequency_hz
        self.is_experimental = is_experimental
        self._given_ma = [0.0] * len(self.joints)  # by the last pulse of each channel; where its ramp goes on
        self._number = 0

    def greet(self) -> Dialogue[str]:
        """Ask for the serial number; nothing is stimulated. Without the words in the profile this is the end."""
        self._refuse_unless_wanted()
        answer = yield from self._ask(GET_DEVICE_ID)
        return f"sciencemode 4 stimulator {answer[1:11].decode('ascii', 'replace')}"

    def prepare(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Stop whatever was going on."""
        self._refuse_unless_wanted()
        yield from self._ask(LOW_LEVEL_STOP)
        words = f"{self.ceiling_ma:g} mA, phases of {self.width_us} µs at {self.frequency_hz:g} Hz, charge-balanced"
        checks.append(Check("ceiling", True, words))

    def arm(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Enter the low-level layer; no current flows."""
        self._rest()
        yield from self._ask(LOW_LEVEL_INIT, b"\0")
        checks.append(Check("watchdog", True, "not needed: no command, no stimulation"))

    def _refuse_unless_wanted(self) -> None:
        if not self.is_experimental:
            raise DeviceError(
                "Stimulation is experimental and off.", "Read docs/reference/devices.md, then set is_experimental."
            )

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """One pulse on each channel whose level is above its lower bound; an error ends everything.

        The first of them waits until the interval since the last time is over, and each rises by at most its share of
        the ramp, so neither the rate nor the size of what is asked for reaches the skin.
        """
        spacing_s = 1.0 / self.frequency_hz
        most_ma = self.ceiling_ma / (RAMP_S * self.frequency_hz)
        is_silent = True
        for i, (joint, position) in enumerate(zip(self.joints, positions, strict=True)):
            wanted_ma = min(self.current_ma(joint, position), self._given_ma[i] + most_ma)
            if wanted_ma > 0.0:
                data = pulse(joint.address, biphasic(wanted_ma, self.width_us), self.ceiling_ma)
                yield from self._ask(CHANNEL_CONFIG, data, spacing_s if is_silent else 0.0)
                is_silent = False
            self._given_ma[i] = max(wanted_ma, 0.0)
        if is_silent:
            yield from self._ask(GET_DEVICE_ID)  # is it still there?
        return Feedback(tuple(positions))

    def watch(self) -> Dialogue[Feedback]:
        """Ask for the serial number, to see that the device is there; the next pulses begin from nothing."""
        self._rest()
        yield from self._ask(GET_DEVICE_ID)
        return Feedback(tuple(joint.axis.lower for joint in self.joints))

    def stand(self, positions: Sequence[float]) -> Request:
        """Nothing is said, so nothing is stimulated."""
        self._rest()
        return Request(b"")

    def disarm(self, positions: Sequence[float]) -> Request:
        """Leave the low-level layer: silence."""
        self._rest()
        return self._request(LOW_LEVEL_STOP)

    def _rest(self) -> None:
        self._given_ma = [0.0] * len(self.joints)

    @staticmethod
    def current_ma(joint: Joint, position: float) -> float:
        """From a level to a current, in the device's steps of 0.5 mA; at the lower bound there is none."""
        if not joint.axis.lower < position <= joint.axis.upper:
            return 0.0
        fraction = (position - joint.axis.lower) / (joint.axis.upper - joint.axis.lower)
        return int(2.0 * (joint.raw_lower + fraction * (joint.raw_upper - joint.raw_lower))) / 2.0

    def _ask(self, command: int, data: bytes = b"", spacing_s: float = 0.0) -> Dialogue[bytes]:
        answer: Packet | None = yield self._request(command, data, spacing_s)
        if answer is None:
            raise DeviceError("The stimulator does not answer.", "Check cable and power; nothing is sent again.")
        if answer.data[0]:
            raise DeviceError(
                f"The stimulator tells of an error: {ERRORS.get(answer.data[0], f'number {answer.data[0]}')}.",
                "Check electrodes and leads.",
            )
        return answer.data

    def _request(self, command: int, data: bytes = b"", spacing_s: float = 0.0) -> Request:
        self._number = (self._number + 1) % 64
        wire = encode(Packet(command, self._number, data))
        return Request(wire, 16, partial(read_answer, command, self._number), WORK_S, spacing_s)


def scan() -> Dialogue[str]:
    """Ask for the serial number; nothing is stimulated.

    Raises
    ------
    DeviceError
        When nobody answers.
    """
    answer = yield Request(encode(Packet(GET_DEVICE_ID, 1)), 24, partial(read_answer, GET_DEVICE_ID, 1), WORK_S)
    if answer is None:
        raise DeviceError("No stimulator answers.", "Check cable and power.")
    return f"ScienceMode 4 stimulator {answer.data[1:11].decode('ascii', 'replace')}"


DRIVER = SpokenDriver(
    declaration=Declaration(
        name="fes",
        baud=3_000_000,
        safe_state="silent",
        has_watchdog=True,
        lease_max_ms=200,
        watchdog="Inherent: each pulse is asked for, and no command means no stimulation.",
        has_feedback=False,
    ),
    options=Options,
    raw=(0.0, MOST_MA),
    addresses=(0, N_CHANNELS - 1),
    make=Fes,
    twin="drivers.twins.fes",
    codecs=(
        Codec(
            examples=(
                Packet(CHANNEL_CONFIG, 63, b"\x82\xf0\x0f\x81"),
                Packet(LOW_LEVEL_STOP, 0),
                Packet(3, 5, b"\n\0\0"),
            ),
            encode=encode,
            decode=decode,
            n_flips=1,
        ),
    ),
    example={
        "axes": (axis_entry("hand", "1", (0.0, 1.0), 1.0, 4.0, 0, (0.0, 12.0)),),
        "options": {"ceiling_ma": 12.0, "width_us": 200, "frequency_hz": 40.0, "is_experimental": True},
    },
    n_misses=0,
)
