"""The command line as an operator meets it: real processes, real exit codes."""

import os
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


def test_streams_of_any_name_are_listed_as_they_are_called_also_irregular_ones():
    from bci.streams.outlet import open_outlet

    outlets = [open_outlet(name, "[bold]EMG[/bold]", ["a"], ["1"], f"[red]{name}") for name in ("[left]", "x [/nope]")]
    time.sleep(0.2)
    result = bci("streams", env={**os.environ, "COLUMNS": "160"})
    assert result.returncode == 0, result.stderr
    for wanted in ("[left]", "x [/nope]", "[bold]EMG[/bold]", "[red][left]", "irregular"):
        assert wanted in result.stdout
    del outlets


def test_devices_answers_also_without_any_port():
    result = bci("devices")
    assert result.returncode == 0
    assert result.stdout.strip()


def test_the_doctor_gives_every_line_a_verdict(tmp_path):
    result = bci("doctor", "--sessions", str(tmp_path))
    lines = [line for line in result.stdout.splitlines() if line[:1].strip()]
    assert len(lines) >= 9
    assert all(any(word in line for word in ("ok", "warning", "failure")) for line in lines)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_terminal_without_unicode_is_spoken_to_in_its_letters(encoding):
    result = subprocess.run([sys.executable, "-m", "bci", "profile", "check", "emg_openbci"], capture_output=True,
                            check=False, env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert b" -> " in result.stdout
    assert b"valid" in result.stdout


def test_a_place_for_the_result_is_tried_before_the_work(tmp_path):
    result = bci("fit", "nowhere.mat", "--profile", "simulated", "--model", str(tmp_path / "absent" / "m.npz"))
    assert result.returncode == 1
    assert "Choose another place with --model" in result.stderr
    result = bci("evaluate", "nowhere.mat", "--json", str(tmp_path))
    assert "Choose another place with --json" in result.stderr


def test_what_the_operating_system_refuses_is_no_traceback(tmp_path):
    name = 300 * "x"
    result = bci("profile", "check", name)
    assert result.returncode == 1
    assert result.stderr.startswith("error: File name too long")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("changes", [{"XDG_STATE_HOME": "/proc/none"}, {"HOME": "/proc", "XDG_STATE_HOME": ""}])
def test_a_stop_that_could_not_be_remembered_is_found_before_anything_starts(tmp_path, changes):
    profile = find_profile("emg_openbci")
    code = """
import sys
from pathlib import Path
from bci.errors import SessionError
from bci.live.session import Session
from bci.plan import create_plan
from bci.profile import load_profile
plan = create_plan(Path(sys.argv[1]), load_profile(Path(sys.argv[2])))
try:
    Session(plan, "/dev/ttyACM7").start()
except SessionError as error:
    print(error, plan.runtime.exists())
"""
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(profile)], capture_output=True, text=True,
                            check=True, env={**os.environ, **changes})  # fmt: skip
    assert "A stop could not be remembered" in result.stdout
    assert "Set XDG_STATE_HOME" in result.stdout
    assert result.stdout.endswith("False\n")
    assert list(tmp_path.iterdir()) == [], "a folder in which nothing happened stays behind"


def test_the_doctor_tries_what_it_says_is_granted(monkeypatch):
    from bci.live import doctor

    refused = dict.fromkeys(("sched_fifo", "memory_locked", "timer_slack_1_ns", "dies_with_parent", "pinned_to_cpu"),
                            "refused")  # fmt: skip
    granted = dict.fromkeys(refused, "yes")
    monkeypatch.setattr(doctor, "try_rights", lambda: refused)
    assert {finding.verdict for finding in doctor._rights()} == {"warning"}
    monkeypatch.setattr(doctor, "try_rights", lambda: granted)
    monkeypatch.setattr(doctor, "_has_room_for_locks", lambda: True)
    assert {finding.verdict for finding in doctor._rights()} == {"ok"}


@pytest.mark.skipif(sys.platform != "linux", reason="these rights are Linux's")
def test_the_doctors_trial_answers_for_every_right():
    from bci.live.doctor import try_rights

    assert set(try_rights()) >= {"sched_fifo", "memory_locked", "timer_slack_1_ns", "dies_with_parent", "pinned_to_cpu"}
