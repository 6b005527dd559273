"""Every driver's bytes: what is sent is understood, what was damaged is not, and nothing that comes can raise."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.devices import dynamixel, feetech, fes, maestro, modbus, robotiq

DRIVERS = [feetech.DRIVER, dynamixel.DRIVER, robotiq.DRIVER, maestro.DRIVER, fes.DRIVER]
CODECS = [(f"{d.declaration.name}{i}", c) for d in DRIVERS for i, c in enumerate(d.codecs)]
codecs = pytest.mark.parametrize("codec", [c for _, c in CODECS], ids=[name for name, _ in CODECS])
u8, servo = st.integers(0, 255), st.integers(0, 250)
some = st.binary(max_size=40)


@dataclass(frozen=True)
class Kind:
    messages: st.SearchStrategy
    encode: object
    decode: object


KINDS = {
    "feetech instruction": Kind(st.builds(feetech.Instruction, servo, u8, some), feetech.encode,
                                feetech.decode_instructions),
    "feetech reply": Kind(st.builds(feetech.Reply, servo, u8, some), feetech.encode, feetech.decode),
    "dynamixel instruction": Kind(st.builds(dynamixel.Instruction, servo, u8.filter(lambda n: n != 0x55), some),
                                  dynamixel.encode, dynamixel.decode_instructions),
    "dynamixel reply": Kind(st.builds(dynamixel.Reply, servo, u8, some), dynamixel.encode, dynamixel.decode),
    "fes": Kind(st.builds(fes.Packet, st.integers(0, 1023), st.integers(0, 63), some), fes.encode, fes.decode),
    "maestro": Kind(st.tuples(st.sampled_from([0x84, 0x87, 0x89]), st.integers(0, 127), st.integers(0, 0x3FFF)),
                    lambda command: maestro.encode(*command), maestro.decode_commands),
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@kinds
@given(data=st.data())
def test_what_is_sent_is_what_is_received_whatever_came_before(kind, data):
    sent = data.draw(st.lists(kind.messages, min_size=1, max_size=3))
    wire = b"".join(kind.encode(message) for message in sent)
    assert kind.decode(wire) == sent
    assert kind.decode(b"\x00\x01" + wire) == sent


@kinds
@given(data=st.binary(max_size=200))
def test_nothing_that_comes_can_raise(kind, data):
    kind.decode(data)


@codecs
@given(data=st.data())
def test_so_many_flipped_bits_are_always_noticed(codec, data):
    for example in codec.examples:
        wire = bytearray(codec.encode(example))
        n = data.draw(st.integers(1, codec.n_flips))
        for bit in data.draw(st.sets(st.integers(0, 8 * len(wire) - 1), min_size=n, max_size=n)):
            wire[bit // 8] ^= 1 << bit % 8
        assert example not in codec.decode(bytes(wire))
        assert not [m for m in codec.decode(bytes(wire)) if len(codec.encode(m)) == len(wire)]


@pytest.mark.parametrize("codec", [c for name, c in CODECS if "feetech" not in name])
def test_every_single_and_double_flip_of_every_example_is_noticed_by_a_real_checksum(codec):
    for example in codec.examples:
        wire = int.from_bytes(b"\1" + codec.encode(example), "big")
        n_bytes = len(codec.encode(example))
        for a in range(8 * n_bytes):
            for b in range(a, 8 * n_bytes):
                flipped = wire ^ (1 << a) ^ (0 if a == b else 1 << b)
                assert example not in codec.decode(flipped.to_bytes(n_bytes + 1, "big")[1:])


def test_the_sum_of_a_feetech_frame_does_not_see_two_bytes_swapped_which_is_why_feedback_is_judged():
    reply = feetech.encode(feetech.Reply(1, 0, b"\x00\x08"))
    swapped = reply[:5] + b"\x08\x00" + reply[7:]
    assert feetech.decode(swapped) == [feetech.Reply(1, 0, b"\x08\x00")]


@pytest.mark.parametrize(
    ("crc", "check"),
    [(dynamixel.crc16, 0xFEE8), (modbus.crc16, 0x4B37), (fes.crc16, 0x31C3)],
    ids=["dynamixel", "modbus", "fes"],
)
def test_checksums_are_the_published_ones(crc, check):
    assert crc(b"123456789") == check


def test_the_maestros_checksum_is_that_of_its_manual():
    assert maestro.crc7(b"\x83\x01") == 0x17  # user's guide, section 5.d, worked example


@given(value=st.integers(-32767, 32767), name=st.sampled_from(["position", "goal_position", "velocity"]))
@pytest.mark.parametrize("series", ["sts", "scs"])
def test_feetech_numbers_survive_sign_and_byte_order(series, value, name):
    assert feetech.unpack(feetech.pack(value, name, series), name, series) == value


def test_a_feetech_sign_is_a_bit_of_its_own_and_scs_is_big_endian():
    assert feetech.pack(-5, "goal_position", "sts") == b"\x05\x80"
    assert feetech.pack(-5, "goal_position", "scs") == b"\x80\x05"
    assert feetech.unpack(b"\x05\x04", "load", "sts") == -5


@given(name=st.sampled_from(sorted(dynamixel.TABLE)), data=st.data())
def test_dynamixel_numbers_survive(name, data):
    _, size, is_signed = dynamixel.TABLE[name]
    low = -(2 ** (8 * size - 1)) if is_signed else 0
    value = data.draw(st.integers(low, low + 2 ** (8 * size) - 1))
    assert dynamixel.unpack(dynamixel.pack(value, name), name) == value


@given(body=st.lists(st.sampled_from([b"\xff", b"\xfd", b"\x00", b"\xff\xff\xfd", b"\x55"]), max_size=30).map(b"".join))
def test_no_header_is_left_inside_a_dynamixel_packet(body):
    wire = dynamixel.encode(dynamixel.Instruction(1, 3, body))
    assert wire.count(b"\xff\xff\xfd\x00") == 1
    assert dynamixel.decode_instructions(wire) == [dynamixel.Instruction(1, 3, body)]


@given(st.lists(st.integers(0, 0xFFFF), min_size=3, max_size=3), st.binary(max_size=8))
def test_registers_come_back_from_a_modbus_answer_wherever_it_begins(values, before):
    frame = robotiq.DRIVER.codecs[0].encode(tuple(values))
    read = modbus.read(9, 4, 2000, 3).read
    assert read(before.replace(b"\x09", b"") + frame) == tuple(values)
    assert read(frame[:-1]) is None


@given(st.binary(max_size=60))
def test_no_modbus_answer_can_raise(data):
    for request in (modbus.read(9, 3, 0, 2), modbus.write(9, 1000, [1]), modbus.read_write(9, 0, 1, 1, [2])):
        request.read(data)


@given(
    st.builds(
        robotiq.Command, st.booleans(), st.booleans(), u8, u8, u8
    )
)  # fmt: skip
def test_a_gripper_command_is_in_its_registers(command):
    action, position, speed_force = robotiq.encode(command)
    assert (bool(action >> 8 & 1), bool(action >> 8 & 8), action & 0xFF) == (command.is_active, command.is_going, 0)
    assert (position, speed_force) == (command.position, command.speed << 8 | command.force)


@given(st.lists(st.integers(-5, 70000), max_size=5))
def test_no_gripper_status_can_raise(registers):
    robotiq.decode(registers)


def test_of_60000_random_frames_none_is_taken_where_there_is_a_real_checksum():
    source = random.Random(5)
    for _ in range(20000):
        noise = source.randbytes(source.randrange(60))
        assert dynamixel.decode(b"\xff\xff\xfd\x00\x01" + noise) == []
        assert fes.decode(b"\xf0\x81\x55\x81" + noise) == []
        assert modbus.read(9, 4, 2000, 3).read(b"\x09\x04\x06" + noise[:8]) is None
