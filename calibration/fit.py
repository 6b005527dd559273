"""From labelled frames to a decoder."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from bci.decoding.estimation import fit_observation
from bci.decoding.kinds import VELOCITY, fit_readout
from bci.decoding.model import Model, check_model
from bci.decoding.velocity import VelocityDecoder
from bci.errors import ModelError
from bci.profile import Decoder, Profile
from bci.types import Array

GATE_MARGIN = 2.0  # on the 99.9th percentile of training NIS: new days are less alike than held-back minutes
LEAST_BINS_PER_STATE = 40
FAST_QUANTILE = 0.66  # Jarosiewicz et al. 2015: slower decoded movements do not tell about the bias


def fit_model(
    features: Array,
    v_int: Array,
    weights: Array,
    profile: Profile,
    feature_labels: tuple[str, ...],
    bin_s: float,
    provenance: dict[str, Any] | None = None,
    spatial: Array | None = None,
    position: Array | None = None,
    kind: str = VELOCITY,
) -> Model:
    """Fit how features follow intention, and position where the profile's `decoder.state` says so.

    Parameters
    ----------
    features : Array
        Shape (n_bins, n); a hidden (NaN) one counts as the mean of the feature, which tells nothing.
    v_int : Array
        Intended velocity, shape (n_bins, k); length 1 is full effort.
    weights : Array
        Shape (n_bins,), 0 to 1.
    profile : Profile
        Outputs, ridge and shrinkage.
    feature_labels : tuple of str
        Names of the n features.
    bin_s : float
        Bin width.
    provenance : dict, optional
        What to remember about the data.
    spatial : Array, optional
        Spatial filters that made the features, to be kept with the model.
    position : Array, optional
        Where the hand was, as the person saw it, in workspaces, shape (n_bins, k); not read without position state.
    kind : str
        Of the decoder that reads the velocity, see `bci.decoding.kinds`.

    Raises
    ------
    ModelError
        When there is too little labelled data, or an output was never intended.
    """
    settings = profile.decoder
    used = weights > 0
    every_bin = without_hidden(features), np.where(used[:, None], v_int, 0.0), weights
    features, v_int, weights = without_hidden(features[used]), v_int[used], weights[used]
    k = len(settings.outputs)
    if len(features) < LEAST_BINS_PER_STATE * (k + 1):
        raise ModelError(
            f"{len(features)} labelled bins are too few to fit {k} outputs; at least "
            f"{LEAST_BINS_PER_STATE * (k + 1)} are needed.",
            "Record for longer.",
        )
    idle = [name for name, values in zip(settings.outputs, v_int.T, strict=True) if np.ptp(values) == 0]
    if idle:
        raise ModelError(f"The data never show an intention for {', '.join(idle)}.", "Record movements of it too.")
    known = [np.ones(len(v_int))]
    if settings.state == "position_velocity":
        if position is None:
            raise ModelError("Nothing tells where the hand was.", 'Use decoder.state = "velocity".')
        known = [position[used], *known]
    X = np.column_stack([v_int, *known])
    is_diagonal = settings.noise == "diagonal"
    C, Q = fit_observation(X, features, settings.ridge, settings.shrinkage, weights, is_diagonal, has_intercept=True)
    variance = Q if is_diagonal else np.diag(Q)
    missing = np.maximum(0.0, 1e-3 * float(np.mean(variance)) + 1e-12 - variance)
    Q = Q + (missing if is_diagonal else np.diag(missing))
    model = Model(
        outputs=settings.outputs,
        feature_labels=feature_labels,
        features_hash=profile.features_hash,
        bin_s=bin_s,
        C=C,
        Q=Q,
        R=X.T @ (X * weights[:, None]) + 1e-6 * len(X) * np.eye(X.shape[1]),
        n_effective=float(weights.sum()),
        nis_gate=np.inf,
        provenance={"n_bins": len(X), **(provenance or {})},
        spatial=spatial,
        readout=fit_readout(kind, *every_bin),
    )
    return _with_gate(model, features, v_int, weights, settings, None if position is None else position[used])


def without_hidden(features: Array) -> Array:
    """Put its mean in place of each hidden value, 0 for a feature that was always hidden."""
    is_known = np.isfinite(features)
    if is_known.all():
        return features
    n = np.maximum(1, is_known.sum(axis=0))
    mean = np.where(is_known, features, 0.0).sum(axis=0) / n
    filled: Array = np.where(is_known, features, mean)
    return filled


def _with_gate(
    model: Model, features: Array, v_int: Array, weights: Array, settings: Decoder, position: Array | None
) -> Model:
    """Decode the training data once: what is normal there decides what is implausible later, and what is fast."""
    decoder = VelocityDecoder(model, settings)
    nis, effort = np.empty(len(features)), np.empty((len(features), len(model.outputs)))
    for i, row in enumerate(np.ascontiguousarray(features)):
        if position is not None:
            decoder.show(tuple(position[i]))
        nis[i] = decoder.step(row)
        effort[i] = decoder.effort
    believed = nis[np.isfinite(nis)]
    if len(believed) < len(nis) / 2:
        raise ModelError("Most training bins are far from what the model expects.", "Look at the signals, then repeat.")
    gate = max(2.0, GATE_MARGIN * float(np.quantile(believed, 0.999)))
    fast = float(np.quantile(np.linalg.norm(effort, axis=1), FAST_QUANTILE))
    provenance = {
        **model.provenance,
        "nis_median": round(float(np.median(believed)), 4),
        "least_error_gain": float(
            weights @ np.sum(effort * v_int, axis=1) / max(weights @ np.sum(effort**2, axis=1), 1e-12)
        ),
    }
    return dataclasses.replace(model, nis_gate=gate, fast_effort=max(fast, 1e-3), provenance=provenance)


def check_fits(model: Model, profile: Profile, feature_labels: tuple[str, ...], bin_s: float) -> None:
    """Make sure that a model fits the profile and the stream's features.

    Raises
    ------
    ModelError
        When it was fitted for something else.
    """
    check_model(
        model,
        profile.decoder.outputs,
        feature_labels,
        profile.features_hash,
        bin_s,
        has_position=profile.decoder.state == "position_velocity",
        has_discrete=profile.decoder.discrete is not None,
    )
