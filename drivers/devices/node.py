"""The project's own serial protocol, node/1: messages and their bytes. Pure: no port, no clock.

The exact layout of every message, with hexadecimal examples, is in docs/protocol.md.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from drivers.base import Axis, Declaration

DEVICE = Declaration(
    name="node",
    baud=115200,
    safe_state="hold",
    has_watchdog=True,
    lease_max_ms=200,
    watchdog="Only set-points extend its lease; it refuses late ones; a reset cannot resume motion.",
)

VERSION = 1
MAX_PACKET = 64
LEASE_MAX_MS = 200
ECHO_MAX_MS = 120
FULL_SCALE = 32767
HEADER = struct.Struct("<BBHI")
CRC = struct.Struct("<I")

DISARMED, ARMED, ACTIVE, HOLD, FAULT, ESTOP = range(6)
STATE_NAMES = ("DISARMED", "ARMED", "ACTIVE", "HOLD", "FAULT", "ESTOP")
VELOCITY_MODE = 0
NOT_MEASURED_C = -128

FAULT_NAMES = (
    "set-point out of range",
    "lease ran out",
    "late set-point",
    "following error",
    "over-current",
    "over-temperature",
    "supply voltage",
    "watchdog reset",
    "configuration differs",
    "stop input",
)
SUPPLY, CONFIG_DIFFERS, STOP_INPUT = 1 << 6, 1 << 8, 1 << 9


@dataclass(frozen=True, slots=True)
class Hello:
    """Host asks who is there; the only message, with Estop, that a device without session accepts."""

    nonce: int


@dataclass(frozen=True, slots=True)
class HelloAck:
    """Device answers; the packet's session is the one to use from now on."""

    nonce: int
    firmware: int
    n_axes: int
    lease_max_ms: int
    watchdog_ms: int
    reset_cause: int
    tick_ms: int


@dataclass(frozen=True, slots=True)
class Describe:
    """Host asks for one axis."""

    axis: int


@dataclass(frozen=True, slots=True)
class AxisInfo:
    """Device describes one axis."""

    index: int
    axis: Axis


@dataclass(frozen=True, slots=True)
class Arm:
    """Host asks to power the axes; refused when the configuration differs."""

    lease_ms: int
    config_hash: int


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop, hold, power as in the safe state."""


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Velocities, valid for `ttl_ms`; `echo_ms` is the newest device tick that the host has received."""

    ttl_ms: int
    echo_ms: int
    mode: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Host asks for a status; never extends a lease."""


@dataclass(frozen=True, slots=True)
class Estop:
    """Stop at once and latch; accepted with any session and sequence number."""


@dataclass(frozen=True, slots=True)
class ResetFault:
    """Leave FAULT or ESTOP, with the challenge that the device shows in its status."""

    challenge: int


@dataclass(frozen=True, slots=True)
class Status:
    """What the device does and sees."""

    state: int
    faults: int
    tick_ms: int
    last_seq: int
    n_ok: int
    n_bad: int
    challenge: int
    supply_mv: int
    temperature_c: int
    positions: tuple[int, ...]
    velocities: tuple[int, ...]


Message: TypeAlias = (
    Hello | HelloAck | Describe | AxisInfo | Arm | Disarm | Setpoint | Ping | Estop | ResetFault | Status
)


@dataclass(frozen=True, slots=True)
class Packet:
    """A message with its sequence number and session."""

    message: Message
    seq: int
    session: int


_FIXED: dict[int, tuple[type, struct.Struct]] = {
    0x01: (Hello, struct.Struct("<I")),
    0x02: (Arm, struct.Struct("<HI")),
    0x03: (Disarm, struct.Struct("<")),
    0x05: (Ping, struct.Struct("<")),
    0x06: (Estop, struct.Struct("<")),
    0x07: (ResetFault, struct.Struct("<I")),
    0x08: (Describe, struct.Struct("<B")),
    0x81: (HelloAck, struct.Struct("<IHBHHBI")),
}
_TYPE_OF = {kind: number for number, (kind, _) in _FIXED.items()}
_SETPOINT, _SETPOINT_HEAD = 0x04, struct.Struct("<HIB")
_STATUS, _STATUS_HEAD = 0x84, struct.Struct("<BHIHIIIHb")
_AXIS, _AXIS_BODY = 0x88, struct.Struct("<B8s8siiii")
MICRO = 1_000_000  # bounds, speeds and accelerations travel as millionths of a unit: integers cannot be NaN


def encode(message: Message, seq: int, session: int) -> bytes:
    """Bytes on the wire, delimiter included.

    Parameters
    ----------
    message : Message
        What to say.
    seq : int
        Sequence number, 0 to 65535.
    session : int
        As given by the device in HELLO_ACK; 0 before.
    """
    number, body = _body(message)
    raw = HEADER.pack(VERSION, number, seq, session) + body
    raw += CRC.pack(zlib.crc32(raw))
    if len(raw) > MAX_PACKET:
        raise ValueError(f"{type(message).__name__} is {len(raw)} bytes, at most {MAX_PACKET} fit")
    return cobs_encode(raw) + b"\0"


def decode(raw: bytes) -> Packet | None:
    """Read one packet (COBS already removed); None when anything about it is wrong."""
    if not HEADER.size + CRC.size <= len(raw) <= MAX_PACKET:
        return None
    if CRC.unpack(raw[-4:])[0] != zlib.crc32(raw[:-4]):
        return None
    version, number, seq, session = HEADER.unpack_from(raw)
    message = _message(number, raw[HEADER.size : -CRC.size]) if version == VERSION else None
    return None if message is None else Packet(message, seq, session)


def _body(message: Message) -> tuple[int, bytes]:
    if isinstance(message, Setpoint):
        head = _SETPOINT_HEAD.pack(message.ttl_ms, message.echo_ms, message.mode)
        return _SETPOINT, head + struct.pack(f"<{len(message.values)}h", *message.values)
    if isinstance(message, Status):
        m = message
        head = _STATUS_HEAD.pack(
            m.state, m.faults, m.tick_ms, m.last_seq, m.n_ok, m.n_bad, m.challenge, m.supply_mv, m.temperature_c
        )
        return _STATUS, head + struct.pack(f"<{2 * len(m.positions)}h", *m.positions, *m.velocities)
    if isinstance(message, AxisInfo):
        a = message.axis
        numbers = (round(MICRO * value) for value in (a.lower, a.upper, a.max_speed, a.max_acceleration))
        return _AXIS, _AXIS_BODY.pack(message.index, a.name.encode("ascii"), a.unit.encode("ascii"), *numbers)
    number = _TYPE_OF[type(message)]
    fields = (getattr(message, name) for name in type(message).__slots__)
    return number, _FIXED[number][1].pack(*fields)


def _message(number: int, body: bytes) -> Message | None:
    if number == _SETPOINT:
        values = _integers(body, _SETPOINT_HEAD.size)
        return Setpoint(*(*_SETPOINT_HEAD.unpack_from(body), values)) if values else None
    if number == _STATUS:
        values = _integers(body, _STATUS_HEAD.size)
        if not values or len(values) % 2:
            return None
        half = len(values) // 2
        return Status(*(*_STATUS_HEAD.unpack_from(body), values[:half], values[half:]))
    if number == _AXIS:
        return _axis_info(body)
    kind, layout = _FIXED.get(number, (None, None))
    if kind is None or layout is None or len(body) != layout.size:
        return None
    message: Message = kind(*layout.unpack(body))
    return message


def _integers(body: bytes, start: int) -> tuple[int, ...]:
    n, rest = divmod(len(body) - start, 2)
    return () if n <= 0 or rest else struct.unpack_from(f"<{n}h", body, start)


def _axis_info(body: bytes) -> AxisInfo | None:
    if len(body) != _AXIS_BODY.size:
        return None
    index, name, unit, *numbers = _AXIS_BODY.unpack(body)
    try:
        texts = [text.rstrip(b"\0").decode("ascii") for text in (name, unit)]
    except UnicodeDecodeError:
        return None
    return AxisInfo(index, Axis(texts[0], texts[1], *(number / MICRO for number in numbers)))


def cobs_encode(raw: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire & Baker 1999): no zero byte remains."""
    out = bytearray()
    for block in raw.split(b"\0"):
        while len(block) >= 254:
            out += b"\xff" + block[:254]
            block = block[254:]
        out += bytes([len(block) + 1]) + block
    return bytes(out)


def cobs_decode(stuffed: bytes) -> bytes | None:
    """Undo `cobs_encode`; None when the stuffing is broken."""
    if 0 in stuffed:
        return None
    out, at, n = bytearray(stuffed), 0, len(stuffed)
    after_full = []  # codes that stand for no zero
    while at < n:
        code = out[at]
        out[at] = 0
        at += code
        if code == 255 and at < n:
            after_full.append(at)
    if at != n:
        return None
    for at in reversed(after_full):
        del out[at]
    return bytes(out[1:])


class Receiver:
    """Packets from a stream of bytes that may begin anywhere and hold anything; memory is bounded.

    Attributes
    ----------
    n_ok, n_bad : int
        Frames accepted, and frames that were anything else.
    """

    def __init__(self) -> None:
        self.n_ok = 0
        self.n_bad = 0
        self._buffer = bytearray()
        self._is_overlong = False

    def feed(self, data: bytes) -> list[Packet]:
        """Take in bytes and return every whole packet, in order."""
        packets = []
        *frames, rest = data.split(b"\0")
        for frame in frames:
            self._append(frame)
            packet = self._take()
            if packet is not None:
                packets.append(packet)
        self._append(rest)
        return packets

    def _append(self, part: bytes) -> None:
        room = MAX_PACKET + 2 - len(self._buffer)
        self._is_overlong |= len(part) > room
        self._buffer += part[: max(0, room)]

    def _take(self) -> Packet | None:
        frame, is_overlong = bytes(self._buffer), self._is_overlong
        self._buffer.clear()
        self._is_overlong = False
        if not frame and not is_overlong:
            return None  # an empty frame only resynchronises
        raw = None if is_overlong else cobs_decode(frame)
        packet = None if raw is None else decode(raw)
        if packet is None:
            self.n_bad += 1
        else:
            self.n_ok += 1
        return packet


def is_newer(seq: int, than: int) -> bool:
    """Whether a sequence number follows another, across the wrap at 65536."""
    return 0 < (seq - than) % 65536 < 32768


def config_hash(axes: Sequence[Axis]) -> int:
    """CRC-32 over the AXIS bodies in order: host and device agree on the axes when their hashes do."""
    return zlib.crc32(b"".join(_body(AxisInfo(i, axis))[1] for i, axis in enumerate(axes)))


def pack_velocity(velocity: float, axis: Axis) -> int:
    """From units per second to 1/32767 of the axis's maximum; the device clamps what exceeds it."""
    return _pack(velocity / axis.max_speed)


def unpack_velocity(raw: int, axis: Axis) -> float:
    """Undo `pack_velocity`."""
    return raw / FULL_SCALE * axis.max_speed


def pack_position(position: float, axis: Axis) -> int:
    """From units to -32767 at the lower and 32767 at the upper bound."""
    fraction = (position - axis.lower) / (axis.upper - axis.lower)
    return _pack(2.0 * fraction - 1.0)


def unpack_position(raw: int, axis: Axis) -> float:
    """Undo `pack_position`."""
    return axis.lower + (raw / FULL_SCALE + 1.0) / 2.0 * (axis.upper - axis.lower)


def _pack(share: float) -> int:
    """From -1 to 1 into an integer; what is beyond is clamped, and what is no number is rest."""
    if not -1.0 <= share <= 1.0:
        return FULL_SCALE if share > 1.0 else -FULL_SCALE if share < -1.0 else 0
    return round(share * FULL_SCALE)


def fault_names(faults: int) -> tuple[str, ...]:
    """What the fault bits mean."""
    return tuple(name for bit, name in enumerate(FAULT_NAMES) if faults >> bit & 1) if faults else ()
