"""MATLAB recordings of continuous arm movements with intracortical counts, in the layouts of four public data sets."""

from __future__ import annotations

import faulthandler
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from bci.errors import RecordingError
from bci.types import Array, Kinematics, Recording, Signal

FHLSJS_BIN_S = 0.07
CONTDATA_BIN_S = 0.05  # not stated by the source; velocities in cm per second fit 50 ms
NAMES = ("x", "y", "vx", "vy")
BETWEEN_TRIALS_S = 1.0  # how long it really was, the file does not say
HDF = b"MATLAB 7.3"


def read_matlab(path: Path) -> Recording:
    """Read a MATLAB file with counts and kinematics.

    Kinematics of four columns or more begin with x, y, vx, vy; `kin_names` in the file names others.

    Raises
    ------
    RecordingError
        When it has none of the known layouts, or another format.
    """
    with path.open("rb") as file:
        head = file.read(128)
    if head.startswith(HDF) or head.startswith(b"\x89HDF"):
        raise RecordingError(
            f"{path} was saved with -v7.3, which is HDF5 and is not read here.",
            "Load it in MATLAB and save it with -v7: save('day.mat', ..., '-v7').",
        )
    if not any(head):
        raise RecordingError(f"{path} begins with zeros: it holds no data.", "Look for another copy of it.")
    if not _survives(path):
        raise RecordingError(
            f"{path} is so damaged that reading it ends the process that tries.", "Look for another copy of it."
        )
    try:
        data = loadmat(path, squeeze_me=False, struct_as_record=False, chars_as_strings=True)
    except (MatReadError, ValueError, NotImplementedError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordingError(
            f"{path} is no MATLAB file, or damaged ({said}).", "Copy it again, or save it with -v7."
        ) from error
    if "binnedData" in data:
        return _limblab(loadmat(path, squeeze_me=True, struct_as_record=False)["binnedData"])
    for counts, kinematics, bin_s in (("rate", "kin", FHLSJS_BIN_S), ("Y", "X", CONTDATA_BIN_S)):
        if {counts, kinematics} <= data.keys():
            X, starts = _joined(data[kinematics], kinematics)
            Y, _ = _joined(data[counts], counts)
            return _recording(Y, X, bin_s, (), _names(data.get("kin_names"), X.shape[1]), starts)
    found = ", ".join(name for name in data if not name.startswith("__")) or "nothing"
    raise RecordingError(
        f"{path} has no layout that is known (it holds {found}).",
        "Known are binnedData, rate with kin, and Y with X; other files can be converted to XDF.",
    )


def _survives(path: Path) -> bool:
    """Whether a process that reads the file lives on: SciPy crashes in some damaged ones."""
    if not hasattr(os, "fork"):
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: the child only reads, and ends without cleaning up
        child = os.fork()
    if child == 0:
        faulthandler.disable()
        try:
            loadmat(path)
        finally:
            os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _joined(value: Any, name: str) -> tuple[Array, list[int]]:
    """A matrix of bins by columns, and where trials begin in it: trials in cells are put one after the other."""
    value = _dense(value)
    if value.dtype != object:
        return _matrix(value, name), [0]
    trials = [_matrix(_dense(cell), name) for cell in value.ravel()]
    widths = sorted({trial.shape[1] for trial in trials})
    if len(widths) != 1:
        raise RecordingError(
            f"The trials of '{name}' have {', '.join(map(str, widths)) or 'no'} columns.",
            "Save each trial as bins by columns, the same columns in each.",
        )
    return np.vstack(trials), np.cumsum([0, *map(len, trials)]).tolist()[:-1]


def _dense(value: Any) -> Any:
    return value.toarray() if hasattr(value, "toarray") else value


def _matrix(value: Any, name: str) -> Array:
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"'{name}' holds no numbers.", "Save it as a matrix of bins by columns.") from error
    if matrix.ndim != 2:
        raise RecordingError(
            f"'{name}' has {matrix.ndim} dimensions ({' by '.join(map(str, matrix.shape))}).",
            "Save it as a matrix of bins by columns, or a cell of one such matrix per trial.",
        )
    return matrix


def _names(given: Any, n: int) -> tuple[str, ...]:
    names = [] if given is None else [str(np.squeeze(name)).strip() for name in np.ravel(given)]
    if names and len(names) != n:
        raise RecordingError(f"kin_names has {len(names)} names for {n} columns of kinematics.", "Name each column.")
    known = NAMES if n >= len(NAMES) else ()
    return tuple(names) or tuple(known[i] if i < len(known) else f"k{i + 1}" for i in range(n))


def _limblab(data: Any) -> Recording:
    """Binned recordings of the Miller laboratory; velocity is the gradient of position (theirs holds spikes)."""
    absent = [name for name in ("timeframe", "spikeratedata", "cursorposbin", "spikeguide") if not hasattr(data, name)]
    if absent:
        raise RecordingError(f"binnedData has no {', '.join(absent)}.", "Export it with them.")
    times_s = np.ravel(np.asarray(data.timeframe, dtype=np.float64))
    if len(times_s) < 2:
        raise RecordingError("binnedData holds no two bins.", "Choose another file.")
    bin_s = round(float(times_s[-1] - times_s[0]) / (len(times_s) - 1), 5)
    n = len(times_s)
    counts = np.round(np.asarray(data.spikeratedata, dtype=np.float64).reshape(n, -1) * bin_s)
    position = np.asarray(data.cursorposbin, dtype=np.float64).reshape(n, -1)
    velocity = np.gradient(position, bin_s, axis=0)
    labels = tuple(str(label).strip() for label in np.ravel(data.spikeguide))
    if len(labels) != counts.shape[1]:
        labels = ()
    names = NAMES if position.shape[1] == 2 else _names(None, 2 * position.shape[1])
    return _recording(counts, np.column_stack([position, velocity]), bin_s, labels, names, [0])


def _recording(
    counts: Array, kinematics: Array, bin_s: float, labels: tuple[str, ...], names: tuple[str, ...], starts: list[int]
) -> Recording:
    if len(counts) != len(kinematics):
        more = "; one of them is transposed" if len(counts) == kinematics.shape[1] else ""
        raise RecordingError(
            f"There are {len(counts)} bins of counts and {len(kinematics)} of kinematics{more}.",
            "Save both as bins by columns, of the same bins.",
        )
    stamps_s = np.arange(len(counts)) * bin_s
    notes = []
    if len(starts) > 1:
        is_start = np.zeros(len(counts))
        is_start[[start for start in starts[1:] if start < len(counts)]] = 1.0
        stamps_s = stamps_s + BETWEEN_TRIALS_S * np.cumsum(is_start)
        notes.append(f"{len(starts)} trials are put one after the other, {BETWEEN_TRIALS_S:g} s apart.")
    labels = labels or tuple(f"unit{i + 1}" for i in range(counts.shape[1]))
    is_told = np.isfinite(counts).any(axis=0)
    if not is_told.all():
        silent = [labels[i] for i in np.flatnonzero(~is_told)]
        raise RecordingError(f"{', '.join(silent[:8])} hold no number at all.", "Leave them out of the file.")
    is_whole = np.isfinite(counts).all(axis=1) & np.isfinite(kinematics).all(axis=1)
    if not is_whole.all():
        notes.append(f"{np.count_nonzero(~is_whole)} bins in which a number is missing are left out, as a gap.")
    signal = Signal(
        name="IntracorticalRates",
        type="Rates",
        unit="count",
        labels=labels,
        rate_hz=round(1.0 / bin_s, 6),
        samples=np.ascontiguousarray(counts[is_whole]),
        stamps_s=stamps_s[is_whole],
        is_named=False,
    )
    return Recording(signal, Kinematics(names, "cm", kinematics[is_whole], stamps_s[is_whole]), notes=tuple(notes))
