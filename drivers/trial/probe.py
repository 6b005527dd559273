"""Which serial ports there are, and what answers on them. Greets only: nothing is armed, nothing moves.

What is harmless to one device may move another: the first bytes of a servo's packet, FF FF, are a command of the
"Mini SSC" protocol to a Maestro, and any error sends its servos home. So what the system says of a port (its USB
vendor and product) decides who is asked there, and a Maestro is asked nothing at all. A port that another process
has open is not even opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serial.tools.list_ports import comports

from bci.errors import DeviceError
from drivers.devices import dynamixel, feetech, fes, robotiq
from drivers.devices.node import DEVICE
from drivers.devices.node_host import NodeHost
from drivers.dialogue.exchange import EchoError, converse
from drivers.dialogue.steps import Dialogue
from drivers.dialogue.transport import Port

POLOLU = 0x1FFB
STM32_SERIAL = (0x0483, 0x5740)  # ScienceMode 4 stimulators, and much else
OURS = {  # USB vendors whose boards are made for what is asked here
    0x2341: "Arduino", 0x2A03: "Arduino", 0x2F5D: "ROBOTIS",
}  # fmt: skip
BUSES: tuple[tuple[int, Callable[[], Dialogue[str]]], ...] = (
    (115_200, robotiq.scan),
    (1_000_000, feetech.scan),
    (1_000_000, dynamixel.scan),
    (57_600, dynamixel.scan),
)
NOT_ASKED = "not asked: bytes may move a device that is not known"


@dataclass(frozen=True)
class Found:
    """A serial port of this machine, as the system knows it; nothing was said on it.

    Attributes
    ----------
    port : str
        Its name that stays, from /dev/serial/by-id, where there is one.
    description : str
        What the system calls it.
    vendor, product : int or None
        Of its USB adapter.
    """

    port: str
    description: str
    vendor: int | None
    product: int | None

    @property
    def is_known(self) -> bool:
        """Whether its USB vendor says that a question can do no harm, or that none will be asked."""
        return self.vendor == POLOLU or self.vendor in OURS


def find_ports() -> list[Found]:
    """Every serial port of this machine."""
    return [Found(lasting_name(p.device), p.description or "", p.vid, p.pid) for p in sorted(comports())]


def lasting_name(path: str, folder: Path = Path("/dev/serial/by-id")) -> str:
    """The name that a port keeps when it is plugged in again; the one given where there is none."""
    real = os.path.realpath(path)
    names = sorted(str(name) for name in folder.glob("*") if os.path.realpath(name) == real) if folder.is_dir() else []
    return names[0] if names else path


def probe(path: str, vendor: int | None = None, product: int | None = None) -> str:
    """Greet one port that nobody uses; say in words what answered."""
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
    problem = echo = ""
    for ask in asked:
        try:
            return ask(path)
        except EchoError as error:
            echo = error.problem
        except DeviceError as error:
            problem = problem or error.problem
    return echo or problem


def _greet_node(path: str) -> str:
    with Port(path, DEVICE.baud) as port:
        host = NodeHost(port)
        axes = ", ".join(f"{axis.name} [{axis.unit}]" for axis in host.axes)
        return f"node/1, firmware {host.firmware}, axes {axes}"


def _greet(path: str, baud: int, scan: Callable[[], Dialogue[str]]) -> str:
    with Port(path, baud) as port:
        return f"{converse(port, baud, scan())}, {baud} baud"
