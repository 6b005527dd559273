"""A recording through the same pipeline as live: frames, labels, a fitted model, and how well it decodes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bci.decoding.model import Model
from bci.decoding.offline import PlainKalman
from bci.decoding.velocity import VelocityDecoder
from bci.errors import RecordingError
from bci.montage import check_signal, pick_channels
from bci.pipeline import Pipeline, Step, make_pipeline
from bci.profile import BandPower, Profile, Stream
from bci.signals.grid import Grid
from bci.types import Array, Frame, Kinematics, Recording, Signal
from calibration.accuracy import Score, score_axes
from calibration.fit import fit_model
from calibration.judgement import judge, score_plain
from calibration.labels import (
    check_spans,
    from_cues,
    from_kinematics,
    full_effort_speed,
    positions_from_kinematics,
    states_from_cues,
)
from calibration.spatial import fit_spatial
from calibration.states import DiscreteScore, fit_states, judge_states

WORKSPACE_PERCENTILES = (1.0, 99.0)  # of the positions in training: between them lies the workspace


@dataclass(frozen=True)
class Evaluation:
    """How well a decoder does on bins that it has not seen.

    Attributes
    ----------
    method : str
        Which decoder, on which features.
    n_train, n_test : int
        Bins.
    scores : tuple of Score
        Per axis.
    discrete : DiscreteScore or None
        Of click, hold and rest, where the profile decodes them.
    judgement : str
        Better or worse than a plain Kalman filter on the same bins; empty where that is what was evaluated.
    position_mse : float or None
        Mean squared distance of the position, squared units; None where no position is decoded.
    """

    method: str
    n_train: int
    n_test: int
    scores: tuple[Score, ...]
    position_mse: float | None = None
    discrete: DiscreteScore | None = None
    judgement: str = ""


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


def evaluate_profile(
    recording: Recording, profile: Profile, test: Recording | None = None, fraction: float = 0.8
) -> Evaluation:
    """Evaluate the live decoder of a profile on a held-out recording, or on the end of the same one."""
    model, frames = fit_recording(recording, profile, {}, 1.0 if test is not None else fraction)
    n = int(fraction * len(frames.features)) if test is None else 0
    held_out = frames if test is None else label_recording(_like(test, recording, profile), profile, model.spatial)
    scale = model.provenance["full_effort_speed"]
    beta = scale / model.provenance.get("workspace_span", scale)  # so that the sum of velocities is a position
    decoder = VelocityDecoder(model, profile.decoder.model_copy(update={"beta": beta, "discrete": None}))
    decoded = np.zeros_like(held_out.truth)
    for i, features in enumerate(held_out.features):
        if held_out.weights[i] or np.any(features):
            decoder.step(features)
        else:
            decoder.coast()
        decoded[i] = decoder.velocity
    decoded *= model.provenance["least_error_gain"] * scale / beta  # gain is a setting, no part of the direction
    judged = np.arange(n, len(decoded))[held_out.weights[n:] > 0]
    if not len(judged):
        raise RecordingError("The held-out part has no labelled bin.", "Choose a smaller --train-fraction.")
    axes = profile.decoder.outputs
    scores = score_axes(axes, held_out.truth[judged], decoded[judged])
    frames, held_out = (_with_position(*pair, profile) for pair in ((recording, frames), (test or recording, held_out)))
    joined = held_out if test is None else _joined(frames, held_out)
    at = judged + len(joined.features) - len(held_out.features)
    plain = score_plain(axes, joined.features, joined.truth, joined.weights, at, n or len(frames.features))
    return Evaluation(
        method=f"live decoder ({profile.decoder.kind}) of profile '{profile.name}'",
        n_train=n or len(frames.features),
        n_test=len(judged),
        scores=scores,
        discrete=_judge_discrete(model, profile, held_out, n),
        judgement=judge(scores, plain, profile.decoder.kind),
    )


def _with_position(recording: Recording, frames: LabelledFrames, profile: Profile) -> LabelledFrames:
    """With the hand's position beside its velocity, where the recording tells it: the plain filter decodes both."""
    k = recording.kinematics
    if k is None or profile.training.cues:
        return frames
    try:
        position = positions_from_kinematics(k.names, k.values, k.stamps_s, frames.stamps_s, profile)
    except RecordingError:
        return frames
    return dataclasses.replace(frames, truth=np.column_stack([frames.truth, position]))


def _joined(first: LabelledFrames, second: LabelledFrames) -> LabelledFrames:
    """Two recordings one after the other."""
    return dataclasses.replace(
        second,
        features=np.concatenate([first.features, second.features]),
        truth=np.concatenate([first.truth, second.truth]),
        weights=np.concatenate([first.weights, second.weights]),
    )


def _like(test: Recording, recording: Recording, profile: Profile | None = None) -> Recording:
    """A recording with its channels in the order of another one: they are the same by name, not by place.

    Where the profile names channels, it picks them itself.
    """
    if profile is None:
        return dataclasses.replace(test, signal=pick_channels(test.signal, recording.signal.labels))
    streams = (profile.stream, *profile.extra_streams)
    pairs = zip(streams, (test.signal, *test.extras), (recording.signal, *recording.extras), strict=True)
    signal, *extras = (mine if s.channels else pick_channels(mine, other.labels) for s, mine, other in pairs)
    return dataclasses.replace(test, signal=signal, extras=tuple(extras))


def _judge_discrete(model: Model, profile: Profile, held_out: LabelledFrames, n: int) -> DiscreteScore | None:
    settings = profile.decoder.discrete
    if model.discrete is None or settings is None or held_out.states is None:
        return None
    return judge_states(model.discrete, held_out.features[n:], held_out.states[n:], settings, held_out.bin_s)


def evaluate_plain(recording: Recording, test: Recording | None = None, fraction: float = 0.8) -> Evaluation:
    """Evaluate the plain Kalman filter on counts as recorded, started at the true first state of the test part.

    Raises
    ------
    RecordingError
        When there are no kinematics, or the two recordings differ in channels.
    """
    X, Y = _plain_arrays(recording)
    names = _kinematics(recording).names
    if test is None:
        n = int(fraction * len(X))
        X_test, Y_test, X, Y = X[n:], Y[n:], X[:n], Y[:n]
    else:
        if test.signal.labels != recording.signal.labels and len(test.signal.labels) != len(recording.signal.labels):
            raise RecordingError(
                f"The recordings have {len(recording.signal.labels)} and {len(test.signal.labels)} channels.",
                "Choose two of one montage.",
            )
        X_test, Y_test = _plain_arrays(_like(test, recording))
        if _kinematics(test).names != names:
            raise RecordingError(
                f"The kinematics are {', '.join(names)} and {', '.join(_kinematics(test).names)}.",
                "Choose two recordings of the same task.",
            )
    used, combined = _independent(X)  # a column that is the sum or the copy of others would make the filter singular
    decoded = PlainKalman().fit(X[:, used], Y).predict(Y_test, X_test[0, used]) @ combined
    has_position = names[:2] == ("x", "y")
    off = decoded[:, :2] - X_test[:, :2]
    return Evaluation(
        method="plain Kalman filter on counts as recorded",
        n_train=len(X),
        n_test=len(X_test),
        scores=score_axes(names, X_test, decoded),
        position_mse=float(np.mean(np.sum(off**2, axis=1))) if has_position else None,
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as plain values."""
    return dataclasses.asdict(evaluation)


def _plain_arrays(recording: Recording) -> tuple[Array, Array]:
    """Kinematics and counts, bin by bin; measured apart from the counts, kinematics are those at their stamps."""
    kinematics, signal = _kinematics(recording), recording.signal
    if np.array_equal(kinematics.stamps_s, signal.stamps_s):
        return kinematics.values, signal.samples
    check_spans("kinematics", kinematics.stamps_s, signal.stamps_s)
    columns = [np.interp(signal.stamps_s, kinematics.stamps_s, column) for column in kinematics.values.T]
    return np.column_stack(columns), signal.samples


def _independent(X: Array) -> tuple[list[int], Array]:
    """Columns that do not follow from those before them, and the matrix that gives all columns from these."""
    used: list[int] = []
    scaled = X / np.maximum(np.linalg.norm(X, axis=0), 1e-300)
    for column in range(X.shape[1]):
        if np.linalg.matrix_rank(scaled[:, [*used, column]], tol=1e-6) > len(used):
            used.append(column)
    if not used:
        raise RecordingError("Nothing moves in the kinematics of the recording.", "Choose another recording.")
    return used, np.linalg.lstsq(X[:, used], X, rcond=None)[0]


def _kinematics(recording: Recording) -> Kinematics:
    if recording.kinematics is None:
        raise RecordingError(
            "The recording holds no kinematics to compare with.",
            "Give a profile with [training.cues] by --profile, to compare with cues.",
        )
    return recording.kinematics


def _matrix(frames: list[Frame]) -> Array:
    return np.array([frame.features for frame in frames])
