"""`bci driver-test` on every driver that is installed, and on drivers that break their promises."""

import dataclasses
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

import pytest

from drivers.base import ENTRY_POINTS
from drivers.devices import feetech
from drivers.dialogue.driver import SpokenDriver
from drivers.dialogue.positioner import Positioner
from drivers.dialogue.steps import Request
from drivers.trial import conformance
from drivers.trial.conformance import examine

NAMES = sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))
DRIVER = feetech.DRIVER


def driver_test(*arguments):
    command = [sys.executable, "-m", "bci", "driver-test", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def results():
    """Each driver on its twin, two at a time: they wait most of the time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(NAMES, pool.map(driver_test, NAMES), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_driver_keeps_its_promises_on_its_twin(name, results):
    result = results[name]
    assert result.returncode == 0, result.stdout + result.stderr
    assert "failed" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_without_a_name_all_drivers_are_told_with_what_their_watchdogs_can_do():
    result = driver_test()
    assert all(name in result.stdout for name in ("dynamixel", "feetech", "fes", "maestro", "node", "robotiq"))
    assert "None: it finishes the move to its last goal" in result.stdout


def test_a_driver_that_is_not_there_is_told_in_words():
    result = driver_test("excavator")
    assert result.returncode == 1
    assert "excavator" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_driver_that_keeps_silent_about_its_watchdog_or_wants_a_long_lease_fails():
    for change in ({"watchdog": ""}, {"lease_max_ms": 5000}, {"safe_state": "wave"}):
        declaration = dataclasses.replace(DRIVER.declaration, **change)
        with pytest.raises(conformance.Failed):
            conformance.check_declaration(dataclasses.replace(DRIVER, declaration=declaration))


def test_a_codec_that_takes_what_was_never_sent_fails():
    codec = DRIVER.codecs[1]
    example = codec.examples[0]
    credulous = dataclasses.replace(codec, decode=lambda data: [example])
    with pytest.raises(conformance.Failed, match="was accepted"):
        conformance.check_flips(credulous)
    deaf = dataclasses.replace(codec, decode=lambda data: [])
    with pytest.raises(conformance.Failed, match="does not come back"):
        conformance.check_round_trip(deaf)


SLOW = {**DRIVER.example, "axes": [{**axis, "max_speed": 0.2} for axis in DRIVER.example["axes"]]}


class Overreaching(feetech.Feetech):
    """A driver that sends goals far ahead, to a device without a watchdog, and whose orders to stand are no orders."""

    def drive(self, positions):
        return super().drive([joint.axis.upper for joint in self.joints])

    def stand(self, positions):
        return dataclasses.replace(super().stand(positions), wire=b"")

    disarm = stand


class Mute(feetech.Feetech):
    """A driver that says nothing when its device should stand: its goals are not far ahead, so it soon rests anyway."""

    def stand(self, positions):
        return Request(b"")

    disarm = stand


class Babbling(feetech.Feetech):
    """A driver whose orders are bytes that mean nothing."""

    def stand(self, positions):
        return Request(b"stand!")

    disarm = stand


class Still(feetech.Feetech):
    """A driver that never moves: it only asks."""

    def drive(self, positions):
        return super().watch()


class Eager(feetech.Feetech):
    """A driver that gives power while it prepares."""

    def prepare(self, lease_s, checks):
        yield from super().prepare(lease_s, checks)
        yield from super().arm(lease_s, [])


class Weak(feetech.Feetech):
    """A driver that says it has given power, and has not."""

    def set(self, servo, name, value):
        if name != "torque_enable":
            yield from super().set(servo, name, value)


class Stiff(feetech.Feetech):
    """A driver that is said to go limp, and keeps its torque."""

    def disarm(self, positions):
        return self.stand(positions)


class Dropping(feetech.Feetech):
    """A driver that is said to hold, and lets go."""

    def disarm(self, positions):
        return Request(feetech.sync_write("torque_enable", dict.fromkeys(self.servos, 0), self.series))


def failures(make, section=DRIVER.example, **options):
    section = {**section, "options": {**section["options"], **options}}
    driver = dataclasses.replace(DRIVER, make=make)
    results = examine(driver, section, "twin", may_move=True)
    return {result.trial: result.found for result in results if result.verdict == "failed"}


def test_a_driver_that_lets_its_device_go_on_fails():
    found = failures(Overreaching, SLOW)
    assert found.keys() >= {"set-points cease", "standing", "disarming", "stopping", "host is killed"}
    assert "went on" in found["host is killed"]


@pytest.mark.parametrize(("make", "words"), [(Mute, "told nothing"), (Babbling, "let go")])
def test_a_driver_whose_orders_are_none_fails_although_its_goals_end_soon(make, words):
    found = failures(make)
    assert found.keys() == {"standing", "disarming", "stopping"}
    assert all(words in text for text in found.values()), found


def test_a_driver_that_never_moves_shows_nothing():
    found = failures(Still)
    assert found.keys() == {"motion", "set-points cease", "standing", "disarming", "stopping", "host is killed"}
    assert set(found.values()) == {"nothing moved"}


@pytest.mark.parametrize(
    ("make", "trial", "words", "options"),
    [(Eager, "no power, no motion", "nobody has armed it", {}), (Weak, "preparing and arming", "has none", {}),
     (Stiff, "disarming", "the device has power", {"is_limp": True}), (Dropping, "disarming", "gave way", {})],
)  # fmt: skip
def test_a_driver_that_lies_about_power_fails(make, trial, words, options):
    assert words in failures(make, **options)[trial]


def test_a_device_that_is_said_to_go_limp_passes_when_it_does():
    assert failures(feetech.Feetech, is_limp=True) == {}


def test_the_suite_keeps_the_contract_that_it_judges_and_never_sleeps_beside_an_open_host(monkeypatch):
    hosts, slept_s, open_, close, sleep = [], [], SpokenDriver.open, Positioner.close, time.sleep

    def opened(*arguments):
        hosts.append(open_(*arguments))
        return hosts[-1]

    def closed(host):
        hosts[:] = [other for other in hosts if other is not host]  # one may be closed again
        close(host)

    def asleep(seconds):
        slept_s.append(seconds if hosts else 0.0)
        sleep(seconds)

    monkeypatch.setattr(SpokenDriver, "open", opened)
    monkeypatch.setattr(Positioner, "close", closed)
    monkeypatch.setattr(time, "sleep", asleep)
    assert failures(feetech.Feetech) == {}
    assert slept_s
    assert max(slept_s) == 0.0
