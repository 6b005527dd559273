"""`bci demo --device node-avr` as a newcomer runs it, with the tool-chain and without; and `bci demo --hand PORT`."""

import csv
import json
import subprocess
import sys

import pytest
from bench import Bench, wait_for
from node_chip import milliseconds
from test_stop_button import arm

from bci.configs import find_profile
from bci.console.demo import with_hand
from bci.live.equipment import guardian_config
from bci.plan import create_plan
from bci.profile import load_profile
from drivers.firmware import EMULATOR_PACKAGES
from drivers.guardian.machine import ACTIVE, DISARMED, STOP

STILL = (0.0, 0.0, 0.0, 0.0)


def demo(folder, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "bci", "demo", "--sessions", str(folder / "sessions"), *arguments],
        capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("emulator")
def test_the_whole_demo_runs_on_the_emulated_microcontroller(tmp_path):
    result = demo(tmp_path, "--device", "node-avr", "--seconds", "10")
    assert result.returncode == 0, result.stderr
    (session,) = (tmp_path / "sessions").iterdir()
    records = [json.loads(line) for line in (session / "guardian.jsonl").read_text().splitlines()]
    states = [record["to"] for record in records]
    assert "ACTIVE" in states
    assert states[-1] == "DISARMED"
    checks = {subject: found for record in records for subject, _, found in record.get("checks", ())}
    assert checks["firmware"] == "node/1, version 1, 4 axes"
    assert checks["heat"] == checks["supply"] == "not measured"
    with (session / "trace.csv").open() as file:
        edges = list(csv.DictReader(file))
    pins = [(edge["pin"], edge["level"]) for edge in edges]
    assert ("MOVING", "1") in pins
    asked_s = next(record["monotonic_s"] for record in records if record["to"] == "CHECKING")
    assert next(float(edge["stamp_s"]) for edge in edges if edge["pin"] == "ENABLE") > asked_s
    assert [level for pin, level in pins if pin == "ENABLE"][-1] == "0"


def test_without_the_tool_chain_it_says_what_to_install_and_starts_nothing(tmp_path):
    result = demo(tmp_path, "--device", "node-avr", env={"PATH": "", "HOME": str(tmp_path)})
    assert result.returncode == 1
    message = " ".join(result.stderr.split())
    assert message.startswith("error: The emulated microcontroller needs make, ")
    assert message.endswith(f"apt-get install --no-install-recommends {EMULATOR_PACKAGES}")
    assert "avr-gcc" in message
    assert not (tmp_path / "sessions").exists()


@pytest.fixture
def two(make_chip, bench, tmp_path):  # in this order: the board outlives the guardian
    """The guardian as `bci demo --hand` starts it: the arm's software twin, and a hand on the emulated board."""
    chip = make_chip("hand")
    plan = create_plan(tmp_path, with_hand(load_profile(find_profile("simulated")), chip.path))
    config = guardian_config(plan, {"device": bench.port, "hand": chip.path}, bench.folder)
    bench.start_guardian(devices=config["devices"], rules=config["rules"])
    bench.is_console = True
    bench.chip = chip
    return bench


def test_a_hand_of_ones_own_follows_the_demo_after_its_button_was_tried_and_its_button_stops_both(two: Bench):
    chip, grasp = two.chip, (0.3, 0.0, 0.0, 0.7)
    two.wait(DISARMED)
    chip.do("stop")
    two.wait(STOP)
    chip.do("release")
    chip.wait("STOP", 0)
    two.drive(0.1, STILL)
    two.client.request("reset_stop", "caregiver")
    two.wait(DISARMED)
    assert not [edge for edge in chip.look() if edge.pin in ("ENABLE", "SERVO0")]
    assert arm(two).state == ACTIVE
    wait_for(lambda: two.drive(0.1, grasp).position[0] > 0.22 and widths_us(chip)[-1] > 1200, 20.0)
    assert two.statuses[-1].axes == ("x", "y", "z", "hand", "hand.hand")
    assert widths_us(chip)[0] == pytest.approx(1000, abs=15)  # it was open
    since = chip.mark()
    chip.do("stop")
    pressed, off = chip.wait("STOP", 1, since), chip.wait("ENABLE", 0, since)
    assert milliseconds(pressed, off) <= 20.0
    assert two.drive(0.4, grasp).state == STOP
    assert two.last_motion_s() < two.statuses[-1].stamp_s - 0.2  # the arm in software stands too


def widths_us(chip):
    pulses = [edge for edge in chip.look() if edge.pin == "SERVO0"]
    return [1e3 * milliseconds(up, down) for up, down in zip(pulses[::2], pulses[1::2], strict=False)]
