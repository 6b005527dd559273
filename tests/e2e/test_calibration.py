"""Whole calibrations as an operator runs them: real processes, real streams, a simulated participant, no screen."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import psutil
import pytest
from sessions import no_process_of, start, streams_of, wait_for

from bci.configs import find_profile
from bci.decoding.model import load_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROFILE = "intracortical_rates"
MOST_S = 8 * 60.0


def arguments(folder, quality, *options, profile=PROFILE, pace=100):
    return ["calibrate", "P01", "--profile", str(profile), "--rehearse", quality, "--pace", str(pace),
            "--participants", str(folder), *options]  # fmt: skip


def rehearse(folder, quality, *options, profile=PROFILE):
    process = start(*arguments(folder, quality, *options, profile=profile))
    output, errors = process.communicate(timeout=200)
    assert "Traceback" not in errors
    return process.returncode, output


def only_calibration(folder):
    (state,) = folder.glob("P01/*/calibrations/*/state.json")
    return state.parent


def attempts_of(folder):
    found = list(folder.glob("P01/*/calibrations/*/state.json"))
    return json.loads(found[0].read_text())["attempts"] if found else []


@pytest.fixture(scope="module")
def with_clicks(tmp_path_factory):
    """The profile of an implanted array, with click and idle gate."""
    path = tmp_path_factory.mktemp("profile") / "clicks.toml"
    text = find_profile(PROFILE).read_text(encoding="utf-8")
    path.write_text(text.replace("[training]", "[decoder.discrete]\n\n[training]", 1), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory, with_clicks):
    folder = tmp_path_factory.mktemp("good")
    return folder, *rehearse(folder, "good", profile=with_clicks)


def test_a_good_participant_is_accepted_within_eight_minutes_of_their_time(good):
    folder, code, output = good
    assert code == 0, output
    assert "Accepted" in output
    attempts = attempts_of(folder)
    assert sum(attempt["seconds"] + 3.0 for attempt in attempts) <= MOST_S
    evaluation = attempts[-1]["measures"]
    assert attempts[-1]["phase"] == "evaluation"
    assert evaluation["success_rate"] >= 0.9
    assert evaluation["loop_p99_ms"] < 20.0
    assert evaluation["idle_drift"] < 0.05


def test_the_accepted_model_is_where_the_operator_is_told(good):
    folder, _, output = good
    path = re.search(r"--model (\S+)", output)[1]
    model = load_model(path)
    assert path.startswith(str(folder))
    assert set(model.shaping) == {"tau_ms", "beta"}
    assert model.discrete is not None


def test_its_report_needs_nothing_from_elsewhere_and_comes_as_json_too(good):
    folder, _, output = good
    calibration = only_calibration(folder)
    html = (calibration / "report.html").read_text()
    assert str(calibration / "report.html") in output
    assert not re.search(r"https?://|<script|<link|url\(", html)
    assert html.count("data:image/png;base64,") == len(re.findall("<img", html)) == 6
    assert "rehearsal with a simulated participant" in html
    report = json.loads((calibration / "report.json").read_text())
    assert report["outcome"] == "accepted"
    assert report["is_rehearsal"]
    assert len(report["attempts"]) == len(attempts_of(folder))


def test_its_recording_holds_signals_world_cues_and_verdicts(good):
    folder, _, _ = good
    (recording,) = only_calibration(folder).glob("*/recording.xdf")
    streams = streams_of(recording)
    assert {"IntracorticalRates", "bci.features", "bci.intents", "bci.world", "bci.cues", "bci.wizard",
            "bci.events"} <= set(streams)  # fmt: skip
    cues = [cue for (cue,) in streams["bci.cues"]["time_series"]]
    blocks = [cue.removeprefix("block ") for cue in cues if cue.startswith("block ")]
    assert blocks == [attempt["phase"] for attempt in attempts_of(folder)]
    assert "say Move to the circle" in cues
    assert "end" in cues
    assert (recording.parent / "recording.xdf.sha256").exists()
    assert no_process_of(recording.parent)


def test_a_participant_with_poor_signals_is_told_honestly_in_their_language(tmp_path):
    code, output = rehearse(tmp_path, "poor", "--no-recording", "--language", "fr")
    assert code == 3
    assert "le contrôle ne suffit pas pour déplacer un appareil" in output
    assert "erreur de direction" in output
    assert not list(tmp_path.rglob("model.npz"))
    assert json.loads((only_calibration(tmp_path) / "report.json").read_text())["outcome"] == "rejected"


def test_imagined_movements_of_a_simulated_eeg_are_accepted(tmp_path):
    code, output = rehearse(tmp_path, "good", "--no-recording", profile="eeg_motor_imagery")
    assert code == 0, output
    measures = attempts_of(tmp_path)[-1]["measures"]
    assert measures["accuracy"] >= 0.8
    assert measures["initiation_s"] <= 3.0
    assert measures["stop_s"] <= 2.0


def test_a_killed_wizard_goes_on_from_its_last_finished_step_and_a_median_participant_is_accepted(tmp_path):
    """First the process that calibrates is killed, then the operator's; then it is left in peace."""
    wanted = arguments(tmp_path, "median", "--no-recording", "--display")
    process = start(*wanted)
    wait_for(lambda: len(attempts_of(tmp_path)) >= 2)
    (calibrator,) = [child for child in psutil.Process(process.pid).children(recursive=True)
                     if "bci.live.calibrator" in child.cmdline()]  # fmt: skip
    calibrator.kill()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "calibrator died" in errors
    assert "Everything is kept" in output
    first = attempts_of(tmp_path)

    process = start(*wanted)
    wait_for(lambda: len(attempts_of(tmp_path)) > len(first))
    process.kill()
    process.communicate(timeout=60)
    calibration = only_calibration(tmp_path)
    wait_for(lambda: no_process_of(calibration), 30)
    second = attempts_of(tmp_path)
    assert second[: len(first)] == first

    code, output = rehearse(tmp_path, "median", "--no-recording", "--display")
    assert code == 0, output
    assert "Going on after" in output
    assert only_calibration(tmp_path) == calibration
    assert attempts_of(tmp_path)[: len(second)] == second
    assert [attempt["number"] for attempt in attempts_of(tmp_path)] == list(range(1, len(attempts_of(tmp_path)) + 1))
    assert "http://127.0.0.1:" in output
    assert sum(attempt["seconds"] + 3.0 for attempt in attempts_of(tmp_path)) <= MOST_S


@pytest.mark.parametrize("n_done", [0, 3])
def test_ctrl_c_in_any_step_keeps_everything_and_leaves_nothing_running(tmp_path, n_done):
    process = start(*arguments(tmp_path, "good"))
    wait_for(lambda: len(attempts_of(tmp_path)) >= n_done and any(tmp_path.rglob("calibrator.log")))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "Everything is kept" in output
    calibration = only_calibration(tmp_path)
    wait_for(lambda: no_process_of(calibration), 20)
    assert (calibration / "report.html").exists() == bool(attempts_of(tmp_path))
    for recording in calibration.rglob("recording.xdf"):
        assert (recording.parent / "recording.xdf.sha256").exists()


class Terminal:
    """A wizard in a terminal of 80 x 24, and what is on it."""

    def __init__(self, *arguments):
        self._ours, theirs = pty.openpty()
        os.environ["COLUMNS"], os.environ["LINES"] = "80", "24"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bci", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
        )
        os.close(theirs)
        self.text = ""

    def read(self):
        while select.select([self._ours], [], [], 0.05)[0]:
            try:
                self.text += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:
                return

    def wait_for(self, words, seconds=60.0):
        seen = len(self.text)

        def is_there():
            self.read()
            return words in self.text[max(0, seen - 200) :]

        wait_for(is_there, seconds)

    def press(self, key):
        os.write(self._ours, key.encode())

    def end(self):
        while self.process.poll() is None:
            self.read()
        self.read()
        os.close(self._ours)
        return self.process.returncode


def test_the_operator_pauses_goes_on_and_leaves_with_a_key(tmp_path):
    terminal = Terminal(*arguments(tmp_path, "good", "--no-recording", pace=1))
    terminal.wait_for("Signal check")
    terminal.press(" ")
    terminal.wait_for("PAUSED")
    terminal.press(" ")
    terminal.wait_for("s left")
    terminal.press("xyz")  # keys that mean nothing
    terminal.press("q")
    assert terminal.end() == 1
    assert "Everything is kept" in terminal.text
    assert "Traceback" not in terminal.text
    assert attempts_of(tmp_path) == []


def test_after_a_step_that_failed_the_wizard_waits_for_the_operator(tmp_path):
    terminal = Terminal(*arguments(tmp_path, "poor", "--no-recording"))
    terminal.wait_for("Press Enter to go on.")
    assert [attempt["phase"] for attempt in attempts_of(tmp_path)] == ["signals", "rest", "observation"]
    time.sleep(0.5)
    assert len(attempts_of(tmp_path)) == 3
    assert "Try another imagined movement" in terminal.text
    terminal.press("\n")
    wait_for(lambda: len(attempts_of(tmp_path)) == 4)
    terminal.wait_for("Press Enter to go on.")
    terminal.press("\n")
    assert terminal.end() == 3
    assert "Not accepted" in terminal.text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["John Smith", "--profile", PROFILE], "is no pseudonym"),
        (["P01", "--profile", "nonsense"], "nonsense"),
        (["P01", "--profile", PROFILE, "--language", "de"], "en, fr"),
        (["P01", "--profile", PROFILE, "--quick"], "Calibrate without --quick first"),
        (["P01", "--profile", PROFILE, "--rehearse", "excellent"], "excellent"),
        (["P01", "--profile", PROFILE, "--rehearse", "good", "--pace", "0"], "--pace"),
    ],
)
def test_a_mistake_on_the_command_line_is_explained_and_leaves_no_folder(tmp_path, options, complaint):
    process = start("calibrate", *options, "--participants", str(tmp_path / "p"))
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (1, 2)
    assert complaint in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "p").exists()
