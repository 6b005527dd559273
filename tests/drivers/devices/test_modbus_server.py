"""The gripper's driver against a Modbus server that we did not write, whose registers behave as a gripper's do."""

import asyncio
import os
import pty
import select
import threading
import tty
from contextlib import contextmanager

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bci.errors import DeviceError
from drivers.devices import modbus, robotiq
from drivers.dialogue.exchange import converse
from drivers.dialogue.transport import Port


class GripperRegisters:
    """Inputs follow outputs at once, as the manual's register tables say; an object stops the fingers at 189."""

    def __init__(self):
        self.outputs, self.inputs, self.writes = [0, 0, 0], [0, 0, 0], []

    async def access(self, function, first, address, count, registers, values):
        if values is not None:
            self.writes.append(list(values))
            self.outputs[address - 1000 : address - 1000 + len(values)] = values
            self.follow()
        registers[1000 - first : 1003 - first] = self.outputs
        registers[2000 - first : 2003 - first] = self.inputs

    def follow(self):
        action, goal = self.outputs[0] >> 8, self.outputs[1] & 0xFF
        is_active, is_going = action & 1, action >> 3 & 1
        position = min(goal, 189) if is_active and is_going else self.inputs[2] >> 8
        contact = robotiq.CLOSED_ONTO if is_going and goal > 189 else robotiq.ARRIVED
        status = is_active | is_going << 3 | 3 * is_active << 4 | contact << 6
        self.inputs[:] = status << 8, goal, position << 8 | 7


@contextmanager
def bridged():
    """Two ports, what is written to one being read from the other."""
    masters, paths = [], []
    for _ in range(2):
        master, slave = pty.openpty()
        tty.setraw(slave)
        masters.append(master)
        paths.append(os.ttyname(slave))
        os.close(slave)
        os.set_blocking(master, False)
    is_over = threading.Event()

    def carry():
        while not is_over.is_set():
            for ready in select.select(masters, [], [], 0.05)[0]:
                try:
                    os.write(masters[1 - masters.index(ready)], os.read(ready, 4096))
                except OSError:  # nobody has opened that end yet, or any more
                    is_over.wait(0.01)

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield paths
    finally:
        is_over.set()
        thread.join()
        for master in masters:
            os.close(master)


@pytest.fixture
def gripper():
    """The path of a port, and the registers behind it, served as unit 9."""
    registers = GripperRegisters()
    with bridged() as (ours, theirs):
        loop, started = asyncio.new_event_loop(), threading.Event()

        async def serve():
            blocks = [SimData(start, values=[0, 0, 0], datatype=DataType.REGISTERS) for start in (1000, 2000)]
            device = SimDevice(9, simdata=blocks, action=registers.access)
            server = ModbusSerialServer(device, framer=FramerType.RTU, port=theirs, baudrate=115200)
            await server.serve_forever(background=True)
            started.set()
            await stopping.wait()
            await server.shutdown()

        stopping = asyncio.Event()
        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        assert started.wait(10)
        try:
            yield ours, registers
        finally:
            loop.call_soon_threadsafe(stopping.set)
            thread.join()
            loop.close()


def driver():
    return robotiq.DRIVER.build(robotiq.DRIVER.example)


def asked(request):
    return (yield request)


def test_it_activates_closes_onto_an_object_and_stops_with_the_grip_kept(gripper):
    path, registers = gripper
    spoken = driver()
    with Port(path, 115200) as port:
        assert "reset" in converse(port, 115200, spoken.greet())
        converse(port, 115200, spoken.arm(0.1, []))
        assert registers.writes[:2] == [[0, 0, 0], [0x0100, 0, 0]]
        feedback = converse(port, 115200, spoken.drive((1.0,)))
        assert feedback.note == "object held"
        assert registers.outputs[1] == 255
        held = registers.inputs[2] >> 8
        assert held == 189
        converse(port, 115200, asked(spoken.stand((1.0,))))
        assert registers.outputs[0] == 0x0100
        assert registers.inputs[2] >> 8 == held


def test_a_server_without_a_grippers_registers_is_refused_by_its_own_words(gripper):
    path, _ = gripper
    with Port(path, 115200) as port:
        answer = converse(port, 115200, asked(modbus.read(9, modbus.READ_INPUT, 3000, 3)))
        assert isinstance(answer, modbus.Refusal)
        assert modbus.EXCEPTIONS[answer[1]] == "address"


def test_a_server_for_another_unit_is_no_gripper_of_ours(gripper):
    path, _ = gripper
    spoken = robotiq.DRIVER.build(robotiq.DRIVER.example | {"axes": tuple(
        axis | {"address": 8} for axis in robotiq.DRIVER.example["axes"])})  # fmt: skip
    with Port(path, 115200) as port, pytest.raises(DeviceError, match="refuses: failure"):
        converse(port, 115200, spoken.greet())
