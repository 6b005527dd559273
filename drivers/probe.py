"""Which serial ports there are, and what answers on them. Greets only: nothing is armed, nothing moves."""

from __future__ import annotations

from dataclasses import dataclass

from serial.tools.list_ports import comports

from bci.errors import DeviceError
from drivers.host import NodeHost
from drivers.node import DEVICE
from drivers.transport import Port


@dataclass(frozen=True)
class Answer:
    """One port, what the system calls it, and what answered."""

    port: str
    description: str
    answer: str


def probe_ports() -> list[Answer]:
    """Greet every serial port of this machine."""
    return [Answer(port.device, port.description or "", probe(port.device)) for port in sorted(comports())]


def probe(path: str) -> str:
    """Greet one port; say in words what answered."""
    try:
        with Port(path, DEVICE.baud) as port:
            host = NodeHost(port)
    except DeviceError as error:
        return error.problem
    axes = ", ".join(f"{axis.name} [{axis.unit}]" for axis in host.axes)
    return f"node/1, firmware {host.firmware}, axes {axes}"
