"""What the whole decoder achieves on simulated participants: the figures of docs/simulator.md, and what tests hold.

Unless said otherwise: noise 0.6 per axis and bin (participant T5's usual day), radius 0.075, dwell 0.5 s, visual delay
0.2 s, random targets in the unit square, gain and smoothing from the sweep. Each figure is over several participants.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from bci.decoding.model import Model
from bci.decoding.velocity import VelocityDecoder
from bci.profile import Adaptation
from bci.simulation.closed_loop import ClosedLoop, steering_label
from bci.simulation.drift import CORRELATION_PER_DAY, bursts, kill, turn_tuning
from bci.simulation.encoding import linear_gaussian
from bci.simulation.laboratory import calibrate, guess, pipeline_of, profile_of
from bci.simulation.world import Targets
from bci.types import Array
from calibration.metrics import Summary, Trial, summarise
from calibration.tuning import sweep

SIGMA, RADIUS, DWELL_S = 0.6, 0.075, 0.5
N_FEATURES = 192
CALIBRATION_S = 180.0
SEEDS = (0, 1, 2, 3)
PUBLISHED_TAU_MS, PUBLISHED_BETA = 120.0, 0.7  # at which learning curves were simulated before
GAINS = (0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4)  # tried each day
DISTANCES, RADII = (0.15, 0.3, 0.45, 0.6), (0.04, 0.055, 0.075, 0.1)
LEAST_LEFT = 0.1  # of the tuning, that the gain makes up for


def participant(seed: int, tau_ms: float, beta: float, *, n: int = N_FEATURES, sigma: float = SIGMA) -> ClosedLoop:
    """One participant of the standard condition."""
    random = np.random.default_rng(seed)
    population = linear_gaussian(n, 2, sigma, random)
    targets = Targets(random.uniform(size=(3000, 2)), RADIUS, DWELL_S)
    return ClosedLoop(population, targets, tau_ms / 1e3, beta, seed=seed)


@cache
def tuned() -> tuple[float, float]:
    """Smoothing (ms) and gain that the sweep finds for the standard condition."""
    found = sweep(SIGMA, RADIUS, DWELL_S)
    return found.tau_ms, found.beta


def frozen(seconds: float = 600.0) -> Summary:
    """Control with a decoder fitted on three minutes of imagery, tuned by the sweep, and left alone."""
    trials: list[Trial] = []
    for seed in SEEDS:
        loop, decoder = _calibrated(seed)
        trials += loop.run_compiled(decoder, seconds).trials
    return summarise(trials)


def learning_curve(n_minutes: int, n: int = N_FEATURES) -> tuple[Summary, ...]:
    """Control in each minute, learning from random weights with labels, by the profile's default half-lives."""
    minutes: list[list[Trial]] = [[] for _ in range(n_minutes)]
    for seed in SEEDS:
        loop = participant(seed, PUBLISHED_TAU_MS, PUBLISHED_BETA, n=n)
        profile = profile_of(loop.population, PUBLISHED_TAU_MS, PUBLISHED_BETA)
        pipeline = pipeline_of(profile, guess(loop.population, profile, seed))
        for trials in minutes:
            trials += loop.run_pipeline(pipeline, 60.0, label=steering_label).trials
    return tuple(map(summarise, minutes))


def cost_of_dropout(share: float = 0.3, seconds: float = 600.0, *, is_masked: bool = True) -> float:
    """Time to target with so many electrodes dead, over the time before, less 1."""
    before, after = list[Trial](), list[Trial]()
    for seed in SEEDS:
        loop, decoder = _calibrated(seed)
        before += loop.run_compiled(decoder, seconds).trials
        is_dead = kill(loop.electrodes, share, _chance(seed, 1))
        if is_masked:
            decoder.use_features(~is_dead)
        after += loop.run_compiled(decoder, seconds).trials
    return _cost(before, after)


def cost_of_bursts(per_minute: float = 5.0, seconds: float = 600.0) -> float:
    """Time to target with bursts on all electrodes, over the time before, less 1."""
    before, after = list[Trial](), list[Trial]()
    for seed in SEEDS:
        loop, decoder = _calibrated(seed)
        before += loop.run_compiled(decoder, seconds).trials
        height = bursts(round(seconds / 0.02), 0.02, per_minute, _chance(seed, 2))
        after += loop.run_compiled(decoder, seconds, height).trials
    return _cost(before, after)


def cost_of_shift(
    half_life_s: float | None, shift: float = 0.5, seconds: float = 240.0, settle_s: float = 120.0
) -> float:
    """Time to target after every mean has shifted by N(0, `shift`) deviations, over the time before, less 1.

    With labelled learning of that half-life, or none; both spans begin `settle_s` after what happened before them.
    """
    before, after = list[Trial](), list[Trial]()
    tau_ms, beta = tuned()
    for seed in SEEDS:
        loop = participant(seed, tau_ms, beta)
        half_life = half_life_s or 1.0
        steady = Adaptation(half_life_start_s=half_life, half_life_s=half_life)
        profile = profile_of(loop.population, tau_ms, beta, adaptation=steady)
        pipeline = pipeline_of(profile, calibrate(loop, profile, CALIBRATION_S))
        label = None if half_life_s is None else steering_label
        loop.run_pipeline(pipeline, settle_s, label=label)
        before += loop.run_pipeline(pipeline, seconds, label=label).trials
        loop.electrodes.offset[:] = shift * _chance(seed, 3).normal(size=N_FEATURES)
        loop.run_pipeline(pipeline, settle_s, label=label)
        after += loop.run_pipeline(pipeline, seconds, label=label).trials
    return _cost(before, after)


def recovery(correlation: float, half_life_s: float, n_spans: int = 4, span_s: float = 30.0) -> tuple[float, Array]:
    """Mean time to target before the tuning turns, and in each span after, learning with labels; n = 96.

    The tuning keeps `correlation` with what it was, and means shift by N(0, 0.3).
    """
    before: list[Trial] = []
    spans: list[list[Trial]] = [[] for _ in range(n_spans)]
    steady = Adaptation(half_life_start_s=half_life_s, half_life_s=half_life_s)
    for seed in SEEDS:
        loop = participant(seed, PUBLISHED_TAU_MS, PUBLISHED_BETA, n=96)
        profile = profile_of(loop.population, PUBLISHED_TAU_MS, PUBLISHED_BETA, adaptation=steady)
        pipeline = pipeline_of(profile, calibrate(loop, profile, CALIBRATION_S))
        loop.run_pipeline(pipeline, 60.0, label=steering_label)
        before += loop.run_pipeline(pipeline, 120.0, label=steering_label).trials
        random = _chance(seed, 4)
        loop.population.weights[:] = turn_tuning(loop.population.weights, correlation, random)
        loop.electrodes.offset[:] = 0.3 * random.normal(size=96)
        for trials in spans:
            trials += loop.run_pipeline(pipeline, span_s, label=steering_label).trials
    return summarise(before).time_to_target_s, np.array([mean_time(trials) for trials in spans])


def decay_over_days(days: tuple[int, ...], sigma: float, seconds: float = 200.0) -> tuple[tuple[float, float], ...]:
    """Mean time and success rate of a decoder that stays as it was on day 0, on each of some days.

    Tuning turns by the published correlation a day; the gain is chosen again each day, as in the published simulation.
    """
    trials: dict[int, list[Trial]] = {day: [] for day in days}
    for seed in SEEDS:
        loop = participant(seed, PUBLISHED_TAU_MS, PUBLISHED_BETA, sigma=sigma)
        model = calibrate(loop, profile_of(loop.population, PUBLISHED_TAU_MS, PUBLISHED_BETA), CALIBRATION_S)
        turned, random = loop.population.weights.copy(), _chance(seed, 5)
        for day in range(max(days) + 1):
            if day in days:
                left = CORRELATION_PER_DAY**day
                tried = [_on_one_day(seed, sigma, turned, model, beta, left, seconds) for beta in GAINS]
                trials[day] += tried[int(np.argmin([mean_time(done) for done in tried]))]
            turned = turn_tuning(turned, CORRELATION_PER_DAY, random)
    return tuple((mean_time(trials[day]), summarise(trials[day]).success_rate) for day in days)


def movement_times(
    distances: Sequence[float] = DISTANCES, radii: Sequence[float] = RADII, seconds: float = 200.0
) -> Array:
    """Mean time from one target to another without the dwell, (n_distances, n_radii), decoder as tuned."""
    trials: list[list[Trial]] = [[] for _ in range(len(distances) * len(radii))]
    tau_ms, beta = tuned()
    for seed in SEEDS:
        loop, decoder = _calibrated(seed)
        angle = _chance(seed, 6).uniform(0, np.pi)
        for cell, (distance, radius) in zip(trials, product(distances, radii), strict=True):
            half_way = distance / 2 * np.array([np.cos(angle), np.sin(angle)])
            there_and_back = 0.5 + np.where(np.arange(3000)[:, None] % 2, half_way, -half_way)
            targets = Targets(there_and_back, radius, DWELL_S)
            again = ClosedLoop(loop.population, targets, tau_ms / 1e3, beta, seed=seed)
            cell += again.run_compiled(decoder, seconds).trials[1:]
    times_s = np.array([mean_time(cell) for cell in trials]) - DWELL_S
    return times_s.reshape(len(distances), len(radii))


def law_of(times_s: Array, *predictors: Array) -> tuple[Array, float]:
    """Least squares of times on a constant and predictors of their shape: weights, and variance explained."""
    design = np.column_stack([np.ones(times_s.size), *(predictor.ravel() for predictor in predictors)])
    weights = np.linalg.lstsq(design, times_s.ravel(), rcond=None)[0]
    return weights, float(1.0 - np.var(times_s.ravel() - design @ weights) / np.var(times_s))


def mean_time(trials: Sequence[Trial]) -> float:
    """Mean time to target with every trial, one that was missed with its time limit."""
    return float(np.mean([trial.end_s - trial.start_s for trial in trials])) if trials else float("nan")


def _chance(seed: int, purpose: int) -> np.random.Generator:
    """What happens to a participant, independent of what they are."""
    return np.random.default_rng([seed, purpose])


def _on_one_day(
    seed: int, sigma: float, weights: Array, model: Model, beta: float, left: float, seconds: float
) -> list[Trial]:
    """Trials with the tuning of a day and an old model; the user knows what speed full effort gives."""
    loop = participant(seed, PUBLISHED_TAU_MS, beta, sigma=sigma)
    loop.population.weights[:] = weights
    settings = profile_of(loop.population, PUBLISHED_TAU_MS, beta / max(left, LEAST_LEFT)).decoder
    return list(loop.run_compiled(VelocityDecoder(model, settings), seconds).trials)


def _calibrated(seed: int) -> tuple[ClosedLoop, VelocityDecoder]:
    tau_ms, beta = tuned()
    loop = participant(seed, tau_ms, beta)
    profile = profile_of(loop.population, tau_ms, beta)
    return loop, VelocityDecoder(calibrate(loop, profile, CALIBRATION_S), profile.decoder)


def _cost(before: Sequence[Trial], after: Sequence[Trial]) -> float:
    return mean_time(after) / mean_time(before) - 1.0
