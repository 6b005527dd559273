"""The codec against an independent COBS, published check values, and everything that a wire can do to bytes."""

import re
import struct
import zlib
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import Axis
from drivers.devices.node import (
    FULL_SCALE,
    MAX_PACKET,
    Arm,
    AxisInfo,
    Describe,
    Disarm,
    Estop,
    Hello,
    HelloAck,
    Ping,
    Receiver,
    ResetFault,
    Setpoint,
    Status,
    cobs_decode,
    cobs_encode,
    config_hash,
    decode,
    encode,
    is_newer,
    pack_position,
    pack_velocity,
    unpack_position,
    unpack_velocity,
)
from drivers.twins.node import AXES

u8, u16, u32, i16 = (st.integers(0, 2**8 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1),
                     st.integers(-(2**15), 2**15 - 1))  # fmt: skip
millionths = st.integers(-(2**31), 2**31 - 1).map(lambda n: n / 1e6)
name = st.text(alphabet="abcxyz012", min_size=1, max_size=8)


@st.composite
def statuses(draw):
    n = draw(st.integers(1, 7))
    values = [tuple(draw(st.lists(i16, min_size=n, max_size=n))) for _ in range(2)]
    return Status(draw(u8), draw(u16), draw(u32), draw(u16), draw(u32), draw(u32), draw(u32), draw(u16), -40, *values)


messages = st.one_of(
    st.builds(Hello, u32),
    st.builds(HelloAck, u32, u16, u8, u16, u16, u8, u32),
    st.builds(Describe, u8),
    st.builds(AxisInfo, u8, st.builds(Axis, name, name, millionths, millionths, millionths, millionths)),
    st.builds(Arm, u16, u32),
    st.just(Disarm()),
    st.builds(Setpoint, u16, u32, u8, st.lists(i16, min_size=1, max_size=20).map(tuple)),
    st.just(Ping()),
    st.just(Estop()),
    st.builds(ResetFault, u32),
    statuses(),
)


@given(messages, u16, u32)
def test_what_is_sent_is_what_is_received(message, seq, session):
    wire = encode(message, seq, session)
    (packet,) = Receiver().feed(wire)
    assert (packet.message, packet.seq, packet.session) == (message, seq, session)
    assert wire[-1] == 0
    assert 0 not in wire[:-1]
    assert len(wire) <= MAX_PACKET + 2


@given(st.binary(max_size=600))
def test_stuffing_is_that_of_an_independent_package(raw):
    assert cobs_encode(raw) == cobs.encode(raw)
    assert cobs_decode(cobs.encode(raw)) == raw


@given(st.binary(min_size=1, max_size=80))
def test_broken_stuffing_is_refused_where_the_independent_package_refuses_it(stuffed):
    try:
        expected = cobs.decode(stuffed)
    except cobs.DecodeError:
        expected = None
    assert cobs_decode(stuffed) == expected


@given(messages, st.data())
def test_no_flipped_bit_gets_through(message, data):
    wire = bytearray(encode(message, 7, 99))
    for _ in range(data.draw(st.integers(1, 3))):
        wire[data.draw(st.integers(0, len(wire) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    if bytes(wire) == encode(message, 7, 99):
        return
    receiver = Receiver()
    assert receiver.feed(bytes(wire)) == []
    assert receiver.n_ok == 0


@given(st.lists(messages, min_size=1, max_size=5), st.lists(st.integers(0, 400), max_size=10).map(sorted))
def test_the_cut_of_the_byte_stream_does_not_matter(sent, cuts):
    wire = b"".join(encode(message, i, 5) for i, message in enumerate(sent))
    receiver, packets, start = Receiver(), [], 0
    for cut in [*cuts, len(wire)]:
        packets += receiver.feed(wire[start:cut])
        start = max(start, cut)
    assert [packet.message for packet in packets] == sent
    assert receiver.n_bad == 0


@given(st.binary(max_size=3000), messages)
def test_after_any_garbage_the_next_frame_is_understood(garbage, message):
    receiver = Receiver()
    receiver.feed(garbage)
    receiver.feed(b"\0")
    n_ok = receiver.n_ok
    assert [packet.message for packet in receiver.feed(encode(message, 1, 1))] == [message]
    assert n_ok == 0
    assert len(receiver._buffer) == 0


def test_a_stream_without_delimiter_is_forgotten_not_collected():
    receiver = Receiver()
    for _ in range(1000):
        receiver.feed(b"\x11" * 1000)
    assert len(receiver._buffer) <= MAX_PACKET + 2
    receiver.feed(b"\0")
    assert receiver.n_bad == 1


def test_every_wrong_length_and_unknown_type_is_refused():
    for number in range(256):
        for length in range(0, 53):
            raw = struct.pack("<BBHI", 1, number, 1, 2) + bytes(length)
            packet = decode(raw + struct.pack("<I", zlib.crc32(raw)))
            if packet is not None:
                assert cobs_decode(encode(packet.message, 1, 2)[:-1])[: len(raw)] == raw


def test_the_checksum_is_the_standard_one():
    assert zlib.crc32(b"123456789") == 0xCBF43926


@pytest.mark.parametrize(
    ("seq", "than", "expected"), [(1, 0, True), (0, 65535, True), (5, 5, False), (4, 5, False), (32768, 0, False)]
)
def test_sequence_numbers_wrap(seq, than, expected):
    assert is_newer(seq, than) is expected


@given(st.sampled_from(AXES), st.floats(-1.5, 1.5))
def test_physical_values_survive_the_integers(axis, fraction):
    speed = fraction * axis.max_speed
    clamped = max(-axis.max_speed, min(axis.max_speed, speed))
    assert unpack_velocity(pack_velocity(speed, axis), axis) == pytest.approx(clamped, abs=axis.max_speed / FULL_SCALE)
    position = axis.lower + abs(fraction) / 1.5 * (axis.upper - axis.lower)
    assert unpack_position(pack_position(position, axis), axis) == pytest.approx(position, abs=1e-4)


def test_another_axis_gives_another_configuration():
    assert config_hash(AXES) != config_hash(AXES[:3])
    assert config_hash(AXES) != config_hash((*AXES[:3], Axis("hand", "1", 0.0, 1.0, 2.0, 20.0)))


VECTORS = {
    "HELLO": (Hello(0x12345678), 1, 0),
    "HELLO_ACK": (HelloAck(0x12345678, 1, 4, 200, 60, 0, 123456), 1, 0xB7910DDD),
    "DESCRIBE": (Describe(0), 2, 0xB7910DDD),
    "AXIS": (AxisInfo(0, Axis("x", "m", 0.0, 0.4, 0.4, 12.0)), 2, 0xB7910DDD),
    "ARM": (Arm(100, 0xA1B2C3D4), 6, 0xB7910DDD),
    "DISARM": (Disarm(), 9, 0xB7910DDD),
    "SETPOINT": (Setpoint(100, 123456, 0, (100, -50, 0, 32767)), 7, 0xB7910DDD),
    "PING": (Ping(), 8, 0xB7910DDD),
    "ESTOP": (Estop(), 0, 0),
    "RESET_FAULT": (ResetFault(0xCAFEF00D), 10, 0xB7910DDD),
    "STATUS": (Status(2, 0, 123476, 7, 42, 0, 0, 12000, 25, (0, 0, 0, -32767), (100, -50, 0, 0)), 3, 0xB7910DDD),
}


@pytest.mark.parametrize("title", VECTORS)
def test_the_documented_bytes_are_the_real_ones(title):
    text = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
    documented = re.search(rf"^\| {title} \|.*?`([0-9a-f ]+)` \|$", text, re.MULTILINE)
    assert documented, f"docs/protocol.md has no vector for {title}"
    message, seq, session = VECTORS[title]
    assert encode(message, seq, session).hex(" ") == documented[1]
