"""How good control is; each figure with its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bci.types import Array

EFFECTIVE_WIDTH = 4.133  # standard deviations that hold 96 % of endpoints (ISO 9241-411)


@dataclass(frozen=True)
class Trial:
    """One movement to one target.

    Attributes
    ----------
    name : str
        What was asked.
    start_s, end_s : float
        When the target appeared, and when it was acquired or given up.
    is_success : bool
        Acquired in time.
    distance, radius : float
        Of the target at its appearance, workspaces.
    dwell_s : float
        How long the hand had to stay; part of `end_s`.
    """

    name: str
    start_s: float
    end_s: float
    is_success: bool
    distance: float
    radius: float
    dwell_s: float = 0.0


@dataclass(frozen=True)
class Summary:
    """Figures over some trials; NaN where there were none.

    Attributes
    ----------
    n_trials, n_successes : int
        Counted.
    success_rate : float
        0 to 1.
    time_to_target_s : float
        Mean over successes, dwell included.
    bit_rate_bps : float
        Mean over successes of the index of difficulty over the time without the dwell.
    """

    n_trials: int
    n_successes: int
    success_rate: float
    time_to_target_s: float
    bit_rate_bps: float


def index_of_difficulty(distance: float, width: float) -> float:
    """Bits of one movement: log2(D / W + 1) (ISO 9241-411, Shannon form)."""
    return math.log2(distance / width + 1.0)


def summarise(trials: Sequence[Trial]) -> Summary:
    """Success rate, time to target and throughput (ISO 9241-411, mean of means)."""
    good = [trial for trial in trials if trial.is_success]
    times_s = [trial.end_s - trial.start_s for trial in good]
    rates = [
        index_of_difficulty(trial.distance, 2 * trial.radius) / (time_s - trial.dwell_s)
        for trial, time_s in zip(good, times_s, strict=True)
        if time_s > trial.dwell_s
    ]
    return Summary(
        n_trials=len(trials),
        n_successes=len(good),
        success_rate=len(good) / len(trials) if trials else math.nan,
        time_to_target_s=_mean(times_s),
        bit_rate_bps=_mean(rates),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def path_efficiency(path: Array, target: Array, radius: float) -> float:
    """Straight way to the target's edge over the way taken, 1 at best; NaN where the path begins on the target.

    Parameters
    ----------
    path : Array
        Positions, shape (n, k), from the target's appearance to its acquisition.
    target : Array
        Shape (k,).
    radius : float
        Of the target.

    Notes
    -----
    (D - R) / path length, with the path up to where it first meets the target (Willett et al. 2017, Journal of Neural
    Engineering 14:026014).
    """
    distances = np.linalg.norm(path - target, axis=1)
    inside = np.flatnonzero(distances <= radius)
    if len(inside) and inside[0] == 0:
        return math.nan
    until = inside[0] + 1 if len(inside) else len(path)
    steps = np.linalg.norm(np.diff(path[:until], axis=0), axis=1)
    straight = distances[0] - (distances[until - 1] if len(inside) else radius)
    return float(straight / steps.sum()) if steps.sum() > 0 else 0.0


def first_touch_s(path: Array, target: Array, radius: float, bin_s: float) -> float:
    """When a path (n, k) first meets the target; NaN if never."""
    inside = np.flatnonzero(np.linalg.norm(path - target, axis=1) <= radius)
    return float(inside[0] * bin_s) if len(inside) else math.nan


def dial_in_s(path: Array, target: Array, radius: float, bin_s: float) -> float:
    """From the first touch to the entry that lasts until the end, dwell excluded: 0 for a hand that stays at once.

    NaN where the target is never met or left at the end (Willett et al. 2017, Journal of Neural Engineering 14:026014).
    """
    is_inside = np.linalg.norm(path - target, axis=1) <= radius
    if not len(is_inside) or not is_inside[-1]:
        return math.nan
    outside = np.flatnonzero(~is_inside)
    last_entry = int(outside[-1]) + 1 if len(outside) else 0
    return float((last_entry - int(np.argmax(is_inside))) * bin_s)


def orthogonal_direction_changes(path: Array, target: Array) -> int:
    """How often the motion across the task axis turns round (MacKenzie et al. 2001, CHI; ISO 9241-411).

    The task axis leads from the first position of the path (n, k) to the target (k,); with more than two dimensions a
    turn is a step across that points against the one before.
    """
    axis = target - path[0]
    if not np.linalg.norm(axis) > 0:
        return 0
    axis = axis / np.linalg.norm(axis)
    steps = np.diff(path, axis=0)
    across = steps - np.outer(steps @ axis, axis)
    across = across[np.linalg.norm(across, axis=1) > 1e-9]
    return int(np.sum(np.sum(across[1:] * across[:-1], axis=1) < 0))


def effective_throughput(starts: Array, ends: Array, targets: Array, times_s: Array) -> float:
    """Bits per second of one block of movements of the same distance and width, from where they really ended.

    Parameters
    ----------
    starts, ends, targets : Array
        Shape (n_trials, k).
    times_s : Array
        Shape (n_trials,): movement times, dwell excluded.

    Notes
    -----
    TP = log2(De / We + 1) / mean time; De is the mean distance covered along each task axis, We = 4.133 SD of where the
    movements ended along it (ISO 9241-411; Soukoreff & MacKenzie 2004, Int J Human-Computer Studies 61:751).
    """
    axes = targets - starts
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    over = np.sum((ends - targets) * axes, axis=1)
    covered = np.sum((ends - starts) * axes, axis=1)
    width = EFFECTIVE_WIDTH * float(np.std(over, ddof=1)) if len(over) > 1 else math.nan
    if not width > 0:
        return math.nan
    return float(math.log2(max(float(covered.mean()), 0.0) / width + 1.0) / times_s.mean())


def achieved_bit_rate(n_keys: int, n_correct: int, n_incorrect: int, seconds: float) -> float:
    """Bits per second of selecting among keys: log2(N - 1) max(Sc - Si, 0) / t.

    Every wrong selection costs a right one, as if a delete key had to be chosen (Nuyujukian et al. 2015, IEEE TBME
    62:1; Pandarinath et al. 2017, eLife 6:e18554).
    """
    if n_keys < 3 or not seconds > 0:
        return 0.0
    return math.log2(n_keys - 1) * max(n_correct - n_incorrect, 0) / seconds


def angular_error_deg(decoded: Array, intended: Array) -> float:
    """Mean angle between decoded and intended velocity, both (n_bins, k), where both are more than zero; 90 is chance.

    Willett et al. (2018), IEEE Transactions on Biomedical Engineering: the figure to compare directions by.
    """
    lengths = np.linalg.norm(decoded, axis=1) * np.linalg.norm(intended, axis=1)
    used = np.isfinite(lengths) & (lengths > 0)
    if not used.any():
        return math.nan
    cosine = np.sum(decoded[used] * intended[used], axis=1) / lengths[used]
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean())


def false_clicks_per_min(clicks_s: Sequence[float], wanted_s: Sequence[tuple[float, float]], seconds: float) -> float:
    """Clicks outside every wanted window, per minute of the time outside them (as Candrea et al. 2024 report)."""
    unwanted = [click for click in clicks_s if not any(begin <= click <= end for begin, end in wanted_s)]
    outside_s = seconds - sum(end - begin for begin, end in wanted_s)
    return 60.0 * len(unwanted) / outside_s if outside_s > 0 else math.nan


def idle_drift(path: Array, bin_s: float) -> float:
    """Mean speed of what should stand still: length of the path (n, k) at rest over its time, workspaces per second."""
    if len(path) < 2:
        return math.nan
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).mean() / bin_s)
