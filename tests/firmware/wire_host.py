"""The plainest host of node/1: no guardian, no limits; it can say anything, also what no good host would."""

from __future__ import annotations

import time

from drivers.devices.node import (
    Arm,
    AxisInfo,
    Describe,
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
)
from drivers.dialogue.transport import Port

PATIENCE_S = 30.0
RETRY_S = 0.5
FULL_SPEED = 32767


class WireHost:
    """Greets the device on a port, learns its axes and asks for its status."""

    def __init__(self, path: str) -> None:
        self.port = Port(path, 115200)
        self.receiver = Receiver()
        self.seq = self.session = 0
        self.port.write(b"\0")
        self.ack = self.exchange(Hello(time.monotonic_ns() % 2**32), HelloAck)
        self.axes = tuple(self.exchange(Describe(i), AxisInfo).axis for i in range(self.ack.n_axes))
        self.status = self.ask()

    def send(self, message: Message) -> int:
        self.seq = self.seq % 65535 + 1
        self.port.write(encode(message, self.seq, self.session))
        return self.seq

    def receive(self) -> list[Message]:
        messages = []
        for packet in self.receiver.feed(self.port.read()):
            if isinstance(packet.message, HelloAck):
                self.session = packet.session
            if packet.session == self.session:
                messages.append(packet.message)
                if isinstance(packet.message, Status):
                    self.status = packet.message
        return messages

    def exchange(self, message: Message, kind: type[Message], is_answer=lambda message, seq: True):
        """Say something, again where the answer is lost, and return the answer."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            seq, retry_s = self.send(message), time.monotonic() + RETRY_S
            while time.monotonic() < retry_s:
                for answer in self.receive():
                    if isinstance(answer, kind) and is_answer(answer, seq):
                        return answer
                time.sleep(0.001)
        raise AssertionError(f"no answer to {message}")

    def ask(self, message: Message | None = None) -> Status:
        """The status that acknowledges a message, or a ping."""
        return self.exchange(message or Ping(), Status, lambda status, seq: status.last_seq == seq)

    def arm(self, lease_ms: int) -> int:
        return self.send(Arm(lease_ms, config_hash(self.axes)))

    def reset_stop(self) -> int:
        return self.send(ResetFault(self.status.challenge))

    def drive(self) -> int:
        """One set-point that keeps clear of the workspace's ends: full speed, turning round well inside."""
        values = [0] * len(self.axes)
        for i in range(min(2, len(values))):
            at, was, turn = self.status.positions[i], self.status.velocities[i], 14000 + 3000 * i
            values[i] = -FULL_SPEED if at > turn or (was < 0 and at > -turn) else FULL_SPEED
        return self.send(Setpoint(100, self.status.tick_ms, 0, tuple(values)))

    def close(self) -> None:
        self.port.close()
