"""The steps of a calibration and their gates, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bci.profile import BandPower, Profile

Paradigm = Literal["movement", "imagery"]
HIGHEST_EEG_HZ = 45.0  # features above it are no rhythms of the EEG: muscles then
ANGLE_NOISE = 1.03  # decoding noise per axis and bin at which control becomes hard: 50 degrees in a plane


@dataclass(frozen=True)
class Gate:
    """One condition of a step.

    Attributes
    ----------
    measure : str
        What is measured; its name and advice are in the catalogue of texts.
    limit : float
        The least or the most that passes.
    is_least : bool
        Whether more is better.
    is_optional : bool
        Judged only where it was measured; any other measure that is absent fails.
    """

    measure: str
    limit: float
    is_least: bool = False
    is_optional: bool = False

    def passes(self, measures: Mapping[str, float]) -> bool:
        """Whether what was measured is good enough; what is absent or not finite is not."""
        if self.measure not in measures:
            return self.is_optional
        value = measures[self.measure]
        return bool(math.isfinite(value) and (value >= self.limit if self.is_least else value <= self.limit))


@dataclass(frozen=True)
class Phase:
    """One step of a calibration.

    Attributes
    ----------
    name : str
        Of the step, in the state, the report and the catalogue of texts.
    seconds : float
        How long its block lasts at most; 0 where the participant does nothing.
    gates : tuple of Gate
        All must pass.
    back_to : str
        Step to go back to when one does not.
    is_required : bool
        Otherwise the calibration goes on without it after two attempts.
    """

    name: str
    seconds: float
    gates: tuple[Gate, ...]
    back_to: str
    is_required: bool = True


def paradigm_of(profile: Profile) -> Paradigm:
    """Imagery on cue for rhythms of the EEG, observed movements for everything else."""
    features = profile.features
    if isinstance(features, BandPower) and all(high <= HIGHEST_EEG_HZ for _, high in features.bands_hz):
        return "imagery"
    return "movement"


def make_program(profile: Profile, paradigm: Paradigm, n_features: int, *, is_quick: bool = False) -> tuple[Phase, ...]:
    """The steps for a profile, in order.

    The limits are those of the field where it has any: success, time and angle of intracortical cursor control
    (Brandman et al. 2018; Willett et al. 2019), initiation, accuracy and stop of EEG-driven hands (Nann et al. 2020).
    """
    angle = Gate("angle_error_deg", round(hard_angle_deg(len(profile.decoder.outputs)), 1))
    if is_quick:
        return _quick(angle, paradigm)
    wants_discrete = profile.decoder.discrete is not None
    if paradigm == "imagery":
        return _imagery(len(profile.decoder.outputs))
    return _movement(n_features, angle, wants_discrete)


def _common() -> tuple[Phase, Phase]:
    signals = Phase(
        "signals", 30.0, (Gate("usable_share", 0.7, is_least=True), Gate("lost_share", 0.05)), back_to="signals"
    )
    rest = Phase("rest", 30.0, (Gate("lost_share", 0.05), Gate("burst_share", 0.05)), back_to="rest")
    return signals, rest


def _movement(n_features: int, angle: Gate, wants_discrete: bool) -> tuple[Phase, ...]:
    least_tuned = float(min(8, max(2, n_features // 4)))
    evaluation = (
        Gate("success_rate", 0.9, is_least=True),
        Gate("median_time_s", 3.0),
        Gate("path_efficiency", 0.5, is_least=True),
        angle,
        Gate("idle_drift", 0.05),
        Gate("false_clicks_per_min", 1.0, is_optional=True),
        Gate("loop_p99_ms", 20.0, is_optional=True),
    )
    return (
        *_common(),
        Phase(
            "observation",
            48.0,
            (Gate("cv_angle_deg", 75.0), Gate("tuned_channels", least_tuned, is_least=True)),
            back_to="observation",
        ),
        Phase("assisted", 120.0, (Gate("assist_left", 0.5),), back_to="observation"),
        Phase("unassisted", 75.0, (Gate("success_rate", 0.6, is_least=True),), back_to="assisted"),
        Phase("tuning", 0.0, (Gate("predicted_time_s", 3.0),), back_to="unassisted"),
        Phase(
            "discrete",
            52.0,
            (Gate("click_accuracy", 0.8, is_least=True), Gate("idle_accuracy", 0.8, is_least=True)),
            back_to="discrete",
            is_required=wants_discrete,
        ),
        Phase("evaluation", 75.0, evaluation, back_to="assisted"),
    )


def _imagery(n_outputs: int) -> tuple[Phase, ...]:
    """Along one line first, whatever the number of outputs."""
    evaluation = (
        Gate("accuracy", 0.8, is_least=True),
        Gate("initiation_s", 3.0),
        Gate("stop_s", 2.0),
        Gate("loop_p99_ms", 20.0, is_optional=True),
    )
    plane = () if n_outputs == 1 else (Phase("plane", 160.0, (Gate("assist_left", 0.5),), back_to="line"),)
    return (
        *_common(),
        Phase(
            "imagery",
            320.0,
            (Gate("cv_accuracy", 0.7, is_least=True), Gate("cv_auc", 0.75, is_least=True)),
            back_to="imagery",
        ),
        Phase("line", 160.0, (Gate("assist_left", 0.5),), back_to="imagery"),
        *plane,
        Phase("evaluation", 160.0, evaluation, back_to="plane" if plane else "line"),
    )


def _quick(angle: Gate, paradigm: Paradigm) -> tuple[Phase, ...]:
    if paradigm == "imagery":
        gates = (Gate("accuracy", 0.8, is_least=True), Gate("initiation_s", 3.0), Gate("stop_s", 2.0))
    else:
        gates = (Gate("success_rate", 0.8, is_least=True), Gate("median_time_s", 3.0), angle)
    steps = (
        Phase("rest", 10.0, (Gate("lost_share", 0.05),), back_to="rest"),
        Phase("recalibration", 60.0, gates, back_to="recalibration"),
    )
    tuning = Phase("tuning", 0.0, (Gate("predicted_time_s", 3.0),), back_to="recalibration")
    return steps if paradigm == "imagery" else (*steps, tuning)


def hard_angle_deg(n_outputs: int, noise: float = ANGLE_NOISE) -> float:
    """Mean angle between effort and intention, in so many dimensions, with this noise along each; 50 in a plane.

    With more axes the same noise turns the direction further, and on a line only its sign can be wrong.
    """
    decoded = noise * np.random.default_rng(0).normal(size=(20_000, n_outputs))
    decoded[:, 0] += 1.0
    cosine = decoded[:, 0] / np.linalg.norm(decoded, axis=1)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean())
