"""The host's side of node/1: greets a device, keeps session and sequence, and knows what the device last said."""

from __future__ import annotations

import math
import secrets
import select
import time
from collections import deque
from collections.abc import Sequence

from bci.errors import DeviceError
from drivers.base import Axis
from drivers.node import (
    Arm,
    AxisInfo,
    Describe,
    Disarm,
    Estop,
    Hello,
    HelloAck,
    Message,
    Ping,
    Receiver,
    ResetFault,
    Setpoint,
    Status,
    config_hash,
    encode,
    pack_velocity,
    unpack_position,
    unpack_velocity,
)
from drivers.transport import Port

GREET_S = 2.0
RETRY_S = 0.25
TTL_MS = 100


class NodeHost:
    """One device on one port.

    Parameters
    ----------
    port : Port
        Open.

    Raises
    ------
    DeviceError
        When nothing answers, or what answers does not speak node/1.
    """

    def __init__(self, port: Port) -> None:
        self.port = port
        self.receiver = Receiver()
        self.status: Status | None = None
        self.status_s = -math.inf
        self.rtt_s: deque[float] = deque(maxlen=50)
        self.acknowledged_seq = -1
        self._session = 0
        self._seq = 0
        self._sent_s: dict[int, float] = {}
        port.write(b"\0")
        ack = self._greet()
        self.firmware = ack.firmware
        self.lease_max_ms = ack.lease_max_ms
        self.axes: tuple[Axis, ...] = tuple(self._describe(i) for i in range(ack.n_axes))

    def send(self, message: Message) -> int:
        """Write one message; return its sequence number."""
        self._seq = self._seq % 65535 + 1
        self._sent_s[self._seq] = time.monotonic()
        if len(self._sent_s) > 64:
            self._sent_s.pop(next(iter(self._sent_s)))
        self.port.write(encode(message, self._seq, self._session))
        return self._seq

    def receive(self) -> list[Status]:
        """Read what has arrived; statuses of this session come back in order, and the newest is kept."""
        now_s = time.monotonic()
        statuses = []
        for packet in self.receiver.feed(self.port.read()):
            message = packet.message
            if not isinstance(message, Status) or packet.session != self._session:
                continue
            statuses.append(message)
            self.status, self.status_s = message, now_s
            sent_s = self._sent_s.pop(message.last_seq, None)
            if sent_s is not None:
                self.rtt_s.append(now_s - sent_s)
                self.acknowledged_seq = message.last_seq
        return statuses

    def arm(self, lease_ms: int) -> None:
        """Ask for power."""
        self.send(Arm(lease_ms, config_hash(self.axes)))

    def disarm(self) -> None:
        """End power."""
        self.send(Disarm())

    def ping(self) -> None:
        """Ask for a status."""
        self.send(Ping())

    def estop(self) -> None:
        """Stop at once, latched."""
        self.send(Estop())

    def reset_stop(self) -> None:
        """Release the device's latched stop."""
        if self.status is not None:
            self.send(ResetFault(self.status.challenge))

    def move(self, velocities: Sequence[float]) -> int:
        """Send one set-point in units per second; return its sequence number."""
        echo_ms = 0 if self.status is None else self.status.tick_ms
        values = tuple(map(pack_velocity, velocities, self.axes))
        return self.send(Setpoint(TTL_MS, echo_ms, 0, values))

    def positions(self) -> tuple[float, ...]:
        """Last reported positions, units; empty before the first status."""
        return () if self.status is None else tuple(map(unpack_position, self.status.positions, self.axes))

    def velocities(self) -> tuple[float, ...]:
        """Last reported velocities, units per second."""
        return () if self.status is None else tuple(map(unpack_velocity, self.status.velocities, self.axes))

    def _greet(self) -> HelloAck:
        nonce = secrets.randbits(32)
        ack = self._exchange(Hello(nonce), HelloAck)
        if not isinstance(ack, HelloAck) or ack.nonce != nonce:
            raise DeviceError(f"Port {self.port.path} answers a greeting of somebody else.", "Try again.")
        return ack

    def _describe(self, index: int) -> Axis:
        info = self._exchange(Describe(index), AxisInfo)
        if not isinstance(info, AxisInfo) or info.index != index:
            raise DeviceError(f"The device on {self.port.path} does not describe axis {index}.", "Update its firmware.")
        return info.axis

    def _exchange(self, message: Message, kind: type[Message]) -> Message:
        deadline_s = time.monotonic() + GREET_S
        while time.monotonic() < deadline_s:
            self.send(message)
            retry_s = time.monotonic() + RETRY_S
            while (wait_s := retry_s - time.monotonic()) > 0:
                if not select.select([self.port], [], [], wait_s)[0]:
                    break
                for packet in self.receiver.feed(self.port.read()):
                    if isinstance(packet.message, kind):
                        if kind is HelloAck:
                            self._session = packet.session
                        return packet.message
        raise DeviceError(
            f"Nothing on port {self.port.path} speaks node/1.",
            "Check port, power and firmware; `bci devices` asks all.",
        )
