"""A recording through the same pipeline as live: frames, labels, a fitted model, and how well it decodes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.decoding.model import Model
from bci.decoding.offline import PlainKalman
from bci.decoding.velocity import VelocityDecoder
from bci.errors import RecordingError
from bci.pipeline import Pipeline, Step, make_pipeline
from bci.profile import Profile
from bci.signals.grid import Grid
from bci.types import Array, Chunk, Frame, Kinematics, Recording
from calibration.accuracy import Score, score_axes
from calibration.fit import fit_model
from calibration.labels import from_cues, from_kinematics, full_effort_speed


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
    position_mse : float or None
        Mean squared distance of the position, squared units; None where no position is decoded.
    """

    method: str
    n_train: int
    n_test: int
    scores: tuple[Score, ...]
    position_mse: float | None = None


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
    """

    features: Array
    stamps_s: Array
    truth: Array
    weights: Array
    labels: tuple[str, ...]
    bin_s: float


def run_pipeline(
    recording: Recording, profile: Profile, decoder: VelocityDecoder | None
) -> tuple[Pipeline, list[Step]]:
    """Push a whole recording through the pipeline, cut at its gaps.

    Raises
    ------
    RecordingError
        When it is not what the profile's stream describes: channels, rate.
    """
    signal, stream = recording.signal, profile.stream
    absent = [label for label in stream.channels if label not in signal.labels]
    if absent:
        raise RecordingError(
            f"The recording has no channels {', '.join(absent)}; it has {', '.join(signal.labels)}.",
            "Correct stream.channels in the profile.",
        )
    if len(signal.labels) != stream.n_channels or abs(signal.rate_hz - stream.rate_hz) > 1e-3 * stream.rate_hz:
        raise RecordingError(
            f"The recording has {len(signal.labels)} channels at {signal.rate_hz:g} Hz, the profile expects "
            f"{stream.n_channels} at {stream.rate_hz:g} Hz.",
            "Choose the profile of this recording, or correct stream.n_channels and stream.rate_hz.",
        )
    columns = [signal.labels.index(label) for label in stream.channels or signal.labels]
    pipeline = make_pipeline(profile, stream.channels or signal.labels, decoder)
    steps: list[Step] = []
    for chunk in Grid(signal.rate_hz).split(np.ascontiguousarray(signal.samples[:, columns]), signal.stamps_s):
        pipeline.push(Chunk(chunk.samples, chunk.stamps_s, chunk.n_lost), steps.append)
    return pipeline, steps


def label_recording(recording: Recording, profile: Profile) -> LabelledFrames:
    """Compute the frames of a recording and what was meant in each.

    Raises
    ------
    RecordingError
        When the recording tells neither by kinematics nor by the profile's cues.
    """
    pipeline, steps = run_pipeline(recording, profile, None)
    frames = [step.frame for step in steps]
    stamps_s = np.array([frame.stamp_s for frame in frames])
    bin_s = pipeline.extractor.bin_s
    if profile.training.cues:
        truth, weights = from_cues(recording.markers, stamps_s, profile)
    elif recording.kinematics is not None:
        k = recording.kinematics
        truth = from_kinematics(k.names, k.values, k.stamps_s, stamps_s, profile, bin_s)
        weights = np.ones(len(frames))
    else:
        raise RecordingError(
            "The recording holds no kinematics, and the profile maps no cues to intentions.",
            "Add [training.cues] to the profile.",
        )
    weights[[frame.is_missing for frame in frames]] = 0.0
    return LabelledFrames(_matrix(frames), stamps_s, truth, weights, pipeline.extractor.labels, bin_s)


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
        Fitted; `provenance` also tells the speed of full effort.
    frames : LabelledFrames
        Of the whole recording.
    """
    frames = label_recording(recording, profile)
    n = int(fraction * len(frames.features))
    scale = 1.0 if profile.training.cues else full_effort_speed(frames.truth[:n])
    model = fit_model(
        frames.features[:n],
        frames.truth[:n] / scale,
        frames.weights[:n],
        profile,
        frames.labels,
        frames.bin_s,
        {**provenance, "full_effort_speed": scale},
    )
    return model, frames


def evaluate_profile(
    recording: Recording, profile: Profile, test: Recording | None = None, fraction: float = 0.8
) -> Evaluation:
    """Evaluate the live decoder of a profile on a held-out recording, or on the end of the same one."""
    model, frames = fit_recording(recording, profile, {}, 1.0 if test is not None else fraction)
    n = int(fraction * len(frames.features)) if test is None else 0
    held_out = frames if test is None else label_recording(test, profile)
    decoder = VelocityDecoder(model, profile.decoder.model_copy(update={"beta": 1.0}))
    decoded = np.zeros_like(held_out.truth)
    for i, features in enumerate(held_out.features):
        if held_out.weights[i] or np.any(features):
            decoder.step(features)
        else:
            decoder.coast()
        decoded[i] = decoder.velocity
    decoded *= model.provenance["full_effort_speed"]
    judged = np.arange(n, len(decoded))[held_out.weights[n:] > 0]
    if not len(judged):
        raise RecordingError("The held-out part has no labelled bin.", "Choose a smaller --train-fraction.")
    return Evaluation(
        method=f"live decoder of profile '{profile.name}'",
        n_train=n or len(frames.features),
        n_test=len(judged),
        scores=score_axes(profile.decoder.outputs, held_out.truth[judged], decoded[judged]),
    )


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
        X_test, Y_test = _plain_arrays(test)
        if Y_test.shape[1] != Y.shape[1]:
            raise RecordingError(
                f"The recordings have {Y.shape[1]} and {Y_test.shape[1]} channels.", "Choose two of one montage."
            )
    decoded = PlainKalman().fit(X, Y).predict(Y_test, X_test[0])
    off = decoded[:, :2] - X_test[:, :2]
    return Evaluation(
        method="plain Kalman filter on counts as recorded",
        n_train=len(X),
        n_test=len(X_test),
        scores=score_axes(names, X_test, decoded),
        position_mse=float(np.mean(np.sum(off**2, axis=1))),
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as plain values."""
    return dataclasses.asdict(evaluation)


def _plain_arrays(recording: Recording) -> tuple[Array, Array]:
    return _kinematics(recording).values, recording.signal.samples


def _kinematics(recording: Recording) -> Kinematics:
    if recording.kinematics is None:
        raise RecordingError(
            "The recording holds no kinematics to compare with.",
            "Give a profile with [training.cues] by --profile, to compare with cues.",
        )
    return recording.kinematics


def _matrix(frames: list[Frame]) -> Array:
    return np.array([frame.features for frame in frames])
