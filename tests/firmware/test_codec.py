"""The codec in C and the codec in Python: the same bytes for everything, the same refusals."""

import re
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_core import library

from drivers.devices.node import MAX_PACKET, Arm, Receiver, cobs_decode, cobs_encode, config_hash, decode, encode
from drivers.twins.node import AXES

sys.path.insert(0, str(Path(__file__).parents[1] / "drivers" / "devices"))
from test_node import VECTORS, messages, u16, u32

pytestmark = pytest.mark.usefixtures("core")
PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


@given(messages, u16, u32)
def test_c_reads_and_writes_every_message_of_python_byte_for_byte(message, seq, session):
    wire = encode(message, seq, session)
    packet = library().open(wire[:-1])
    assert packet == cobs_decode(wire[:-1])[:-4]
    assert library().seal(packet) == wire


@given(st.binary(min_size=8, max_size=60))
def test_python_reads_whatever_c_writes(packet):
    frame = library().seal(packet)
    raw = cobs_decode(frame[:-1])
    assert frame[-1] == 0
    assert 0 not in frame[:-1]
    assert raw == packet + zlib.crc32(packet).to_bytes(4, "little")
    assert (library().open(frame[:-1]) is not None) == (packet[0] == 1)


@given(st.binary(max_size=120))
def test_both_stuff_alike(raw):
    assert library().stuff(raw) == cobs_encode(raw)
    assert library().unstuff(cobs_encode(raw)) == raw


@given(st.binary(max_size=120))
def test_both_refuse_the_same_broken_stuffing(stuffed):
    assert library().unstuff(stuffed) == cobs_decode(stuffed)


@given(st.binary(max_size=200))
def test_both_have_the_standard_checksum(data):
    assert library().crc32(data) == zlib.crc32(data)


@given(st.one_of(messages.map(lambda m: encode(m, 1, 2)[:-1]), st.binary(min_size=1, max_size=70)), st.data())
def test_both_refuse_the_same_frames(frame, data):
    frame = bytearray(frame)
    if data.draw(st.booleans()):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        del frame[data.draw(st.integers(0, len(frame))) :]
    raw = cobs_decode(bytes(frame))
    is_good = (
        raw is not None
        and 12 <= len(raw) <= MAX_PACKET
        and zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
        and raw[0] == 1
    )
    assert (library().open(bytes(frame)) is not None) == is_good
    if raw is not None and not is_good:
        assert decode(raw) is None


def test_the_largest_frame_passes_and_one_byte_more_does_not(core):
    assert core.open(core.seal(b"\1" + bytes(59))[:-1]) == b"\1" + bytes(59)
    too_long = b"\1" + b"\5" * 60
    raw = too_long + zlib.crc32(too_long).to_bytes(4, "little")
    assert core.open(cobs_encode(raw)) is None
    assert decode(raw) is None


@pytest.mark.parametrize("title", ["HELLO_ACK", "AXIS", "STATUS"])
def test_a_device_in_c_says_the_documented_bytes(core, title):
    message, seq, session = VECTORS[title]
    assert core.vector(title) == encode(message, seq, session)


@pytest.mark.parametrize("title", ["HELLO", "DESCRIBE", "ARM", "DISARM", "SETPOINT", "PING", "ESTOP", "RESET_FAULT"])
def test_a_device_in_c_understands_the_documented_bytes(core, title):
    documented = bytes.fromhex(re.search(rf"^\| {title} \|.*?`([0-9a-f ]+)` \|$", PAGE, re.MULTILINE)[1])
    assert core.seal(core.open(documented[:-1])) == documented
    device = core.device()
    is_answered = bool(device.feed(documented, 2))
    assert is_answered == (title in ("HELLO", "ESTOP"))  # without a session, nothing else is taken
    assert (device.n_ok, device.n_bad) == (1, 0 if is_answered else 1)


def test_the_axes_table_of_the_demo_is_the_twins(core):
    device = core.device()
    hello = Receiver().feed(device.feed(encode(VECTORS["HELLO"][0], 1, 0), 2))[0]
    arm = encode(Arm(100, config_hash(AXES)), 1, hello.session)
    assert Receiver().feed(device.feed(arm, 3))[0].message.state == 1


def test_every_message_has_an_example():
    assert set(re.findall(r"^\| ([A-Z_]+) \|", PAGE, re.MULTILINE)) >= set(VECTORS)
