"""Every spoken device with its twin in memory and the time in our hands: arming, driving, silence, faults."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import DRIVERS, LEASE_S, MemoryBench

from bci.errors import DeviceError
from drivers.base import OFF, ON, PREPARED, Axis
from drivers.devices import feetech, fes
from drivers.dialogue.driver import axis_entry, read_joints
from drivers.dialogue.joint import Goals, Joint
from drivers.dialogue.positioner import Positioner
from drivers.twins.feetech import FeetechBus

every = pytest.mark.parametrize("name", DRIVERS)
with_feedback = pytest.mark.parametrize("name", ["feetech", "dynamixel", "robotiq"])


@every
def test_preparing_and_arming_say_what_was_measured_and_move_only_what_must(name):
    bench = MemoryBench(name).prepared()
    assert bench.host.phase == PREPARED, bench.host.checks
    assert all(check.is_ok and check.found for check in bench.host.checks)
    before = list(bench.twin.positions)
    bench.host.arm(bench.now_s)
    bench.guard(3.0)
    assert bench.host.phase == ON, bench.host.checks
    if name in ("feetech", "dynamixel", "fes"):
        assert list(bench.twin.positions) == pytest.approx(before, abs=0.01)


@every
def test_a_velocity_moves_it_at_about_that_velocity(name):
    bench = MemoryBench(name).armed()
    begun = list(bench.host.report.positions)
    bench.guard(0.4, bench.speeds(0.5))
    for axis, start, now in zip(bench.host.axes, begun, bench.twin.positions, strict=True):
        assert now - start == pytest.approx(0.5 * axis.max_speed * 0.4, rel=0.35), axis


@every
def test_acknowledgements_rise_to_the_newest_ticket(name):
    bench = MemoryBench(name).armed()
    ticket = bench.host.drive(bench.speeds(0.2), LEASE_S, bench.now_s)
    assert bench.host.acknowledged < ticket
    bench.pass_time(0.02)
    assert bench.host.acknowledged == ticket


@every
def test_without_set_points_it_comes_to_rest_within_its_lease_although_the_host_lives(name):
    bench = MemoryBench(name).driving()
    bench.pass_time(LEASE_S + 0.02)
    where = list(bench.twin.positions)
    assert bench.still()
    for axis, before, after in zip(bench.host.axes, where, bench.twin.positions, strict=True):
        braking = axis.max_speed**2 / (2 * axis.max_acceleration)
        assert abs(after - before) <= braking + 0.03 * (axis.upper - axis.lower) or name == "fes"


@every
def test_a_host_that_dies_leaves_at_most_a_lease_of_travel(name):
    bench = MemoryBench(name).driving(1.0)
    where = list(bench.twin.positions)
    for _ in range(500):
        bench.port.now_s += 0.002
        bench.twin.step(round(1e3 * bench.port.now_s), 0.002)
    for axis, before, after in zip(bench.host.axes, where, bench.twin.positions, strict=True):
        assert after - before <= axis.max_speed * (LEASE_S + 0.02) + 0.02 * (axis.upper - axis.lower)
    assert not bench.twin.is_moving


@every
@pytest.mark.parametrize("order", ["stand", "stop", "disarm"])
def test_every_order_to_end_motion_ends_it(name, order):
    bench = MemoryBench(name).driving()
    getattr(bench.host, order)(bench.now_s)
    assert bench.still()
    assert (bench.host.phase == ON) is (order == "stand")


@every
def test_nothing_moves_again_without_set_points(name):
    bench = MemoryBench(name).driving()
    bench.host.stand(bench.now_s)
    bench.guard(0.4)
    where = list(bench.twin.positions)
    bench.guard(1.0)
    assert list(bench.twin.positions) == where
    bench.guard(0.4, bench.speeds(0.5))
    assert list(bench.twin.positions) != where


@with_feedback
def test_one_lost_order_to_stand_is_made_good_by_the_next_question(name):
    bench = MemoryBench(name).driving()
    feed, bench.twin.feed = bench.twin.feed, lambda data, now_ms: b""
    bench.host.stand(bench.now_s)
    bench.twin.feed = feed
    bench.guard(0.3)
    where = list(bench.twin.positions)
    bench.guard(0.3)
    assert list(bench.twin.positions) == where


@every
@given(bad=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_finite_never_reaches_the_wire_as_motion(name, bad):
    bench = MemoryBench(name).armed()
    before = list(bench.twin.positions)
    bench.guard(0.2, [bad] * len(bench.host.axes))
    assert list(bench.twin.positions) == pytest.approx(before, abs=0.01)


@every
def test_bounds_are_never_left(name):
    bench = MemoryBench(name).armed()
    for fraction in (1.0, -1.0):
        bench.guard(4.0, bench.speeds(fraction))
        for axis, position in zip(bench.host.axes, bench.twin.positions, strict=True):
            assert axis.lower - 0.01 <= position <= axis.upper + 0.01


@every
@settings(max_examples=15)
@given(noise=st.binary(min_size=1, max_size=40))
def test_garbage_before_answers_does_not_move_positions(name, noise):
    bench = MemoryBench(name).armed()
    positions = bench.host.report.positions
    bench.port.answers = noise
    bench.guard(0.06)
    assert bench.host.report.positions == pytest.approx(positions, abs=0.02)


@pytest.mark.parametrize("name", ["feetech", "dynamixel"])
def test_a_hand_on_a_servo_stops_its_goal_one_lease_ahead(name):
    bench = MemoryBench(name).driving()
    for servo in bench.twin.servos.values():
        servo.is_stuck = True
    bench.guard(1.0, bench.speeds(1.0))
    for joint, servo in zip(bench.twin.joints.values(), bench.twin.servos.values(), strict=True):
        ahead = abs(servo.goal - servo.position) / joint.raw_per_unit
        assert ahead <= joint.axis.max_speed * LEASE_S * 1.02


@pytest.mark.parametrize("name", ["feetech", "dynamixel"])
def test_a_servo_that_was_set_wrongly_is_not_armed(name):
    bench = MemoryBench(name)
    number = next(iter(bench.twin.servos))
    bench.twin.write(number, "mode", 1)
    bench.prepared()
    assert bench.host.phase == OFF
    assert "mode" in bench.host.checks[-1].found
    bench.twin.write(number, "mode", 0 if name == "feetech" else 3)
    bench.twin.write(number, "max_position", 1500)
    bench.prepared()
    assert "allows" in bench.host.checks[-1].found
    assert bench.host.checks[-1].remedy


PREMISES = [("dynamixel", "drive_mode", 4), ("dynamixel", "drive_mode", 8), ("dynamixel", "secondary_id", 2),
            ("dynamixel", "startup", 1), ("dynamixel", "hardware_error", 32), ("dynamixel", "mode", 4),
            ("feetech", "angular_resolution", 3), ("feetech", "mode", 3)]  # fmt: skip


@pytest.mark.parametrize(("name", "register", "value"), PREMISES)
def test_every_register_on_which_a_limit_rests_is_read_before_power(name, register, value):
    for number in (0, -1):
        bench = MemoryBench(name)
        servo = list(bench.twin.servos)[number]
        bench.twin.write(servo, register, value)
        bench.prepared()
        assert bench.host.phase == OFF
        assert f"Servo {servo} has {register.replace('_', ' ')} {value}" in bench.host.checks[-1].found
        assert bench.host.checks[-1].remedy
        bench.host.arm(bench.now_s)
        bench.guard(1.0)
        assert not any(bench.twin.powers)


def test_a_reversed_dynamixel_is_no_reason_to_refuse():
    bench = MemoryBench("dynamixel")
    bench.twin.write(1, "drive_mode", 1)
    assert bench.prepared().host.phase == PREPARED


@pytest.mark.parametrize("series", ["sts", "scs"])
def test_a_time_that_was_left_for_a_move_does_not_take_the_place_of_the_speed(series):
    bench = MemoryBench("feetech")
    if series == "scs":
        bench = scs_bench()
    bench.twin.write(1, "goal_time", 40)
    bench.prepared()
    assert bench.host.phase == PREPARED, bench.host.checks
    assert bench.twin.read(1, "goal_time") == 0


@pytest.mark.parametrize("name", ["feetech", "dynamixel"])
def test_efforts_are_reported_as_the_axis_goes(name):
    bench = MemoryBench(name).armed()
    assert bench.host.report.efforts == (0.0, 0.0, 0.0)
    for servo in bench.twin.servos.values():
        servo.is_stuck = True
    bench.guard(0.2, bench.speeds(0.5))
    assert bench.host.report.efforts == pytest.approx((1.0, 1.0, 1.0), abs=0.01)
    bench.guard(0.6, bench.speeds(-0.5))
    assert bench.host.report.efforts == pytest.approx((-1.0, -1.0, -1.0), abs=0.01)


def test_a_register_that_does_not_take_its_limit_prevents_arming():
    bench = MemoryBench("feetech")
    store = bench.twin._store
    bench.twin._store = lambda servo, start, data: None if start == 48 else store(servo, start, data)
    bench.prepared()
    assert bench.host.phase == OFF
    assert "torque_limit" in bench.host.checks[-1].found


def scs_bench():
    joints = [{"raw_lower": 200, "raw_upper": 800, **{k: v for k, v in a.items() if "raw" not in k}}
              for a in feetech.DRIVER.example["axes"]]  # fmt: skip
    speaker = feetech.DRIVER.build({"axes": joints, "options": {"series": "scs"}})
    bench = MemoryBench("feetech")
    bench.twin = bench.port.twin = FeetechBus(speaker.joints, "scs")
    bench.host = Positioner(bench.port, 1_000_000, speaker, feetech.DRIVER.declaration)
    return bench


def test_scs_servos_are_read_one_by_one_and_move_too():
    bench = scs_bench().armed()
    where = list(bench.twin.positions)
    bench.guard(0.4, bench.speeds(0.5))
    assert all(now > before + 0.05 for now, before in zip(bench.twin.positions, where, strict=True))


def test_dynamixels_watchdog_is_proved_by_silence_and_old_firmware_is_refused():
    bench = MemoryBench("dynamixel").armed()
    assert "tripped in silence" in bench.host.checks[-1].found
    bench = MemoryBench("dynamixel")
    bench.twin.has_watchdog = False
    bench.prepared()
    bench.host.arm(bench.now_s)
    bench.guard(1.0)
    assert bench.host.phase == OFF
    assert "did not trip" in bench.host.checks[-1].found


@pytest.mark.parametrize("name", ["feetech", "dynamixel"])
def test_limp_servos_lose_torque_when_disarmed_and_others_keep_it(name):
    for is_limp in (True, False):
        bench = MemoryBench(name, is_limp=is_limp).driving()
        bench.host.disarm(bench.now_s)
        assert [bench.twin.read(servo, "torque_enable") for servo in bench.twin.servos] == [0 if is_limp else 1] * 3


def test_a_feetech_servo_is_limited_before_it_has_power():
    bench = MemoryBench("feetech", torque_limit=0.25).prepared()
    assert bench.twin.read(1, "torque_limit") == 250
    assert bench.twin.read(1, "goal_velocity") == round(1.0 * 1956 / 3.0)
    assert bench.twin.read(1, "torque_enable") == 0


def test_a_gripper_holds_what_it_holds_through_stop_and_silence():
    bench = MemoryBench("robotiq").armed()
    bench.twin.object_at = 120.0
    bench.guard(2.0, [1.0])
    assert bench.host.report.note == "object held"
    bench.host.stop(bench.now_s)
    bench.guard(1.0)
    assert bench.twin.position == pytest.approx(120.0, abs=1)
    bench.pass_time(3.0)
    assert bench.twin.position == pytest.approx(120.0, abs=1)


def test_a_gripper_tells_its_effort_and_one_that_does_not_repeat_what_it_hears_is_not_armed():
    bench = MemoryBench("robotiq", force=0.5).armed()
    bench.twin.object_at = 120.0
    bench.guard(2.0, [1.0])
    assert bench.host.report.efforts == pytest.approx((0.5,), abs=0.02)
    bench = MemoryBench("robotiq").prepared()
    store = bench.twin._store
    bench.twin._store = lambda start, values: store(start, (values[0], 255, *values[2:]) if len(values) > 1 else values)
    bench.host.arm(bench.now_s)
    bench.guard(3.0)
    assert bench.host.phase == OFF
    assert "repeats 255" in bench.host.checks[-1].found


def test_a_stop_ends_the_stroke_of_activation():
    bench = MemoryBench("robotiq").prepared()
    bench.host.arm(bench.now_s)
    bench.pass_time(0.4)
    assert bench.twin.is_moving
    bench.host.stop(bench.now_s)
    bench.guard(0.1)
    assert not bench.twin.is_moving
    assert bench.host.phase == OFF


def test_a_maestro_without_time_out_is_not_armed():
    bench = MemoryBench("maestro")
    bench.twin.timeout_ms = 0
    bench.prepared()
    assert bench.host.phase == OFF
    assert "silence" in bench.host.checks[-1].found


def test_a_maestro_drops_its_pulses_when_the_host_dies():
    bench = MemoryBench("maestro").driving()
    for _ in range(150):
        bench.port.now_s += 0.002
        bench.twin.step(round(1e3 * bench.port.now_s), 0.002)
    assert not any(pulse.is_powered for pulse in bench.twin.pulses.values())


@pytest.mark.parametrize("words", [{}, {"is_experimental": False}, {"is_experimental": "true"}, {"is_experimental": 1}])
def test_stimulation_needs_the_words_in_the_profile(words):
    def begin(dialogue):
        speaker = fes.DRIVER.build({**fes.DRIVER.example, "options": {"ceiling_ma": 12.0, **words}})
        next(speaker.greet() if dialogue == "greet" else speaker.prepare(LEASE_S, []))

    for dialogue in ("greet", "prepare"):
        with pytest.raises(DeviceError, match="experimental"):
            begin(dialogue)


@pytest.mark.parametrize(
    "options",
    [{"ceiling_ma": 11.0}, {"ceiling_ma": 200.0}, {"ceiling_ma": math.nan}, {"ceiling_ma": 12.0, "width_us": 0}],
)
def test_a_ceiling_that_is_exceeded_or_absurd_is_refused(options):
    with pytest.raises(DeviceError):
        fes.DRIVER.build({**fes.DRIVER.example, "options": {"is_experimental": True, **options}})


@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_no_pulse_exceeds_the_ceiling_whatever_the_level(first, second):
    bench = MemoryBench("fes").armed()
    for level in (first, second):
        assert 0.0 <= fes.Fes.current_ma(bench.twin.joints[0], level) <= 12.0


def test_every_pulse_is_balanced_and_below_the_ceiling_and_standing_is_silence():
    bench = MemoryBench("fes").driving(1.0, seconds=2.0)
    assert max(current for _, _, current, _ in bench.twin.pulses) <= 12.0
    assert all(charge == 0.0 for *_, charge in bench.twin.pulses)
    gaps = [b[0] - a[0] for a, b in zip(bench.twin.pulses, bench.twin.pulses[1:], strict=False)]
    assert min(gaps) >= 24  # 40 Hz
    n = len(bench.twin.pulses)
    bench.host.stand(bench.now_s)
    bench.guard(1.0)
    assert len(bench.twin.pulses) == n
    bench.guard(0.1, [0.5])
    assert bench.twin.pulses[-1][2] < 3.0  # begins again from nothing


@pytest.mark.parametrize(("frequency_hz", "every_s"), [(20.0, 0.02), (40.0, 0.004), (60.0, 0.004)])
def test_pulses_keep_their_frequency_however_often_it_is_driven(frequency_hz, every_s):
    bench = MemoryBench("fes", frequency_hz=frequency_hz).armed()
    begun_s = bench.now_s
    while bench.now_s < begun_s + 2.0:
        bench.host.drive([2.0], LEASE_S, bench.now_s)
        bench.pass_time(every_s)
        if round(bench.now_s / every_s) % 50 == 0:  # an order between two pulses is no excuse either
            bench.host.stand(bench.now_s)
    stamps_ms = [stamp for stamp, *_ in bench.twin.pulses]
    assert min(b - a for a, b in pairwise(stamps_ms)) >= 1000 / frequency_hz - 1
    assert len(stamps_ms) >= 0.85 * 2.0 * frequency_hz


def test_a_level_that_jumps_rises_over_half_a_second_and_falls_at_once():
    bench = MemoryBench("fes").armed()
    bench.host._goals.advance = lambda velocities, present, dt_s: bench.host._goals.hold([velocities[0]])
    bench.guard(1.0, [1.0])
    currents = [current for _, _, current, _ in bench.twin.pulses]
    assert max(b - a for a, b in pairwise([0.0, *currents])) <= 12.0 / (0.5 * 40.0) + 0.5
    assert currents.index(12.0) >= 19
    bench.guard(0.1, [0.3])
    assert bench.twin.pulses[-1][2] < 4.0


@pytest.mark.parametrize(
    ("change", "words"),
    [({"frequency_hz": 61.0}, "frequency_hz .*61.0"), ({"frequency_hz": math.nan}, "frequency_hz"),
     ({"width_us": 500, "frequency_hz": 60.0, "ceiling_ma": 40.0}, "1200 µC a second"),
     ({"max_speed": 1e6}, "max_speed")],
)  # fmt: skip
def test_a_stimulator_set_beyond_its_ceilings_is_refused(change, words):
    axes = [{**axis, "max_speed": change.pop("max_speed", 1.0)} for axis in fes.DRIVER.example["axes"]]
    options = {**fes.DRIVER.example["options"], **change}
    with pytest.raises(DeviceError, match=words):
        fes.DRIVER.build({"axes": axes, "options": options})


@pytest.mark.parametrize(("width_us", "currents"), [(200, (10.0, 0.0, -9.0)), (200, (10.0,)), (200, (16.0, -16.0))])
def test_an_unbalanced_or_too_strong_pulse_cannot_be_made(width_us, currents):
    with pytest.raises(ValueError, match=r"charge|ceiling"):
        fes.pulse(0, [fes.Point(width_us, current) for current in currents], 15.0)


def test_an_electrode_error_ends_stimulation_at_once_and_nothing_is_sent_again():
    bench = MemoryBench("fes").driving(1.0, seconds=0.5)
    bench.twin.errors[0] = 10
    bench.host.drive([1.0], LEASE_S, bench.now_s)
    bench.pass_time(0.03)  # the pulse waits for its time
    n = len([data for _, data in bench.port.said if len(data) > 20])
    assert "electrode" in bench.host.report.faults[0]
    bench.guard(0.5)
    assert len([data for _, data in bench.port.said if len(data) > 20]) == n


@given(
    st.lists(st.tuples(st.floats(), st.floats(-2, 2)), max_size=30),
    st.floats(-1, 1),
)
def test_goals_stay_within_bounds_and_look_ahead_for_any_velocity(steps, start):
    goals = Goals([Axis("x", "m", -1.0, 1.0, 0.5, 1.0)], 0.1)
    goals.hold([start])
    for velocity, present in steps:
        (goal,) = goals.advance([velocity], [present], 0.02)
        assert -1.0 <= goal <= 1.0


@given(st.floats(-1e3, 1e3))
def test_a_joints_number_never_leaves_its_bounds(position):
    joint = Joint(Axis("x", "rad", -1.0, 1.0, 1.0, 1.0), 1, 3000, 1000)
    assert 1000 <= joint.to_raw(position) <= 3000
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="cannot go"):
            joint.to_raw(bad)


WRONG = [
    ("robotiq", {}, {"raw_upper": 511}, "raw_upper 511 is not within 0 to 255"),
    ("robotiq", {"force": 1.5}, {}, "force should be less than or equal to 1, and is 1.5"),
    ("robotiq", {"stroke_mm": 0.0}, {}, "stroke_mm"),
    ("feetech", {"torque_limit": 5.0}, {}, "torque_limit should be less than or equal to 1, and is 5.0"),
    ("feetech", {"is_limp": "no"}, {}, "is_limp should be a valid boolean, and is 'no'"),
    ("feetech", {"is_limp": 0}, {}, "is_limp"),
    ("feetech", {"series": "sms"}, {}, "series"),
    ("feetech", {}, {"address": 254}, "address 254 is not within 0 to 253"),
    ("feetech", {}, {"raw_lower": -5.0}, "raw_lower -5"),
    ("feetech", {}, {"max_speed": "1"}, "max_speed"),
    ("dynamixel", {"goal_current": -1}, {}, "goal_current"),
    ("dynamixel", {"goal_current": 1.5}, {}, "goal_current"),
    ("dynamixel", {}, {"raw_upper": 4096.0}, "raw_upper 4096"),
    ("maestro", {"timeout_s": math.inf}, {}, "timeout_s"),
    ("maestro", {}, {"raw_upper": 20000.0}, "raw_upper 20000"),
    ("fes", {"width_us": True}, {}, "width_us"),
    ("fes", {}, {"address": 8}, "address 8"),
]


@pytest.mark.parametrize(("name", "options", "axis", "words"), WRONG)
def test_what_a_profile_says_wrongly_is_one_error_that_names_the_field(name, options, axis, words):
    driver = DRIVERS[name]
    first, *others = driver.example["axes"]
    section = {"axes": [{**first, **axis}, *others], "options": {**driver.example["options"], **options}}
    with pytest.raises(DeviceError, match=words) as caught:
        driver.build(section)
    assert "profile" in caught.value.remedy


def test_a_gripper_has_one_axis():
    axes = [axis_entry(name, "1", (0.0, 1.0), 1.0, 6.0, address, (0, 255)) for name, address in (("a", 9), ("b", 10))]
    with pytest.raises(DeviceError, match="at most 1 axes"):
        DRIVERS["robotiq"].build({"axes": axes})


def test_a_speed_beyond_what_a_register_holds_is_the_greatest_that_it_holds():
    axes = [{**axis, "max_speed": 1e6} for axis in feetech.DRIVER.example["axes"]]
    assert feetech.DRIVER.build({"axes": axes}).limits(read_joints(axes)[0])["goal_velocity"] == 32767


AXIS = feetech.DRIVER.example["axes"][0]


@pytest.mark.parametrize(
    "change",
    [{"lower": 2.0}, {"max_speed": 0.0}, {"raw_upper": 1070}, {"name": "much too long"}, {"upper": math.nan},
     {"address": "x"}, {"max_acceleration": None}],
)  # fmt: skip
def test_an_axis_that_contradicts_itself_is_refused(change):
    with pytest.raises(DeviceError, match="Axis"):
        read_joints([{**AXIS, **change}])


def test_options_that_a_driver_does_not_have_are_refused_by_name():
    with pytest.raises(DeviceError, match=r"no option speed; it has series, torque_limit, is_limp"):
        feetech.DRIVER.build({**feetech.DRIVER.example, "options": {"speed": 3}})
    with pytest.raises(DeviceError, match="names no axis"):
        feetech.DRIVER.build({})
    with pytest.raises(DeviceError, match="share"):
        read_joints([AXIS, AXIS])


def test_no_motion_is_ever_sent_twice_because_an_answer_is_missing():
    bench = MemoryBench("dynamixel").driving()
    bench.twin.silent = {1, 2, 3}
    bench.port.said.clear()
    bench.host.drive(bench.speeds(0.5), LEASE_S, bench.now_s)
    bench.pass_time(0.08)
    goals = [data for _, data in bench.port.said if b"\x83\x74\x00" in data]
    assert len(goals) == 1
