"""A recording through the same pipeline as live: frames, labels, a fitted model, and how well it decodes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bci.decoding.model import Model
from bci.decoding.velocity import VelocityDecoder
from bci.errors import RecordingError
from bci.montage import check_signal, pick_channels
from bci.pipeline import Pipeline, Step, make_pipeline
from bci.profile import BandPower, Profile, Stream
from bci.signals.grid import Grid
from bci.types import Array, Frame, Kinematics, Recording, Signal
from calibration.fit import fit_model
from calibration.labels import (
    check_spans,
    from_cues,
    from_kinematics,
    full_effort_speed,
    positions_from_kinematics,
    states_from_cues,
)
from calibration.spatial import fit_spatial
from calibration.states import fit_states

WORKSPACE_PERCENTILES = (1.0, 99.0)  # of the positions in training: between them lies the workspace


@dataclass(frozen=True)
class LabelledFrames:
    """Frames of a recording with what was meant in each.

    Attributes
    ----------
    features : Array
        Shape (n_frames, n).
    stamps_s : Array
        Shape (n_frames,).
    truth : Array
        Shape (n_frames, k): velocity in the recording's units, or the cue's intention.
    weights : Array
        Shape (n_frames,): 0 where nothing may be learned or judged.
    labels : tuple of str
        Names of the features.
    bin_s : float
        Bin width.
    states : Array or None
        Shape (n_frames,) of str: discrete states, empty where not known; None where the profile wants none.
    position : Array or None
        Shape (n_frames, k), in the recording's units; None where the profile wants none.
    statistics : dict
        What was normal of each feature at the end, as `Merger.statistics` gives it.
    """

    features: Array
    stamps_s: Array
    truth: Array
    weights: Array
    labels: tuple[str, ...]
    bin_s: float
    states: Array | None = None
    position: Array | None = None
    statistics: dict[str, list[float]] = field(default_factory=dict)


def run_pipeline(
    recording: Recording, profile: Profile, decoder: VelocityDecoder | None, spatial: Array | None = None
) -> tuple[Pipeline, list[Step]]:
    """Push a whole recording through the pipeline, cut at its gaps; further streams first, so that none is late.

    Raises
    ------
    RecordingError
        When it is not what the profile's streams describe: channels, rate.
    """
    if len(recording.extras) != len(profile.extra_streams):
        raise RecordingError(
            f"The profile merges {1 + len(profile.extra_streams)} streams, the recording was read with "
            f"{1 + len(recording.extras)}.",
            "Choose an XDF file that holds them all.",
        )
    main = _select(recording.signal, profile.stream)
    extras = [_select(*pair) for pair in zip(recording.extras, profile.extra_streams, strict=True)]
    pipeline = make_pipeline(profile, main.labels, decoder, [extra.labels for extra in extras], spatial)
    steps: list[Step] = []
    for i, signal in (*enumerate(extras, 1), (0, main)):
        for chunk in Grid(signal.rate_hz).split(signal.samples, signal.stamps_s):
            pipeline.push(chunk, steps.append, i)
    return pipeline, steps


def _select(signal: Signal, stream: Stream) -> Signal:
    """The channels that the profile uses, in its order."""
    labels, problems = check_signal(stream, signal)
    if problems:
        raise RecordingError(
            f"Stream '{signal.name}' of the recording is not what the profile describes: {'; '.join(problems)}.",
            "Choose the profile of this recording, or correct [stream] in the profile.",
        )
    return pick_channels(signal, labels)


def label_recording(recording: Recording, profile: Profile, spatial: Array | None = None) -> LabelledFrames:
    """Compute the frames of a recording and what was meant in each.

    Raises
    ------
    RecordingError
        When the recording tells neither by kinematics nor by the profile's cues.
    """
    pipeline, steps = run_pipeline(recording, profile, None, spatial)
    frames = [step.frame for step in steps]
    stamps_s = np.array([frame.stamp_s for frame in frames])
    bin_s = pipeline.extractor.bin_s
    training, position = profile.training, None
    if uses_cues(recording, profile):
        _check_markers(recording, profile)
        check_spans("cues", [at_s for at_s, text in recording.markers if text in training.cues], stamps_s)
        truth, weights = from_cues(recording.markers, stamps_s, profile)
    elif recording.kinematics is not None:
        k = recording.kinematics
        truth = from_kinematics(k.names, k.values, k.stamps_s, stamps_s, profile, bin_s)
        check_spans("kinematics", k.stamps_s, stamps_s)
        weights = ((stamps_s >= k.stamps_s[0] - bin_s) & (stamps_s <= k.stamps_s[-1] + bin_s)).astype(np.float64)
        if profile.decoder.state == "position_velocity":
            position = positions_from_kinematics(k.names, k.values, k.stamps_s, stamps_s, profile)
    else:
        raise RecordingError(
            "The recording holds no kinematics, and the profile maps no cues to intentions.",
            "Add [training.cues] to the profile.",
        )
    is_missing = [frame.is_missing for frame in frames]
    weights[is_missing] = 0.0
    states = None
    if profile.decoder.discrete is not None:
        states = states_from_cues(recording.markers, stamps_s, profile)
        states[is_missing] = ""
    extractor = pipeline.extractor
    return LabelledFrames(
        _matrix(frames), stamps_s, truth, weights, extractor.labels, bin_s, states, position, extractor.statistics()
    )


def uses_cues(recording: Recording, profile: Profile) -> bool:
    """Whether cues tell what was meant: the profile maps some, and some are there, or no kinematics are."""
    cues = profile.training.cues
    return bool(cues) and (recording.kinematics is None or any(text in cues for _, text in recording.markers))


def _check_markers(recording: Recording, profile: Profile) -> None:
    """Make sure that cues are where the profile says.

    Raises
    ------
    RecordingError
        When they are in other marker streams, which are named.
    """
    others = ", ".join(f"'{name}'" for name in recording.other_markers)
    if recording.markers or not others:
        return
    wanted = profile.stream.markers
    raise RecordingError(
        f"The recording has no marker stream '{wanted}'; it has {others}."
        if wanted
        else f"The recording has {len(recording.other_markers)} marker streams, {others}, and the profile names none.",
        "Name the one that holds the cues by stream.markers in the profile.",
    )


def fit_recording(
    recording: Recording, profile: Profile, provenance: dict[str, Any], fraction: float = 1.0
) -> tuple[Model, LabelledFrames]:
    """Fit a live decoder on the first part of a recording.

    Parameters
    ----------
    recording : Recording
        With kinematics or cues.
    profile : Profile
        Features, outputs, training.
    provenance : dict
        What to remember about the file.
    fraction : float
        How much of it, from its beginning.

    Returns
    -------
    model : Model
        Fitted; `provenance` also tells the speed of full effort. Where it learned from all, `statistics` tell what was
        normal at the end, so that a session does not begin from nothing.
    frames : LabelledFrames
        Of the whole recording.
    """
    spatial = None
    if isinstance(profile.features, BandPower) and profile.features.csp_pairs:
        plain = profile.model_copy(update={"features": profile.features.model_copy(update={"csp_pairs": 0})})
        steps = run_pipeline(recording, plain, None)[1]  # where the bins end that may be learned from
        n = int(fraction * len(steps))
        until_s = steps[n - 1].frame.stamp_s if n else -np.inf
        spatial = fit_spatial(_select(recording.signal, profile.stream), recording.markers, profile, until_s)
    frames = label_recording(recording, profile, spatial)
    n = int(fraction * len(frames.features))
    scale = 1.0 if uses_cues(recording, profile) else full_effort_speed(frames.truth[:n])
    provenance = {**provenance, "full_effort_speed": scale}
    if frames.position is not None:
        low, high = np.percentile(frames.position[:n], WORKSPACE_PERCENTILES, axis=0)
        span = float(np.max(high - low))
        frames = dataclasses.replace(frames, position=(frames.position - low) / span)
        provenance |= {"workspace_lower": low.tolist(), "workspace_span": span}
    model = fit_model(
        frames.features[:n],
        frames.truth[:n] / scale,
        frames.weights[:n],
        profile,
        frames.labels,
        frames.bin_s,
        provenance,
        spatial,
        None if frames.position is None else frames.position[:n],
        kind=profile.decoder.kind,
    )
    if n == len(frames.features):
        model = dataclasses.replace(model, statistics=frames.statistics)
    if frames.states is not None and profile.decoder.discrete is not None:
        discrete, score = fit_states(frames.features[:n], frames.states[:n], profile.decoder.discrete, frames.bin_s)
        told = {name: value for name, value in dataclasses.asdict(score).items() if value == value}  # NaN: not known
        model = dataclasses.replace(model, discrete=discrete, provenance={**model.provenance, "discrete": told})
    return model, frames


def with_position(recording: Recording, frames: LabelledFrames, profile: Profile) -> LabelledFrames:
    """With the hand's position beside its velocity, where the recording tells it: the plain filter decodes both."""
    k = recording.kinematics
    if k is None or profile.training.cues:
        return frames
    try:
        position = positions_from_kinematics(k.names, k.values, k.stamps_s, frames.stamps_s, profile)
    except RecordingError:
        return frames
    return dataclasses.replace(frames, truth=np.column_stack([frames.truth, position]))


def kinematics_of(recording: Recording) -> Kinematics:
    """The kinematics that a decoder is fitted on.

    Raises
    ------
    RecordingError
        When it has none.
    """
    if recording.kinematics is None:
        raise RecordingError(
            "The recording holds no kinematics to compare with.",
            "Give a profile with [training.cues] by --profile, to compare with cues.",
        )
    return recording.kinematics


def _matrix(frames: list[Frame]) -> Array:
    return np.array([frame.features for frame in frames])
