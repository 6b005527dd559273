"""What each driver says, said to its twin on a clock of the test: arming, driving, stopping, and what it refuses."""

import pytest

from bci.errors import DeviceError
from drivers import dynamixel, feetech, fes, maestro, robotiq
from drivers.dialogue import Pause
from drivers.driver import build
from drivers.twins.dynamixel import DynamixelBus
from drivers.twins.feetech import FeetechBus
from drivers.twins.fes import Stimulator
from drivers.twins.maestro import MaestroBoard
from drivers.twins.robotiq import Gripper

LEASE_S = 0.1
TWINS = {
    "dynamixel": (dynamixel.DRIVER, DynamixelBus),
    "feetech": (feetech.DRIVER, FeetechBus),
    "maestro": (maestro.DRIVER, MaestroBoard),
    "robotiq": (robotiq.DRIVER, lambda joints: Gripper(joints[0])),
}
MOVING = pytest.mark.parametrize("kind", TWINS)


class Bench:
    """A speaker and its twin; time passes only where a dialogue pauses, or in `wait`."""

    def __init__(self, driver, make_twin, **options):
        section = {**driver.example, "options": {**driver.example["options"], **options}}
        self.speaker = build(driver, section)
        self.twin = make_twin(self.speaker.joints)
        self.now_ms = 0
        self.wait(0.01)

    def hold(self, dialogue):
        """Lead one dialogue to its end; return what it came to."""
        answer = None
        while True:
            try:
                step = dialogue.send(answer)
            except StopIteration as end:
                return end.value
            answer = None
            if isinstance(step, Pause):
                self.wait(step.seconds)
            else:
                answer = step.read(self.twin.feed(step.wire, self.now_ms))
                self.wait(0.001)

    def arm(self):
        return self.hold(self.speaker.arm(LEASE_S))

    def say(self, wire):
        self.twin.feed(wire, self.now_ms)

    def wait(self, seconds):
        for _ in range(round(1e3 * seconds)):
            self.now_ms += 1
            self.twin.step(self.now_ms, 0.001)

    def drive_for(self, positions, seconds):
        for _ in range(round(seconds / 0.02)):
            self.feedback = self.hold(self.speaker.drive(positions))
            self.wait(0.02)


def bench(kind, **options):
    return Bench(*TWINS[kind], **options)


@MOVING
def test_it_greets_without_moving_and_arms_standing_still_or_at_rest(kind):
    b = bench(kind)
    before = list(b.twin.positions)
    assert kind in b.hold(b.speaker.greet())
    assert list(b.twin.positions) == before
    assert b.arm()
    assert list(b.twin.positions) == before


@MOVING
def test_a_goal_is_reached_and_reported(kind):
    b = bench(kind)
    b.arm()
    goals = [0.5 * (j.axis.lower + j.axis.upper) + 0.1 for j in b.speaker.joints]
    b.drive_for(goals, 3.0)
    assert b.twin.positions == pytest.approx(goals, abs=0.01)
    assert b.feedback.positions == pytest.approx(goals, abs=0.01)
    assert b.feedback.faults == ()


@MOVING
def test_what_is_out_of_bounds_ends_at_the_bound_and_what_is_no_number_is_never_sent(kind):
    b = bench(kind)
    b.arm()
    b.drive_for([1e9] * len(b.speaker.joints), 4.0)
    assert b.twin.positions == pytest.approx([j.axis.upper for j in b.speaker.joints], abs=0.01)
    with pytest.raises(ValueError, match="cannot go to nan"):
        b.hold(b.speaker.drive([float("nan")] * len(b.speaker.joints)))


@MOVING
def test_stopped_on_its_way_it_stands_soon_and_stays(kind):
    b = bench(kind)
    b.arm()
    b.drive_for([j.axis.upper for j in b.speaker.joints], 0.3)
    assert b.twin.is_moving
    b.say(b.speaker.stop(b.twin.positions))
    b.wait(0.3)
    stood = list(b.twin.positions)
    b.wait(0.5)
    assert not b.twin.is_moving
    assert list(b.twin.positions) == stood
    assert stood != pytest.approx([j.axis.upper for j in b.speaker.joints], abs=0.01)


@MOVING
def test_a_device_that_does_not_answer_is_refused_in_words(kind):
    b = bench(kind)
    b.twin.silent = set(getattr(b.twin, "servos", {}))
    b.twin.is_silent = True
    with pytest.raises(DeviceError, match="answer"):
        b.arm()


def test_a_dynamixel_whose_watchdog_never_trips_gets_no_trust():
    b = bench("dynamixel")
    b.twin.has_watchdog = False
    with pytest.raises(DeviceError, match="did not trip in silence"):
        b.arm()


def test_a_dynamixel_left_in_silence_stops_holds_and_tells():
    b = bench("dynamixel")
    b.arm()
    b.drive_for([1.4, 0.9, 1.0], 0.3)
    b.wait(LEASE_S + 0.03)
    stood = list(b.twin.positions)
    b.wait(0.5)
    assert list(b.twin.positions) == stood
    faults = b.hold(b.speaker.watch()).faults
    assert len(faults) == 3
    assert all("bus watchdog has tripped" in fault for fault in faults)


def test_a_dynamixel_in_the_wrong_mode_or_with_narrower_limits_is_refused():
    b = bench("dynamixel")
    b.twin.write(2, "mode", 1)
    with pytest.raises(DeviceError, match="operating mode 1, not 3"):
        b.arm()
    b = bench("dynamixel")
    b.twin.write(1, "max_position", 2000)
    with pytest.raises(DeviceError, match="allows 0 to 2000"):
        b.arm()


def test_a_feetech_servo_that_would_turn_for_ever_is_refused():
    b = bench("feetech")
    b.twin.write(1, "mode", 1)
    with pytest.raises(DeviceError, match="it would turn for ever"):
        b.arm()


def test_a_feetech_servo_is_limited_before_it_has_power():
    b = bench("feetech", torque_limit=0.25)
    b.arm()
    assert b.twin.read(1, "torque_limit") == 250
    assert b.twin.read(1, "goal_velocity") == round(1.0 * 1956 / 3.0)
    assert b.twin.read(1, "torque_enable") == 1


@pytest.mark.parametrize(("bits", "word"), [(32, "overload"), (4, "temperature"), (64, "bit 6")])
def test_a_feetech_servo_in_trouble_says_so(bits, word):
    b = bench("feetech")
    b.arm()
    b.twin.errors[2] = bits
    b.wait(0.01)
    assert b.hold(b.speaker.watch()).faults == (f"servo 2: {word}",)


@pytest.mark.parametrize("kind", ["dynamixel", "feetech"])
def test_an_arm_keeps_its_torque_when_disarmed_unless_it_is_told_to_go_limp(kind):
    for is_limp, torque in ((False, 1), (True, 0)):
        b = bench(kind, is_limp=is_limp)
        b.arm()
        b.say(b.speaker.disarm(b.twin.positions))
        b.wait(0.3)
        assert [b.twin.read(servo, "torque_enable") for servo in b.twin.servos] == [torque] * 3


def test_a_maestro_without_a_time_out_is_refused():
    b = Bench(maestro.DRIVER, lambda joints: MaestroBoard(joints, timeout_s=0.0))
    with pytest.raises(DeviceError, match="does not notice 200 ms of silence"):
        b.arm()


def test_a_maestro_left_in_silence_gives_no_pulses():
    b = bench("maestro")
    b.arm()
    b.drive_for([0.5, 0.5], 0.2)
    b.wait(0.25)
    assert not any(servo.is_powered for servo in b.twin.servos.values())
    assert "maestro: serial time-out" in b.hold(b.speaker.watch()).faults


def test_a_gripper_keeps_what_it_holds_when_stopped_and_when_disarmed():
    b = bench("robotiq")
    b.twin.object_at = 189.0
    b.arm()
    b.drive_for([1.0], 3.0)
    assert b.feedback.note == "object held"
    for wire in (b.speaker.stop((1.0,)), b.speaker.disarm((1.0,))):
        b.say(wire)
        b.wait(0.3)
        assert b.twin.position == 189.0


def test_a_gripper_with_a_fault_tells_which():
    b = bench("robotiq")
    b.arm()
    b.twin.fault = 14
    assert b.hold(b.speaker.watch()).faults == ("gripper: over-current",)


def test_stimulation_is_off_unless_it_is_wanted_in_so_many_words():
    with pytest.raises(DeviceError, match="experimental and off"):
        Bench(fes.DRIVER, Stimulator, is_experimental=False)
    with pytest.raises(DeviceError, match="ceiling is 8 mA"):
        Bench(fes.DRIVER, Stimulator, ceiling_ma=8.0)


def test_every_stimulation_pulse_is_balanced_below_the_ceiling_and_answers_one_command():
    b = Bench(fes.DRIVER, Stimulator)
    b.arm()
    assert b.twin.pulses == []
    b.drive_for([0.5], 0.2)
    n = len(b.twin.pulses)
    assert n == 10
    assert all(0.0 < largest_ma <= 12.0 and left_uc == 0.0 for _, _, largest_ma, left_uc in b.twin.pulses)
    b.drive_for([0.0], 0.2)
    b.wait(1.0)
    assert len(b.twin.pulses) == n


def test_an_electrode_that_came_off_ends_stimulation_and_nothing_is_sent_again():
    b = Bench(fes.DRIVER, Stimulator)
    b.arm()
    b.twin.errors[0] = 10
    with pytest.raises(DeviceError, match="electrode"):
        b.hold(b.speaker.drive([0.5]))
    b.wait(1.0)
    assert b.twin.pulses == []


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([fes.Point(200, 13.0), fes.Point(200, -13.0)], "exceeds the ceiling"),
        ([fes.Point(200, 10.0), fes.Point(200, -9.0)], "leaves a charge"),
        ([fes.Point(200, float("nan")), fes.Point(200, 0.0)], "exceeds the ceiling"),
    ],
)
def test_a_pulse_that_could_harm_never_reaches_a_wire(points, reason):
    with pytest.raises(ValueError, match=reason):
        fes.pulse(0, points, 12.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"axes": ()}, "names no axis"),
        ({"options": {"speed": 3}}, "has no option speed"),
        ({"axes": ({"name": "pan"},)}, "lacks or misstates"),
    ],
)
def test_a_device_section_that_contradicts_itself_is_refused(change, reason):
    with pytest.raises(DeviceError, match=reason):
        build(feetech.DRIVER, {**feetech.DRIVER.example, **change})
