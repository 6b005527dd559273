"""The part of Modbus RTU that a gripper needs: registers are read, written, or both at once. Pure: no port, no clock.

Functions 03 and 04 (read), 16 (write) and 23 (write, then read), after "Modbus application protocol 1.1b3".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial

from drivers.dialogue.steps import Request

READ_HOLDING, READ_INPUT, WRITE, READ_WRITE = 3, 4, 16, 23
READS = (READ_HOLDING, READ_INPUT, READ_WRITE)
MAX_READ, MAX_WRITE = 125, 121  # registers in one frame
SILENCE_S = 0.00175  # between two frames, above 19200 baud
EXCEPTIONS = {1: "function", 2: "address", 3: "value", 4: "failure", 5: "acknowledge", 6: "busy"}


class Refusal(tuple[int, int]):
    """The other side understood and refused: function and exception code."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 8005 reflected, start FFFF; of `123456789` it is 4B37."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def seal(body: bytes) -> bytes:
    """Append the checksum, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


def is_sealed(frame: bytes) -> bool:
    """Whether a frame is at least the shortest one and its checksum is right."""
    return len(frame) >= 4 and crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


def read(unit: int, function: int, start: int, n: int) -> Request:
    """Ask for `n` registers from `start`; the answer is a tuple of numbers, or a `Refusal`."""
    _check_count(n, MAX_READ)
    wire = seal(struct.pack(">BBHH", unit, function, start, n))
    return Request(wire, 5 + 2 * n, partial(read_registers, unit, function, n), 2 * SILENCE_S)


def write(unit: int, start: int, values: Sequence[int]) -> Request:
    """Set registers from `start`; the answer is an empty tuple, or a `Refusal`."""
    _check_count(len(values), MAX_WRITE)
    head = struct.pack(">BBHHB", unit, WRITE, start, len(values), 2 * len(values))
    wire = seal(head + struct.pack(f">{len(values)}H", *values))
    return Request(wire, 8, partial(read_written, unit, start, len(values)), 2 * SILENCE_S)


def read_write(unit: int, read_start: int, n: int, write_start: int, values: Sequence[int]) -> Request:
    """Set registers, then read others, in one exchange."""
    _check_count(n, MAX_READ)
    _check_count(len(values), MAX_WRITE)
    head = struct.pack(">BBHHHHB", unit, READ_WRITE, read_start, n, write_start, len(values), 2 * len(values))
    wire = seal(head + struct.pack(f">{len(values)}H", *values))
    return Request(wire, 5 + 2 * n, partial(read_registers, unit, READ_WRITE, n), 2 * SILENCE_S)


def read_registers(unit: int, function: int, n: int, data: bytes) -> tuple[int, ...] | Refusal | None:
    """The answer to a read of `n` registers, wherever it begins in `data`; None while it is not there."""
    length = 5 + 2 * n
    for i in range(len(data) - 4):
        frame = data[i : i + length]
        if frame[:3] == bytes((unit, function, 2 * n)) and len(frame) == length and is_sealed(frame):
            return struct.unpack(f">{n}H", frame[3:-2])
        if refusal := _refusal(unit, function, data[i : i + 5]):
            return refusal
    return None


def read_written(unit: int, start: int, n: int, data: bytes) -> tuple[int, ...] | Refusal | None:
    """The answer to a write of `n` registers from `start`."""
    expected = seal(struct.pack(">BBHH", unit, WRITE, start, n))
    if expected in data:
        return ()
    for i in range(len(data) - 4):
        if refusal := _refusal(unit, WRITE, data[i : i + 5]):
            return refusal
    return None


def _refusal(unit: int, function: int, frame: bytes) -> Refusal | None:
    if frame[:2] == bytes((unit, function | 0x80)) and is_sealed(frame):
        return Refusal((function, frame[2]))
    return None


def _check_count(n: int, most: int) -> None:
    if not 1 <= n <= most:
        raise ValueError(f"{n} registers, 1 to {most} fit")
