"""`bci driver-test` on every driver that is installed, and on drivers that break their promises."""

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

import pytest

from drivers.base import ENTRY_POINTS
from drivers.devices import feetech
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


class Overreaching(feetech.Feetech):
    """A driver that sends goals far ahead, to a device without a watchdog, and whose orders to stand are no orders."""

    def drive(self, positions):
        return super().drive([joint.axis.upper for joint in self.joints])

    def stand(self, positions):
        return dataclasses.replace(super().stand(positions), wire=b"")

    disarm = stand


def test_a_driver_that_lets_its_device_go_on_fails():
    slow = {**DRIVER.example, "axes": [{**axis, "max_speed": 0.2} for axis in DRIVER.example["axes"]]}
    driver = dataclasses.replace(DRIVER, make=Overreaching)
    found = {result.trial: result for result in examine(driver, slow, "twin", may_move=True)}
    for trial in ("set-points cease", "orders", "host is killed"):
        assert found[trial].verdict == "failed", found[trial]
    assert "went on" in found["host is killed"].found
