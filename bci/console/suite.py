"""`bci evaluate --suite real`: every decoder on every public recording, as one table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from scipy.io import loadmat

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
    continuous, discrete = list(_continuous(root)), list(_discrete(root))
    if not continuous and not discrete:
        raise RecordingError(
            f"There is no public recording in {root}.", "Give the folder that holds them with --data or BCI_TEST_DATA."
        )
    console = Console()
    rows: list[dict[str, Any]] = []
    accuracies: list[dict[str, Any]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn about convergence; the selection sees the outcome
        bar = progress.add_task("", total=len(continuous) * len(CONTINUOUS) + len(discrete))
        for load in continuous:
            split = load()
            for method, decode in CONTINUOUS.items():
                progress.update(bar, description=f"{split.name}: {method}")
                rows.append(_score(split, method, decode))
                progress.advance(bar)
        for name, classify in discrete:
            progress.update(bar, description=name)
            accuracies.append({"set": name, **classify()})
            progress.advance(bar)
    _print_continuous(console, rows)
    _print_discrete(console, accuracies)
    if json is not None:
        write_json(json, {"train_fraction": TRAIN_FRACTION, "continuous": rows, "discrete": accuracies})
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


def _print_continuous(console: Console, rows: list[dict[str, Any]]) -> None:
    for group in dict.fromkeys(row["group"] for row in rows):
        inside = [row for row in rows if row["group"] == group]
        sets = list(dict.fromkeys(row["set"] for row in inside))
        axes = list(inside[0]["r2"])
        title = f"{group}, median of {len(sets)} days" if len(sets) > 1 else group
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("R² (CC)")
        for axis in (*axes, "mean"):
            table.add_column(axis, justify="right")
        for method in CONTINUOUS:
            own = [row for row in inside if row["method"] == method]
            r2 = np.array([[row["r2"][axis] for axis in axes] for row in own])
            cc = np.array([[row["cc"][axis] for axis in axes] for row in own])
            pairs = zip(np.median(r2, axis=0), np.nanmedian(cc, axis=0), strict=True)
            cells = [f"{_short(a)} ({_short(b)})" for a, b in pairs]
            mean = _short(float(np.median(r2.mean(axis=1))))
            table.add_row(method, *cells, mean, style="bold" if method == "ours" else "")
        console.print(table)
        console.print()


def _short(value: float) -> str:
    """Three decimals without the zero before them, so that a table fits in 80 columns."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3g}"


def _print_discrete(console: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = Table(title="accuracy on held-out epochs", title_justify="left", box=None, pad_edge=False)
    for heading in ("set", "ours", "log power, LDA", "classes", "epochs"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for row in rows:
        table.add_row(row["set"], f"{row['ours']:.3f}", f"{row['baseline']:.3f}", str(row["n_classes"]), str(row["n"]))
    console.print(table)


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
