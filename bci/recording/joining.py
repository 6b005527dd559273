"""Several recordings of the same channels as one, for learning from them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bci.errors import RecordingError
from bci.montage import pick_channels
from bci.types import Kinematics, Recording, Signal

BETWEEN_S = 10.0  # of the joined clock: longer than any memory of a feature


def join_recordings(recordings: Sequence[Recording]) -> Recording:
    """Put recordings one after the other, their channels by name, with a gap between them.

    Raises
    ------
    RecordingError
        When they differ in channels, rate or kinematics.
    """
    first = recordings[0]
    if len(recordings) == 1:
        return first
    if len({len(r.extras) for r in recordings}) > 1 or len({r.kinematics is None for r in recordings}) > 1:
        raise RecordingError(
            "Some of the recordings hold kinematics or further streams, others not.", "Fit them apart."
        )
    names = {r.kinematics.names for r in recordings if r.kinematics is not None}
    if len(names) > 1:
        told = "; ".join(", ".join(each) for each in sorted(names))
        raise RecordingError(f"The kinematics of the recordings differ: {told}.", "Fit them apart.")
    shifts_s, end_s = [], float(first.signal.stamps_s[0])
    for recording in recordings:
        shifts_s.append(end_s - float(recording.signal.stamps_s[0]))
        end_s += recording.signal.seconds + BETWEEN_S
    signals = [_join([(r.signal, *r.extras)[i] for r in recordings], shifts_s) for i in range(1 + len(first.extras))]
    moved = [(r.kinematics, shift_s) for r, shift_s in zip(recordings, shifts_s, strict=True)]
    kinematics = [(k, shift_s) for k, shift_s in moved if k is not None]
    return Recording(
        signals[0],
        Kinematics(
            kinematics[0][0].names,
            kinematics[0][0].unit,
            np.vstack([k.values for k, _ in kinematics]),
            np.concatenate([k.stamps_s + shift_s for k, shift_s in kinematics]),
        )
        if kinematics
        else None,
        tuple(
            (at_s + shift_s, text) for r, shift_s in zip(recordings, shifts_s, strict=True) for at_s, text in r.markers
        ),
        first.marker_name,
        tuple(signals[1:]),
        notes=tuple(note for r in recordings for note in r.notes),
        is_damaged=any(r.is_damaged for r in recordings),
    )


def _join(signals: Sequence[Signal], shifts_s: Sequence[float]) -> Signal:
    first = signals[0]
    rates = {signal.rate_hz for signal in signals}
    if len(rates) > 1:
        told = ", ".join(f"{rate:g}" for rate in sorted(rates))
        raise RecordingError(f"The recordings have rates of {told} Hz.", "Fit them apart, or resample.")
    same = [pick_channels(signal, first.labels) for signal in signals]
    stamps_s = [signal.stamps_s + shift_s for signal, shift_s in zip(same, shifts_s, strict=True)]
    samples = np.vstack([signal.samples for signal in same])
    return dataclasses.replace(first, samples=samples, stamps_s=np.concatenate(stamps_s))
