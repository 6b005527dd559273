"""Pololu Maestro, hobby servos by pulse width: bytes, and what the board can promise. Pure: no port, no clock.

After Pololu's user's guide: compact protocol, CRC-7 on what is sent (its worked example is in the tests), error bits.
**Open loop**: the board reports the pulse that it gives, not where the servo is; a stuck finger cannot be seen.
What the board answers carries neither frame nor checksum: only its length is checked, and each pulse for plausibility.

The board's time-out, set once with Pololu's tool, sends every channel to its home when no valid command has come for
that long; any command feeds it, so the host falls silent when its own lease is gone. It cannot be read: arming proves
it by silence.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial

from pydantic import Field

from bci.errors import DeviceError
from bci.settings import Section
from drivers.base import Check, Declaration
from drivers.dialogue.driver import Codec, SpokenDriver, axis_entry
from drivers.dialogue.joint import Joint, clamp
from drivers.dialogue.steps import Dialogue, Feedback, Pause, Request, ask

SET_TARGET, SET_SPEED, SET_ACCELERATION, GET_POSITION, GET_ERRORS = 0x84, 0x87, 0x89, 0x90, 0xA1
N_BYTES = {SET_TARGET: 5, SET_SPEED: 5, SET_ACCELERATION: 5, GET_POSITION: 3, GET_ERRORS: 2}  # CRC included
TIMEOUT_ERROR = 1 << 5
ERRORS = (
    "serial signal",
    "serial overrun",
    "serial buffer full",
    "serial CRC",
    "serial protocol",
    "serial time-out",
    "script stack",
    "script call stack",
    "script counter",
)
MAX_VALUE = 0x3FFF
SPEED_RAW_S = 100.0  # one unit of speed is 0.25 µs in 10 ms; raw numbers are 0.25 µs
ACCELERATION_RAW_S2 = 1250.0  # one unit is 0.25 µs in 10 ms, in 80 ms
PROOF_MARGIN_S = 0.05


def crc7(data: bytes) -> int:
    """CRC-7 with polynomial 91, least significant bit first; of `83 01` it is 17."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc ^ 0x91 if crc & 1 else crc) >> 1
    return crc


def encode(code: int, *values: int) -> bytes:
    """Bytes of one command with its CRC-7: code, channel, and 14-bit values in two bytes of seven bits."""
    if not code & 0x80:
        raise ValueError(f"{code:#x} is no command")
    data = bytearray((code,))
    for i, value in enumerate(values):
        if not 0 <= value <= (0x7F if i == 0 else MAX_VALUE):
            raise ValueError(f"command {code:#x} cannot carry {value}")
        data += bytes((value,)) if i == 0 else bytes((value & 0x7F, value >> 7))
    return bytes(data) + bytes((crc7(bytes(data)),))


def decode_commands(data: bytes) -> list[tuple[int, ...]]:
    """Every whole command with a right CRC in a stream of bytes: the board's side of the wire."""
    commands, i = [], 0
    while i < len(data):
        command = data[i : i + N_BYTES.get(data[i], 0)]
        is_whole = len(command) > 1 and len(command) == N_BYTES[data[i]] and max(command[1:]) < 0x80
        if is_whole and crc7(command[:-1]) == command[-1]:
            values = command[2:-1]
            pairs = (values[k] | values[k + 1] << 7 for k in range(0, len(values), 2))
            commands.append((*command[: min(2, len(command) - 1)], *pairs))
            i += len(command)
        else:
            i += 1
    return commands


def decode(data: bytes, n: int) -> tuple[int, ...] | None:
    """`n` numbers of 16 bits, little endian; None unless there are exactly that many bytes."""
    return struct.unpack(f"<{n}H", data) if len(data) == 2 * n else None


def error_names(errors: int) -> tuple[str, ...]:
    """What the bits of the error register mean."""
    return tuple(ERRORS[bit] if bit < len(ERRORS) else f"bit {bit}" for bit in range(16) if errors >> bit & 1)


class Options(Section):
    """What the profile may say under device.options."""

    timeout_s: float = Field(0.2, ge=0.01, le=1.0)


class Maestro:
    """What is said to one board, and what its answers mean.

    Parameters
    ----------
    joints : sequence of Joint
        Address is the channel, raw numbers are quarters of a microsecond.
    timeout_s : float
        As set in the board.
    """

    def __init__(self, joints: Sequence[Joint], timeout_s: float = 0.2) -> None:
        self.joints = tuple(joints)
        self.timeout_s = timeout_s

    def greet(self) -> Dialogue[str]:
        """Ask for the error register, which clears it; nothing moves."""
        errors = yield from self._errors()
        return "maestro, " + (", ".join(error_names(errors)) or "no error")

    def prepare(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Pulses off; prove the time-out by silence; set speed and acceleration, which cannot be read back."""
        yield Request(self._off())
        yield from self._errors()
        yield Pause(self.timeout_s + PROOF_MARGIN_S)
        if not (yield from self._errors()) & TIMEOUT_ERROR:
            raise DeviceError(
                f"The Maestro does not notice {1e3 * self.timeout_s:.0f} ms of silence.",
                "Set its serial time-out in Pololu's Control Center, and every channel's home to 'Off'.",
            )
        checks.append(Check("time-out", True, f"{1e3 * self.timeout_s:.0f} ms, tripped in silence"))
        wire = b""
        for joint in self.joints:
            speed = joint.axis.max_speed * joint.raw_per_unit / SPEED_RAW_S
            acceleration = joint.axis.max_acceleration * joint.raw_per_unit / ACCELERATION_RAW_S2
            wire += encode(SET_SPEED, joint.address, round(clamp(speed, 1, MAX_VALUE)))
            wire += encode(SET_ACCELERATION, joint.address, round(clamp(acceleration, 1, 255)))
        yield Request(wire)
        if errors := (yield from self._errors()):
            raise DeviceError(f"Maestro: {', '.join(error_names(errors))}.", "Switch its CRC mode on.")
        checks.append(Check("limits", True, "speed and acceleration given; the board cannot read them back"))

    def arm(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Begin the pulses: **each servo jumps to its rest**, for nobody knows where it stands."""
        yield Request(b"".join(encode(SET_TARGET, j.address, j.to_raw(_rest(j))) for j in self.joints))
        checks.append(Check("feedback", True, "none: open loop, the pulse is reported, not the servo"))
        yield from self._errors()

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """Give targets, and read the pulses that the board gives."""
        wire = b""
        for joint, position in zip(self.joints, positions, strict=True):
            wire += encode(SET_TARGET, joint.address, joint.to_raw(position))
        return (yield from self._read(wire))

    def watch(self) -> Dialogue[Feedback]:
        """Read without moving; this too feeds the time-out."""
        return (yield from self._read(b""))

    def stand(self, positions: Sequence[float]) -> Request:
        """Hold the pulses that were last reported."""
        pairs = zip(self.joints, positions, strict=True)
        return Request(b"".join(encode(SET_TARGET, joint.address, joint.to_raw(p)) for joint, p in pairs))

    def disarm(self, positions: Sequence[float]) -> Request:
        """Pulses off: an analogue servo goes limp."""
        return Request(self._off())

    def _off(self) -> bytes:
        return b"".join(encode(SET_TARGET, joint.address, 0) for joint in self.joints)

    def _read(self, wire: bytes) -> Dialogue[Feedback]:
        wire += b"".join(encode(GET_POSITION, joint.address) for joint in self.joints) + encode(GET_ERRORS)
        n = len(self.joints) + 1
        answer = yield Request(wire, 2 * n, partial(_read_numbers, n))
        if answer is None:
            raise DeviceError("The Maestro does not answer.", "Check cable and power; set its USB mode to Dual Port.")
        *pulses, errors = answer
        positions, faults = [], [f"maestro: {name}" for name in error_names(errors)]
        for joint, pulse in zip(self.joints, pulses, strict=True):
            lower, upper = joint.raw_bounds
            if pulse and not lower - 1 <= pulse <= upper + 1:
                faults.append(f"channel {joint.address}: a pulse of {pulse / 4:g} µs, outside its bounds")
            positions.append(joint.to_position(pulse) if pulse else _rest(joint))
        return Feedback(tuple(positions), (), tuple(faults))

    def _errors(self) -> Dialogue[int]:
        answer = yield from ask(Request(encode(GET_ERRORS), 2, partial(_read_numbers, 1)))
        if answer is None:
            raise DeviceError("The Maestro does not answer.", "Check cable and power; set its USB mode to Dual Port.")
        errors: int = answer[0]
        return errors


def _read_numbers(n: int, data: bytes) -> tuple[int, ...] | None:
    return decode(data, n)


def _rest(joint: Joint) -> float:
    """Where a servo goes when its pulses begin: 0, or the bound next to it."""
    return clamp(0.0, joint.axis.lower, joint.axis.upper)


DRIVER = SpokenDriver(
    declaration=Declaration(
        name="maestro",
        baud=115_200,
        safe_state="limp",
        has_watchdog=True,
        lease_max_ms=200,
        watchdog="Serial time-out, set in the board: without any command for that long pulses end. Asking feeds it, "
        "so standing is an explicit target.",
        has_feedback=False,
    ),
    options=Options,
    raw=(1, MAX_VALUE),
    addresses=(0, 23),
    make=Maestro,
    twin="drivers.twins.maestro",
    codecs=(
        Codec(
            examples=((SET_TARGET, 0, 6000), (SET_SPEED, 5, 40), (GET_POSITION, 23), (GET_ERRORS,)),
            encode=lambda command: encode(*command),
            decode=decode_commands,
            n_flips=2,
        ),
    ),
    example={
        "axes": (
            axis_entry("thumb", "1", (0.0, 1.0), 1.0, 6.0, 0, (4000, 8000)),
            axis_entry("fingers", "1", (0.0, 1.0), 1.0, 6.0, 1, (8000, 4000)),
        ),
        "options": {"timeout_s": 0.2},
    },
)
