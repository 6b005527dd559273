"""A node/1 device as the guardian sees it: greets, keeps session and sequence, knows what the device last said."""

from __future__ import annotations

import math
import secrets
import select
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bci.errors import BciError, DeviceError
from drivers import base
from drivers.base import Axis, Check, Declaration, Phase, Report
from drivers.devices import node
from drivers.devices.node import Message, Status
from drivers.dialogue.transport import Port

GREET_S = 2.5  # for all of it: whoever opens a device does nothing else meanwhile
RETRY_S = 0.25
N_EXCHANGES = 50  # whose times are measured before power
PERIOD_S = 0.02
PREPARE_S = 3.0
SETTLE_S = 2.0
ANSWER_S = 0.5
WIRE_SHARE = 0.6  # of the port's bytes, at most, in every period
PROOF_S = 0.05  # a device may notice the end of its lease so much late, with the exchange that tells it
HOTTEST_C = 70
SETPOINT_BYTES, STATUS_BYTES = 21, 38  # without axes, framing included
FAULTS = sum(1 << node.FAULT_NAMES.index(name) for name in ("following error", "over-current", "over-temperature",
                                                            "supply voltage"))  # fmt: skip


class NodeHost:
    """One device on one port, as `drivers.base.Host`.

    Parameters
    ----------
    port : Port
        Open.

    Raises
    ------
    DeviceError
        When nothing answers, or what answers does not speak node/1.
    """

    declaration: Declaration = node.DEVICE

    def __init__(self, port: Port) -> None:
        self.port = port
        self.receiver = node.Receiver()
        self.phase: Phase = base.OFF
        self.checks: list[Check] = []
        self.report: Report | None = None
        self.status: Status | None = None
        self.deadline_s = math.inf
        self.rtt_s: deque[float] = deque(maxlen=N_EXCHANGES)
        self.acknowledged = -1
        self._session = 0
        self._seq = 0
        self._n_sent = 0
        self._sent: dict[int, tuple[int, float]] = {}
        self._asked = 0
        self._answered_s = time.monotonic()
        self._lease_s = 0.0
        self._prepared_s = math.inf
        self._is_proven = False
        self._proof_s = math.nan
        self._greet_until_s = time.monotonic() + GREET_S
        port.write(b"\0")
        ack = self._greet()
        self.firmware = ack.firmware
        self.axes: tuple[Axis, ...] = tuple(self._describe(i) for i in range(ack.n_axes))

    @property
    def n_bad(self) -> int:
        """Frames that were not understood."""
        return self.receiver.n_bad

    @property
    def n_good(self) -> int:
        """Frames that were."""
        return self.receiver.n_ok

    def fileno(self) -> int:
        """For `select`."""
        return self.port.fileno()

    def hear(self, now_s: float) -> bool:
        """Read what has arrived; go on with checks and arming."""
        is_new = False
        for packet in self.receiver.feed(self.port.read()):
            status = packet.message
            if isinstance(status, Status) and packet.session == self._session and self._fits(status):
                self._take(status, now_s)
                is_new = True
        if now_s >= self.deadline_s:
            self._refuse("answer", "none in time", "Check cable and power of the device.", now_s)
        return is_new

    def prepare(self, lease_s: float, now_s: float) -> None:
        """Measure exchanges, then judge what the device says of itself."""
        self.phase, self.checks, self._lease_s = base.PREPARING, [], lease_s
        self._prepared_s, self.deadline_s = now_s, now_s + PREPARE_S
        self.rtt_s.clear()
        self.watch(now_s)

    def arm(self, now_s: float) -> None:
        """Ask for power; the first time of a session the device's lease is proved by silence, standing still."""
        self.phase = base.ARMING
        self.deadline_s = now_s + ANSWER_S
        self._proof_s = math.nan
        self._ask_power()

    def drive(self, velocities: Sequence[float], lease_s: float, now_s: float) -> int:
        """Send one set-point."""
        return self._send_setpoint(velocities, lease_s)

    def watch(self, now_s: float) -> None:
        """Ask for a status."""
        self.send(node.Ping())

    def stand(self, now_s: float) -> None:
        """Send one set-point of rest; the device's lease ends with it."""
        if self.phase == base.ON:
            self._send_setpoint([0.0] * len(self.axes), PERIOD_S)

    def stop(self, now_s: float) -> None:
        """Stop at once, latched in the device."""
        self._asked = self.send(node.Estop())

    def disarm(self, now_s: float) -> None:
        """End power."""
        if self.phase != base.STOPPED:
            self.phase = base.OFF
        self.deadline_s = math.inf
        self._asked = self.send(node.Disarm())

    def reset_stop(self, now_s: float) -> None:
        """Release the device's latched stop, with the challenge that it shows."""
        if self.status is not None:
            self.phase = base.OFF  # until it has answered; what is still on its way speaks of before
            self._asked = self.send(node.ResetFault(self.status.challenge))

    def close(self) -> None:
        """Give the port back."""
        self.port.close()

    def send(self, message: Message) -> int:
        """Write one message; return its ticket, the number of messages so far."""
        self._seq = self._seq % 65535 + 1
        self._n_sent += 1
        self._sent[self._seq] = (self._n_sent, time.monotonic())
        if len(self._sent) > 64:
            self._sent.pop(next(iter(self._sent)))
        self.port.write(node.encode(message, self._seq, self._session))
        return self._n_sent

    def _send_setpoint(self, velocities: Sequence[float], lease_s: float) -> int:
        echo_ms = 0 if self.status is None else self.status.tick_ms
        values = tuple(map(node.pack_velocity, velocities, self.axes))
        return self.send(node.Setpoint(max(1, round(1e3 * lease_s)), echo_ms, node.VELOCITY_MODE, values))

    def _ask_power(self) -> None:
        self._asked = self.send(node.Arm(round(1e3 * self._lease_s), node.config_hash(self.axes)))

    def _fits(self, status: Status) -> bool:
        return len(status.positions) == len(self.axes)

    def _take(self, status: Status, now_s: float) -> None:
        self.status = status
        ticket, sent_s = self._sent.pop(status.last_seq, (-1, self._answered_s))
        self._answered_s = sent_s
        faults = status.faults if status.state == node.FAULT else status.faults & FAULTS
        self.report = Report(
            stamp_s=now_s,
            asked_s=sent_s,
            positions=tuple(map(node.unpack_position, status.positions, self.axes)),
            velocities=tuple(map(node.unpack_velocity, status.velocities, self.axes)),
            faults=node.fault_names(faults) or (("unnamed",) if status.state == node.FAULT else ()),
            note=node.STATE_NAMES[min(status.state, node.ESTOP)],
            is_stop_pressed=bool(status.faults & node.STOP_INPUT),
        )
        if ticket > self.acknowledged:
            self.rtt_s.append(now_s - sent_s)
            self.acknowledged = ticket
        if self.acknowledged >= self._asked:  # otherwise it speaks of what was before
            self._judge(status, now_s)

    def _judge(self, status: Status, now_s: float) -> None:
        if status.state == node.ESTOP:
            self.phase = base.STOPPED
            self.deadline_s = math.inf
        elif self.phase == base.STOPPED:
            self.phase = base.OFF
        elif self.phase == base.PREPARING:
            if len(self.rtt_s) < N_EXCHANGES:
                self.watch(now_s)
            else:
                self._conclude(status, now_s)
        elif self.phase == base.ARMING:
            self._go_on_arming(status, now_s)
        elif self.phase == base.ON and status.state in (node.DISARMED, node.FAULT):
            self.phase = base.OFF

    def _conclude(self, status: Status, now_s: float) -> None:
        """Every check of the device's, each with its value; what is refused may still settle for a while."""
        self.checks = device_checks(self, status, self._lease_s)
        if all(check.is_ok for check in self.checks):
            self.phase, self.deadline_s = base.PREPARED, math.inf
        elif now_s - self._prepared_s > SETTLE_S:
            self.phase, self.deadline_s = base.OFF, math.inf
        else:
            self.watch(now_s)

    def _go_on_arming(self, status: Status, now_s: float) -> None:
        """ARM, prove the lease (one set-point of rest, then only pings until the device holds), ARM again."""
        if status.faults & node.CONFIG_DIFFERS:
            self._refuse("configuration", "device and host differ", "Restart the session.", now_s)
        elif status.state == node.ARMED and self._is_proven:
            self.phase = base.ON
            self.deadline_s = math.inf
        elif status.state == node.ARMED and math.isnan(self._proof_s):
            self._proof_s = now_s
            self._asked = self._send_setpoint([0.0] * len(self.axes), self._lease_s)
        elif status.state == node.HOLD:
            silent_s = now_s - self._proof_s
            is_ok = silent_s <= self._lease_s + PROOF_S
            found = f"held {1e3 * silent_s:.0f} ms after the last set-point, while asked for its state"
            self.checks.append(Check("lease of the device", is_ok, found, "" if is_ok else "Update its firmware."))
            self._is_proven = is_ok
            if is_ok:
                self.send(node.Disarm())
                self._ask_power()
            else:
                self.disarm(now_s)

    def _refuse(self, subject: str, found: str, remedy: str, now_s: float) -> None:
        self.checks.append(Check(subject, False, found, remedy))
        self.disarm(now_s)

    def _greet(self) -> node.HelloAck:
        nonce = secrets.randbits(32)
        ack = self._exchange(node.Hello(nonce), node.HelloAck)
        if not isinstance(ack, node.HelloAck) or ack.nonce != nonce:
            raise DeviceError(f"Port {self.port.path} answers a greeting of somebody else.", "Try again.")
        return ack

    def _describe(self, index: int) -> Axis:
        info = self._exchange(node.Describe(index), node.AxisInfo)
        if not isinstance(info, node.AxisInfo) or info.index != index:
            raise DeviceError(f"The device on {self.port.path} does not describe axis {index}.", "Update its firmware.")
        return info.axis

    def _exchange(self, message: Message, kind: type[Message]) -> Message:
        while (begun_s := time.monotonic()) < self._greet_until_s:
            self.send(message)
            retry_s = min(begun_s + RETRY_S, self._greet_until_s)
            while (wait_s := retry_s - time.monotonic()) > 0:
                if not select.select([self.port], [], [], wait_s)[0]:
                    break
                for packet in self.receiver.feed(self.port.read()):
                    if isinstance(packet.message, kind):
                        if kind is node.HelloAck:
                            self._session = packet.session
                        return packet.message
        if kind is not node.HelloAck:
            words = f"The device on {self.port.path} does not describe itself within {GREET_S:g} s."
            raise DeviceError(words, "Check cable and adapter, and its firmware.")
        raise DeviceError(
            f"Nothing on port {self.port.path} speaks node/1.",
            "Check port, power and firmware; `bci devices` asks all.",
        )


def device_checks(host: NodeHost, status: Status, lease_s: float) -> list[Check]:
    """Judge the exchanges and what the device says of itself, still without power."""
    rtt_s = sorted(host.rtt_s)
    p99_s = rtt_s[min(len(rtt_s) - 1, round(0.99 * len(rtt_s)))]
    n_bytes = SETPOINT_BYTES + STATUS_BYTES + 6 * len(host.axes)
    share = n_bytes * 10 / (host.port.baud * PERIOD_S)
    state = node.STATE_NAMES[min(status.state, node.ESTOP)]
    heat = "not measured" if status.temperature_c == node.NOT_MEASURED_C else f"{status.temperature_c} °C"
    supply = f"{status.supply_mv / 1e3:.1f} V" if status.supply_mv else "not measured"
    outside = [
        axis.name
        for axis, position in zip(host.axes, host.report.positions if host.report else (), strict=True)
        if not axis.lower <= position <= axis.upper
    ]
    return [
        _check("firmware", True, f"node/1, version {host.firmware}, {len(host.axes)} axes", ""),
        _check("state of the device", state == "DISARMED", state, "Key r after a stop, key f (twice) after a fault."),
        _check(
            "answers", p99_s < lease_s / 3, f"p99 {1e3 * p99_s:.1f} ms of {len(rtt_s)}, limit {1e3 / 3 * lease_s:.0f}",
            "Use a direct USB port; set the adapter's latency timer to 1 ms.",
        ),
        _check("line", share <= WIRE_SHARE, f"{100 * share:.0f} % of {host.port.baud} baud", "Use a higher baud rate."),
        _check("place", not outside, "inside its bounds" if not outside else "outside: " + ", ".join(outside),
               "Move it inside by hand."),
        _check("heat", status.temperature_c <= HOTTEST_C, heat, "Let it cool down."),
        _check("supply", not status.faults & node.SUPPLY, supply, "Check the supply."),
    ]  # fmt: skip


def _check(subject: str, is_ok: bool, found: str, remedy: str) -> Check:
    return Check(subject, is_ok, found, "" if is_ok else remedy)


@dataclass(frozen=True)
class NodeDriver:
    """Opens node/1 devices; they describe their axes themselves."""

    declaration: Declaration = node.DEVICE
    twin: str = "drivers.twins.node"

    def open(self, section: Mapping[str, Any]) -> NodeHost:
        """Open and greet a device.

        Raises
        ------
        DeviceError
            When the port or the device is not there.
        """
        port = Port(section["port"], section["baud"])
        try:
            return NodeHost(port)
        except BciError:
            port.close()
            raise


DRIVER = NodeDriver()
