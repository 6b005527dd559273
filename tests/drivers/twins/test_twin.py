"""The rules of docs/protocol.md, shown on the device in software with the time in our hands."""

import pytest

from drivers.devices.node import (
    ACTIVE,
    ARMED,
    DISARMED,
    ESTOP,
    HOLD,
    Arm,
    AxisInfo,
    Describe,
    Estop,
    Hello,
    Ping,
    Receiver,
    ResetFault,
    Setpoint,
    config_hash,
    encode,
    fault_names,
)
from drivers.twins.node import AXES, NodeDevice


class Host:
    """Speaks to a device whose clock it holds."""

    def __init__(self):
        self.device = NodeDevice()
        self.now_ms = 1000
        self.seq = 0
        self.receiver = Receiver()
        self.session = 0

    def say(self, message, seq=None, session=None):
        if seq is None:
            self.seq += 1
        wire = encode(message, self.seq if seq is None else seq, self.session if session is None else session)
        packets = self.receiver.feed(self.device.feed(wire, self.now_ms))
        return packets[0] if packets else None

    def greet(self):
        self.session = self.say(Hello(1), session=0).session
        return self

    def armed(self):
        self.greet()
        assert self.say(Arm(100, config_hash(AXES))).message.state == ARMED
        return self

    def move(self, echo_ms=None, ttl_ms=100, values=(8000, 0, 0, 0), **header):
        return self.say(Setpoint(ttl_ms, self.now_ms if echo_ms is None else echo_ms, 0, values), **header)

    def wait(self, ms):
        for _ in range(ms):
            self.now_ms += 1
            self.device.step(self.now_ms, 0.001)


def test_before_a_greeting_only_hello_and_stop_are_taken():
    host = Host()
    assert host.say(Ping()) is None
    assert host.say(Arm(100, config_hash(AXES))) is None
    assert host.say(Hello(5), session=0).message.nonce == 5


def test_every_axis_is_described():
    host = Host().greet()
    assert [host.say(Describe(i)).message for i in range(4)] == [AxisInfo(i, axis) for i, axis in enumerate(AXES)]
    assert host.say(Describe(4)) is None


def test_a_set_point_moves_until_its_lease_ends_then_holds_then_disarms():
    host = Host().armed()
    assert host.move().message.state == ACTIVE
    host.wait(99)
    assert host.device.is_moving
    host.wait(60)
    assert host.device.state == HOLD
    assert not host.device.is_moving
    host.wait(1000)
    assert host.device.state == DISARMED
    assert "lease ran out" in fault_names(host.device.faults)


def test_no_lease_is_longer_than_200_ms():
    host = Host().armed()
    host.move(ttl_ms=60_000)
    host.wait(201)
    assert host.device.state == HOLD


def test_polling_never_extends_the_lease():
    host = Host().armed()
    host.move()
    for _ in range(30):
        host.wait(10)
        host.say(Ping())
    assert host.device.state == HOLD


@pytest.mark.parametrize("age_ms", [121, 600, -1])
def test_a_set_point_that_waited_in_a_buffer_is_dropped(age_ms):
    host = Host().armed()
    status = host.move(echo_ms=host.now_ms - age_ms).message
    assert status.state == ARMED
    assert "late set-point" in fault_names(status.faults)


def test_an_echo_of_120_ms_is_still_good():
    host = Host().armed()
    assert host.move(echo_ms=host.now_ms - 120).message.state == ACTIVE


def test_repeated_and_reordered_frames_are_dropped_and_counted():
    host = Host().armed()
    host.move(seq=10)
    bad = host.say(Ping(), seq=11).message.n_bad
    assert host.move(seq=10) is None
    assert host.move(seq=11) is None
    assert host.say(Ping(), seq=12).message.n_bad == bad + 2


def test_frames_of_an_old_session_cannot_move_a_device_that_was_greeted_again():
    host = Host().armed()
    old = host.session
    host.greet()
    assert host.say(Arm(100, config_hash(AXES)), session=old) is None
    assert host.device.state == DISARMED


def test_a_stop_is_taken_from_anyone_and_left_only_with_the_challenge():
    host = Host().armed()
    host.move()
    status = host.say(Estop(), seq=0, session=12345).message
    assert status.state == ESTOP
    host.wait(100)
    assert not host.device.is_moving
    host.greet()
    assert host.say(Arm(100, config_hash(AXES))).message.state == ESTOP
    assert host.say(ResetFault(status.challenge ^ 1)).message.state == ESTOP
    assert host.say(ResetFault(status.challenge)).message.state == DISARMED


def test_another_configuration_is_not_armed():
    host = Host().greet()
    status = host.say(Arm(100, config_hash(AXES) ^ 1)).message
    assert status.state == DISARMED
    assert "configuration differs" in fault_names(status.faults)


def test_a_set_point_outside_the_range_is_clamped_and_told():
    host = Host().armed()
    status = host.move(values=(-32768, 0, 0, 0)).message
    assert "set-point out of range" in fault_names(status.faults)


def test_a_set_point_for_another_number_of_axes_is_dropped():
    host = Host().armed()
    assert host.move(values=(1000, 0, 0)).message.state == ARMED


def test_positions_never_leave_the_workspace():
    host = Host().armed()
    for _ in range(200):
        host.move(values=(32767, -32767, 32767, 32767))
        host.wait(20)
    assert host.device.positions == pytest.approx([0.4, 0.0, 0.4, 1.0])
