"""What was meant in each bin of a recording: from measured kinematics, or from cues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bci.errors import RecordingError
from bci.profile import Profile
from bci.types import Array

FULL_EFFORT_PERCENTILE = 95.0  # of speed in the training part: that fast is an effort of 1


def from_kinematics(
    names: Sequence[str], values: Array, stamps_s: Array, frame_stamps_s: Array, profile: Profile, bin_s: float
) -> Array:
    """Velocity at each frame, later by the lead of the neurons, one column per decoder output.

    Parameters
    ----------
    names : sequence of str
        Of the kinematics' columns.
    values : Array
        Shape (n_samples, len(names)).
    stamps_s, frame_stamps_s : Array
        When.
    profile : Profile
        Outputs and lead.
    bin_s : float
        Bin width.

    Returns
    -------
    Array
        Shape (n_frames, k), in the recording's units per second.

    Raises
    ------
    RecordingError
        When an output was not measured.
    """
    absent = [output for output in profile.decoder.outputs if output not in names]
    if absent:
        raise RecordingError(
            f"The recording has no kinematics named {', '.join(absent)}; it has {', '.join(names)}.",
            "Choose decoder.outputs among them.",
        )
    at_s = frame_stamps_s + profile.training.lead_bins * bin_s
    columns = [np.interp(at_s, stamps_s, values[:, names.index(output)]) for output in profile.decoder.outputs]
    return np.column_stack(columns)


def full_effort_speed(velocity: Array) -> float:
    """Speed that counts as full effort: the 95th percentile.

    Raises
    ------
    RecordingError
        When nothing moves.
    """
    speed = float(np.percentile(np.linalg.norm(velocity, axis=1), FULL_EFFORT_PERCENTILE))
    if not speed > 0:
        raise RecordingError("Nothing moves in the kinematics of the recording.", "Choose another recording.")
    return speed


def from_cues(markers: Sequence[tuple[float, str]], frame_stamps_s: Array, profile: Profile) -> tuple[Array, Array]:
    """Intended velocity and weight of each frame, from the profile's mapping of cues.

    A cue holds from its reaction time on, until the next cue or for `hold_ms`. With `repeat_ends` the same cue a
    second time ends what it began, and the time between is rest (weight 1, velocity 0).

    Returns
    -------
    v_int : Array
        Shape (n_frames, k).
    weights : Array
        Shape (n_frames,), 0 or 1.

    Raises
    ------
    RecordingError
        When none of the profile's cues is in the recording.
    """
    k = len(profile.decoder.outputs)
    v_int, weights = np.zeros((len(frame_stamps_s), k)), np.zeros(len(frame_stamps_s))
    for inside, text, is_end in _cued(markers, frame_stamps_s, profile):
        if text in profile.training.cues:
            v_int[inside] = np.zeros(k) if is_end else profile.training.cues[text]
            weights[inside] = 1.0
    return v_int, weights


def states_from_cues(markers: Sequence[tuple[float, str]], frame_stamps_s: Array, profile: Profile) -> Array:
    """Discrete state of each frame, shape (n_frames,) of str, from the profile's `training.states`; empty: not known.

    The same times as in `from_cues`; what `repeat_ends` ends is idle.

    Raises
    ------
    RecordingError
        When none of the profile's cues is in the recording.
    """
    states = np.full(len(frame_stamps_s), "", dtype="<U8")
    for inside, text, is_end in _cued(markers, frame_stamps_s, profile):
        if text in profile.training.states:
            states[inside] = "idle" if is_end else profile.training.states[text]
    return states


def _cued(
    markers: Sequence[tuple[float, str]], frame_stamps_s: Array, profile: Profile
) -> Iterator[tuple[Array, str, bool]]:
    """For each cue of the profile which frames it holds for, its text, and whether it is a second one that ends."""
    training = profile.training
    texts = {**training.cues, **training.states}
    known = [(stamp_s, text) for stamp_s, text in markers if text in texts]
    if not known:
        there = ", ".join(sorted({text for _, text in markers})[:8]) or "none"
        raise RecordingError(
            f"The recording has none of the cues {', '.join(texts) or '(none)'}; its markers are {there}.",
            "Correct training.cues in the profile.",
        )
    active = ""
    for i, (stamp_s, text) in enumerate(known):
        is_end = training.repeat_ends and text == active
        active = "" if is_end else text
        end_s = known[i + 1][0] if i + 1 < len(known) else np.inf
        end_s = min(end_s, stamp_s + training.hold_ms / 1e3)
        yield (frame_stamps_s >= stamp_s + training.reaction_ms / 1e3) & (frame_stamps_s < end_s), text, is_end


def check_spans(what: str, times_s: Sequence[float] | Array, frame_stamps_s: Array) -> None:
    """Make sure that what tells of the signal was recorded while the signal was.

    Raises
    ------
    RecordingError
        When not one of the times lies within the signal: their clocks differ. Both spans are named.
    """
    if not len(times_s) or not len(frame_stamps_s):
        return
    first_s, last_s = float(frame_stamps_s[0]), float(frame_stamps_s[-1])
    if not np.any((np.asarray(times_s) >= first_s - 1.0) & (np.asarray(times_s) <= last_s)):
        raise RecordingError(
            f"The {what} lie at {min(times_s):.1f} to {max(times_s):.1f} s and the signal at {first_s:.1f} to "
            f"{last_s:.1f} s: they never meet.",
            "They were stamped by different clocks; record both through LSL, or correct the times.",
        )


def positions_from_kinematics(
    names: Sequence[str], values: Array, stamps_s: Array, frame_stamps_s: Array, profile: Profile
) -> Array:
    """Where the hand was at each frame, as the person saw it, (n_frames, k): a velocity `vx` belongs to a position `x`.

    Raises
    ------
    RecordingError
        When a position was not measured.
    """
    wanted = [output.removeprefix("v") for output in profile.decoder.outputs]
    absent = [name for name in wanted if name not in names]
    if absent:
        raise RecordingError(
            f"The recording has no positions named {', '.join(absent)}; it has {', '.join(names)}.",
            'Use decoder.state = "velocity".',
        )
    columns = [np.interp(frame_stamps_s, stamps_s, values[:, names.index(name)]) for name in wanted]
    return np.column_stack(columns)
