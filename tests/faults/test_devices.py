"""What a driver makes of servos and grippers that fail, answer late, or tell what cannot be: in memory, in their time."""

import pytest
from memory import DRIVERS, MemoryBench

from bci.errors import DeviceError
from drivers import dynamixel, robotiq
from drivers.dynamixel import TRIPPED
from drivers.exchange import Exchange

every = pytest.mark.parametrize("name", DRIVERS)


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
    exchange.begin(bench.host._speaker._get(1, "current_limit"), heard.append, 0.0)
    for second in (1.0, 2.0, 3.0):
        exchange.advance(second)
    assert isinstance(heard[0], DeviceError)
    assert exchange.n_silent == 3
