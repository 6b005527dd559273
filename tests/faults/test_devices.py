"""What a driver makes of servos and grippers that fail, answer late or tell the impossible: in memory, on our clock."""

import random
from itertools import pairwise

import pytest
from guarded import Guarded
from memory import DRIVERS, MemoryBench

from bci.errors import DeviceError
from drivers.devices import dynamixel, feetech, robotiq
from drivers.devices.dynamixel import TRIPPED
from drivers.dialogue.exchange import Exchange
from drivers.guardian.machine import ACTIVE, DISARMED, FAULT
from drivers.twins.dynamixel import DynamixelBus
from drivers.twins.feetech import FeetechBus

N_TRIALS = 20
every = pytest.mark.parametrize("name", DRIVERS)
servos = pytest.mark.parametrize("name", ["feetech", "dynamixel"])


@pytest.fixture
def guarded(name, tmp_path, monkeypatch):
    guarded = Guarded(name, tmp_path, monkeypatch, may_stall=["grip"] if name == "robotiq" else [])
    yield guarded
    guarded.close()


def trials(guarded, seed):
    """Arm and move, 20 times, away from the nearer end, for a random while; gives the direction and its random."""
    random_ = random.Random(seed)
    for _ in range(N_TRIALS):
        guarded.arm()
        sign = 1.0 if guarded.where[-1] < 0.5 else -1.0
        guarded.go(random_.uniform(0.4, 0.5), (0.25 * sign,))
        assert guarded.state == ACTIVE
        assert guarded.now_s - guarded.moved_s < 0.02
        yield sign, random_


@pytest.mark.fault("F11")
@pytest.mark.parametrize("name", ["node"])
@pytest.mark.parametrize("is_armed", [True, False])
def test_a_device_that_restarted_is_a_fault_and_then_may_be_armed_without_a_new_guardian(guarded, is_armed):
    guarded.arm((0.0,) * 4)
    guarded.go(0.5, (0.3, 0.0, 0.0, 0.0))
    if not is_armed:
        guarded.ask("disarm")
        guarded.go(0.5, (0.0,) * 4)
    guarded.twin.__init__(positions=guarded.twin.positions)
    guarded.go(0.8, (0.3, 0.0, 0.0, 0.0))
    if not is_armed:
        guarded.ask("arm")
        guarded.go(0.2, (0.3, 0.0, 0.0, 0.0))
    assert guarded.state == FAULT
    assert "silent" in guarded.machine.reason
    where = guarded.where
    guarded.ask("acknowledge")
    guarded.go(1.0, (0.3, 0.0, 0.0, 0.0))
    assert guarded.state == DISARMED
    assert guarded.where == where
    guarded.arm((0.0,) * 4)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("name", ["node", *DRIVERS])
def test_a_guardian_without_processor_time_takes_no_movement_of_that_time_for_a_fault(guarded):
    still = (0.0,) * len(guarded.outputs)
    for trial in range(N_TRIALS):
        guarded.arm(still)
        axis = guarded.host.axes[0]
        fast = (1.0 if guarded.where[0] < 0.5 * (axis.lower + axis.upper) else -1.0, *still[1:])
        guarded.go(0.3, fast)
        guarded.go(0.1, fast, until_asked=True)  # the answer is read only after the pause
        assert guarded.state == ACTIVE
        guarded.pause(0.05 + 0.007 * trial, fast)
        guarded.go(0.6, fast)
        assert guarded.state == ACTIVE, (trial, guarded.machine.reason)


@pytest.mark.fault("F14")
@pytest.mark.parametrize("name", ["node"])
def test_a_device_that_never_stops_talking_keeps_no_set_point_no_report_and_no_judgement_waiting(guarded):
    guarded.arm((0.0,) * 4)
    read = guarded.port.read
    guarded.port.read = lambda: read() + b"\0"  # an empty frame, which only resynchronises
    guarded.port.__class__ = type("Talking", (type(guarded.port),), {"has_answer": True})
    told_s = []
    guarded.post.report = lambda status: told_s.append(status.stamp_s)
    begun_s = guarded.now_s
    guarded.go(0.5, (0.2, 0.0, 0.0, 0.0))
    assert guarded.state == ACTIVE
    assert guarded.now_s - guarded.moved_s < 0.01
    assert len(told_s) >= 0.5 / 0.04
    assert max(after - before for before, after in pairwise([begun_s, *told_s])) <= 0.04
    where = list(guarded.twin.positions)
    step = guarded.twin.step

    def stuck(now_ms, dt_s):
        step(now_ms, dt_s)
        guarded.twin.positions[:] = where

    guarded.twin.step = stuck
    assert guarded.go(1.0, (0.2, 0.0, 0.0, 0.0), until=(FAULT,)) <= 0.4
    assert "does not follow" in guarded.machine.reason


@pytest.mark.fault("F15")
@pytest.mark.parametrize("name", ["node", "dynamixel"])
def test_one_flipped_answer_in_a_hundred_is_borne_and_one_in_five_is_a_fault(guarded):
    still = (0.0,) * len(guarded.outputs)
    count = [0, 100]

    def flip(data, is_request):
        if is_request or not data:
            return data
        count[0] += 1
        return data if count[0] % count[1] else data[:6] + bytes([data[6] ^ 4]) + data[7:]

    guarded.arm(still)
    guarded.port.harm = flip
    guarded.go(10.0, (0.1, *still[1:]))
    assert guarded.state == ACTIVE
    assert guarded.host.n_bad >= 3
    count[1] = 5
    guarded.go(3.0, (0.1, *still[1:]), until=(FAULT,))
    assert "answers of the device were damaged" in guarded.machine.reason
    guarded.go(0.3, (0.1, *still[1:]))
    where = guarded.where
    guarded.go(1.0, (0.1, *still[1:]))
    assert guarded.where == where


@pytest.mark.fault("F20")
@servos
def test_a_stuck_servo_is_a_fault_and_the_others_stand(name, guarded, judge):
    times_ms = []
    for sign, random_ in trials(guarded, 20):
        number, servo = random_.choice(list(guarded.twin.servos.items()))
        servo.is_stuck = True
        times_ms.append(1e3 * guarded.go(1.0, (0.25 * sign,), until=(FAULT,)))
        assert guarded.twin.joints[number].axis.name in guarded.machine.reason
        guarded.go(0.3, (0.25 * sign,))
        where = guarded.where
        servo.is_stuck = False
        guarded.go(1.0, (0.25 * sign,))
        assert guarded.state == FAULT
        assert guarded.where == pytest.approx(where, abs=0.03)  # what was stuck goes to where it was to hold
    judge(times_ms)


@servos
def test_a_force_fraction_keeps_an_axis_from_pushing_further_into_a_hand(name, tmp_path, monkeypatch):
    ahead = []
    for fraction in (1.0, 0.3):
        guarded = Guarded(name, tmp_path, monkeypatch, may_stall=["pan", "lift", "grip"], force_fraction=fraction)
        guarded.arm()
        for servo in guarded.twin.servos.values():
            servo.is_stuck = True
        guarded.go(1.0, (0.5,))
        assert guarded.state == ACTIVE
        command = guarded.guardian.units[0].command
        assert (max(map(abs, command)) < 1e-9) is (fraction < 1.0)
        ahead.append(max(abs(s.goal - s.position) for s in guarded.twin.servos.values()))
        guarded.go(1.0, (-0.5,))
        assert min(guarded.guardian.units[0].command) < 0.0  # the other way is free
        guarded.close()
    assert ahead[1] < 0.5 * ahead[0]


@pytest.mark.fault("F21")
@servos
def test_a_servo_that_is_gone_from_the_bus_stops_the_others(name, guarded, judge):
    times_ms = []
    for sign, random_ in trials(guarded, 21):
        gone = random_.choice(list(guarded.twin.servos))
        guarded.twin.silent = {gone}
        gone_s = guarded.now_s
        guarded.go(0.6, (0.25 * sign,))
        assert guarded.state == FAULT
        assert "answer" in guarded.machine.reason
        times_ms.append(1e3 * (guarded.moved_s - gone_s))
        guarded.twin.silent = set()
    judge(times_ms)


@pytest.mark.fault("F21")
@servos
def test_the_bus_waits_at_most_5_ms_for_a_servo_that_is_gone(name, guarded):
    guarded.step_s = 0.0001
    guarded.arm()
    waits_s = []
    for silent in (set(), {1}):
        guarded.twin.silent = silent
        ticket = guarded.host.drive([0.0] * 3, 0.1, guarded.now_s)
        begun_s = guarded.now_s
        while guarded.host._exchange.is_busy:
            guarded.tick()
        waits_s.append(guarded.now_s - begun_s)
        assert (guarded.host.acknowledged == ticket) is (not silent)
    assert 0.0 < waits_s[1] - waits_s[0] <= 0.005


def overload(twin):
    if isinstance(twin, FeetechBus):
        twin.errors[2] = 1 << feetech.NAMES_OF_ERRORS.index("overload")
    else:
        twin.write(2, "hardware_error", 1 << dynamixel.HARDWARE_ERRORS.index("overload"))


def heat(twin):
    if isinstance(twin, FeetechBus):
        twin.write(2, "temperature", 71)
    elif isinstance(twin, DynamixelBus):
        twin.write(2, "hardware_error", 1 << dynamixel.HARDWARE_ERRORS.index("overheated"))
    else:
        twin.fault = 8


def current(twin):
    twin.fault = 14


def trip(twin):
    twin.write(1, "bus_watchdog", TRIPPED)


def cure(twin):
    if isinstance(twin, FeetechBus):
        twin.errors.clear()
        twin.write(2, "temperature", 30)
    elif isinstance(twin, DynamixelBus):
        twin.write(2, "hardware_error", 0)
    else:
        twin.fault = 0


@pytest.mark.fault("F22")
@pytest.mark.parametrize(
    ("name", "harm", "words"),
    [
        ("feetech", overload, "servo 2: overload"),
        ("feetech", heat, "servo 2: 71 °C"),
        ("dynamixel", overload, "servo 2: overload"),
        ("dynamixel", heat, "servo 2: overheated"),
        ("dynamixel", trip, "servo 1: its bus watchdog has tripped"),
        ("robotiq", current, "gripper: over-current"),
        ("robotiq", heat, "gripper: too hot"),
    ],
)
def test_a_devices_own_fault_is_the_guardians_and_ends_motion(guarded, harm, words, judge):
    times_ms = []
    for sign, _ in trials(guarded, 22):
        harm(guarded.twin)
        times_ms.append(1e3 * guarded.go(1.0, (0.25 * sign,), until=(FAULT,)))
        assert words in guarded.machine.reason
        fault_s = guarded.now_s
        guarded.go(0.6, (0.25 * sign,))
        assert guarded.state == FAULT
        assert guarded.moved_s - fault_s <= 0.25  # braking
        cure(guarded.twin)
    judge(times_ms)


@pytest.mark.fault("F23")
@pytest.mark.parametrize("name", ["feetech", "dynamixel", "robotiq"])
def test_what_answered_an_older_question_is_never_where_it_is_now(name, guarded):
    guarded.arm()
    old, answers = [], []

    def listen(data, is_request):
        (old if len(old) < 5 else answers).append(b"" if is_request else data)
        return data

    guarded.port.harm = listen
    guarded.go(0.2, (0.0,))
    (then,) = {guarded.host.report.positions}
    guarded.go(0.8, (0.5,))
    guarded.go(0.4, (0.0,))
    stale = max(old, key=len)
    assert len(stale) > 6
    n_bad = guarded.host.n_bad
    for _ in range(100):
        while guarded.host._exchange.is_busy:
            guarded.tick((0.0,))
        guarded.port._due.append((guarded.now_s, stale))  # arrives between two questions
        guarded.go(0.02, (0.0,))
        now = guarded.host.report.positions
        assert now == pytest.approx(guarded.twin.positions, abs=0.02)
        assert abs(now[0] - then[0]) > 0.1
    assert guarded.host.n_bad == n_bad
    assert guarded.state == ACTIVE


def swapped(data, is_request):
    """The two bytes of the first servo's position change places: the sum stays right."""
    i = data.find(b"\xff\xff\x01\x0c")
    return data if is_request or i < 0 else data[: i + 5] + data[i + 6 : i + 4 : -1] + data[i + 7 :]


@pytest.mark.fault("F24")
@pytest.mark.parametrize("name", ["feetech"])
def test_two_corrupt_positions_with_a_right_sum_change_nothing_and_a_third_is_a_fault(name, guarded):
    for n_corrupt in range(1, 7):
        guarded.arm()
        velocity = (0.25 * (-1) ** n_corrupt,)
        guarded.go(0.4, velocity)
        left, n_bad = [n_corrupt], guarded.host.n_bad

        def harm(data, is_request, left=left):
            changed = swapped(data, is_request)
            if changed == data or not left[0]:
                return data
            left[0] -= 1
            return changed

        guarded.port.harm = harm
        for _ in range(20):
            guarded.go(0.02, velocity)
            if guarded.state == ACTIVE:  # without power people may move it anywhere, and all is believed
                assert guarded.host.report.positions == pytest.approx(guarded.twin.positions, abs=0.05)
        assert guarded.host.n_bad > n_bad
        if n_corrupt < 3:
            assert guarded.state == ACTIVE
        else:
            assert guarded.state == FAULT
            assert "cannot have reached" in guarded.machine.reason
        guarded.port.harm = lambda data, is_request: data
        guarded.go(0.5, (0.0,))


@pytest.mark.fault("F24")
@pytest.mark.parametrize("name", ["feetech"])
def test_a_corrupt_position_with_a_right_sum_while_it_is_armed_moves_nothing(guarded):
    """Each report of an attempt to arm once, the first to the last; what is armed stands, what is refused says why."""
    n_armed, n_reports = 0, []
    for number in range(30):
        guarded.go(0.4, (0.0,))
        guarded.ask("disarm")
        guarded.ask("acknowledge")
        guarded.go(1.2, (0.0,))
        for servo in guarded.twin.servos.values():
            servo.position = servo.goal
        heard = []

        def harm(data, is_request, heard=heard, number=number):
            changed = swapped(data, is_request)
            if changed == data or guarded.host.phase not in ("preparing", "prepared", "arming"):
                return data
            heard.append(data)
            return changed if len(heard) - 1 == number + 12 else data

        guarded.port.harm = harm
        where = list(guarded.twin.positions)
        guarded.ask("arm")
        guarded.go(0.1, (0.0,))
        guarded.go(8.0, (0.0,), until=(ACTIVE, DISARMED, FAULT))
        guarded.port.harm = lambda data, is_request: data
        guarded.go(0.5, (0.0,))
        assert guarded.twin.positions == pytest.approx(where, abs=0.005), number
        n_armed += guarded.state == ACTIVE
        n_reports.append(len(heard))
    assert max(n_reports) > 30  # so that those of the arming itself were among them
    assert n_armed >= 20


@pytest.mark.fault("F21")
@every
def test_a_device_that_answers_no_more_is_a_fault_in_words(name):
    bench = MemoryBench(name).driving()
    bench.port.twin = None
    bench.port.write = lambda data: None
    bench.guard(0.3, bench.speeds(0.5))
    assert "answer" in bench.host.report.faults[0]


@pytest.mark.fault("F10")
@every
def test_unplugging_is_a_typed_error(name):
    bench = MemoryBench(name).driving()
    bench.port.is_unplugged = True
    with pytest.raises(DeviceError, match="gone"):
        bench.host.hear(bench.now_s)


@pytest.mark.fault("F24")
def test_a_position_that_it_cannot_have_reached_is_not_believed_and_three_are_a_fault():
    bench = MemoryBench("feetech").armed()
    positions = bench.host.report.positions
    servo = bench.twin.servos[1]
    servo.position += 800
    bench.guard(0.04)
    assert bench.host.report.positions == pytest.approx(positions, abs=0.01)
    assert not bench.host.report.faults
    bench.guard(0.06)
    assert "reached" in bench.host.report.faults[0]


@pytest.mark.fault("F24")
def test_corrupt_feedback_with_a_right_sum_is_not_believed():
    bench = MemoryBench("feetech").armed()
    positions = bench.host.report.positions

    def swap(answer):  # two bytes of one servo's position: the sum does not see it
        i = answer.find(b"\xff\xff\x01\x0c")
        return answer if i < 0 else answer[: i + 5] + answer[i + 6 : i + 4 : -1] + answer[i + 7 :]

    bench.twin.corrupt = swap
    bench.guard(0.04)
    assert bench.host.n_bad > 0
    assert bench.host.report.positions == pytest.approx(positions, abs=0.01)


@pytest.mark.fault("F22")
@pytest.mark.parametrize(("name", "word"), [("feetech", "overload"), ("dynamixel", "overload")])
def test_a_servos_own_error_is_a_fault_in_its_words(name, word):
    bench = MemoryBench(name).driving()
    if name == "feetech":
        bench.twin.errors[2] = 32
    else:
        bench.twin.write(2, "hardware_error", 32)
    bench.guard(0.06, bench.speeds(0.5))
    assert word in " ".join(bench.host.report.faults)


@pytest.mark.fault("F22")
def test_dynamixels_own_watchdog_trips_when_the_host_falls_silent_while_driving():
    bench = MemoryBench("dynamixel").driving()
    for _ in range(80):
        bench.port.now_s += 0.002
        bench.twin.step(round(1e3 * bench.port.now_s), 0.002)
    assert bench.twin.read(1, "bus_watchdog") == TRIPPED
    bench.guard(0.06, bench.speeds(0.5))
    assert "bus watchdog has tripped" in " ".join(bench.host.report.faults)


@pytest.mark.fault("F22")
@pytest.mark.parametrize("fault", [8, 10, 12, 14])
def test_a_grippers_fault_is_told_in_words(fault):
    bench = MemoryBench("robotiq").driving()
    bench.twin.fault = fault
    bench.guard(0.06, [0.5])
    assert robotiq.FAULTS[fault] in bench.host.report.faults[0]


@pytest.mark.fault("F23")
def test_an_answer_of_the_previous_request_is_thrown_away_before_the_next():
    bench = MemoryBench("dynamixel").armed()
    exchange = Exchange(bench.port, 1_000_000)
    heard = []
    read_model = dynamixel.encode(dynamixel.Instruction(1, dynamixel.READ, b"\x00\x00\x02\x00"))
    bench.port.answers = bench.twin.feed(read_model, 1)  # late, and as long as what is asked next
    bench.twin.silent = {1}
    exchange.begin(bench.host._speaker.get(1, "current_limit"), heard.append, 0.0)
    for second in (1.0, 2.0, 3.0):
        exchange.advance(second)
    assert isinstance(heard[0], DeviceError)
    assert exchange.n_silent == 3


@pytest.mark.parametrize("name", ["node", *DRIVERS])
@pytest.mark.parametrize("call", ["drive", "hear"])
def test_a_driver_that_raises_what_it_should_not_is_a_latched_fault_of_its_own_device(guarded, call, monkeypatch):
    still = (0.0,) * len(guarded.outputs)
    guarded.arm(still)

    def fail(*arguments):
        raise ZeroDivisionError("gain")

    monkeypatch.setattr(guarded.host, call, fail)
    guarded.go(0.5, still)
    assert guarded.state == FAULT
    assert "its driver failed: ZeroDivisionError: gain" in guarded.machine.reason
