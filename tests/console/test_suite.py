"""The table of all decoders on public recordings, and the promise that ours is at least as good as ridge regression."""

import json
from copy import deepcopy

import numpy as np
import pytest
from typer.testing import CliRunner

from bci.cli import app
from bci.decoding import KalmanDecoder
from bci.recording.reader import read_recording
from calibration.comparison import CONTINUOUS, lagged

run = CliRunner().invoke


def means(path):
    rows = json.loads(path.read_text())["continuous"]
    return {row["method"]: np.mean(list(row["r2"].values())) for row in rows}


@pytest.mark.real
def test_the_suite_prints_and_writes_every_decoder_on_what_is_there(real_data, tmp_path):
    (tmp_path / "fhlsjs_midterm").symlink_to(real_data("fhlsjs_midterm"))
    (tmp_path / "xdf").symlink_to(real_data("xdf"))
    result = run(app, ["evaluate", "--suite", "real", "--data", str(tmp_path), "--json", str(tmp_path / "out.json")])
    assert result.exit_code == 0, result.output
    mean = means(tmp_path / "out.json")
    assert set(mean) == set(CONTINUOUS)
    assert mean["ours"] >= 0.75
    assert mean["ours"] >= max(mean.values())
    gestures = json.loads((tmp_path / "out.json").read_text())["discrete"]
    assert np.mean([row["ours"] for row in gestures]) >= 0.95
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("day", ["07-19", "08-17"])
def test_ours_is_better_than_ridge_and_the_plain_filter_on_a_day_of_many(real_data, day):
    path = next(real_data("limblab_spike_wf_2012").glob(f"Spike_{day}-12_WF_00?.mat"))
    recording = read_recording(path)
    Y, X = recording.signal.samples, recording.kinematics.values
    n = int(0.8 * len(Y))
    r2 = {}
    for method in ("plain Kalman", "ours", "ridge, 10 lags"):
        decoded = CONTINUOUS[method](Y[:n], X[:n], Y[n:], X[n])
        r2[method] = np.mean(1 - np.mean((decoded - X[n:]) ** 2, axis=0) / np.var(X[n:], axis=0))
    assert r2["ours"] >= r2["ridge, 10 lags"] >= r2["plain Kalman"]


@pytest.mark.real
@pytest.mark.slow
def test_a_minute_of_a_new_day_never_makes_the_decoder_worse(real_data):
    """An ordinary day, one whose signal collapses and one whose cursor stands still after six minutes."""

    def day(name):
        recording = read_recording(next(real_data("limblab_spike_wf_2012").glob(f"Spike_{name}-12_WF_00?.mat")))
        return recording.signal.samples, recording.kinematics.values

    frozen = KalmanDecoder().fit(*day("08-17"))
    for name in ("07-20", "08-21", "09-12"):
        Y, X = day(name)
        minute, rest = slice(0, 1200), slice(1200, None)
        before = frozen.score(Y[rest], X[rest])
        followed = deepcopy(frozen).recalibrate(Y[minute], X[minute]).score(Y[rest], X[rest])
        assert followed > before, name


@pytest.mark.real
@pytest.mark.slow
def test_recentring_brings_a_session_with_other_electrodes_back(real_data, tmp_path):
    (tmp_path / "bciciv_2b").symlink_to(real_data("bciciv_2b"))
    result = run(app, ["evaluate", "--suite", "real", "--data", str(tmp_path), "--json", str(tmp_path / "out.json")])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out.json").read_text())["discrete"]
    assert np.mean([row["ours"] for row in rows]) >= 0.85


def test_an_empty_folder_is_refused_with_what_to_give(tmp_path):
    result = run(app, ["evaluate", "--suite", "real", "--data", str(tmp_path)])
    assert result.exit_code != 0
    assert "--data" in str(result.exception)


@pytest.mark.parametrize("arguments", [[], ["a.mat", "--suite", "real"]])
def test_either_a_file_or_the_suite_must_be_given(arguments):
    result = run(app, ["evaluate", *arguments])
    assert result.exit_code == 2
    assert "either a FILE or --suite real" in " ".join(result.output.replace("│", " ").split())


def test_lags_put_the_present_first_and_zeros_before_the_beginning():
    Y = np.arange(1.0, 7.0).reshape(3, 2)
    np.testing.assert_array_equal(lagged(Y, 2), [[1, 2, 0, 0], [3, 4, 1, 2], [5, 6, 3, 4]])
