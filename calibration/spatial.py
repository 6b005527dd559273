"""Learned spatial filters for band power: common spatial patterns, from a recording with cues.

Ramoser et al. (2000), IEEE Transactions on Rehabilitation Engineering 8:441; covariances shrunk toward a multiple of
the identity as in Lotte & Guan (2011), IEEE Transactions on Biomedical Engineering 58:355; more than two classes one
against the rest (Dornhege et al. 2004, 51:993).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.linalg import eigh

from bci.errors import ModelError
from bci.profile import BandPower, Profile
from bci.signals.filters import design_bandpass, design_notch, filter_sections, settled_state
from bci.signals.quality import repair
from bci.signals.reference import Reference
from bci.types import Array, Signal
from calibration.labels import from_cues

SHRINKAGE = 0.1  # of each class's covariance toward a multiple of the identity
LEAST_TRIALS = 5  # of each class


def fit_spatial(signal: Signal, markers: tuple[tuple[float, str], ...], profile: Profile, until_s: float) -> Array:
    """Learn the spatial filters that a profile wants.

    Parameters
    ----------
    signal : Signal
        The channels of the profile, in its order.
    markers : tuple of (float, str)
        Stamp and text of each cue.
    profile : Profile
        With `features.csp_pairs` and at least two different cues.
    until_s : float
        Only what was recorded until this stamp, its sample included, is learned from.

    Returns
    -------
    Array
        Shape (n_bands, n_components, n_channels), rows of length 1, so that the outputs are in the stream's unit.

    Raises
    ------
    ModelError
        When a class has too few trials.
    """
    features = profile.features
    if not isinstance(features, BandPower):
        raise ModelError("Spatial filters belong to band power.", "Set features.kind to 'band_power'.")
    n = int(np.searchsorted(signal.stamps_s, until_s, side="right"))
    samples, n_channels = signal.samples[:n], signal.samples.shape[1]
    repaired: Array = np.empty_like(samples)
    repair(samples, np.zeros(n_channels), np.zeros(n_channels), repaired)
    referenced = Reference(features.reference, signal.labels).apply(repaired)
    trials = _trials(signal.stamps_s[:n], markers, profile)
    filters = []
    for low, high in features.bands_hz:
        sos = design_bandpass(low, high, features.filter_order, signal.rate_hz)
        if features.notch_hz is not None:
            sos = np.vstack([design_notch(features.notch_hz, signal.rate_hz), sos])
        band = np.empty_like(referenced)
        filter_sections(np.ascontiguousarray(sos), settled_state(sos, referenced[0]), referenced, band)
        covariances = [np.mean([_covariance(band[begin:end]) for begin, end in own], axis=0) for own in trials]
        filters.append(common_spatial_patterns(covariances, features.csp_pairs))
    return np.array(filters)


def common_spatial_patterns(covariances: list[Array], n_pairs: int, shrinkage: float = SHRINKAGE) -> Array:
    """Filters whose output power differs most between classes.

    Parameters
    ----------
    covariances : list of Array
        One per class, each (n_channels, n_channels).
    n_pairs : int
        Filters from each end of the spectrum, per contrast.
    shrinkage : float
        Toward a multiple of the identity, 0 to 1.

    Returns
    -------
    Array
        Shape (n_components, n_channels): for two classes one contrast; for more each class against the mean of the
        others. Of each contrast those with most power in the class come first. Each has length 1, and its largest
        weight is positive.
    """
    n = len(covariances[0])
    shrunk = [(1 - shrinkage) * C + shrinkage * np.trace(C) / n * np.eye(n) for C in covariances]
    found = []
    for i in range(1 if len(shrunk) == 2 else len(shrunk)):
        rest = np.mean([C for j, C in enumerate(shrunk) if j != i], axis=0)
        _, vectors = eigh(shrunk[i], shrunk[i] + rest)
        rows = np.vstack([vectors.T[::-1][:n_pairs], vectors.T[:n_pairs]])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
        found.append(rows * np.sign(largest))
    return np.vstack(found)


def _covariance(band: Array) -> Array:
    """Of one trial, with a trace of 1: a loud trial counts no more than a quiet one."""
    C = band.T @ band
    scaled: Array = C / max(float(np.trace(C)), 1e-300)
    return scaled


def _trials(
    stamps_s: Array, markers: tuple[tuple[float, str], ...], profile: Profile
) -> list[list[tuple[int, int]]]:  # fmt: skip
    """Begin and end of each trial, by class: cues that mean the same are one class."""
    v_int, weights = from_cues(markers, stamps_s, profile)
    classes = list(dict.fromkeys(profile.training.cues.values()))
    edges = np.flatnonzero((np.diff(weights) != 0) | np.any(np.diff(v_int, axis=0) != 0, axis=1)) + 1
    trials: list[list[tuple[int, int]]] = [[] for _ in classes]
    for begin, end in pairwise([0, *edges.tolist(), len(weights)]):
        if weights[begin] > 0 and end - begin > 1 and tuple(v_int[begin]) in classes:
            trials[classes.index(tuple(v_int[begin]))].append((begin, end))
    for meaning, own in zip(classes, trials, strict=True):
        if len(own) < LEAST_TRIALS:
            raise ModelError(
                f"Spatial filters need {LEAST_TRIALS} trials of each intention, and {list(meaning)} has {len(own)}.",
                "Record more trials, or set features.csp_pairs to 0.",
            )
    return trials
