"""MATLAB recordings of continuous arm movements with intracortical counts, in the layouts of four public data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from bci.errors import RecordingError
from bci.types import Array, Kinematics, Recording, Signal

FHLSJS_BIN_S = 0.07
CONTDATA_BIN_S = 0.05  # not stated by the source; velocities in cm per second fit 50 ms
NAMES = ("x", "y", "vx", "vy")


def read_matlab(path: Path) -> Recording:
    """Read a MATLAB file with counts and kinematics.

    Raises
    ------
    RecordingError
        When it has none of the known layouts.
    """
    data = loadmat(path, squeeze_me=True, struct_as_record=False)
    if "binnedData" in data:
        return _limblab(data["binnedData"])
    if {"rate", "kin"} <= data.keys():
        return _recording(data["rate"], np.asarray(data["kin"], dtype=np.float64), FHLSJS_BIN_S)
    if {"X", "Y"} <= data.keys():
        return _recording(data["Y"], np.asarray(data["X"], dtype=np.float64), CONTDATA_BIN_S)
    found = ", ".join(name for name in data if not name.startswith("__")) or "nothing"
    raise RecordingError(
        f"{path} has no layout that is known (it holds {found}).",
        "Known are binnedData, rate with kin, and Y with X; other files can be converted to XDF.",
    )


def _limblab(data: Any) -> Recording:
    """Binned recordings of the Miller laboratory; velocity is the gradient of position (theirs holds spikes)."""
    times_s = np.asarray(data.timeframe, dtype=np.float64)
    bin_s = round(float(times_s[-1] - times_s[0]) / (len(times_s) - 1), 5)
    counts = np.round(np.asarray(data.spikeratedata, dtype=np.float64) * bin_s)
    position = np.asarray(data.cursorposbin, dtype=np.float64)
    velocity = np.gradient(position, bin_s, axis=0)
    labels = tuple(str(label).strip() for label in data.spikeguide)
    return _recording(counts, np.column_stack([position, velocity]), bin_s, labels)


def _recording(counts: Array, kinematics: Array, bin_s: float, labels: tuple[str, ...] = ()) -> Recording:
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2 or kinematics.ndim != 2 or len(counts) != len(kinematics):
        raise RecordingError("Counts and kinematics differ in length.", "Choose another file.")
    stamps_s = np.arange(len(counts)) * bin_s
    signal = Signal(
        name="IntracorticalRates",
        type="Rates",
        unit="count",
        labels=labels or tuple(f"unit{i + 1}" for i in range(counts.shape[1])),
        rate_hz=round(1.0 / bin_s, 6),
        samples=counts,
        stamps_s=stamps_s,
    )
    return Recording(signal, Kinematics(NAMES, "cm", kinematics, stamps_s))
