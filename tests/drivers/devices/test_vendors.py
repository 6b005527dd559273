"""Our bytes against the vendors' own packages and printed examples, and our twins against clients we did not write."""

import contextlib
import struct
import time

import dynamixel_sdk
import minimalmodbus
import pytest
import scservo_sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from science_mode_4.general.general_device_id import PacketGeneralGetDeviceId, PacketGeneralGetDeviceIdAck
from science_mode_4.low_level.low_level_channel_config import (
    PacketLowLevelChannelConfig,
    PacketLowLevelChannelConfigAck,
)
from science_mode_4.low_level.low_level_init import PacketLowLevelInit
from science_mode_4.low_level.low_level_stop import PacketLowLevelStop
from science_mode_4.protocol.channel_point import ChannelPoint
from science_mode_4.protocol.protocol import Protocol
from science_mode_4.protocol.types import Channel, Connector

from drivers.devices import dynamixel, feetech, fes, maestro, modbus, robotiq
from drivers.twins.dynamixel import DynamixelBus
from drivers.twins.feetech import FeetechBus
from drivers.twins.fes import Stimulator
from drivers.twins.robotiq import Gripper
from drivers.twins.terminal import on_terminal


class Wire:
    """What a vendor's package would have written."""

    is_using = False

    def __init__(self):
        self.sent = b""

    def clearPort(self):  # noqa: N802
        pass

    def writePort(self, packet):  # noqa: N802
        self.sent = bytes(packet)
        return len(packet)

    def setPacketTimeout(self, length):  # noqa: N802
        pass


def wait_for(condition, patience_s=10.0):
    deadline_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def joints(driver):
    return driver.build(driver.example).joints


@given(servo=st.integers(0, 253), address=st.integers(0, 80), data=st.binary(min_size=1, max_size=30))
def test_feetech_instructions_are_those_of_the_vendors_package(servo, address, data):
    wire, packet = Wire(), scservo_sdk.PacketHandler(0)
    packet.writeTxOnly(wire, servo, address, len(data), list(data))
    assert wire.sent == feetech.encode(feetech.Instruction(servo, feetech.WRITE, bytes((address,)) + data))


@pytest.mark.parametrize(("series", "end"), [("sts", 0), ("scs", 1)])
@given(servo=st.integers(0, 253), goal=st.integers(0, 32767))
def test_a_feetech_goal_is_that_of_the_vendors_package_in_both_byte_orders(series, end, servo, goal):
    wire, packet = Wire(), scservo_sdk.PacketHandler(end)
    packet.write2ByteTxOnly(wire, servo, 42, goal)
    assert wire.sent == feetech.write(servo, "goal_position", goal, series)


def test_feetech_frames_are_the_measured_ones():
    assert feetech.write(1, "goal_position", 2048, "sts").hex(" ") == "ff ff 01 05 03 2a 00 08 c4"
    assert feetech.write(1, "torque_enable", 0, "sts").hex(" ") == "ff ff 01 04 03 28 00 cf"
    block = bytes.fromhex("29 07 01 32 00 08 00 00 e8 03 02 32 00 04 00 00 e8 03")
    assert feetech.encode(feetech.Instruction(feetech.EVERYONE, feetech.SYNC_WRITE, block)).hex()[-2:] == "f1"


@given(servo=st.integers(0, 252), address=st.integers(0, 140), data=st.binary(min_size=1, max_size=30))
def test_dynamixel_instructions_are_those_of_the_vendors_package_where_it_need_not_stuff(servo, address, data):
    body = struct.pack("<H", address) + data
    if b"\xff\xff\xfd" in body:
        return
    wire, packet = Wire(), dynamixel_sdk.PacketHandler(2.0)
    packet.writeTxOnly(wire, servo, address, len(data), list(data))
    assert wire.sent == dynamixel.encode(dynamixel.Instruction(servo, dynamixel.WRITE, body))


@given(body=st.lists(st.sampled_from([255, 253, 0]), min_size=1, max_size=30).map(bytes))
def test_dynamixel_stuffing_is_what_the_vendors_package_computes_and_then_forgets_to_send(body):
    handler = dynamixel_sdk.PacketHandler(2.0)
    packet = [255, 255, 253, 0, 1, (len(body) + 3) & 255, 0, 3, *body, 0, 0]
    stuffed = bytes(handler.addStuffing(list(packet)))
    ours = dynamixel.encode(dynamixel.Instruction(1, 3, body))
    assert ours[4:-2] == stuffed[4:-2]


def test_dynamixel_frames_are_the_measured_ones():
    assert dynamixel.write(1, "goal_position", 2048).hex(" ") == "ff ff fd 00 01 09 00 03 74 00 00 08 00 00 42 89"
    assert dynamixel.write(1, "torque_enable", 1).hex(" ") == "ff ff fd 00 01 06 00 03 40 00 01 db 66"
    assert dynamixel.write(1, "bus_watchdog", 5).hex(" ") == "ff ff fd 00 01 06 00 03 62 00 05 68 e4"
    assert dynamixel.sync_write("goal_position", {1: 2048, 2: 1024}).hex(" ") == (
        "ff ff fd 00 fe 11 00 83 74 00 04 00 01 00 08 00 00 02 00 04 00 00 98 4c"
    )


@given(
    channel=st.integers(0, 7),
    points=st.lists(st.tuples(st.integers(0, 4095), st.integers(-300, 300)), min_size=1, max_size=8),
    number=st.integers(0, 63),
)
def test_stimulation_pulses_are_those_of_the_vendors_package(channel, points, number):
    half = [fes.Point(us, half_ma / 2) for us, half_ma in points]
    balanced = [*half, *(fes.Point(p.duration_us, -p.current_ma) for p in half)]
    packet = PacketLowLevelChannelConfig()
    packet.number = number
    packet.execute_stimulation = True
    packet.channel, packet.connector = Channel(channel & 3), Connector(channel >> 2)
    packet.points = [ChannelPoint(p.duration_us, p.current_ma) for p in balanced]
    ours = fes.encode(fes.Packet(fes.CHANNEL_CONFIG, number, fes.pulse(channel, balanced, 150.0)))
    assert ours == Protocol.packet_to_bytes(packet)


@pytest.mark.parametrize(
    ("packet", "command", "data"),
    [
        (PacketLowLevelInit(), fes.LOW_LEVEL_INIT, b"\0"),
        (PacketLowLevelStop(), fes.LOW_LEVEL_STOP, b""),
        (PacketGeneralGetDeviceId(), fes.GET_DEVICE_ID, b""),
    ],
    ids=["init", "stop", "device id"],
)
def test_stimulator_commands_are_those_of_the_vendors_package(packet, command, data):
    for packet.number in (0, 5, 63):
        assert fes.encode(fes.Packet(command, packet.number, data)) == Protocol.packet_to_bytes(packet)


def test_the_vendors_package_understands_the_stimulator_twin():
    twin = Stimulator(joints(fes.DRIVER))
    answer = twin.feed(Protocol.packet_to_bytes(PacketGeneralGetDeviceId()), 0)
    assert Protocol.find_packet_in_buffer(answer) == (0, len(answer) - 1)
    command, _, data = Protocol.extract_packet_data(answer)
    assert (command, PacketGeneralGetDeviceIdAck(data).device_id) == (53, "TWIN000001")
    twin.feed(Protocol.packet_to_bytes(PacketLowLevelInit()), 0)
    packet = PacketLowLevelChannelConfig()
    packet.channel, packet.connector = Channel.BLACK, Connector.GREEN
    packet.points = [ChannelPoint(200, 10.0), ChannelPoint(200, -10.0)]
    _, _, data = Protocol.extract_packet_data(twin.feed(Protocol.packet_to_bytes(packet), 7))
    ack = PacketLowLevelChannelConfigAck(data)
    assert (ack.result, ack.channel, ack.connector) == (0, 2, 1)
    assert twin.pulses == [(7, 6, 10.0, 0.0)]


MANUAL = {  # Robotiq's instruction manuals, "Control over Modbus RTU", and owners' logs of a 2F-85
    "activate": (robotiq.Command(True, False), "09 10 03 E8 00 03 06 01 00 00 00 00 00 72 E1"),
    "reset": (robotiq.Command(False, False), "09 10 03 E8 00 03 06 00 00 00 00 00 00 73 30"),
    "open": (robotiq.Command(True, True, 0, 255, 255), "09 10 03 E8 00 03 06 09 00 00 00 FF FF 72 19"),
    "close": (robotiq.Command(True, True, 255, 255, 255), "09 10 03 E8 00 03 06 09 00 00 FF FF FF 42 29"),
}


@pytest.mark.parametrize("title", MANUAL)
def test_gripper_frames_are_those_of_the_manual(title):
    command, expected = MANUAL[title]
    request = modbus.write(9, robotiq.OUTPUTS, robotiq.encode(command))
    assert request.wire.hex(" ").upper() == expected
    assert request.read(bytes.fromhex("09 10 03 E8 00 03 01 30")) == ()


def test_gripper_answers_of_the_manual_are_understood():
    assert modbus.read(9, 4, 2000, 3).wire.hex(" ").upper() == "09 04 07 D0 00 03 B1 CE"
    moving = modbus.read(9, 3, 2000, 3).read(bytes.fromhex("09 03 06 39 00 00 FF 0E 0A F7 8B"))
    report = robotiq.decode(moving)
    assert (report.activation, report.contact, report.position, report.current) == (3, robotiq.MOVING, 14, 10)
    held = robotiq.decode(modbus.read(9, 3, 2000, 3).read(bytes.fromhex("09 03 06 B9 00 00 FF BD 00 1D 7C")))
    assert (held.contact, held.position, held.fault) == (robotiq.CLOSED_ONTO, 189, 0)
    stop = robotiq.DRIVER.build(robotiq.DRIVER.example).stand((0.0,)).wire
    assert stop.hex(" ").upper() == "09 10 03 E8 00 01 02 01 00 E4 28"


def test_maestro_frames_are_those_of_the_users_guide():
    assert maestro.encode(maestro.SET_TARGET, 0, 6000)[:-1].hex(" ") == "84 00 70 2e"


@pytest.fixture
def dynamixel_client():
    twin = DynamixelBus(joints(dynamixel.DRIVER))
    with on_terminal(twin) as path, contextlib.closing(dynamixel_sdk.PortHandler(path)) as port:
        port.closePort = port.close = lambda: port.ser.close() if port.is_open else None
        assert port.setBaudRate(1_000_000)
        yield twin, port, dynamixel_sdk.PacketHandler(2.0)


def test_the_vendors_client_finds_reads_and_moves_the_dynamixel_twin(dynamixel_client):
    _, port, sdk = dynamixel_client
    found, result = sdk.broadcastPing(port)
    assert (sorted(found), result) == ([1, 2, 3], dynamixel_sdk.COMM_SUCCESS)
    assert sdk.read4ByteTxRx(port, 1, 132)[1:] == (0, 0)
    assert sdk.write1ByteTxRx(port, 1, 64, 1) == (0, 0)
    assert sdk.write4ByteTxRx(port, 1, 116, 2100) == (0, 0)
    wait_for(lambda: sdk.read4ByteTxRx(port, 1, 132) == (2100, 0, 0))
    assert sdk.write4ByteTxRx(port, 1, 116, 5000)[1] == dynamixel_sdk.protocol2_packet_handler.ERRNUM_DATA_LIMIT


def test_the_vendors_client_sees_the_twins_watchdog_trip_and_refuse_goals(dynamixel_client):
    twin, port, sdk = dynamixel_client
    sdk.write1ByteTxRx(port, 1, 64, 1)
    assert sdk.write1ByteTxRx(port, 1, 98, 1) == (0, 0)
    twin.step(10**6, 0.002)  # a long silence
    assert sdk.read1ByteTxRx(port, 1, 98)[0] == 255
    assert sdk.write4ByteTxRx(port, 1, 116, 2100)[1] == dynamixel_sdk.protocol2_packet_handler.ERRNUM_DATA_RANGE
    sdk.write1ByteTxRx(port, 1, 98, 0)
    assert sdk.write4ByteTxRx(port, 1, 116, 2100) == (0, 0)


def test_the_vendors_client_reads_and_moves_the_feetech_twin():
    twin = FeetechBus(joints(feetech.DRIVER))
    with on_terminal(twin) as path:
        port = scservo_sdk.PortHandler(path)
        assert port.setBaudRate(1_000_000)
        sdk = scservo_sdk.PacketHandler(0)
        assert sdk.ping(port, 1) == (777, 0, 0)
        assert sdk.write1ByteTxRx(port, 1, 40, 1) == (0, 0)
        assert sdk.write2ByteTxRx(port, 1, 42, 2100) == (0, 0)
        wait_for(lambda: sdk.read2ByteTxRx(port, 1, 56) == (2100, 0, 0))
        port.closePort()


def test_an_independent_modbus_client_activates_and_closes_the_gripper_twin():
    twin = Gripper(joints(robotiq.DRIVER)[0])
    twin.object_at = 189.0
    with on_terminal(twin) as path:
        client = minimalmodbus.Instrument(path, 9)
        client.serial.baudrate, client.serial.timeout = 115200, 0.5
        client.write_registers(1000, [0x0100, 0, 0])

        def report():
            return robotiq.decode(client.read_registers(2000, 3, functioncode=4))

        wait_for(lambda: report().activation == robotiq.ACTIVE)
        client.write_registers(1000, [0x0900, 255, 0xFFFF])
        wait_for(lambda: report().contact == robotiq.CLOSED_ONTO)
        assert report().position == 189
        with pytest.raises(minimalmodbus.IllegalRequestError):
            client.read_registers(1, 3, functioncode=4)
        client.serial.close()


@settings(max_examples=20)
@given(st.binary(max_size=64))
def test_no_twin_is_upset_by_garbage(data):
    for twin in (
        DynamixelBus(joints(dynamixel.DRIVER)),
        FeetechBus(joints(feetech.DRIVER)),
        Gripper(joints(robotiq.DRIVER)[0]),
        Stimulator(joints(fes.DRIVER)),
    ):
        before = list(twin.positions)
        twin.feed(data, 1)
        twin.step(2, 0.001)
        assert list(twin.positions) == before
