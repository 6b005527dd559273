"""The guardian in front of the board: its stop button is the guardian's latched STOP, its faults are faults."""

import time

import pytest
from bench import Bench, wait_for
from node_chip import milliseconds

from drivers.devices.node import FAULT_NAMES
from drivers.guardian.machine import ACTIVE, DISARMED, FAULT, STOP
from drivers.twins.node import AXES
from drivers.twins.terminal import on_terminal

STILL = (0.0, 0.0, 0.0, 0.0)
BOUND_STOP_MS = 20.0


def arm(bench):
    """Ask until it is given: on a busy computer answers and intents may come too late for a check."""
    deadline_s = time.monotonic() + 60.0
    while True:
        bench.drive(2.3, STILL)
        bench.client.request("arm", "caregiver")
        status = bench.drive(5.0, STILL, until=ACTIVE)
        if status.state == ACTIVE:
            return status
        assert time.monotonic() < deadline_s, status.reason


class Guarded(Bench):
    """A bench whose device is the chip, with a stop button that must be tried before power."""

    def begin(self, chip):
        self.chip, self.port = chip, chip.path
        self.restart()

    def restart(self):
        return self.start_guardian(devices=[{**self.device(), "has_stop_button": True}])

    def press(self):
        since = self.chip.mark()
        self.chip.do("stop")
        return self.chip.wait("STOP", 1, since)

    def let_go(self):
        since = self.chip.mark()
        self.chip.do("release")
        self.chip.wait("STOP", 0, since)
        time.sleep(0.05)

    def ask(self, verb, state, seconds=5.0):
        self.client.request(verb, "caregiver")
        return self.wait(state, seconds)

    def try_button(self):
        self.press()
        self.wait(STOP)
        self.let_go()
        self.ask("reset_stop", DISARMED)

    def arm(self):
        return arm(self)


@pytest.fixture
def guarded(chip, tmp_path_factory):
    guarded = Guarded(tmp_path_factory.mktemp("g"))
    guarded.begin(chip)
    yield guarded
    guarded.close()


def test_no_power_until_the_stop_button_was_tried(guarded):
    deadline_s = time.monotonic() + 60.0
    while "stop button: not tried in this session" not in guarded.drive(0.5, STILL).reason:
        assert time.monotonic() < deadline_s, guarded.statuses[-1].reason
        if guarded.statuses[-1].state == DISARMED:
            guarded.client.request("arm", "caregiver")
    assert not [edge for edge in guarded.chip.look() if edge.pin == "ENABLE"]


def test_the_button_cuts_power_and_is_the_guardians_latched_stop_until_released_and_reset_by_a_caregiver(guarded):
    guarded.try_button()
    assert guarded.arm().state == ACTIVE
    wait_for(lambda: guarded.drive(0.1) and guarded.chip.level("MOVING"), 10.0)
    since = guarded.chip.mark()
    pressed = guarded.press()
    assert milliseconds(pressed, guarded.chip.wait("ENABLE", 0, since)) <= BOUND_STOP_MS
    status = guarded.drive(1.0, until=STOP)
    assert (status.state, status.reason) == (STOP, "stopped by the device")
    assert (guarded.folder / "stop.json").exists()

    guarded.client.request("reset_stop", "user")
    assert guarded.drive(0.3).state == STOP
    guarded.client.request("reset_stop", "caregiver")  # still pressed: whoever resets finds it stopped again
    assert guarded.drive(0.5).state == STOP
    guarded.let_go()
    guarded.processes[-1].terminate()
    guarded.processes[-1].wait(5)
    guarded.restart()  # neither a new guardian nor letting go ends it
    assert guarded.drive(0.5).state == STOP
    assert guarded.ask("reset_stop", DISARMED).state == DISARMED
    assert not [edge for edge in guarded.chip.look()[since:] if (edge.pin, edge.level) == ("ENABLE", 1)]
    reasons = [(entry["to"], entry["role"]) for entry in guarded.log()]
    assert (STOP, "device") in reasons


class Board:
    """The core in C with a motor that can fail, as a twin."""

    axes, positions, is_moving = AXES, (), False

    def __init__(self, device):
        self._device, self.faults = device, 0

    def feed(self, data, now_ms):
        return self._device.feed(data, now_ms)

    def step(self, now_ms, dt_s):
        self._device.see(faults=self.faults)
        self._device.step(now_ms, dt_s)


def test_a_fault_that_the_board_latches_is_accepted_only_when_its_cause_is_gone(core, tmp_path):
    board = Board(core.device())
    bench = Bench(tmp_path)
    with on_terminal(board) as bench.port:
        try:
            bench.start_guardian()
            assert bench.wait(DISARMED).state == DISARMED
            board.faults = 1 << FAULT_NAMES.index("supply voltage")
            assert "supply voltage" in bench.wait(FAULT).reason
            bench.client.request("acknowledge", "caregiver")
            assert bench.drive(0.3, STILL).state == FAULT
            board.faults = 0
            time.sleep(0.05)
            bench.client.request("acknowledge", "caregiver")  # asks the board to let go of it …
            assert bench.drive(0.3, STILL).state == FAULT
            bench.client.request("acknowledge", "caregiver")  # … and finds that it did
            assert bench.drive(0.3, STILL).state == DISARMED
        finally:
            bench.close()
