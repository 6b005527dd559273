"""`bci evaluate --suite real`: every decoder on every public recording, as one table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from scipy.io import loadmat

from bci.console.screen import Screen
from bci.console.suite_tables import print_continuous, print_days, print_discrete
from bci.decoding import KalmanDecoder
from bci.errors import RecordingError
from bci.plan import write_json
from bci.recording.reader import read_recording
from bci.types import Array, Recording
from calibration.accuracy import score_axes
from calibration.comparison import (
    CONTINUOUS,
    EEG_BANKS,
    LOG_BANDS_HZ,
    LogPowerClassifier,
    our_classifier,
)

TRAIN_FRACTION = 0.8
REFERENCE_DAY = "08-17-12"
RECALIBRATION_S = 60.0
EMG_BANKS = (((20.0, 115.0),),)
GESTURE_S = 1.3
EEGMMIDB_RUNS = {"fists / feet": (6, 10, 14), "left / right": (4, 8, 12)}
EEGMMIDB_EPOCH_S = 4.0
BCICIV_TRAINING, BCICIV_TEST = (1, 2, 3), (4, 5)
BCICIV_RATE_HZ = 250.0


@dataclass(frozen=True)
class Split:
    """Features and kinematics to fit, and those held out."""

    group: str
    name: str
    axes: tuple[str, ...]
    Y: Array
    X: Array
    Y_test: Array
    X_test: Array


@dataclass(frozen=True)
class Epochs:
    """Labelled epochs of some sessions."""

    X: Array
    y: Array
    sessions: Array
    rate_hz: float


def evaluate_suite(data: Path | None, json: Path | None) -> None:
    """Print the tables, and write every figure as JSON when wanted.

    Raises
    ------
    RecordingError
        When there are no recordings.
    """
    root = data or Path(os.environ.get("BCI_TEST_DATA", "../shared/data"))
    continuous, discrete, others = list(_continuous(root)), list(_discrete(root)), _other_days(root)
    if not continuous and not discrete:
        raise RecordingError(
            f"There is no public recording in {root}.", "Give the folder that holds them with --data or BCI_TEST_DATA."
        )
    console = Screen()
    rows: list[dict[str, Any]] = []
    accuracies: list[dict[str, Any]] = []
    days: list[dict[str, Any]] = []
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn about convergence; the selection sees the outcome
        bar = progress.add_task("", total=len(continuous) * len(CONTINUOUS) + len(others) + len(discrete))
        for load in continuous:
            split = load()
            for method, decode in CONTINUOUS.items():
                progress.update(bar, description=f"{split.name}: {method}")
                rows.append(_score(split, method, decode))
                progress.advance(bar)
        for path, follow in others:
            progress.update(bar, description=f"{path.stem}: recalibrated")
            days.append({"set": path.stem, **follow(path)})
            progress.advance(bar)
        for name, classify in discrete:
            progress.update(bar, description=name)
            accuracies.append({"set": name, **classify()})
            progress.advance(bar)
    print_continuous(console, rows, list(CONTINUOUS))
    print_days(console, days)
    print_discrete(console, accuracies)
    if json is not None:
        tables = {"train_fraction": TRAIN_FRACTION, "continuous": rows, "days": days, "discrete": accuracies}
        write_json(json, tables)
        console.print(f"written to {json}")


def _score(split: Split, method: str, decode: Callable[[Array, Array, Array, Array], Array]) -> dict[str, Any]:
    decoded = decode(split.Y, split.X, split.Y_test, split.X_test[0])
    scores = score_axes(split.axes, split.X_test, decoded)
    return {
        "group": split.group,
        "set": split.name,
        "method": method,
        "n_train": len(split.X),
        "n_test": len(split.X_test),
        "cc": {score.axis: score.cc for score in scores},
        "r2": {score.axis: score.r2 for score in scores},
    }


def _continuous(root: Path) -> Iterator[Callable[[], Split]]:
    """What is there, to be read when its turn comes."""
    fhlsjs = root / "fhlsjs_midterm"
    if fhlsjs.is_dir():
        train, test = fhlsjs / "midterm_train.mat", fhlsjs / "midterm_test.mat"
        yield lambda: _across("fhlsjs_midterm", read_recording(train), read_recording(test))
    contdata = root / "contdata95" / "contdata95.mat"
    if contdata.is_file():
        yield lambda: _within("contdata95", "contdata95", read_recording(contdata))
    nick = sorted((root / "limblab_nick").glob("Nick_CO_*-binned.mat"))
    for path in nick:
        name = f"limblab_nick {path.stem[8:11]}"
        yield lambda path=path, name=name: _within(name, name, read_recording(path))  # type: ignore[misc]
    if len(nick) > 1:
        name = f"limblab_nick {nick[0].stem[8:11]} to {nick[1].stem[8:11]}"
        yield lambda: _across(name, read_recording(nick[0]), read_recording(nick[1]))
    for path in sorted((root / "limblab_spike_wf_2012").glob("Spike_*_WF_00[0-9].mat")):
        yield lambda path=path: _within("limblab_spike", path.stem, read_recording(path))  # type: ignore[misc]


def _other_days(root: Path) -> list[tuple[Path, Callable[[Path], dict[str, Any]]]]:
    """Days of the same animal, to be followed from one of them that all the others are decoded from."""
    days = sorted((root / "limblab_spike_wf_2012").glob("Spike_*_WF_00[0-9].mat"))
    first = next((path for path in days if REFERENCE_DAY in path.stem), None)
    if first is None:
        return []
    frozen = cache(lambda: KalmanDecoder().fit(*_arrays(read_recording(first))[:2]))
    return [(path, lambda path: _follow(frozen(), read_recording(path))) for path in days if path != first]


def _follow(frozen: KalmanDecoder, day: Recording) -> dict[str, Any]:
    """The decoder of another day as it is and recalibrated on the first minute, and one fitted on that alone."""
    Y, X, axes = _arrays(day)
    n = round(RECALIBRATION_S * day.signal.rate_hz)
    decoders = {
        "frozen": frozen,
        "recalibrated": deepcopy(frozen).recalibrate(Y[:n], X[:n]),
        "minute alone": KalmanDecoder().fit(Y[:n], X[:n]),
    }
    scores = {name: score_axes(axes, X[n:], decoder.predict(Y[n:])) for name, decoder in decoders.items()}
    return {
        "r2": {name: {score.axis: score.r2 for score in own} for name, own in scores.items()},
        "cc": {name: {score.axis: score.cc for score in own} for name, own in scores.items()},
    }


def _within(group: str, name: str, recording: Recording) -> Split:
    Y, X, axes = _arrays(recording)
    n = int(TRAIN_FRACTION * len(Y))
    return Split(group, name, axes, Y[:n], X[:n], Y[n:], X[n:])


def _across(name: str, train: Recording, test: Recording) -> Split:
    Y, X, axes = _arrays(train)
    Y_test, X_test, _ = _arrays(test)
    shared = [label for label in train.signal.labels if label in test.signal.labels]
    here = [train.signal.labels.index(label) for label in shared]
    there = [test.signal.labels.index(label) for label in shared]
    return Split(name, name, axes, Y[:, here], X, Y_test[:, there], X_test)


def _arrays(recording: Recording) -> tuple[Array, Array, tuple[str, ...]]:
    if recording.kinematics is None:
        raise RecordingError("The recording holds no kinematics.", "Remove it from the folder.")
    return recording.signal.samples, recording.kinematics.values, recording.kinematics.names


def _discrete(root: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    for first in sorted((root / "bciciv_2b").glob("B0?01T.mat")):
        subject = first.stem[1:3]
        yield f"bciciv_2b subject {int(subject)}", lambda first=first: _bciciv(first.parent, first.stem[:3])  # type: ignore[misc]
    for folder in sorted(root.glob("eegmmidb_S*")):
        for task, runs in EEGMMIDB_RUNS.items():
            paths = [folder / f"{folder.name[-4:]}R{run:02d}.edf" for run in runs]
            if all(path.is_file() for path in paths):
                yield f"{folder.name} {task}", lambda paths=paths: _eegmmidb(paths)  # type: ignore[misc]
    for path in sorted((root / "xdf" / "magicblink_emg").glob("three_motion_*.xdf")):
        yield f"magicblink_emg {path.stem}", lambda path=path: _gestures(path)  # type: ignore[misc]


def _bciciv(folder: Path, prefix: str) -> dict[str, Any]:
    def session(k: int, letter: str) -> Epochs:
        data = loadmat(folder / f"{prefix}0{k}{letter}.mat", squeeze_me=True)
        y = data["label"]
        return Epochs(data["data"].transpose(2, 1, 0), y, np.full(len(y), k), BCICIV_RATE_HZ)

    training = [session(k, "T") for k in BCICIV_TRAINING]
    return _classify(training, [session(k, "E") for k in BCICIV_TEST], EEG_BANKS, LOG_BANDS_HZ)


def _eegmmidb(paths: list[Path]) -> dict[str, Any]:
    runs = [_cued(path, i) for i, path in enumerate(paths)]
    return _classify(runs[:-1], runs[-1:], EEG_BANKS, LOG_BANDS_HZ)


def _cued(path: Path, session: int) -> Epochs:
    recording = read_recording(path)
    signal = recording.signal
    n = round(EEGMMIDB_EPOCH_S * signal.rate_hz)
    cues = [(round(stamp_s * signal.rate_hz), text) for stamp_s, text in recording.markers if text in ("T1", "T2")]
    cues = [(start, text) for start, text in cues if start + n <= len(signal.samples)]
    X = np.array([signal.samples[start : start + n].T for start, _ in cues])
    return Epochs(X, np.array([text for _, text in cues]), np.full(len(cues), session), signal.rate_hz)


def _gestures(path: Path) -> dict[str, Any]:
    """Each gesture is marked at its begin and its end; the last fifth is held out."""
    recording = read_recording(path)
    signal, n = recording.signal, round(GESTURE_S * recording.signal.rate_hz)
    begins = np.searchsorted(signal.stamps_s, [stamp_s for stamp_s, _ in recording.markers[::2]])
    X = np.array([signal.samples[begin : begin + n].T for begin in begins])
    y = np.array([text for _, text in recording.markers[::2]])
    k = int(TRAIN_FRACTION * len(y))
    train = Epochs(X[:k], y[:k], np.zeros(k), signal.rate_hz)
    test = Epochs(X[k:], y[k:], np.zeros(len(y) - k), signal.rate_hz)
    return _classify([train], [test], EMG_BANKS, EMG_BANKS[0])


def _classify(
    training: list[Epochs],
    test: list[Epochs],
    banks: tuple[tuple[tuple[float, float], ...], ...],
    log_bands_hz: tuple[tuple[float, float], ...],
) -> dict[str, Any]:
    X, y, sessions = (np.concatenate([getattr(e, name) for e in training]) for name in ("X", "y", "sessions"))
    rate_hz = training[0].rate_hz
    ours = our_classifier(X, y, sessions, rate_hz, banks)
    baseline = LogPowerClassifier(rate_hz, log_bands_hz).fit(X, y)
    own, others = [ours.score(e.X, e.y) for e in test], [baseline.score(e.X, e.y) for e in test]
    return {
        "ours": float(np.mean(own)),
        "baseline": float(np.mean(others)),
        "ours_by_session": own,
        "bands_hz": ours.bands_hz,
        "n_classes": len(ours.classes_),
        "n": sum(len(e.y) for e in test),
    }
