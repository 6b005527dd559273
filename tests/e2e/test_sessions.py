"""Whole sessions as an operator runs them: every process real, every stream real, only the arm a twin."""

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from operated import Terminal
from sessions import active, arm, no_process_of, only_session, start, states_of, streams_of, wait_for
from synthetic import moving_recording

from bci.errors import RecordingError
from bci.live.verify import Again
from bci.plan import read_plan
from bci.recording.replay import play
from bci.types import Recording
from drivers.guardian.link import GuardianClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    process = start("demo", "--seconds", "40", "--sessions", str(folder))
    output, errors = process.communicate(timeout=150)
    assert process.returncode == 0, errors
    return only_session(folder), output


def test_the_demo_brings_the_cup(demo):
    session, output = demo
    summary = json.loads((session / "summary.json").read_text())
    assert summary["n_trials"] >= 5
    assert summary["figures"]["cups brought"] >= 1
    assert summary["success_rate"] >= 0.9
    assert summary["latency_intent_ms"]["n_bins"] > 500
    assert summary["latency_acknowledged_ms"]["p50"] < 20.0
    for word in ("movements", "time to target", "bit rate", "samples to intent", "session"):
        assert word in output


def test_its_recording_opens_with_every_stream_inside(demo):
    session, _ = demo
    streams = streams_of(session / "recording.xdf")
    assert {"SimulatedParticipant", "bci.effort", "bci.features", "bci.intents", "bci.commands", "bci.events",
            "bci.cues", "bci.world", "bci.latency", "bci.taken"} == set(streams)  # fmt: skip
    assert all(len(stream["time_stamps"]) for stream in streams.values())
    assert all(stream["footer"] for stream in streams.values())
    labels = streams["bci.intents"]["info"]["desc"][0]["channels"][0]["channel"]
    assert [channel["label"][0] for channel in labels][:4] == ["vx", "vy", "vz", "grasp"]
    digest = hashlib.sha256((session / "recording.xdf").read_bytes()).hexdigest()
    assert (session / "recording.xdf.sha256").read_text().split()[0] == digest


def test_every_bin_of_the_closed_loop_is_in_the_recording(demo):
    session, _ = demo
    streams = streams_of(session / "recording.xdf")
    index = streams["bci.intents"]["time_series"][:, -1]
    np.testing.assert_array_equal(np.diff(index), 1)
    cues = [cue for (cue,) in streams["bci.cues"]["time_series"]]
    assert cues[0] == "block observation"
    assert "block closed_loop" in cues
    assert cues[-1] == "end"


def test_the_arm_moved_only_while_the_guardian_let_it(demo):
    session, _ = demo
    transitions = [json.loads(line) for line in (session / "guardian.jsonl").read_text().splitlines()]
    began = next(t["monotonic_s"] for t in transitions if t["to"] == "ACTIVE")
    trace = np.genfromtxt(session / "trace.csv", delimiter=",", skip_header=1)
    before = trace[trace[:, 0] < began]
    assert len(before)
    assert np.ptp(before[:, 1:], axis=0).max() == 0.0
    assert np.ptp(trace[:, 1:], axis=0).min() > 0.05
    assert states_of(session)[-1] == "DISARMED"


def test_decoded_again_every_feature_and_intent_of_it_is_the_same_to_the_bit(demo):
    session, _ = demo
    process = start("replay", str(session), "--verify")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + errors
    index = streams_of(session / "recording.xdf")["bci.intents"]["time_series"][:, -1]
    assert f"{len(index)} intents" in " ".join(output.split())


@pytest.mark.parametrize(
    ("stream", "value"), [("SimulatedParticipant", 1.0), ("bci.world", 0.1), ("bci.intents", 1e-15)]
)
def test_a_value_that_differs_in_the_recording_is_found(demo, stream, value):
    """As it would if the decoder, its model, or a label had not been what is recorded."""
    session, _ = demo
    again = Again(session)
    track = again._tracks[stream]
    changed = slice(-300, -299)
    if (
        stream == "bci.world"
    ):  # gives labels in a reach; a tick takes the newest row, so that one row may be passed over
        is_reach = (track.rows[:, 8] > 0.5) & (track.rows[:, 9] < 0.5)
        is_reach[50:] &= (track.rows[50:, 4:8] == track.rows[:-50, 4:8]).all(axis=1)  # long enough to have reacted
        last = int(np.flatnonzero(is_reach[:-50])[-1])
        changed = slice(last - 2, last + 1)
    track.rows[changed, 0] += value
    difference = again.run().difference
    assert difference is not None
    assert difference.stamp_s >= track.stamps_s[changed.start] - 0.1


def test_a_session_that_lost_samples_says_so_instead_of_guessing(demo):
    session, _ = demo
    again = Again(session)
    track = again._tracks["SimulatedParticipant"]
    track.stamps_s, track.rows = np.delete(track.stamps_s, 900), np.delete(track.rows, 900, axis=0)
    with pytest.raises(RecordingError, match="are not recorded"):
        again.run()


def test_what_real_time_rights_were_granted_is_recorded(demo):
    session, _ = demo
    achieved = json.loads((session / "realtime.json").read_text())
    assert achieved["garbage_collection_frozen"] == "yes"
    assert all(achieved.values())


def test_nothing_is_left_running_after_the_demo(demo):
    session, _ = demo
    assert no_process_of(session)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_a_session_at_a_bad_moment_stops_the_arm_and_closes_the_files(tmp_path, number):
    process = start("demo", "--seconds", "120", "--sessions", str(tmp_path))
    wait_for(lambda: active(tmp_path))
    time.sleep(1.0)
    process.send_signal(number)
    process.communicate(timeout=60)
    session = only_session(tmp_path)
    wait_for(lambda: no_process_of(session), 30)
    assert process.returncode != 0
    assert states_of(session)[-1] == "DISARMED"
    assert (session / "recording.xdf.sha256").exists()
    assert len(streams_of(session / "recording.xdf")["bci.intents"]["time_stamps"]) > 10
    trace = np.genfromtxt(session / "trace.csv", delimiter=",", skip_header=1, invalid_raise=False)
    assert np.ptp(trace[-3:, 1:], axis=0).max() < 1e-3


def test_a_demo_whose_task_is_killed_says_so(tmp_path):
    process = start("demo", "--seconds", "60", "--sessions", str(tmp_path))
    wait_for(lambda: active(tmp_path))
    session = only_session(tmp_path)
    (stage,) = [p for p in psutil.Process(process.pid).children(recursive=True) if "bci.live.stage" in p.cmdline()]
    stage.kill()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "The stage died" in errors
    assert "Traceback" not in errors
    wait_for(lambda: no_process_of(session), 10)
    entries = [json.loads(line) for line in (session / "guardian.jsonl").read_text().splitlines()]
    (entry,) = [entry for entry in entries if entry["role"] == "process"]
    assert "The stage died: it was ended by SIGKILL" in entry["reason"]
    assert entry["to"] == "DISARMED"
    assert "process: The stage died: it was ended by SIGKILL" in (session / "console.jsonl").read_text()


def test_ctrl_c_while_a_session_starts_leaves_nothing_behind(tmp_path):
    process = start("demo", "--seconds", "60", "--sessions", str(tmp_path))
    wait_for(lambda: any(tmp_path.glob("*/loop.log")))
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    wait_for(lambda: no_process_of(only_session(tmp_path)), 10)


def test_a_driver_that_is_not_installed_is_refused_with_those_that_are(tmp_path, fitted):
    from bci.configs import find_profile

    profile = tmp_path / "other.toml"
    profile.write_text(find_profile("intracortical_rates").read_text().replace('"node"', '"exoskeleton"'))
    process = start("run", str(profile), "--model", str(fitted), "--sessions", str(tmp_path / "sessions"))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Driver 'exoskeleton' is not installed; there is dynamixel, feetech, fes, maestro, node, robotiq." in errors


def test_a_model_that_knows_the_position_runs_with_its_profile_and_one_that_does_not_is_refused(tmp_path, fitted):
    from bci.configs import find_profile
    from bci.decoding.model import save_model
    from bci.profile import load_profile
    from calibration.offline import fit_recording

    path, model = tmp_path / "position.toml", tmp_path / "position.npz"
    text = find_profile("intracortical_rates").read_text()
    path.write_text(text.replace("[decoder]", '[decoder]\nstate = "position_velocity"', 1))
    save_model(model, fit_recording(moving_recording(), load_profile(path), {})[0])
    for name, code in ((model, 0), (fitted, 1)):
        player = Player(moving_recording())
        process = start("run", str(path), "--model", str(name), "--seconds", "2", "--sessions", str(tmp_path / "s"))
        _, errors = process.communicate(timeout=60)
        player.stop()
        assert process.returncode == code, errors
    assert "fitted without position" in errors


def test_without_a_recording_no_signals_reach_the_disk(tmp_path, fitted):
    player = Player(moving_recording())
    process = start("run", "intracortical_rates", "--model", str(fitted), "--seconds", "3", "--no-recording",
                    "--sessions", str(tmp_path))  # fmt: skip
    _, errors = process.communicate(timeout=60)
    player.stop()
    assert process.returncode == 0, errors
    assert not list(tmp_path.glob("*/*.xdf"))


def test_a_replay_ends_quietly_with_ctrl_c(tmp_path, real_data):
    path = real_data("xdf/magicblink_emg/three_motion_one.xdf")
    process = start("replay", str(path), "--as-stream", cwd=tmp_path)
    assert "'obci_eeg1' (EEG), 8 channels at 250 Hz" in " ".join(process.stdout.readline().split())
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == ""


def test_the_demo_fits_a_terminal_and_obeys_its_keys(tmp_path):
    """On a real pseudo-terminal of 80 x 24: space stops, q ends, and the terminal is given back as it was."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [sys.executable, "-m", "bci", "demo", "--seconds", "120", "--sessions", str(tmp_path)],
        stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    seen = bytearray()

    def read():
        while select.select([master], [], [], 0)[0]:
            seen.extend(os.read(master, 65536))
        return True

    wait_for(lambda: read() and active(tmp_path) and b"reach" in seen)
    os.write(master, b" ")
    wait_for(lambda: read() and states_of(only_session(tmp_path))[-1] == "STOP", 10)
    os.write(master, b"q")
    wait_for(lambda: read() and process.poll() is not None, 40)
    read()
    assert b"Traceback" not in seen
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    from bci.configs import find_profile
    from bci.decoding.model import save_model
    from bci.profile import load_profile
    from calibration.offline import fit_recording

    profile = load_profile(find_profile("intracortical_rates"))
    model, _ = fit_recording(moving_recording(), profile, {})
    path = tmp_path_factory.mktemp("model") / "model.npz"
    save_model(path, model)
    return path


class Player:
    """A recording that plays in a thread."""

    def __init__(self, recording):
        self.go = True
        self.thread = threading.Thread(target=play, args=(recording, "played"), kwargs={"tell": lambda s: self.go})
        self.thread.start()

    def stop(self):
        self.go = False
        self.thread.join()


def test_a_recording_played_in_one_place_moves_the_arm_from_another(tmp_path, fitted):
    player = Player(moving_recording())
    process = start("run", "intracortical_rates", "--model", str(fitted), "--seconds", "8", "--sessions", str(tmp_path))
    arm(tmp_path, process)
    output, errors = process.communicate(timeout=90)
    player.stop()
    assert process.returncode == 0, errors
    session = only_session(tmp_path)
    assert "ACTIVE" in states_of(session)
    assert "samples to device" in output
    assert np.ptp(np.genfromtxt(session / "trace.csv", delimiter=",", skip_header=1)[:, 1]) > 0.01
    streams = streams_of(session / "recording.xdf")
    assert {"IntracorticalRates", "IntracorticalRates-kinematics", "bci.intents", "bci.commands"} <= set(streams)


@pytest.fixture
def brought(tmp_path):
    """An installed package that brings the decoder of the documentation: the environment to run in."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bring-a-decoder.md").read_text()
    site = tmp_path / "site"
    about = site / "network-1.0.dist-info"
    about.mkdir(parents=True)
    code, entry_point = re.findall(r"```(?:python|toml)\n(.*?)```", page, re.DOTALL)
    (site / "network.py").write_text(code)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: network\nVersion: 1.0\n")
    group, line = re.fullmatch(r'\[project\.entry-points\."(.+)"\]\n(.+)\n', entry_point).groups()
    (about / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    return {**os.environ, "PYTHONPATH": str(site)}


FIT_PLAYED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from synthetic import moving_recording
from bci.configs import find_profile
from bci.console.offline import with_kind
from bci.decoding.model import save_model
from bci.profile import load_profile
from calibration.offline import fit_recording
profile = with_kind(load_profile(find_profile("intracortical_rates")), "network")
save_model(Path(sys.argv[2]), fit_recording(moving_recording(), profile, {})[0])
"""


def test_a_decoder_that_a_package_brings_moves_the_arm_and_without_the_package_is_refused(tmp_path, brought):
    model, tests = tmp_path / "model.npz", Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", FIT_PLAYED, str(tests), str(model)], check=True, env=brought)
    player = Player(moving_recording())
    arguments = (
        "run",
        "intracortical_rates",
        "--model",
        str(model),
        "--seconds",
        "8",
        "--sessions",
        str(tmp_path / "s"),
    )
    process = start(*arguments, env=brought)
    arm(tmp_path / "s", process)
    output, errors = process.communicate(timeout=90)
    player.stop()
    assert process.returncode == 0, errors
    session = only_session(tmp_path / "s")
    assert "ACTIVE" in states_of(session)
    assert "samples to device" in output
    assert np.ptp(np.genfromtxt(session / "trace.csv", delimiter=",", skip_header=1)[:, 1]) > 0.01
    refused = subprocess.run([sys.executable, "-m", "bci", *arguments], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "'network' is not installed" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_source_that_dies_leaves_the_arm_standing_and_is_followed_again_when_it_returns(tmp_path, fitted):
    player = Player(moving_recording())
    process = start("run", "intracortical_rates", "--model", str(fitted), "--seconds", "60", "--port", "twin",
                    "--sessions", str(tmp_path))  # fmt: skip
    arm(tmp_path, process)
    player.stop()
    session = only_session(tmp_path)
    wait_for(lambda: "HOLD" in states_of(session) and states_of(session)[-1] == "DISARMED", 10, session)
    stood_s = time.monotonic()
    player = Player(moving_recording(seed=4))
    time.sleep(6.0)
    assert states_of(session)[-1] == "DISARMED"  # nothing arms itself again
    client = GuardianClient(read_plan(session).runtime, "caregiver")
    wait_for(lambda: client.request("arm", "caregiver") and not time.sleep(0.5)
             and states_of(session)[-1] == "ACTIVE", 40, session)  # fmt: skip
    client.close()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    player.stop()
    events = [text for (text,) in streams_of(session / "recording.xdf")["bci.events"]["time_series"]]
    for code in ("silent", "back", "gap"):
        assert any(text.startswith(f"streams {code}") for text in events)
    intents = streams_of(session / "recording.xdf")["bci.intents"]["time_stamps"]
    assert np.sum(intents > stood_s) > 5


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": tuple(f"w{i}" for i in range(96))}, "96 features are missing"),
        ({"labels": tuple(f"u{i}" for i in reversed(range(96)))}, "another order"),
        ({"unit": "volts"}, "its unit is volts, the profile expects count"),
        ({"labels": tuple(f"u{i}" for i in range(95))}, "it has 95 channels, the profile expects 96"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused_before_anything_is_armed(tmp_path, fitted, change, complaint):
    import dataclasses

    recording = moving_recording()
    signal_ = dataclasses.replace(recording.signal, **change)
    signal_ = dataclasses.replace(signal_, samples=np.ascontiguousarray(signal_.samples[:, : len(signal_.labels)]))
    player = Player(Recording(signal_))
    process = start("run", "intracortical_rates", "--model", str(fitted), "--sessions", str(tmp_path))
    _, errors = process.communicate(timeout=90)
    player.stop()
    assert process.returncode == 1
    assert complaint in errors
    assert "Traceback" not in errors
    assert set(states_of(only_session(tmp_path))) == {"DISARMED"}
    assert no_process_of(only_session(tmp_path))


@pytest.fixture
def waiting(tmp_path, fitted):
    """`bci run` in a terminal, waiting for a stream that nobody sends."""
    terminal = Terminal("run", "intracortical_rates", "--model", str(fitted), "--sessions", str(tmp_path))
    wait_for(lambda: any(tmp_path.glob("*/guardian.jsonl")) and "waiting for stream" in terminal.text)
    yield terminal
    terminal.close()


def test_a_stop_before_the_start_means_no_start_and_arming_is_refused_until_it_is_reset(tmp_path, waiting):
    waiting.press(" ")
    wait_for(lambda: states_of(only_session(tmp_path))[-1] == "STOP", 5)
    wait_for(lambda: "key space: stop granted" in waiting.text, 5)
    waiting.press("a")
    wait_for(lambda: "key a: arm refused: it is STOP, not DISARMED" in waiting.text, 5)
    player = Player(moving_recording())
    wait_for(lambda: read_plan(only_session(tmp_path)).ready_file("decoder").exists())
    time.sleep(3.0)
    player.stop()
    assert set(states_of(only_session(tmp_path))) == {"DISARMED", "STOP"}
    assert states_of(only_session(tmp_path))[-1] == "STOP"


def test_q_before_the_start_ends_everything_and_gives_the_terminal_back(tmp_path, waiting):
    waiting.press("q")
    wait_for(lambda: waiting.process.poll() is not None, 20)
    assert waiting.process.returncode == 1
    wait_for(lambda: "left before it had started: key q" in waiting.text, 5)
    assert "Traceback" not in waiting.text
    assert waiting.modes == waiting.before
    assert no_process_of(only_session(tmp_path))


def test_ctrl_z_does_not_suspend_a_session_and_ctrl_c_ends_it(tmp_path, waiting):
    for key, name in (("\x1a", "Ctrl-Z"), ("\x13", "Ctrl-S"), ("\x1c", "Ctrl-\\")):
        waiting.press(key)
        wait_for(lambda name=name: f"key {name}:" in waiting.text, 5)
    assert psutil.Process(waiting.process.pid).status() != psutil.STATUS_STOPPED
    waiting.press("\x03")
    wait_for(lambda: waiting.process.poll() is not None, 20)
    assert waiting.process.returncode == 130
    assert waiting.modes == waiting.before
    (last,) = session_log(tmp_path)[-1:]
    assert last["role"] == "signal"


def session_log(folder):
    return [json.loads(line) for line in (only_session(folder) / "guardian.jsonl").read_text().splitlines()]


def test_signals_that_turn_into_nonsense_hold_the_arm_and_the_session_lives(tmp_path, fitted):
    recording = moving_recording()
    recording.signal.samples[400:] = np.nan
    player = Player(recording)
    process = start(
        "run", "intracortical_rates", "--model", str(fitted), "--seconds", "60", "--sessions", str(tmp_path)
    )
    arm(tmp_path, process)
    wait_for(lambda: "HOLD" in states_of(only_session(tmp_path)), 30)
    wait_for(lambda: states_of(only_session(tmp_path))[-1] == "DISARMED", 10)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    player.stop()
    held = [json.loads(line) for line in (only_session(tmp_path) / "guardian.jsonl").read_text().splitlines()]
    assert any("not confident" in entry["reason"] for entry in held)


@pytest.mark.parametrize(("port", "complaint"), [("/dev/ttyNOTHING", "does not exist"), ("busy", "is in use")])
def test_a_port_that_cannot_be_had_ends_the_start_in_one_message(tmp_path, fitted, bench, port, complaint):
    if port == "busy":
        bench.start_guardian()
        port = bench.port
    process = start("run", "intracortical_rates", "--model", str(fitted), "--port", port, "--sessions", str(tmp_path),
                    env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")})  # fmt: skip
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaint in errors
    assert "Traceback" not in errors
