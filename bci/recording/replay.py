"""Playing a recording as a live stream: its own pace, channel labels, units, gaps and markers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from pylsl import local_clock

from bci.errors import RecordingError
from bci.streams.outlet import open_marker_outlet, open_outlet
from bci.types import Recording

TICK_S = 0.01


def play(
    recording: Recording,
    source_id: str,
    *,
    speed: float = 1.0,
    start_s: float = 0.0,
    seconds: float | None = None,
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
    tell : callable
        Called about a hundred times a second with the seconds played; false ends the play.

    Raises
    ------
    RecordingError
        When the part holds no sample.
    """
    signal, kinematics = recording.signal, recording.kinematics
    origin_s = float(signal.stamps_s[0]) + start_s
    end_s = np.inf if seconds is None else origin_s + seconds
    at = int(np.searchsorted(signal.stamps_s, origin_s))
    last = int(np.searchsorted(signal.stamps_s, end_s))
    if at >= last:
        raise RecordingError(
            f"The recording lasts {signal.seconds:.1f} s; nothing is there at {start_s:g} s.",
            "Choose an earlier start.",
        )
    units = [signal.unit] * len(signal.labels)
    rate_hz = signal.rate_hz * speed
    outlet = open_outlet(signal.name, signal.type, signal.labels, units, source_id, rate_hz=rate_hz)
    truth = None
    if kinematics is not None:
        truth = open_outlet(
            f"{signal.name}-kinematics",
            "Kinematics",
            kinematics.names,
            [kinematics.unit] * len(kinematics.names),
            f"{source_id}-kinematics",
            rate_hz=rate_hz,
        )
    cues = [marker for marker in recording.markers if origin_s <= marker[0] < end_s]
    cue_outlet = open_marker_outlet(recording.marker_name, f"{source_id}-markers") if recording.marker_name else None
    begin_s = local_clock()
    while at < last:
        played_s = (local_clock() - begin_s) * speed
        until = min(last, int(np.searchsorted(signal.stamps_s, origin_s + played_s, side="right")))
        while cues and cues[0][0] <= origin_s + played_s and cue_outlet is not None:
            stamp_s, text = cues.pop(0)
            cue_outlet.push_sample([text], begin_s + (stamp_s - origin_s) / speed)
        for i in range(at, until):
            stamp_s = begin_s + (signal.stamps_s[i] - origin_s) / speed
            outlet.push_sample(signal.samples[i], stamp_s)
            if truth is not None and kinematics is not None:
                truth.push_sample(kinematics.values[i], stamp_s)
        at = until
        if not tell(played_s):
            return
        time.sleep(TICK_S)
    time.sleep(0.2)  # the last samples are still on their way
