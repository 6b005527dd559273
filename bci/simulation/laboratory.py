"""Participants ready for a closed loop: the profile, a calibrated decoder, one with random weights."""

from __future__ import annotations

import numpy as np

from bci.decoding.model import Model
from bci.decoding.velocity import VelocityDecoder
from bci.pipeline import Pipeline, make_pipeline
from bci.profile import Adaptation, AxisMap, Decoder, Device, Profile, Rates, Stream, ZScore
from bci.simulation.closed_loop import ClosedLoop
from bci.simulation.encoding import Population
from calibration.fit import fit_model

OUTPUTS = ("vx", "vy", "vz", "grasp")
AXES = ("x", "y", "z", "hand")
CALIBRATION_S = 60.0
RANDOM_WEIGHT = 0.05  # of a noise deviation, at full effort
FIRST_BELIEF_S = 1.0  # of labelled use, that random weights are worth


def profile_of(
    population: Population,
    tau_ms: float,
    beta: float,
    *,
    zscore: ZScore | None = None,
    adaptation: Adaptation | None = None,
    shrinkage: float = 0.1,
) -> Profile:
    """Describe a population's features, one sample a bin, and a decoder."""
    k, n = population.weights.shape
    bin_ms = 1e3 * population.bin_s
    return Profile(
        schema_version=1,
        name="laboratory",
        stream=Stream(name="laboratory", n_channels=n, rate_hz=1.0 / population.bin_s),
        features=Rates(bin_ms=bin_ms, transform="none", zscore=zscore),
        decoder=Decoder(outputs=OUTPUTS[:k], tau_ms=tau_ms, beta=beta, shrinkage=shrinkage),
        adaptation=adaptation or Adaptation(),
        device=Device(maps=tuple(AxisMap(intent=OUTPUTS[i], axis=AXES[i], gain=1.0) for i in range(k))),
    )


def labels_of(population: Population) -> tuple[str, ...]:
    """Names of the features."""
    return tuple(f"neuron{i + 1}" for i in range(population.weights.shape[1]))


def calibrate(loop: ClosedLoop, profile: Profile, seconds: float = CALIBRATION_S) -> Model:
    """Fit a decoder, as a session does, on a block in which the participant imagines moving in all directions."""
    features, efforts = loop.observe(round(seconds / loop.population.bin_s))
    labels = labels_of(loop.population)
    return fit_model(features, efforts, np.ones(len(features)), profile, labels, loop.population.bin_s)


def guess(population: Population, profile: Profile, seed: int) -> Model:
    """A decoder that knows nothing: right about means and noise at rest, random about directions."""
    k, n = population.weights.shape
    scale = population.bin_s if population.is_counting else 1.0
    random = np.random.default_rng(seed)
    n_effective = FIRST_BELIEF_S / population.bin_s
    weights = RANDOM_WEIGHT * population.spread[:, None] * random.normal(size=(n, k))
    return Model(
        outputs=profile.decoder.outputs,
        feature_labels=labels_of(population),
        features_hash=profile.features_hash,
        bin_s=population.bin_s,
        C=np.column_stack([weights, scale * population.baseline]),
        Q=np.diag(population.spread**2),
        R=n_effective * np.eye(k + 1),
        n_effective=n_effective,
        nis_gate=10.0,
    )


def pipeline_of(profile: Profile, model: Model) -> Pipeline:
    """The pipeline of a session with this model."""
    return make_pipeline(profile, model.feature_labels, VelocityDecoder(model, profile.decoder))
