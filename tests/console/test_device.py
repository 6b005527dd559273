"""What a device would do and has done, at a terminal of 80 columns."""

import os
import subprocess
import sys

import pytest

from drivers.guardian.faultlog import FaultLog

PROFILE = """
schema_version = 1
name = "two"
[stream]
name = "s"
n_channels = 8
rate_hz = 50.0
[features]
kind = "rates"
[decoder]
outputs = ["vx", "vy", "vz", "grasp"]
[device]
name = "arm"
maps = [{intent = "vx", axis = "x", gain = 0.4}, {intent = "vy", axis = "y", gain = 2.0}]
frame = {intents = ["vx", "vy", "vz"], rotation_deg = [0.0, 0.0, 90.0]}
limits = {speed_fraction = 0.5}
[[devices]]
name = "glove"
maps = [{intent = "grasp", axis = "hand", gain = 1.0}]
actions = [{intent = "n_clicks", does = "toggle", axis = "hand"}, {intent = "hold", does = "disarm"}]
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bci", "device", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip


def test_a_dry_run_says_what_would_move_and_fits_80_columns(tmp_path):
    (tmp_path / "two.toml").write_text(PROFILE)
    result = run("dry-run", str(tmp_path / "two.toml"))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(result.stdout.split())
    assert "+ vx y +0.2 m/s" in text  # turned by 90 degrees, and limited
    assert "limited from 1.4" in text
    assert "+ vy x -0.2 m/s" in text
    assert "+ grasp hand +0.7 /s" in text
    assert "each click of the decoder: toggle hand" in text
    assert "hold above 0.8 for 300 ms" in text
    assert "No axis of it follows: vz, grasp." in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('axis = "x"', 'axis = "wrist"', "no axis wrist; it has x, y, z, hand"),
        ('name = "glove"', 'name = "arm"', "must differ"),
        ('does = "disarm"', 'does = "disarm", axis = "hand"', "needs no axis"),
        ('intents = ["vx", "vy", "vz"]', 'intents = ["vx", "vy", "roll"]', "'roll' is not one of decoder.outputs"),
        ("[device]", '[device]\nport = "/dev/ttyNOTHING"', "/dev/ttyNOTHING does not exist"),
    ],
)
def test_a_profile_that_contradicts_its_device_is_told_in_words(tmp_path, old, new, words):
    (tmp_path / "two.toml").write_text(PROFILE.replace(old, new, 1))
    result = run("dry-run", str(tmp_path / "two.toml"))
    assert result.returncode == 1
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_fault_log_is_shown_and_an_altered_one_is_told(tmp_path):
    path = tmp_path / "guardian.jsonl"
    log = FaultLog(path)
    for state in ("CHECKING", "ARMED", "FAULT"):
        log.write({"utc": "2026-01-01T10:20:30Z", "from": "X", "to": state, "role": "user", "reason": "because"}, True)
    log.close()
    result = run("log", str(path))
    assert result.returncode == 0
    assert "10:20:30" in result.stdout
    assert "whole: 3 records" in result.stdout
    path.write_text(path.read_text().replace("because", "by chance", 1))
    result = run("log", str(path))
    assert result.returncode == 1
    assert "line 1: the record was changed" in result.stdout
    assert run("log", str(tmp_path / "none.jsonl")).returncode == 1
