"""The command line as an operator meets it: real processes, real exit codes."""

import subprocess
import sys
import time

import pytest

from bci.configs import find_profile

COMMANDS = [
    "",
    "demo",
    "run",
    "replay",
    "fit",
    "evaluate",
    "streams",
    "devices",
    "driver-test",
    "doctor",
    "profile",
    "profile check",
    "device",
    "device dry-run",
    "device log",
    "device firmware",
    "stop",
    "simulate",
    "simulate participant",
    "simulate amplifier",
]


def bci(*arguments, timeout=60, **options):
    return subprocess.run(
        [sys.executable, "-m", "bci", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_fits_a_screen(command):
    result = bci(*command.split(), "--help", env={"COLUMNS": "80", "PATH": "", "HOME": "/tmp"})
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) <= 24
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_loads_nothing_heavy():
    code = """
import sys
sys.argv = ["bci", "--help"]
import bci.cli
try:
    bci.cli.app()
except SystemExit:
    print([m for m in ("numpy", "numba", "scipy", "pylsl", "mne") if m in sys.modules], file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


def test_the_version_is_told():
    assert bci("--version").stdout.startswith("bci 0.")


@pytest.mark.parametrize(
    "name",
    ["simulated", "intracortical_rates", "eeg_motor_imagery", "emg_openbci", "dynamixel_arm", "feetech_arm",
     "fes_hand", "maestro_hand", "robotiq_gripper"],
)  # fmt: skip
def test_every_shipped_profile_is_valid(name):
    result = bci("profile", "check", name)
    assert result.returncode == 0
    assert "valid" in result.stdout


def test_every_wrong_field_of_a_profile_is_named_at_once(tmp_path):
    text = find_profile("simulated").read_text()
    (tmp_path / "p.toml").write_text(text.replace("n_channels = 192", "n_channels = -1\ncolour = 2"))
    result = bci("profile", "check", str(tmp_path / "p.toml"))
    assert result.returncode == 1
    assert "stream.n_channels" in result.stderr
    assert "stream.colour" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("profile", "check", "nowhere"),
            "is not a file here. Give a path, or one of: dynamixel_arm, eeg_motor_imagery",
        ),
        (("evaluate", "nowhere.mat"), "nowhere.mat does not exist"),
        (("replay", "nowhere.xdf"), "nowhere.xdf does not exist"),
        (("run", "intracortical_rates"), "names no model. Fit one (bci fit FILE"),
        (("run", "intracortical_rates", "--model", "nowhere.npz"), "nowhere.npz does not exist"),
        (("fit", "nowhere.mat", "--profile", "intracortical_rates"), "nowhere.mat does not exist"),
        (
            ("simulate", "amplifier", "emg_openbci", "--drift", "rain=2"),
            "'rain=2' is not understood. Write name=number",
        ),
        (("simulate", "participant", "--habits", "delay_s=-1"), "names are delay_s, damping"),
        (("simulate", "amplifier", "simulated", "--encoder", "eeg"), "EEG with 4 outputs cannot be simulated"),
    ],
)
def test_an_operators_mistake_is_one_message_with_the_remedy(arguments, complaint, tmp_path):
    result = bci(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert complaint in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr + result.stdout
    assert list(tmp_path.iterdir()) == []


def test_streams_lists_what_is_on_the_network():
    from bci.streams.outlet import open_outlet

    outlet = open_outlet("listed", "EEG", ["C3", "C4"], ["microvolts"] * 2, "listed-source", rate_hz=250.0)
    time.sleep(0.2)
    result = bci("streams")
    assert result.returncode == 0
    for wanted in ("listed", "EEG", "250 Hz", "listed-source"):
        assert wanted in result.stdout
    del outlet


def test_devices_answers_also_without_any_port():
    result = bci("devices")
    assert result.returncode == 0
    assert result.stdout.strip()


def test_the_doctor_gives_every_line_a_verdict(tmp_path):
    result = bci("doctor", "--sessions", str(tmp_path))
    lines = [line for line in result.stdout.splitlines() if line[:1].strip()]
    assert len(lines) >= 9
    assert all(any(word in line for word in ("ok", "warning", "failure")) for line in lines)
