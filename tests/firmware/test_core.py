"""The core in C against the software twin, message by message; and what only the core does: relay, latch, faults."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_core import library

from drivers.devices.node import (
    ACTIVE,
    ARMED,
    DISARMED,
    ESTOP,
    FAULT,
    HOLD,
    Arm,
    Describe,
    Disarm,
    Estop,
    Hello,
    Ping,
    Receiver,
    ResetFault,
    Setpoint,
    Status,
    config_hash,
    encode,
    fault_names,
)
from drivers.twins.node import AXES, NodeDevice

pytestmark = pytest.mark.usefixtures("core")
HASH = config_hash(AXES)
OVER_CURRENT = 1 << 4


class Host:
    """Speaks to one device whose clock it holds."""

    def __init__(self, device):
        self.device = device
        self.now_ms = 1000
        self.seq = 0
        self.session = self.challenge = 0
        self.receiver = Receiver()
        device.step(self.now_ms, 0.001)

    def say(self, message, ahead=1, session=None):
        self.seq = (self.seq + ahead) % 65536
        return self.send(encode(message, self.seq, self.session if session is None else session))

    def send(self, wire):
        answer = self.device.feed(wire, self.now_ms)
        packets = self.receiver.feed(answer)
        for packet in packets:
            assert encode(packet.message, packet.seq, packet.session) in answer  # Python writes what the device wrote
            self.session = packet.session
            if isinstance(packet.message, Status):
                self.challenge = packet.message.challenge
        return packets

    def wait(self, ms):
        for _ in range(ms):
            self.now_ms += 1
            self.device.step(self.now_ms, 0.001)

    def armed(self):
        self.say(Hello(1), session=0)
        self.seq = 0
        assert self.say(Arm(100, HASH))[0].message.state == ARMED
        return self

    def move(self, values=(8000, 0, 0, 0), ttl_ms=100, age_ms=0):
        return self.say(Setpoint(ttl_ms, self.now_ms - age_ms, 0, values))[0].message

    def status(self):
        return self.say(Ping())[0].message


raw = st.one_of(st.sampled_from([-32768, -32767, 0, 32767]), st.integers(-32768, 32767))
actions = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 130)),
    st.tuples(st.just("wait"), st.just(1001)),
    st.tuples(st.just("hello"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("arm"), st.sampled_from([0, 50, 100, 200, 60_000]), st.booleans()),
    st.tuples(st.just("move"), st.integers(0, 300), st.integers(-1, 125), st.tuples(raw, raw, raw, raw)),
    st.tuples(st.just("move"), st.just(200), st.just(0), st.tuples(raw, raw, raw, raw)),
    st.tuples(st.just("misfit"), st.integers(1, 6), st.integers(0, 2)),
    st.tuples(st.just("say"), st.sampled_from([Disarm(), Ping(), Estop(), Describe(0), Describe(3), Describe(4)])),
    st.tuples(st.just("reset"), st.booleans()),
    st.tuples(st.just("stale"), st.sampled_from([0, -1, 32768, 40000])),
    st.tuples(st.just("stranger"), st.just(0)),
    st.tuples(st.just("foreign"), st.just(0)),
    st.tuples(st.just("noise"), st.binary(max_size=90)),
)


def act(host, action):
    what, *given = action
    if what == "wait":
        host.wait(given[0])
    elif what == "hello":
        packets = host.say(Hello(given[0]), session=0)
        host.seq = 0
        return packets
    elif what == "arm":
        return host.say(Arm(given[0], HASH if given[1] else HASH ^ 1))
    elif what == "move":
        return host.say(Setpoint(given[0], (host.now_ms - given[1]) % 2**32, 0, given[2]))
    elif what == "misfit":
        return host.say(Setpoint(100, host.now_ms, given[1], (5,) * given[0]))
    elif what == "say":
        return host.say(given[0])
    elif what == "reset":
        return host.say(ResetFault(host.challenge if given[0] else host.challenge ^ 2))
    elif what == "stale":
        seq = host.seq
        packets = host.say(Ping(), ahead=given[0])
        host.seq = seq
        return packets
    elif what == "stranger":
        return host.say(Arm(100, HASH), session=host.session ^ 1)
    elif what == "foreign":
        return host.say(Status(2, 0, 0, 0, 0, 0, 0, 0, 0, (0,), (0,)))
    elif what == "noise":
        return host.send(b"\0" + given[0] + b"\0")
    return []


def without_chance(packet):
    """All of an answer but what each device draws by lot, measures itself or rounds."""
    message = packet.message
    if isinstance(message, Status):
        message = dataclasses.replace(message, challenge=message.challenge > 0, supply_mv=0, temperature_c=0,
                                      positions=(), velocities=())  # fmt: skip
    elif hasattr(message, "watchdog_ms"):
        message = dataclasses.replace(message, watchdog_ms=0)
    return message, packet.seq


@settings(max_examples=150)
@given(st.lists(actions, max_size=40))
def test_the_core_in_c_behaves_as_the_twin_does(script):
    twin, core = Host(NodeDevice()), Host(library().device())
    for action in [("hello", 7), ("arm", 200, True), *script]:
        of_twin, of_core = act(twin, action), act(core, action)
        if action[0] == "noise":
            of_twin, of_core = of_twin or [], of_core or []
        assert [without_chance(p) for p in of_twin or []] == [without_chance(p) for p in of_core or []], action
        assert (twin.session == 0) == (core.session == 0)
        for a, b in zip(of_twin or [], of_core or [], strict=True):
            if isinstance(a.message, Status):
                assert b.message.positions == pytest.approx(a.message.positions, abs=3)
                assert b.message.velocities == pytest.approx(a.message.velocities, abs=2)
        state = core.device.state
        assert (state, core.device.faults) == (twin.device.state, twin.device.faults)
        assert core.device.is_powered == (state in (ARMED, ACTIVE, HOLD))
        assert core.device.is_moving == (core.device.is_powered and twin.device.is_moving)
        assert core.device.is_latched == (state == ESTOP)


def test_the_lease_that_was_armed_with_is_the_longest():
    for device in (NodeDevice(), library().device()):
        host = Host(device).armed()
        host.move(ttl_ms=200)
        host.wait(99)
        assert device.state == ACTIVE
        host.wait(1)
        assert device.state == HOLD


def test_the_clock_may_wrap():
    device = library().device()
    host = Host(device)
    host.now_ms = 2**32 - 150
    device.step(host.now_ms)
    host.armed()
    host.move()
    host.wait(99)
    host.move((8000, 0, 0, 0))
    host.wait(45)
    host.now_ms = 0
    device.step(0)
    assert device.state == ACTIVE
    host.wait(100)
    assert device.state == HOLD


def test_the_stop_button_stops_latches_and_must_be_released_before_the_reset():
    device = library().device()
    host = Host(device).armed()
    host.move()
    host.wait(50)
    device.see(is_stop_open=True)
    host.wait(1)
    assert (device.state, device.is_powered, device.is_moving, device.is_latched) == (ESTOP, 0, 0, 1)
    assert "stop input" in fault_names(host.status().faults)
    assert host.say(ResetFault(host.challenge))[0].message.state == ESTOP
    host.say(Hello(2), session=0)
    host.seq = 0
    assert "stop input" in fault_names(host.status().faults)
    device.see()
    host.wait(1)
    assert fault_names(host.status().faults) == ()
    assert host.say(ResetFault(host.challenge))[0].message.state == DISARMED
    assert not device.is_latched


def test_a_latched_stop_survives_power_loss_and_needs_the_new_challenge():
    host = Host(library().device(seed=9, is_latched=True))
    host.say(Hello(1), session=0)
    host.seq = 0
    assert host.say(Arm(100, HASH))[0].message.state == ESTOP
    assert host.challenge
    assert host.say(ResetFault(host.challenge))[0].message.state == DISARMED


def test_a_fault_of_the_motor_stops_and_only_a_reset_after_its_cause_has_gone_leaves_it():
    device = library().device()
    host = Host(device).armed()
    host.move()
    device.see(faults=OVER_CURRENT)
    host.wait(1)
    assert (device.state, device.is_powered) == (FAULT, 0)
    host.say(Disarm())
    host.say(Hello(3), session=0)
    host.seq = 0
    status = host.status()
    assert status.state == FAULT
    assert "over-current" in fault_names(status.faults)
    assert host.say(ResetFault(host.challenge))[0].message.state == FAULT
    device.see()
    assert host.say(ResetFault(host.challenge))[0].message.state == DISARMED


def test_a_stop_outranks_a_fault():
    device = library().device()
    host = Host(device).armed()
    device.see(faults=OVER_CURRENT)
    host.wait(1)
    assert host.say(Estop(), session=5)[0].message.state == ESTOP
    assert device.is_latched


def test_a_relay_feeds_only_while_set_points_come_and_never_closes_again_by_itself():
    device = library().device(is_relay=True)
    host = Host(device).armed()
    assert not device.is_powered
    host.move((0, 0, 0, 0))
    assert device.is_powered
    host.wait(99)
    assert device.is_powered
    host.wait(1)
    assert (device.state, device.is_powered) == (DISARMED, 0)
    assert host.move((0, 0, 0, 0)).state == DISARMED
    assert not device.is_powered


def test_servo_pulses_follow_the_position_and_end_with_the_power():
    device = library().device()
    host = Host(device)
    host.say(Hello(1), session=0)
    host.seq = 0
    assert device.pulse_hand_us == 0
    host.say(Arm(200, HASH))
    assert device.pulse_hand_us == 1000
    widths = []
    for _ in range(40):
        host.move((0, 0, 0, 32767), ttl_ms=200)
        host.wait(20)
        widths.append(device.pulse_hand_us)
    assert widths == sorted(widths)
    assert widths[-1] == 2000
    host.say(Estop())
    assert device.pulse_hand_us == 0


def test_after_a_watchdog_reset_the_device_says_so_and_is_disarmed():
    device = library().device(reset_cause=1)
    assert device.state == DISARMED
    assert "watchdog reset" in fault_names(device.faults)
    ack = Host(device).say(Hello(4), session=0)[0].message
    assert ack.reset_cause == 1
    assert ack.watchdog_ms == 60


def test_every_power_on_gives_another_session():
    sessions = set()
    for seed in range(500):
        sessions.add(Host(library().device(seed=seed * 0x9E3779B9 % 2**32)).say(Hello(1), session=0)[0].session)
    assert len(sessions) == 500
    assert 0 not in sessions


def test_answers_that_find_no_room_are_dropped_whole():
    host = Host(library().device()).armed()
    frames = b"".join(encode(Ping(), seq, host.session) for seq in range(2, 60))
    answers = host.device.feed(frames, host.now_ms)
    receiver = Receiver()
    receiver.feed(answers)
    assert receiver.n_bad == 0
    assert receiver.n_ok == 58
