"""How features follow an effort: linear with Gaussian noise, or spike counts around a cosine.

Both may share low-rank noise, and counts may be more dispersed than Poisson's. One kernel, called by the closed loop
that runs in process and by the participant that publishes a stream. It draws nothing itself: each bin is a function of
numbers drawn before, `Draws`, so that the same seed gives the same bits however the bins are cut into blocks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bci.types import Array

CHANNEL_NOISE = 0.3  # standard deviation of a channel's own noise, linear-Gaussian (Wilson et al. 2023)
SNR_WEIGHTS, SNR_MEANS, SNR_DEVIATIONS = (0.328, 0.672), (2.78, 1.62), (0.075, 0.114)
SNR_SCALE, SNR_OFFSET = 0.3365, -0.0444  # of that mixture: participant T5's signal over noise (Wilson et al. 2023)
COMMON_TAU_S = 0.1  # how long what neurons share lasts


class Population(NamedTuple):
    """What a kernel needs of n features that encode k outputs.

    Attributes
    ----------
    is_counting : bool
        Spike counts; else linear-Gaussian.
    baseline, speed, spread : Array
        Shape (n,): rate at rest, rate added with effort in any direction, and standard deviation of the noise: per
        bin for a Gaussian, expected at rest for counts. Rates of counts are in Hz.
    weights : Array
        Shape (k, n).
    factors : Array
        Shape (r, n): what r common sources add; for counts in the logarithm of the rate.
    common : Array
        Shape (r,): their present state, written by `encode`.
    fano : float
        Variance over mean of counts, at least 1.
    bin_s : float
        Bin width.
    """

    is_counting: bool
    baseline: Array
    weights: Array
    speed: Array
    spread: Array
    factors: Array
    common: Array
    fano: float
    bin_s: float


def linear_gaussian(
    n: int, k: int, sigma: float, random: np.random.Generator, *, bin_s: float = 0.02, common: float = 0.0
) -> Population:
    """Features y = b + Tu + noise whose best unbiased read-out has a standard deviation `sigma` per axis and bin.

    Parameters
    ----------
    n, k : int
        Features and outputs.
    sigma : float
        0.6 and 0.34 are participant T5's two kinds of days; see `draw_sigma`.
    random : numpy.random.Generator
        Draws T, with orthogonal columns, and b ~ N(0, 1).
    bin_s : float
        Bin width.
    common : float
        Share of each feature's noise variance that two common sources make.
    """
    columns = np.linalg.qr(random.normal(size=(n, k)))[0]
    own = CHANNEL_NOISE * math.sqrt(1.0 - common)
    return Population(
        is_counting=False,
        baseline=random.normal(size=n),
        weights=np.ascontiguousarray(columns.T * CHANNEL_NOISE / sigma),
        speed=np.zeros(n),
        spread=np.full(n, own),
        factors=_factors(n, CHANNEL_NOISE * math.sqrt(common), random),
        common=np.zeros(2 if common > 0 else 0),
        fano=1.0,
        bin_s=bin_s,
    )


def counts(
    baseline_hz: Array,
    weights_hz: Array,
    speed_hz: Array,
    random: np.random.Generator,
    *,
    bin_s: float = 0.02,
    fano: float = 1.0,
    common: float = 0.0,
) -> Population:
    """Spike counts of rate max(0, b + uW + s|u|) exp(common noise of standard deviation `common`), W (k, n)."""
    n = len(baseline_hz)
    return Population(
        is_counting=True,
        baseline=np.ascontiguousarray(baseline_hz),
        weights=np.ascontiguousarray(weights_hz),
        speed=np.ascontiguousarray(speed_hz),
        spread=np.sqrt(fano * np.maximum(baseline_hz, 1.0) * bin_s),
        factors=_factors(n, common, random),
        common=np.zeros(2 if common > 0 else 0),
        fano=fano,
        bin_s=bin_s,
    )


def draw_sigma(random: np.random.Generator) -> float:
    """Noise of one day's decoder, drawn from participant T5's days: near 0.6 on two of three, near 0.34 else."""
    kind = int(random.uniform() > SNR_WEIGHTS[0])
    snr = SNR_SCALE * (SNR_MEANS[kind] + SNR_DEVIATIONS[kind] * random.normal()) + SNR_OFFSET
    return CHANNEL_NOISE / max(snr, 0.05)


def _factors(n: int, deviation: float, random: np.random.Generator) -> Array:
    if deviation == 0.0:
        return np.zeros((0, n))
    loadings = random.normal(size=(2, n))
    return np.ascontiguousarray(deviation * loadings / np.linalg.norm(loadings, axis=0))


class Draws:
    """Random numbers for `encode`, one row a bin.

    Parameters
    ----------
    population : Population
        Decides how many, and of which kind: normal, or uniform for counts.
    seed : int
        Of both streams of numbers.
    """

    def __init__(self, population: Population, seed: int) -> None:
        own, shared = np.random.SeedSequence(seed).spawn(2)
        self._own, self._shared = np.random.default_rng(own), np.random.default_rng(shared)
        self._is_counting = population.is_counting
        self._n, self._r = population.weights.shape[1], len(population.factors)

    def take(self, n_bins: int) -> tuple[Array, Array]:
        """Rows for the next bins: for each feature (n_bins, n), and for what they share (n_bins, r)."""
        shape = (n_bins, self._n)
        own = self._own.random(shape) if self._is_counting else self._own.standard_normal(shape)
        return own, self._shared.standard_normal((n_bins, self._r))


@njit(cache=True, nogil=True)
def encode(population: Population, own: Array, shared: Array, effort: Array, y: Array) -> None:
    """Features of one bin, written to `y` (n,), for an effort (k,) and a row of each kind of draws."""
    keep = math.exp(-population.bin_s / COMMON_TAU_S)
    length = 0.0
    for j in range(len(effort)):
        length += effort[j] * effort[j]
    length = math.sqrt(length)
    for i in range(len(y)):
        y[i] = population.baseline[i] + population.speed[i] * length
    for j in range(len(effort)):
        for i in range(len(y)):
            y[i] += population.weights[j, i] * effort[j]
    if not population.is_counting:
        for i in range(len(y)):
            y[i] += population.spread[i] * own[i]
    for r in range(len(shared)):
        population.common[r] = keep * population.common[r] + math.sqrt(1.0 - keep * keep) * shared[r]
        for i in range(len(y)):
            added = population.factors[r, i] * population.common[r]
            if population.is_counting:
                y[i] *= math.exp(added)
            else:
                y[i] += added
    if population.is_counting:
        for i in range(len(y)):
            y[i] = count(max(y[i], 0.0) * population.bin_s, population.fano, own[i])


@njit(cache=True, nogil=True)
def count(mean: float, fano: float, uniform: float) -> float:
    """A Poisson count, or a negative binomial one of the given variance over mean, by inversion of its distribution."""
    if mean <= 0.0:
        return 0.0
    if fano > 1.0:
        excess, size = (fano - 1.0) / fano, mean / (fano - 1.0)
        probability = math.exp(-size * math.log(fano))
    else:
        excess, size = 0.0, 0.0
        probability = math.exp(-mean)
    n, total = 0, probability
    while uniform > total and probability > 1e-18:
        factor = excess * (size + n) if fano > 1.0 else mean
        n += 1
        probability *= factor / n
        total += probability
    return float(n)
