"""Feetech STS, SMS and SCS bus servos: registers, bytes, and what the bus can promise. Pure: no port, no clock.

Registers after LeRobot's `motors/feetech/tables.py` and Feetech's SCServo examples (speed in steps/s, acceleration in
100 steps/s²); bytes are checked against `feetech-servo-sdk`. The checksum is a sum of 8 bits: it sees every single
flipped bit, but neither swapped bytes nor two flips that cancel. What is read is therefore judged for plausibility
before it is believed, by whoever drives this bus; and a goal may never run further ahead than a lease allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, TypeAlias

from pydantic import Field

from bci.errors import DeviceError
from bci.settings import Section
from drivers.base import Check, Declaration
from drivers.devices import register_bus as bus
from drivers.devices.register_bus import EVERYONE, Instruction, Premise, RegisterBus, Reply, replies_of
from drivers.dialogue.driver import Codec, SpokenDriver, axis_entry
from drivers.dialogue.joint import Joint, clamp
from drivers.dialogue.steps import Dialogue, Feedback, Request, ask

PING, READ, WRITE, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x82, 0x83
MAX_ID = 0xFD
MAX_PARAMETERS = 250
NAMES_OF_ERRORS = ("voltage", "position sensor", "temperature", "current", "angle", "overload")
HOTTEST_C = 65

Series: TypeAlias = Literal["sts", "scs"]

# name: (address, bytes, bit that holds the sign or None)
STS: dict[str, tuple[int, int, int | None]] = {
    "model": (3, 2, None),
    "return_delay": (7, 1, None),
    "min_position": (9, 2, None),
    "max_position": (11, 2, None),
    "angular_resolution": (30, 1, None),
    "mode": (33, 1, None),
    "torque_enable": (40, 1, None),
    "acceleration": (41, 1, None),
    "goal_position": (42, 2, 15),
    "goal_time": (44, 2, None),
    "goal_velocity": (46, 2, 15),
    "torque_limit": (48, 2, None),
    "position": (56, 2, 15),
    "velocity": (58, 2, 15),
    "load": (60, 2, 10),
    "voltage": (62, 1, None),
    "temperature": (63, 1, None),
    "status": (65, 1, None),
    "current": (69, 2, 15),
}
STS_ONLY = ("angular_resolution", "mode", "acceleration", "torque_limit", "current")
SCS = {name: STS[name] for name in STS if name not in STS_ONLY}
TABLES = {"sts": STS, "scs": SCS}
FEEDBACK = ("position", "velocity", "load", "voltage", "temperature", "status")
FEEDBACK_START, FEEDBACK_BYTES = 56, 10
POSITION_MODE = 0
PREMISES = (
    Premise(
        "mode", lambda value: value == POSITION_MODE,
        "that is not position mode, and without a watchdog it would turn for ever", "Set register 33 to 0 with "
        "Feetech's tool.",
    ),
    Premise(
        "angular_resolution", lambda value: value <= 1,
        "each of its steps is several, so no limit of speed or place is what it says", "Set register 30 to 1 with "
        "Feetech's tool.",
    ),
)  # fmt: skip


def encode(packet: Instruction | Reply) -> bytes:
    """Bytes on the wire: FF FF, servo, length, instruction or error bits, parameters, complement of the sum."""
    if len(packet.parameters) > MAX_PARAMETERS:
        raise ValueError(f"{len(packet.parameters)} parameters, at most {MAX_PARAMETERS} fit")
    second = packet.code if isinstance(packet, Instruction) else packet.error
    body = bytes((packet.servo, len(packet.parameters) + 2, second)) + packet.parameters
    return b"\xff\xff" + body + bytes((~sum(body) & 0xFF,))


def decode(data: bytes) -> list[Reply]:
    """Every whole reply in a stream of bytes that may begin anywhere and hold anything."""
    return [Reply(servo, second, parameters) for servo, second, parameters in _packets(data)]


def decode_instructions(data: bytes) -> list[Instruction]:
    """The same for the servo's side of the wire."""
    return [Instruction(servo, second, parameters) for servo, second, parameters in _packets(data, EVERYONE)]


def _packets(data: bytes, highest: int = MAX_ID) -> list[tuple[int, int, bytes]]:
    packets, i = [], data.find(b"\xff\xff")
    while 0 <= i <= len(data) - 6:
        servo, length = data[i + 2], data[i + 3]
        end = i + 4 + length
        is_packet = servo <= highest and 2 <= length <= MAX_PARAMETERS + 2 and end <= len(data)
        if is_packet and ~sum(data[i + 2 : end - 1]) & 0xFF == data[end - 1]:
            packets.append((servo, data[i + 4], data[i + 5 : end - 1]))
            i = data.find(b"\xff\xff", end)
        else:
            i = data.find(b"\xff\xff", i + 1)
    return packets


def pack(value: int, name: str, series: Series) -> bytes:
    """A register's bytes: STS is little endian, SCS big endian; signs are a bit of their own."""
    _, size, sign_bit = TABLES[series][name]
    top = (1 << (8 * size if sign_bit is None else sign_bit)) - 1
    if not (-top if sign_bit is not None else 0) <= value <= top:
        raise ValueError(f"{name} cannot be {value}")
    raw = value if value >= 0 else -value | 1 << (sign_bit or 0)
    return raw.to_bytes(size, "big" if series == "scs" else "little")


def unpack(data: bytes, name: str, series: Series) -> int:
    """Undo `pack`."""
    _, size, sign_bit = TABLES[series][name]
    raw = int.from_bytes(data[:size], "big" if series == "scs" else "little")
    if sign_bit is None or not raw >> sign_bit & 1:
        return raw
    return -(raw & (1 << sign_bit) - 1)


def write(servo: int, name: str, value: int, series: Series) -> bytes:
    """Bytes that set one register."""
    return encode(Instruction(servo, WRITE, bytes((TABLES[series][name][0],)) + pack(value, name, series)))


def sync_write(name: str, values: dict[int, int], series: Series) -> bytes:
    """Bytes that set one register of several servos at once; nobody answers."""
    address, size, _ = TABLES[series][name]
    body = b"".join(bytes((servo,)) + pack(value, name, series) for servo, value in values.items())
    return encode(Instruction(EVERYONE, SYNC_WRITE, bytes((address, size)) + body))


def error_names(error: int) -> tuple[str, ...]:
    """What the error bits mean; a bit that has no name is a fault too."""
    names = [NAMES_OF_ERRORS[bit] if bit < 6 else f"bit {bit}" for bit in range(8) if error >> bit & 1]
    return tuple(names)


def read_replies(servos: Sequence[int], n_parameters: int, data: bytes) -> dict[int, Reply] | None:
    """The replies that a request waits for; None while one is missing."""
    return replies_of(decode(data), servos, n_parameters)


class Options(Section):
    """What the profile may say under device.options."""

    series: Series = "sts"
    torque_limit: float = Field(0.5, ge=0.0, le=1.0)
    is_limp: bool = False


class Feetech(RegisterBus):
    """What is said to the servos of one bus, and what their answers mean.

    Parameters
    ----------
    joints : sequence of Joint
        One per servo; raw numbers are steps.
    series : {"sts", "scs"}
        STS (and SMS) or SCS.
    torque_limit : float
        Share of the servo's torque, 0 to 1; STS only.
    is_limp : bool
        Whether torque ends when the device is disarmed. An arm would fall: it holds instead.
    """

    def __init__(
        self, joints: Sequence[Joint], series: Series = "sts", torque_limit: float = 0.5, is_limp: bool = False
    ) -> None:
        super().__init__(joints, is_limp)
        self.series: Series = series
        self.torque_limit = torque_limit
        self.title = f"feetech {series}"

    def premises(self) -> Sequence[Premise]:
        """Position mode, and steps that are steps."""
        return PREMISES if self.series == "sts" else ()

    def limits(self, joint: Joint) -> dict[str, int]:
        """Speed, acceleration and torque; no time for a move, which would take the place of the speed."""
        limits = {"goal_time": 0, "goal_velocity": round(clamp(joint.axis.max_speed * joint.raw_per_unit, 1, 32767))}
        if self.series == "sts":
            steps = joint.axis.max_acceleration * joint.raw_per_unit
            limits["acceleration"] = min(254, max(1, round(steps / 100.0)))  # 0 would be without limit
            limits["torque_limit"] = round(1000 * self.torque_limit)
        return limits

    def arm(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Hold, then power; there is no watchdog to arm."""
        yield from self.take_hold()
        checks.append(Check("watchdog", True, f"none; goals reach at most {1e3 * lease_s:.0f} ms ahead"))

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """Give goals, and read back where each servo is."""
        return (yield from self._read(sync_write("goal_position", self.goals(positions), self.series)))

    def watch(self) -> Dialogue[Feedback]:
        """Read without writing."""
        return (yield from self._read(b""))

    def stand(self, positions: Sequence[float]) -> Request:
        """Hold where it was seen; torque stays, or the arm would fall."""
        return Request(sync_write("goal_position", self.goals(positions), self.series))

    def disarm(self, positions: Sequence[float]) -> Request:
        """Hold where it was seen, or torque off, as the profile wants."""
        off = sync_write("torque_enable", dict.fromkeys(self.servos, 0), self.series)
        return Request(off) if self.is_limp else self.stand(positions)

    def _read(self, first: bytes) -> Dialogue[Feedback]:
        if self.series == "sts":
            question = encode(Instruction(EVERYONE, SYNC_READ, bytes((FEEDBACK_START, FEEDBACK_BYTES, *self.servos))))
            replies = yield from ask(self._request(self.servos, FEEDBACK_BYTES, first + question), 1 if first else 2)
            if replies is None:
                raise DeviceError("Not every servo answers.", "Check numbers, cables, power and the baud rate.")
        else:  # SCS has no sync read: one after the other
            replies = {}
            for servo in self.servos:
                question = encode(Instruction(servo, READ, bytes((FEEDBACK_START, FEEDBACK_BYTES))))
                answer = yield self._request([servo], FEEDBACK_BYTES, first + question)
                replies |= answer or {}
                first = b""
        silent = [servo for servo in self.servos if servo not in replies]
        if silent:
            raise DeviceError(f"Servo {', '.join(map(str, silent))} does not answer.", "Check cable and power.")
        return self._feedback(replies)

    def _feedback(self, replies: dict[int, Reply]) -> Feedback:
        positions, velocities, efforts, faults = [], [], [], []
        for joint in self.joints:
            reply = replies[joint.address]
            values = {name: self._field(reply.parameters, name) for name in FEEDBACK}
            positions.append(joint.to_position(values["position"]))
            velocities.append(joint.to_velocity(values["velocity"]))
            efforts.append(joint.to_effort(values["load"] / 1000.0))
            faults += [f"servo {joint.address}: {name}" for name in error_names(reply.error | values["status"])]
            if values["temperature"] > HOTTEST_C:
                faults.append(f"servo {joint.address}: {values['temperature']} °C")
        return Feedback(tuple(positions), tuple(velocities), tuple(faults), efforts=tuple(efforts))

    def _field(self, block: bytes, name: str) -> int:
        return unpack(block[TABLES[self.series][name][0] - FEEDBACK_START :], name, self.series)

    def read(self, servo: int, name: str) -> Request:
        """Ask for one register."""
        address, size, _ = TABLES[self.series][name]
        return self._request([servo], size, encode(Instruction(servo, READ, bytes((address, size)))))

    def write(self, servo: int, name: str, value: int) -> Request:
        """Set one register."""
        return self._request([servo], 0, write(servo, name, value, self.series))

    def value(self, reply: Reply, name: str) -> int:
        """What a reply says of one register."""
        return unpack(reply.parameters, name, self.series)

    def _request(self, servos: Sequence[int], n_parameters: int, wire: bytes) -> Request:
        n_reply = len(servos) * (6 + n_parameters)
        return Request(wire, n_reply, partial(read_replies, tuple(servos), n_parameters), 5e-4 * len(servos))


def _ask(servo: int) -> Request:
    return Request(encode(Instruction(servo, PING)), 6, partial(read_replies, (servo,), 0), 5e-4)


scan = partial(bus.scan, "Feetech", _ask)


DRIVER = SpokenDriver(
    declaration=Declaration(
        name="feetech",
        baud=1_000_000,
        safe_state="hold",
        has_watchdog=False,
        lease_max_ms=200,
        watchdog="None: it finishes the move to its last goal, which is at most one lease of travel away, and holds.",
    ),
    options=Options,
    raw=(0, 4095),
    addresses=(0, MAX_ID),
    make=Feetech,
    twin="drivers.twins.feetech",
    codecs=(
        Codec(
            examples=(
                Instruction(1, PING),
                Instruction(1, WRITE, b"\x2a\x00\x08"),
                Instruction(EVERYONE, SYNC_READ, b"8"),
            ),
            encode=encode,
            decode=decode_instructions,
            n_flips=1,
        ),
        Codec(examples=(Reply(1, 0), Reply(253, 32, b"\xff\xff\x01")), encode=encode, decode=decode, n_flips=1),
    ),
    example={
        "axes": (
            axis_entry("pan", "rad", (-1.5, 1.5), 1.0, 4.0, 1, (1070, 3026)),
            axis_entry("lift", "rad", (-1.0, 1.0), 1.0, 4.0, 2, (2700, 1396)),
            axis_entry("grip", "1", (0.0, 1.0), 1.0, 6.0, 6, (2048, 3072)),
        ),
        "options": {"torque_limit": 0.5},
    },
)
