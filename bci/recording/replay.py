"""Playing a recording as a live stream: its own pace, channel labels, units, gaps and markers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pylsl import local_clock

from bci.errors import RecordingError
from bci.streams.outlet import open_marker_outlet, open_outlet
from bci.types import Array, Recording

TICK_S = 0.01


def play(
    recording: Recording,
    source_id: str,
    *,
    speed: float = 1.0,
    start_s: float = 0.0,
    seconds: float | None = None,
    loop: bool = False,
    tell: Callable[[float], bool] = lambda played_s: True,
) -> None:
    """Publish a recording until its end.

    Parameters
    ----------
    recording : Recording
        What to play.
    source_id : str
        Of the signal's stream; markers and kinematics add a suffix to it.
    speed : float
        1 is the recording's pace; the declared rate follows.
    start_s, seconds : float
        Which part, from the recording's beginning.
    loop : bool
        Begin again at the end, from the same outlets: whoever reads them sees one stream.
    tell : callable
        Called about a hundred times a second with the seconds played; false ends the play.

    Raises
    ------
    RecordingError
        When the part holds no sample.
    """
    signal = recording.signal
    origin_s = float(signal.stamps_s[0]) + start_s
    end_s = np.inf if seconds is None else origin_s + seconds
    if not np.any((signal.stamps_s >= origin_s) & (signal.stamps_s < end_s)):
        raise RecordingError(
            f"The recording lasts {signal.seconds:.1f} s; nothing is there at {start_s:g} s.",
            "Choose an earlier start.",
        )
    lanes = _open_lanes(recording, source_id, speed)
    span_s = min(end_s, float(signal.stamps_s[-1]) + 1.0 / signal.rate_hz) - origin_s
    begin_s = local_clock()
    while True:
        places = [int(np.searchsorted(lane.stamps_s, origin_s)) for lane in lanes]
        played_s = 0.0
        while played_s < span_s:
            played_s = min(span_s, (local_clock() - begin_s) * speed)
            until_s = min(end_s, origin_s + played_s)
            for i, lane in enumerate(lanes):
                last = int(np.searchsorted(lane.stamps_s, until_s, side="right" if until_s < end_s else "left"))
                for k in range(places[i], last):
                    lane.outlet.push_sample(lane.rows[k], begin_s + (lane.stamps_s[k] - origin_s) / speed)
                places[i] = max(places[i], last)
            if not tell(played_s):
                return
            time.sleep(TICK_S)
        if not loop:
            break
        begin_s += span_s / speed
    time.sleep(0.2)  # the last samples are still on their way


@dataclass(frozen=True)
class _Lane:
    """One stream: where it goes, and what, when."""

    outlet: Any
    stamps_s: Array
    rows: Any


def _open_lanes(recording: Recording, source_id: str, speed: float) -> list[_Lane]:
    signal, kinematics = recording.signal, recording.kinematics
    units = signal.units or [signal.unit] * len(signal.labels)
    rate_hz = signal.rate_hz * speed
    outlet = open_outlet(signal.name, signal.type, signal.labels, units, source_id, rate_hz=rate_hz)
    lanes = []
    all_markers = {recording.marker_name: recording.markers, **recording.other_markers}
    for i, (name, markers) in enumerate(all_markers.items()):
        if name:
            cues = open_marker_outlet(name, f"{source_id}-markers{i or ''}")
            lanes.append(_Lane(cues, np.array([at_s for at_s, _ in markers]), [[text] for _, text in markers]))
    lanes.append(_Lane(outlet, signal.stamps_s, signal.samples))
    if kinematics is not None:
        truth = open_outlet(
            f"{signal.name}-kinematics",
            "Kinematics",
            kinematics.names,
            [kinematics.unit] * len(kinematics.names),
            f"{source_id}-kinematics",
            rate_hz=rate_hz if np.array_equal(kinematics.stamps_s, signal.stamps_s) else 0.0,
        )
        lanes.append(_Lane(truth, kinematics.stamps_s, kinematics.values))
    return lanes
