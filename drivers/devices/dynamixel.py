"""Dynamixel servos, protocol 2.0 (X series): control table, bytes, and what the bus can promise. Pure: no port.

Control table after ROBOTIS' model files and e-manual (XL330, XL430, XM430, XW540 …). `dynamixel-sdk` 4.1.0 does not
stuff what it sends; here every `FF FF FD` after the length becomes `FF FF FD FD`, as the protocol wants.

Bus Watchdog (98) counts the time between *instruction packets of any kind*, in steps of 20 ms, while torque is on.
When it trips the servo stops and holds, reads 255, and refuses goals until 98 is written 0. So a host that only polls
keeps it fed: whoever drives this bus must fall silent when its own lease is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import Field

from bci.errors import DeviceError
from bci.settings import Section
from drivers.base import Check, Declaration
from drivers.devices import register_bus as bus
from drivers.devices.register_bus import EVERYONE, Instruction, Premise, RegisterBus, Reply, replies_of
from drivers.dialogue.driver import Codec, SpokenDriver, axis_entry
from drivers.dialogue.joint import Joint, clamp
from drivers.dialogue.steps import Dialogue, Feedback, Pause, Request, ask

HEADER = b"\xff\xff\xfd\x00"
PING, READ, WRITE, STATUS, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x55, 0x82, 0x83
MAX_ID = 252
MAX_PARAMETERS = 1000
ALERT = 0x80
ERRORS = ("", "result", "instruction", "CRC", "data range", "data length", "data limit", "access")
HARDWARE_ERRORS = ("voltage", "", "overheated", "encoder", "electrical shock", "overload")

# name: (address, bytes, whether signed)
TABLE: dict[str, tuple[int, int, bool]] = {
    "model": (0, 2, False),
    "firmware": (6, 1, False),
    "return_delay": (9, 1, False),
    "drive_mode": (10, 1, False),
    "mode": (11, 1, False),
    "secondary_id": (12, 1, False),
    "current_limit": (38, 2, False),
    "max_position": (48, 4, False),
    "min_position": (52, 4, False),
    "startup": (60, 1, False),
    "torque_enable": (64, 1, False),
    "hardware_error": (70, 1, False),
    "bus_watchdog": (98, 1, False),
    "goal_current": (102, 2, True),
    "goal_velocity": (104, 4, True),
    "profile_acceleration": (108, 4, False),
    "profile_velocity": (112, 4, False),
    "goal_position": (116, 4, True),
    "current": (126, 2, True),
    "velocity": (128, 4, True),
    "position": (132, 4, True),
}
POSITION_MODE, CURRENT_POSITION_MODE = 3, 5
STEPS_PER_TURN = 4096
SPEED_STEPS_S = 0.229 / 60 * STEPS_PER_TURN  # one unit of velocity, 0.229 rev/min
ACCELERATION_STEPS_S2 = 214.577 / 3600 * STEPS_PER_TURN  # one unit of profile acceleration, 214.577 rev/min²
WATCHDOG_STEP_S = 0.02
TRIPPED = 0xFF
FEEDBACK_START, FEEDBACK_BYTES = 98, 38  # bus watchdog to present position, in one block
FULL_LOAD = 1000  # of servos without a current limit, whose register 126 is a load of so many parts
TIME_BASED, SLAVE, TORQUE_BY_GOAL = 1 << 2, 1 << 1, 1 << 3
PREMISES = (
    Premise(
        "drive_mode", lambda value: not value & (TIME_BASED | SLAVE | TORQUE_BY_GOAL),
        "with bit 2 the limit of speed (112) is a time, with bit 1 it follows another servo, with bit 3 a goal gives "
        "torque", "Set register 10 to 0 or 1 with Dynamixel Wizard.",
    ),
    Premise(
        "secondary_id", lambda value: value > MAX_ID,
        "it would also obey what is said to that number", "Set register 12 to 255 with Dynamixel Wizard.",
    ),
    Premise(
        "startup", lambda value: not value & 1,
        "it takes torque by itself when supply returns", "Clear bit 0 of register 60 with Dynamixel Wizard.",
    ),
    Premise(
        "hardware_error", lambda value: value == 0,
        "bits 0 supply, 2 heat, 3 encoder, 4 electrical shock, 5 overload", "Cure it, then reboot the servo.",
    ),
)  # fmt: skip


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x8005 if crc & 0x8000 else 0)
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/UMTS: polynomial 8005, start 0, nothing reflected; of `123456789` it is FEE8."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC[crc >> 8 ^ byte]
    return crc


def encode(packet: Instruction | Reply) -> bytes:
    """Bytes on the wire: FF FF FD 00, servo, length, stuffed instruction and parameters, CRC-16."""
    if len(packet.parameters) > MAX_PARAMETERS:
        raise ValueError(f"{len(packet.parameters)} parameters, at most {MAX_PARAMETERS} fit")
    start = bytes((packet.code,)) if isinstance(packet, Instruction) else bytes((STATUS, packet.error))
    body = (start + packet.parameters).replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
    raw = HEADER + bytes((packet.servo,)) + (len(body) + 2).to_bytes(2, "little") + body
    return raw + crc16(raw).to_bytes(2, "little")


def decode(data: bytes) -> list[Reply]:
    """Every whole reply in a stream of bytes that may begin anywhere and hold anything."""
    return [Reply(servo, body[1], body[2:]) for servo, body in _packets(data) if body[0] == STATUS and len(body) > 1]


def decode_instructions(data: bytes) -> list[Instruction]:
    """The same for the servo's side of the wire."""
    return [Instruction(servo, body[0], body[1:]) for servo, body in _packets(data, EVERYONE) if body[0] != STATUS]


def _packets(data: bytes, highest: int = MAX_ID) -> list[tuple[int, bytes]]:
    packets, i = [], data.find(HEADER)
    while 0 <= i <= len(data) - 10:
        servo, length = data[i + 4], int.from_bytes(data[i + 5 : i + 7], "little")
        end = i + 7 + length
        fits = servo <= highest and 3 <= length <= 2 * MAX_PARAMETERS and end <= len(data)
        body = unstuff(data[i + 7 : end - 2]) if fits else None
        if body is not None and crc16(data[i : end - 2]) == int.from_bytes(data[end - 2 : end], "little"):
            packets.append((servo, body))
            i = data.find(HEADER, end)
        else:
            i = data.find(HEADER, i + 1)
    return packets


def unstuff(stuffed: bytes) -> bytes | None:
    """Undo the stuffing; None when a header stands inside, which a packet cannot hold."""
    out, start = b"", 0
    while (i := stuffed.find(b"\xff\xff\xfd", start)) >= 0:
        if stuffed[i + 3 : i + 4] != b"\xfd":
            return None
        out += stuffed[start : i + 3]
        start = i + 4
    return out + stuffed[start:]


def pack(value: int, name: str) -> bytes:
    """A register's bytes, little endian."""
    _, size, is_signed = TABLE[name]
    return value.to_bytes(size, "little", signed=is_signed)


def unpack(data: bytes, name: str) -> int:
    """Undo `pack`."""
    _, size, is_signed = TABLE[name]
    return int.from_bytes(data[:size], "little", signed=is_signed)


def write(servo: int, name: str, value: int) -> bytes:
    """Bytes that set one register."""
    return encode(Instruction(servo, WRITE, TABLE[name][0].to_bytes(2, "little") + pack(value, name)))


def sync_write(name: str, values: dict[int, int]) -> bytes:
    """Bytes that set one register of several servos at once; nobody answers."""
    address, size, _ = TABLE[name]
    body = b"".join(bytes((servo,)) + pack(value, name) for servo, value in values.items())
    return encode(Instruction(EVERYONE, SYNC_WRITE, address.to_bytes(2, "little") + size.to_bytes(2, "little") + body))


def error_names(error: int, hardware_error: int) -> tuple[str, ...]:
    """What the error byte and register 70 mean."""
    names = [name or f"bit {bit}" for bit, name in enumerate(HARDWARE_ERRORS) if hardware_error >> bit & 1]
    number = error & ~ALERT
    if number:
        names.append(f"{ERRORS[number]} error" if number < len(ERRORS) else f"error {number}")
    if error & ALERT and not names:
        names.append("hardware alert")
    return tuple(names)


def read_replies(servos: Sequence[int], n_parameters: int, data: bytes) -> dict[int, Reply] | None:
    """The replies that a request waits for; None while one is missing."""
    return replies_of(decode(data), servos, n_parameters)


class Options(Section):
    """What the profile may say under device.options."""

    goal_current: int = Field(0, ge=0, le=32767)
    is_limp: bool = False


class Dynamixel(RegisterBus):
    """What is said to the servos of one bus, and what their answers mean.

    Parameters
    ----------
    joints : sequence of Joint
        One per servo; raw numbers are steps of 4096 per turn.
    goal_current : int
        Ceiling of the current in mode 5 (current-based position), in the servo's unit; 0 when it is in mode 3.
    is_limp : bool
        Whether torque ends when the device is disarmed. An arm would fall: it holds instead.
    """

    title = "dynamixel 2.0"

    def __init__(self, joints: Sequence[Joint], goal_current: int = 0, is_limp: bool = False) -> None:
        super().__init__(joints, is_limp)
        self.goal_current = goal_current
        self._watchdog = 0
        self._is_guarded = False
        self._most_current: dict[int, int] = {}

    def premises(self) -> Sequence[Premise]:
        """Operating mode, no profile by time, nothing that gives torque by itself, no fault of the hardware."""
        wanted = CURRENT_POSITION_MODE if self.goal_current else POSITION_MODE
        mode = Premise("mode", lambda value: value == wanted, f"operating mode {wanted} is needed",
                       "Set register 11 with Dynamixel Wizard.")  # fmt: skip
        return (mode, *PREMISES)

    def limits(self, joint: Joint) -> dict[str, int]:
        """The profiles of acceleration and speed, and the ceiling of the current where the mode has one."""
        speed = joint.axis.max_speed * joint.raw_per_unit / SPEED_STEPS_S
        acceleration = joint.axis.max_acceleration * joint.raw_per_unit / ACCELERATION_STEPS_S2
        limits = {  # 0 would be without limit; 32767 is the most that both take
            "bus_watchdog": 0,
            "profile_acceleration": round(clamp(acceleration, 1, 32767)),
            "profile_velocity": round(clamp(speed, 1, 32767)),
        }
        return limits | ({"goal_current": self.goal_current} if self.goal_current else {})

    def prepare(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """As on every such bus; and learn which current is the greatest, for efforts are shares of it."""
        for servo in self.servos:
            self._most_current[servo] = (yield from self.get(servo, "current_limit")) or FULL_LOAD
        yield from super().prepare(lease_s, checks)

    def arm(self, lease_s: float, checks: list[Check]) -> Dialogue[None]:
        """Hold, power; arm the watchdogs, read them back, and prove by silence that they trip."""
        self._watchdog = round(clamp(lease_s / WATCHDOG_STEP_S, 1, 127))
        yield from self.take_hold()
        for servo in self.servos:
            yield from self.set(servo, "bus_watchdog", self._watchdog)
        yield Pause((self._watchdog + 2) * WATCHDOG_STEP_S)
        for servo in self.servos:
            found = yield from self.get(servo, "bus_watchdog")
            if found != TRIPPED:
                raise DeviceError(
                    f"The bus watchdog of servo {servo} did not trip in silence: it reads {found}.",
                    "Update its firmware (38 or later).",
                )
        for servo in self.servos:
            yield from self.set(servo, "bus_watchdog", 0)
        self._is_guarded = False
        checks.append(Check("watchdog", True, f"{20 * self._watchdog} ms, read back, tripped in silence"))

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """Give goals, and read back where each servo is; the first one switches the watchdogs on."""
        wire = sync_write("goal_position", self.goals(positions))
        if not self._is_guarded:
            wire = sync_write("bus_watchdog", dict.fromkeys(self.servos, self._watchdog)) + wire
            self._is_guarded = True
        return (yield from self._read(wire))

    def watch(self) -> Dialogue[Feedback]:
        """Read without writing; this too feeds a watchdog."""
        return (yield from self._read(b""))

    def stand(self, positions: Sequence[float]) -> Request:
        """Hold where it was seen, with torque, or the arm would fall; then nothing moves that a watchdog must end."""
        self._is_guarded = False
        quiet = sync_write("bus_watchdog", dict.fromkeys(self.servos, 0))
        return Request(quiet + sync_write("goal_position", self.goals(positions)))

    def disarm(self, positions: Sequence[float]) -> Request:
        """Hold where it was seen, or torque off, as the profile wants."""
        off = sync_write("torque_enable", dict.fromkeys(self.servos, 0)) if self.is_limp else b""
        return Request(self.stand(positions).wire + off)

    def _read(self, first: bytes) -> Dialogue[Feedback]:
        block = FEEDBACK_START.to_bytes(2, "little") + FEEDBACK_BYTES.to_bytes(2, "little") + bytes(self.servos)
        question = encode(Instruction(EVERYONE, SYNC_READ, block))
        request = self._request(self.servos, FEEDBACK_BYTES, first + question)
        replies = yield from ask(request, 1 if first else 2)
        if replies is None:
            raise DeviceError("Not every servo answers.", "Check numbers, cables, power and the baud rate.")
        positions, velocities, efforts, faults = [], [], [], []
        for joint in self.joints:
            reply = replies[joint.address]
            positions.append(joint.to_position(_field(reply.parameters, "position")))
            velocities.append(joint.to_velocity(_field(reply.parameters, "velocity") * SPEED_STEPS_S))
            most = self._most_current.get(joint.address, FULL_LOAD)
            efforts.append(joint.to_effort(_field(reply.parameters, "current") / most))
            if reply.error:
                hardware = (yield from self.get(joint.address, "hardware_error")) if reply.error & ALERT else 0
                faults += [f"servo {joint.address}: {name}" for name in error_names(reply.error, hardware)]
            if _field(reply.parameters, "bus_watchdog") == TRIPPED:
                faults.append(f"servo {joint.address}: its bus watchdog has tripped")
        return Feedback(tuple(positions), tuple(velocities), tuple(faults), efforts=tuple(efforts))

    def read(self, servo: int, name: str) -> Request:
        """Ask for one register."""
        address, size, _ = TABLE[name]
        wire = encode(Instruction(servo, READ, address.to_bytes(2, "little") + size.to_bytes(2, "little")))
        return self._request([servo], size, wire)

    def write(self, servo: int, name: str, value: int) -> Request:
        """Set one register."""
        return self._request([servo], 0, write(servo, name, value))

    def value(self, reply: Reply, name: str) -> int:
        """What a reply says of one register."""
        return unpack(reply.parameters, name)

    def _request(self, servos: Sequence[int], n_parameters: int, wire: bytes) -> Request:
        n_reply = len(servos) * (11 + n_parameters)
        return Request(wire, n_reply, partial(read_replies, tuple(servos), n_parameters), 5e-4 * len(servos))


def _field(block: bytes, name: str) -> int:
    return unpack(block[TABLE[name][0] - FEEDBACK_START :], name)


def _ask(servo: int) -> Request:
    return Request(encode(Instruction(servo, PING)), 14, partial(read_replies, (servo,), 3), 5e-4)


scan = partial(bus.scan, "Dynamixel", _ask)


DRIVER = SpokenDriver(
    declaration=Declaration(
        name="dynamixel",
        baud=1_000_000,
        safe_state="hold",
        has_watchdog=True,
        lease_max_ms=200,
        watchdog="Bus Watchdog: after one lease without any packet it stops, holds and refuses goals. Asking feeds it, "
        "so standing is an explicit goal.",
    ),
    options=Options,
    raw=(0, STEPS_PER_TURN - 1),
    addresses=(0, MAX_ID),
    make=Dynamixel,
    twin="drivers.twins.dynamixel",
    codecs=(
        Codec(
            examples=(Instruction(1, PING), Instruction(EVERYONE, SYNC_WRITE, b"\x66\0\2\0\1\xff\xff\xfd\xff\xff")),
            encode=encode,
            decode=decode_instructions,
            n_flips=3,
        ),
        Codec(examples=(Reply(1, 0), Reply(252, ALERT, b"\xff\xff\xfd\0")), encode=encode, decode=decode, n_flips=3),
    ),
    example={
        "axes": (
            axis_entry("pan", "rad", (-1.5, 1.5), 1.0, 4.0, 1, (1070, 3026)),
            axis_entry("lift", "rad", (-1.0, 1.0), 1.0, 4.0, 2, (2700, 1396)),
            axis_entry("grip", "1", (0.0, 1.0), 1.0, 6.0, 3, (2048, 3072)),
        ),
        "options": {},
    },
)
