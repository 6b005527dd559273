"""Which serial ports there are, and what answers on them. Greets only: nothing is armed, nothing moves.

What is harmless to one device may move another: the first bytes of a servo's packet, FF FF, are a command of the
"Mini SSC" protocol to a Maestro, and any error sends its servos home. So what the system says of a port (its USB
vendor and product) decides who is asked there, and a Maestro is asked nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serial.tools.list_ports import comports

from bci.errors import DeviceError
from drivers.devices import dynamixel, feetech, fes, robotiq
from drivers.devices.node import DEVICE
from drivers.devices.node_host import NodeHost
from drivers.dialogue.exchange import converse
from drivers.dialogue.steps import Dialogue
from drivers.dialogue.transport import Port

POLOLU = 0x1FFB
STM32_SERIAL = (0x0483, 0x5740)  # ScienceMode 4 stimulators, and much else
BUSES: tuple[tuple[int, Callable[[], Dialogue[str]]], ...] = (
    (115_200, robotiq.scan),
    (1_000_000, feetech.scan),
    (1_000_000, dynamixel.scan),
    (57_600, dynamixel.scan),
)


@dataclass(frozen=True)
class Answer:
    """One port, what the system calls it, and what answered."""

    port: str
    description: str
    answer: str


def probe_ports() -> list[Answer]:
    """Greet every serial port of this machine."""
    ports = sorted(comports())
    return [Answer(port.device, port.description or "", probe(port.device, port.vid, port.pid)) for port in ports]


def probe(path: str, vendor: int | None = None, product: int | None = None) -> str:
    """Greet one port; say in words what answered."""
    if vendor == POLOLU:
        return "a Pololu board; not asked, because a question could move its servos"
    try:
        with Port(path, DEVICE.baud):
            pass
    except DeviceError as error:
        return error.problem
    asked = [_greet_node]
    if (vendor, product) == STM32_SERIAL:
        asked.append(lambda path: _greet(path, 3_000_000, fes.scan))
    asked += [lambda path, baud=baud, scan=scan: _greet(path, baud, scan) for baud, scan in BUSES]  # type: ignore[misc]
    problem = ""
    for ask in asked:
        try:
            return ask(path)
        except DeviceError as error:
            problem = problem or error.problem
    return problem


def _greet_node(path: str) -> str:
    with Port(path, DEVICE.baud) as port:
        host = NodeHost(port)
        axes = ", ".join(f"{axis.name} [{axis.unit}]" for axis in host.axes)
        return f"node/1, firmware {host.firmware}, axes {axes}"


def _greet(path: str, baud: int, scan: Callable[[], Dialogue[str]]) -> str:
    with Port(path, baud) as port:
        return f"{converse(port, baud, scan())}, {baud} baud"
