"""From frames whose discrete state is known to a model of the states, and how well it does on what it has not seen."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bci.decoding.discrete import DiscreteDecoder
from bci.decoding.model import STATES, StateModel
from bci.errors import ModelError
from bci.settings import Discrete
from bci.types import Array
from calibration.fit import without_hidden

LEAST_BINS = 40  # of each state
N_BLOCKS = 5
TRUSTS = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03)
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MOST_FALSE_PER_MIN = 1.0
GRACE_S = 1.0  # after a cued click in which another detection is not counted as false


@dataclass(frozen=True)
class DiscreteScore:
    """How well discrete intents are told apart, on blocks held out; NaN where a state was not cued.

    Attributes
    ----------
    n_clicks, n_detected : int
        Cued clicks, and those that were detected before the next cue.
    latency_s : float
        Median time from the moment a click may be expected (cue and reaction time) to its detection.
    false_per_min : float
        Clicks detected per minute in which something else was meant.
    open_at_rest : float
        Share of the idle time in which the gate was not shut.
    open_when_active : float
        Share of the active time in which it was open, its delay included.
    """

    n_clicks: int
    n_detected: int
    latency_s: float
    false_per_min: float
    open_at_rest: float
    open_when_active: float


def fit_states(features: Array, states: Array, settings: Discrete, bin_s: float) -> tuple[StateModel, DiscreteScore]:
    """Fit means and a shrunk covariance (Ledoit & Wolf 2004, J Multivariate Analysis 88:365), and judge them.

    Parameters
    ----------
    features : Array
        Shape (n_bins, n), consecutive bins; NaN where hidden.
    states : Array
        Shape (n_bins,) of str; empty where nothing is known.
    settings : Discrete
        The hidden Markov model and its thresholds.
    bin_s : float
        Bin width.

    Returns
    -------
    model : StateModel
        Fitted on everything; its trust is the one with the best likelihood of blocks held out, its threshold for
        clicks the lowest with at most one false click a minute there.
    score : DiscreteScore
        On those blocks, each with the trust and threshold that the others choose.

    Raises
    ------
    ModelError
        When a state has too few bins, or there is only one.
    """
    known = np.isin(states, STATES)
    names = tuple(name for name in STATES if np.any(states[known] == name))
    few = [name for name in names if np.sum(states[known] == name) < LEAST_BINS]
    if len(names) < 2 or few:
        raise ModelError(
            f"Discrete intents need two states of at least {LEAST_BINS} bins each; the recording shows "
            f"{', '.join(names) or 'none'}" + (f", and too little of {', '.join(few)}." if few else "."),
            "Record more, or correct training.states in the profile.",
        )
    edges = np.linspace(0, len(features), N_BLOCKS + 1).astype(int)
    likelihoods: list[Array] = []
    fitted = []
    for start, stop in pairwise(edges):
        outside = known.copy()
        outside[start:stop] = False
        if set(states[outside]) != set(names):
            continue
        block_model = _fit(features[outside], states[outside], names)
        fitted.append((start, stop, block_model))
        likelihoods.append(np.zeros(len(TRUSTS)))
        for i, trust in enumerate(TRUSTS):
            probability = _replay(_trusted(block_model, trust), settings, bin_s, features[start:stop])[0]
            for s, name in enumerate(names):
                is_it = known[start:stop] & (states[start:stop] == name)
                likelihoods[-1][i] += np.log(np.maximum(probability[is_it, s], 1e-12)).sum()
    if not fitted:
        raise ModelError(
            "Each discrete state is shown in one stretch of the recording only: nothing can be held out to judge it.",
            "Record each state several times.",
        )
    candidates = THRESHOLDS if settings.click_probability is None else (settings.click_probability,)
    runs = []  # of each block, by its own model: for each trust, the clicks and gate for each threshold
    for start, stop, part in fitted:
        told = [[dataclasses.replace(part, trust=trust, click_probability=c) for c in candidates] for trust in TRUSTS]
        used = {_best(likelihoods, leave_out) for leave_out in (None, *range(len(fitted)))}
        runs.append({
            t: [(states[start:stop], *_replay(model, settings, bin_s, features[start:stop])[1:]) for model in told[t]]
            for t in used
        })  # fmt: skip
    trust = _best(likelihoods)
    threshold = _lowest([run[trust] for run in runs], bin_s)
    model = dataclasses.replace(
        _trusted(_fit(features[known], states[known], names), TRUSTS[trust]), click_probability=candidates[threshold]
    )
    judged = []
    for i, run in enumerate(runs):
        others = [other for j, other in enumerate(runs) if j != i] or runs
        own = _best(likelihoods, i if len(runs) > 1 else None)
        judged.append(run[own][_lowest([other[own] for other in others], bin_s)])
    return model, _score(judged, bin_s)


def _best(likelihoods: list[Array], leave_out: int | None = None) -> int:
    """Place of the trust with the best likelihood of the blocks, one of them left out."""
    return int(np.argmax(sum(value for i, value in enumerate(likelihoods) if i != leave_out)))


def _lowest(runs: list[list[tuple[Array, Array, Array]]], bin_s: float) -> int:
    """Place of the lowest threshold with at most one false click a minute in these blocks, else the highest."""
    n = len(runs[0])
    for place in range(n):
        if not _score([run[place] for run in runs], bin_s).false_per_min > MOST_FALSE_PER_MIN:
            return place
    return n - 1


def judge_states(model: StateModel, features: Array, states: Array, settings: Discrete, bin_s: float) -> DiscreteScore:
    """How well a model does on frames that it was not fitted on."""
    return _score([(states, *_replay(model, settings, bin_s, features)[1:])], bin_s)


def _fit(features: Array, states: Array, names: tuple[str, ...]) -> StateModel:
    from sklearn.covariance import ledoit_wolf

    features = without_hidden(features)
    means = np.array([features[states == name].mean(axis=0) for name in names])
    residual = features - means[[names.index(state) for state in states]]
    deviation = np.sqrt(np.mean(residual**2, axis=0))
    deviation = np.maximum(deviation, 1e-3 * max(float(deviation.mean()), 1e-9))
    shrunk, _ = ledoit_wolf(residual / deviation, assume_centered=True)
    covariance = shrunk * np.outer(deviation, deviation)
    covariance = (covariance + covariance.T) / 2 + 1e-9 * float(np.mean(deviation**2)) * np.eye(len(deviation))
    return StateModel(names, means, covariance)


def _trusted(model: StateModel, trust: float) -> StateModel:
    return dataclasses.replace(model, trust=trust)


def _replay(model: StateModel, settings: Discrete, bin_s: float, features: Array) -> tuple[Array, Array, Array]:
    """Probabilities (n_bins, n_states), clicks so far (n_bins,) and gate (n_bins,)."""
    decoder = DiscreteDecoder(model, settings, bin_s)
    probability = np.empty((len(features), len(model.states)))
    clicks, gate = np.zeros(len(features), dtype=int), np.zeros(len(features))
    is_used = np.ones(features.shape[1], dtype=bool)
    for i, row in enumerate(np.ascontiguousarray(features)):
        is_finite = np.isfinite(row)
        if not np.array_equal(is_finite, is_used):
            is_used = is_finite
            decoder.use_features(is_used)
        decoder.step(row)
        probability[i], clicks[i], gate[i] = decoder.probability, decoder.n_clicks, decoder.gate
    return probability, clicks, gate


def _score(runs: list[tuple[Array, Array, Array]], bin_s: float) -> DiscreteScore:
    latencies_s: list[float] = []
    n_clicks = n_false = n_other = 0
    at_rest, when_active = [], []
    for states, clicks, gate in runs:
        detected = np.flatnonzero(np.diff(clicks, prepend=0))
        is_click = states == "click"
        is_near = is_click.copy()
        begins = np.flatnonzero(is_click & ~np.r_[False, is_click[:-1]])
        for begin in begins:
            length = int(np.argmin(np.r_[is_click[begin:], False]))
            end = begin + length + round(GRACE_S / bin_s)
            is_near[begin:end] = True
            within = detected[(detected >= begin) & (detected < end)]
            n_clicks += 1
            if len(within):
                latencies_s.append((within[0] - begin) * bin_s)
        is_other = (states != "") & ~is_near
        n_false += int(is_other[detected].sum())
        n_other += int(is_other.sum())
        at_rest.append(gate[states == "idle"] > 0.0)
        when_active.append(gate[(states != "") & (states != "idle")] > 0.0)
    return DiscreteScore(
        n_clicks=n_clicks,
        n_detected=len(latencies_s),
        latency_s=float(np.median(latencies_s)) if latencies_s else float("nan"),
        false_per_min=n_false / (n_other * bin_s / 60.0) if n_clicks and n_other else float("nan"),
        open_at_rest=_mean(np.concatenate(at_rest)),
        open_when_active=_mean(np.concatenate(when_active)),
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
