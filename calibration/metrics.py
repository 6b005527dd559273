"""How good control is; each figure with its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


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
