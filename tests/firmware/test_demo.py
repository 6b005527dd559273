"""`bci demo --device node-avr` as a newcomer runs it: with the tool-chain, and without."""

import csv
import json
import subprocess
import sys

import pytest

from drivers.firmware import EMULATOR_PACKAGES


def demo(folder, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "bci", "demo", "--sessions", str(folder / "sessions"), *arguments],
        capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("_emulator")
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
    powered_s = next(float(edge["stamp_s"]) for edge in edges if edge["pin"] == "ENABLE")
    assert powered_s > asked_s  # no power before the checks
    assert [level for pin, level in pins if pin == "ENABLE"][-1] == "0"


def test_without_the_tool_chain_it_says_what_to_install_and_starts_nothing(tmp_path):
    result = demo(tmp_path, "--device", "node-avr", env={"PATH": "", "HOME": str(tmp_path)})
    assert result.returncode == 1
    message = " ".join(result.stderr.split())
    assert message.startswith("error: The emulated microcontroller needs make, ")
    assert message.endswith(f"apt-get install --no-install-recommends {EMULATOR_PACKAGES}")
    assert "avr-gcc" in message
    assert not (tmp_path / "sessions").exists()
