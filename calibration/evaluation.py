"""How well a decoder does on bins of a recording that it has not seen."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.decoding.model import Model
from bci.decoding.offline import PlainKalman
from bci.decoding.velocity import VelocityDecoder
from bci.errors import RecordingError
from bci.montage import pick_channels
from bci.profile import Profile
from bci.types import Array, Recording
from calibration.accuracy import Score, score_axes
from calibration.judgement import judge, score_plain
from calibration.labels import (
    check_spans,
)
from calibration.offline import (
    LabelledFrames,
    fit_recording,
    kinematics_of,
    label_recording,
    with_position,
)
from calibration.states import DiscreteScore, judge_states


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
    frames, held_out = (with_position(*pair, profile) for pair in ((recording, frames), (test or recording, held_out)))
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
    names = kinematics_of(recording).names
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
        if kinematics_of(test).names != names:
            raise RecordingError(
                f"The kinematics are {', '.join(names)} and {', '.join(kinematics_of(test).names)}.",
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
    kinematics, signal = kinematics_of(recording), recording.signal
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
