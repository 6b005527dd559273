"""What a block of a calibration has shown: the numbers that its gates judge, and more for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bci.decoding.estimation import fit_observation
from bci.errors import ModelError
from bci.types import Array
from calibration.conductor import CLEAR_EFFORT, Trace, angles_deg
from calibration.intention import REACTION_S
from calibration.metrics import (
    Trial,
    angular_error_deg,
    dial_in_s,
    false_clicks_per_min,
    orthogonal_direction_changes,
    path_efficiency,
    summarise,
)
from calibration.paradigms import CENTRE, MOVE, REACH, REST, SQUEEZE
from calibration.tuning import Noise, estimate_noise

N_FOLDS = 5
TUNED_P = 0.01
FLAT, WILD = 0.2, 3.0  # deviations of a normalised feature that is alive and steady
SATURATED, SATURATED_SHARE = 4.0, 0.05
BURST_CHANNELS = 0.3  # so many beyond saturation at once are no neurons
READOUT_RIDGE = 1e-3
IDLE_WINDOW_S = 5.0
COME_TO_REST_S = 1.0
DISCRETE_STATES = {MOVE: "move", SQUEEZE: "click", REST: "idle"}
IMAGERY_STATES = {MOVE: "move", REST: "idle"}
WINDOW_S = 0.2  # over which a click or idling is recognised
INITIATED = 0.05  # workspaces toward the target: it has begun
STOPPED_SHARE, STOPPED_S = 0.5, 0.5  # of the gain, for so long: slower than that is no intended movement


def signal_quality(features: Array) -> Array:
    """1 for each feature that is alive and steady in all bins (n_bins, n_features), else 0."""
    if len(features) < 2:
        return np.zeros(features.shape[1] if features.ndim == 2 else 0)
    spread = features.std(axis=0)
    saturated = np.mean(np.abs(features) >= SATURATED, axis=0)
    good: Array = ((spread > FLAT) & (spread < WILD) & (saturated < SATURATED_SHARE)).astype(np.float64)
    return good


def signal_measures(trace: Trace) -> dict[str, float]:
    """Share of usable channels and of lost and disturbed time."""
    good = signal_quality(trace.features[~trace.is_missing])
    beyond = np.mean(np.abs(trace.features[~trace.is_missing]) >= SATURATED, axis=1)
    return {
        "usable_share": float(good.mean()) if len(good) else 0.0,
        "lost_share": float(trace.is_missing.mean()) if len(trace.is_missing) else 1.0,
        "burst_share": float(np.mean(beyond > BURST_CHANNELS)) if len(beyond) else 1.0,
    }


def direction_measures(trace: Trace) -> dict[str, float]:
    """How well features tell the intended direction: cross-validated angle, and how many channels are tuned.

    The folds are blocks of time. Each read-out is the generalised least-squares one, bin by bin, unsmoothed.
    """
    used = (trace.weight > 0) & ~trace.is_missing
    features, v_int = trace.features[used], trace.v_int[used]
    if len(features) < 20 * N_FOLDS:
        return {"cv_angle_deg": 90.0, "tuned_channels": 0.0}
    folds = np.array_split(np.arange(len(features)), N_FOLDS)
    angles = []
    for held_out in folds:
        train = np.setdiff1d(np.arange(len(features)), held_out)
        decoded = _read_out(features[train], v_int[train], features[held_out])
        clear = np.linalg.norm(v_int[held_out], axis=1) > CLEAR_EFFORT
        angles.append(angles_deg(decoded[clear], v_int[held_out][clear]))
    tuned = tuning_p_values(features, v_int) < TUNED_P
    return {"cv_angle_deg": float(np.concatenate(angles).mean()), "tuned_channels": float(tuned.sum())}


def _read_out(features: Array, v_int: Array, new: Array) -> Array:
    X = np.column_stack([v_int, np.ones(len(v_int))])
    C, Q = fit_observation(X, features, 1e-3, 0.2, has_intercept=True)
    Q = Q + 1e-3 * np.trace(Q) / len(Q) * np.eye(len(Q))
    L = np.linalg.solve(Q, C[:, :-1]).T
    D = L @ C[:, :-1]
    k = len(D)
    result: Array = np.linalg.solve(D + READOUT_RIDGE * np.trace(D) / k * np.eye(k), L @ (new - C[:, -1]).T).T
    return result


def tuning_p_values(features: Array, v_int: Array) -> Array:
    """F-test that each feature follows the intention: p, shape (n_features,); correlated bins count for less."""
    n, k = v_int.shape
    X = np.column_stack([v_int, np.ones(n)])
    centred = features - features.mean(axis=0)
    residual = features - X @ np.linalg.lstsq(X, features, rcond=None)[0]
    total, left = np.sum(centred**2, axis=0), np.sum(residual**2, axis=0)
    lag = np.sum(residual[1:] * residual[:-1], axis=0) / np.maximum(left, 1e-12)
    freedom = np.maximum(n * (1 - np.clip(lag, 0, 0.99)) / (1 + np.clip(lag, 0, 0.99)) - k - 1, 1.0)
    F = (total - left) / k / np.maximum(left / freedom, 1e-12)
    p: Array = np.where(total > 1e-9, stats.f.sf(F, k, freedom), 1.0)
    return p


def decoding_noise(trace: Trace) -> Noise:
    """Noise of the unsmoothed read-out where a movement was meant; NaN where there is too little to tell."""
    used = _judged(trace) & (trace.mode == MOVE)
    try:
        return estimate_noise(np.where(used[:, None], trace.raw, np.nan), trace.v_int)
    except ModelError:
        return Noise(float("nan"), float("nan"))


def _judged(trace: Trace) -> Array:
    """Bins in which the participant had reacted and the decoder read out."""
    used: Array = (trace.weight > 0) & ~trace.is_missing & np.isfinite(trace.raw).all(axis=1)
    return used


def angle_error_deg(trace: Trace) -> float:
    """Mean angle between read-out and intention, where a movement was clearly meant."""
    used = _judged(trace) & (np.linalg.norm(trace.v_int, axis=1) > CLEAR_EFFORT)
    return angular_error_deg(trace.raw[used], trace.v_int[used])


def reach_measures(trace: Trace, trials: Sequence[Trial]) -> dict[str, float]:
    """Success, time, path and noise of a block with targets to reach."""
    summary = summarise(trials)
    good = [(i, trial) for i, trial in enumerate(trials) if trial.is_success]
    noise = decoding_noise(trace)
    paths = [(trace.position[trace.trial == i], trace.target[trace.trial == i][-1], trial.radius) for i, trial in good]
    bin_s = float(trace.time_s[1] - trace.time_s[0]) if len(trace.time_s) > 1 else np.nan
    return {
        "n_trials": float(len(trials)),
        "success_rate": summary.success_rate if trials else 0.0,
        "median_time_s": float(np.median([trial.end_s - trial.start_s for _, trial in good])) if good else np.inf,
        "path_efficiency": _mean([path_efficiency(*path) for path in paths], 0.0),
        "dial_in_s": _mean([dial_in_s(*path, bin_s) for path in paths], np.nan),
        "direction_changes": _mean([float(orthogonal_direction_changes(*path[:2])) for path in paths], np.nan),
        "bit_rate_bps": summary.bit_rate_bps,
        "angle_error_deg": angle_error_deg(trace),
        "assist_left": float(trace.assist[-1]) if len(trace.assist) else 1.0,
        "noise": noise.sigma,
        "noise_correlation": noise.correlation,
    }


def _mean(values: Sequence[float], otherwise: float) -> float:
    """Mean of the finite values."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else otherwise


def idle_drift(trace: Trace) -> float:
    """Speed at which the hand wanders off at rest, workspaces/s: mean displacement over windows of five seconds.

    In more than two dimensions it is that of a pair of axes, as the targets' radius is.
    """
    idle = np.flatnonzero((trace.mode == REST) & (trace.time_s - _asked_since(trace) >= COME_TO_REST_S))
    if len(idle) < 2:
        return float("nan")
    positions, times_s = trace.position[idle], trace.time_s[idle]
    n = min(len(idle) - 1, int(IDLE_WINDOW_S / max(times_s[1] - times_s[0], 1e-6)))
    moved = np.linalg.norm(positions[n:] - positions[:-n], axis=1)
    pairs = np.sqrt(max(positions.shape[1], 2) / 2)
    return float(np.mean(moved / (times_s[n:] - times_s[:-n])) / pairs)


def click_rate(trace: Trace) -> float:
    """Clicks detected per minute of a block that asked for none."""
    clicks = np.flatnonzero(np.diff(trace.n_clicks) > 0)
    return false_clicks_per_min(trace.time_s[clicks].tolist(), [], float(trace.time_s[-1]))


def imagery_epochs(trace: Trace, labels: Sequence[int]) -> tuple[Array, Array]:
    """Mean features of each trial's imagery after the reaction, shape (n_trials, n_features), and its class."""
    rows, classes = [], []
    for i, label in enumerate(labels):
        inside = (trace.trial == i) & (trace.mode == MOVE) & (trace.weight > 0) & ~trace.is_missing
        if inside.any():
            rows.append(trace.features[inside].mean(axis=0))
            classes.append(label)
    return np.array(rows), np.array(classes)


@dataclass(frozen=True)
class Classification:
    """Cross-validated classes of imagery: accuracy, area under the curve (mean, one against the rest), confusion."""

    accuracy: float
    auc: float
    confusion: Array


def classify(epochs: Array, classes: Array, n_classes: int) -> Classification:
    """Shrunk linear discriminant analysis, cross-validated in blocks of time."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    confusion = np.zeros((n_classes, n_classes))
    counts = np.bincount(classes, minlength=n_classes) if len(classes) else np.zeros(n_classes)
    if counts.min() < N_FOLDS:
        return Classification(0.0, 0.0, confusion)
    chances = np.zeros((len(classes), n_classes))
    for train, test in StratifiedKFold(N_FOLDS).split(epochs, classes):
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(epochs[train], classes[train])
        chances[test] = model.predict_proba(epochs[test])
    found = chances.argmax(axis=1)
    np.add.at(confusion, (classes, found), 1.0)
    auc = [roc_auc_score(classes == c, chances[:, c]) for c in range(n_classes)]
    return Classification(float(np.mean(found == classes)), float(np.mean(auc)), confusion)


def states_of(trace: Trace, names: dict[float, str]) -> Array:
    """Discrete state of each bin by what was asked for, as text.

    Empty before the reaction, while coming to rest, and in missing bins.
    """
    settled_s = np.where(trace.mode == REST, COME_TO_REST_S, REACTION_S)
    known = (trace.time_s - _asked_since(trace) >= settled_s) & ~trace.is_missing
    texts = np.array([names.get(float(mode), "") for mode in trace.mode])
    states: Array = np.where(known, texts, "")
    return states


def _asked_since(trace: Trace) -> Array:
    """When what is asked for in each bin began to be asked for."""
    begins = np.flatnonzero(np.diff(trace.mode, prepend=-1.0))
    since: Array = trace.time_s[begins][np.searchsorted(begins, np.arange(len(trace.mode)), side="right") - 1]
    return since


def confusion_of_states(trace: Trace) -> Array:
    """Move, squeeze, idle: asked (rows) and recognised (columns), in windows of 0.2 s, cross-validated."""
    states = states_of(trace, DISCRETE_STATES)
    n = max(1, round(WINDOW_S / float(trace.time_s[1] - trace.time_s[0])))
    rows, classes, first = [], [], []
    for code, name in enumerate(DISCRETE_STATES.values()):
        bins = np.flatnonzero(states == name)
        whole = bins[: len(bins) // n * n].reshape(-1, n)
        rows.append(np.nan_to_num(trace.features[whole]).mean(axis=1))
        classes += [code] * len(whole)
        first += whole[:, 0].tolist()
    order = np.argsort(first)
    return classify(np.concatenate(rows)[order], np.array(classes)[order], len(DISCRETE_STATES)).confusion


def imagery_measures(trace: Trace, trials: Sequence[Trial], beta: float) -> dict[str, float]:
    """Accuracy, and how fast imagery starts and stops the hand: the criteria of Nann et al. (2020)."""
    starts, stops = [], []
    for i, trial in enumerate(trials):
        inside = trace.trial == i
        begun = _initiation_s(trace, inside & (trace.mode == MOVE))
        starts.append(begun if np.isfinite(begun) else trial.end_s - trial.start_s)
        stopped = _stop_s(trace, inside & (trace.time_s > trial.end_s) & (trace.mode == REST), beta)
        if not np.isnan(stopped):
            stops.append(stopped)
    noise = decoding_noise(trace)
    return {
        "n_trials": float(len(trials)),
        "accuracy": float(np.mean([trial.is_success for trial in trials])) if trials else 0.0,
        "initiation_s": float(np.median(starts)) if starts else np.inf,
        "stop_s": float(np.median(stops)) if stops else np.inf,
        "assist_left": float(trace.assist[-1]) if len(trace.assist) else 1.0,
        "angle_error_deg": angle_error_deg(trace),
        "noise": noise.sigma,
        "noise_correlation": noise.correlation,
    }


def _initiation_s(trace: Trace, inside: Array) -> float:
    if not inside.any():
        return float("nan")
    toward = (trace.target[inside][0] - CENTRE) / REACH
    along = (trace.position[inside] - CENTRE) @ toward
    begun = np.flatnonzero(along >= INITIATED)
    times_s = trace.time_s[inside]
    return float(times_s[begun[0]] - times_s[0]) if len(begun) else float("nan")


def _stop_s(trace: Trace, inside: Array, beta: float) -> float:
    """From the end of a target until the decoded speed has fallen below half of the gain and stays so for 0.5 s."""
    if not inside.any():
        return float("nan")
    times_s = trace.time_s[inside]
    is_slow = np.linalg.norm(trace.velocity[inside], axis=1) <= STOPPED_SHARE * beta
    n_slow = 0
    for time_s, slow in zip(times_s, is_slow, strict=True):
        n_slow = n_slow + 1 if slow else 0
        if n_slow == 1:
            since_s = float(time_s - times_s[0])
        if n_slow and time_s - times_s[0] - since_s >= STOPPED_S:
            return since_s
    return np.inf
