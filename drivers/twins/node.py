"""A software twin of a four-axis node device: arm (x, y, z) and hand, with dynamics, on a pseudo-terminal.

`NodeDevice` is the device: fed with bytes and time, it answers bytes and moves. `drivers.twins.terminal` gives it a
pseudo-terminal, real time, and a trace of its true positions.
"""

from __future__ import annotations

import secrets

from drivers.base import Axis
from drivers.devices.node import (
    ACTIVE,
    ARMED,
    DISARMED,
    ECHO_MAX_MS,
    ESTOP,
    FULL_SCALE,
    HOLD,
    LEASE_MAX_MS,
    VELOCITY_MODE,
    Arm,
    AxisInfo,
    Describe,
    Disarm,
    Estop,
    Hello,
    HelloAck,
    Message,
    Packet,
    Ping,
    Receiver,
    ResetFault,
    Setpoint,
    Status,
    config_hash,
    encode,
    is_newer,
    pack_position,
    pack_velocity,
    unpack_velocity,
)
from drivers.twins.terminal import run

AXES = (
    Axis("x", "m", 0.0, 0.4, 0.4, 12.0),
    Axis("y", "m", 0.0, 0.4, 0.4, 12.0),
    Axis("z", "m", 0.0, 0.4, 0.4, 12.0),
    Axis("hand", "1", 0.0, 1.0, 2.0, 60.0),
)
START = (0.2, 0.2, 0.2, 0.0)
FIRMWARE = 1
HOLD_TO_DISARMED_MS = 1000
OUT_OF_RANGE, LEASE_OUT, LATE, CONFIG_DIFFERS = 1 << 0, 1 << 1, 1 << 2, 1 << 8


class NodeDevice:
    """The device's own state machine, lease and motion; the rules are those of docs/protocol.md.

    Parameters
    ----------
    axes : tuple of Axis
        What it moves.
    positions : tuple of float
        Where it stands at power-on.
    """

    def __init__(self, axes: tuple[Axis, ...] = AXES, positions: tuple[float, ...] = START) -> None:
        self.axes = axes
        self.positions = list(positions)
        self.velocities = [0.0] * len(axes)
        self.is_held = False
        self.state = DISARMED
        self.faults = 0
        self.session = 0
        self._receiver = Receiver()
        self._n_refused = 0
        self._n_foreign = 0
        self._seq = 0
        self._last_seq = 0
        self._goal = [0.0] * len(axes)
        self._lease_ms = LEASE_MAX_MS
        self._lease_until_ms = 0
        self._hold_since_ms = 0
        self._challenge = 0
        self._config_hash = config_hash(axes)

    @property
    def is_moving(self) -> bool:
        """Whether any axis has speed."""
        return any(velocity != 0.0 for velocity in self.velocities)

    @property
    def powers(self) -> list[bool]:
        """Whether its axes have power."""
        return [self.state in (ARMED, ACTIVE, HOLD)] * len(self.axes)

    def hold(self, is_held: bool) -> None:
        """A hand on every axis, or none."""
        self.is_held = is_held

    def push(self, share: float) -> None:
        """Its gears lock themselves: it holds without power."""

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers."""
        return b"".join(self._answer(packet, now_ms) for packet in self._receiver.feed(data))

    def step(self, now_ms: int, dt_s: float) -> None:
        """Evaluate the lease, then move for `dt_s`."""
        if self.state == ACTIVE and now_ms >= self._lease_until_ms:
            self.faults |= LEASE_OUT
            self._enter(HOLD)
            self._hold_since_ms = now_ms
        if self.state == HOLD and now_ms - self._hold_since_ms >= HOLD_TO_DISARMED_MS:
            self._enter(DISARMED)
        for i, axis in enumerate(self.axes):
            goal = self._goal[i] if self.state == ACTIVE else 0.0
            change = goal - self.velocities[i]
            most = axis.max_acceleration * dt_s
            self.velocities[i] += max(-most, min(most, change))
            if self.is_held:
                self.velocities[i] = 0.0
            self.positions[i] += self.velocities[i] * dt_s
            if not axis.lower <= self.positions[i] <= axis.upper:
                self.positions[i] = max(axis.lower, min(axis.upper, self.positions[i]))
                self.velocities[i] = 0.0

    def _enter(self, state: int) -> None:
        self.state = state
        self._goal = [0.0] * len(self.axes)

    def _answer(self, packet: Packet, now_ms: int) -> bytes:
        message = packet.message
        if isinstance(message, HelloAck | AxisInfo | Status):
            self._n_foreign += 1  # only a device says that: to a device it is a wrong type
            return b""
        if isinstance(message, Hello):
            return self._greet(message, now_ms)
        if isinstance(message, Estop):
            if self.state != ESTOP:
                self._enter(ESTOP)
                self._challenge = secrets.randbits(32) | 1
            return self._say(self._status(now_ms))
        if self.session == 0 or packet.session != self.session or not is_newer(packet.seq, self._last_seq):
            self._n_refused += 1
            return b""
        self._last_seq = packet.seq
        if isinstance(message, Describe):
            if message.axis >= len(self.axes):
                self._n_refused += 1
                return b""
            return self._say(AxisInfo(message.axis, self.axes[message.axis]))
        self._obey(message, now_ms)
        return self._say(self._status(now_ms))

    def _greet(self, message: Hello, now_ms: int) -> bytes:
        """Begin a new session: whoever moved the device before has lost it."""
        if self.state != ESTOP:
            self._enter(DISARMED)
        self.session = secrets.randbits(32) | 1
        self._last_seq = 0
        self.faults = 0
        return self._say(HelloAck(message.nonce, FIRMWARE, len(self.axes), LEASE_MAX_MS, 0, 0, now_ms))

    def _obey(self, message: Message, now_ms: int) -> None:
        if isinstance(message, Setpoint):
            self._follow(message, now_ms)
        elif isinstance(message, Arm) and self.state == DISARMED:
            if message.config_hash == self._config_hash:
                self.faults = 0
                self._lease_ms = min(message.lease_ms, LEASE_MAX_MS)
                self._enter(ARMED)
            else:
                self.faults |= CONFIG_DIFFERS
        elif isinstance(message, Disarm) and self.state != ESTOP:
            self._enter(DISARMED)
        elif isinstance(message, ResetFault) and self.state == ESTOP and message.challenge == self._challenge:
            self._challenge = self.faults = 0
            self._enter(DISARMED)
        elif not isinstance(message, Ping):
            self._n_refused += 1

    def _follow(self, message: Setpoint, now_ms: int) -> None:
        is_late = not 0 <= now_ms - message.echo_ms <= ECHO_MAX_MS
        if is_late:
            self.faults |= LATE
        is_fitting = message.mode == VELOCITY_MODE and len(message.values) == len(self.axes)
        if is_late or not is_fitting or self.state not in (ARMED, ACTIVE, HOLD):
            self._n_refused += 1
            return
        self.state = ACTIVE
        self._lease_until_ms = now_ms + min(message.ttl_ms, self._lease_ms)
        for i, (raw, axis) in enumerate(zip(message.values, self.axes, strict=True)):
            if not -FULL_SCALE <= raw <= FULL_SCALE:
                self.faults |= OUT_OF_RANGE
                raw = -FULL_SCALE
            self._goal[i] = unpack_velocity(raw, axis)

    def _status(self, now_ms: int) -> Status:
        return Status(
            state=self.state,
            faults=self.faults,
            tick_ms=now_ms,
            last_seq=self._last_seq,
            n_ok=self._receiver.n_ok - self._n_foreign,
            n_bad=self._receiver.n_bad + self._n_refused + self._n_foreign,
            challenge=self._challenge,
            supply_mv=12_000,
            temperature_c=25,
            positions=tuple(map(pack_position, self.positions, self.axes)),
            velocities=tuple(map(pack_velocity, self.velocities, self.axes)),
        )

    def _say(self, message: Message) -> bytes:
        self._seq = (self._seq + 1) % 65536
        return encode(message, self._seq, self.session)


if __name__ == "__main__":
    run(lambda section: NodeDevice(), __doc__ or "")
