"""Smoothing and gain for a participant's noise: the best of a grid, each point tried by a simulated user."""

from __future__ import annotations

import numpy as np
from numba import njit

from bci.types import Array
from calibration.intention import NEAR
from calibration.paradigms import DWELL_S, LOWER, TIMEOUT_S, UPPER, radius_of
from calibration.procedure import Tuning

STEP_S = 0.02
DELAY_BINS = 10  # 200 ms of visual delay
N_TRIALS = 60
NEAR_BEST = 1.05
TAUS_MS = np.array([60.0, 80.0, 110.0, 150.0, 200.0, 270.0])
BETAS = np.array([0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7])
SMOOTHING_S = 0.1  # of the speed that the user believes to see


@njit(cache=True, nogil=True)
def _trial(
    start: Array, target: Array, radius: float, alpha: float, beta: float, fresh: float, noise: Array, n_dwell: int,
    seen: Array,
) -> int:  # fmt: skip
    """Bins until a target is held, or all of them; `seen` is a ring of positions, (delay, k)."""
    k, delay = len(start), len(seen)
    p, v, felt = start.copy(), np.zeros(k), np.zeros(k)
    before, believed, effort = start.copy(), np.zeros(k), np.zeros(k)
    for i in range(delay):
        seen[i] = p
    inside = 0
    for t in range(len(noise)):
        slot, distance = t % delay, 0.0
        for i in range(k):
            believed[i] += STEP_S / SMOOTHING_S * ((seen[slot, i] - before[i]) / STEP_S - believed[i])
            before[i] = seen[slot, i]
            effort[i] = target[i] - before[i] - delay * STEP_S * believed[i]
            distance += effort[i] * effort[i]
        distance = np.sqrt(distance)
        strength = min(1.0, distance / NEAR) / max(distance, 1e-9)
        off = 0.0
        for i in range(k):
            felt[i] += fresh * (strength * effort[i] - felt[i])
            v[i] = alpha * v[i] + (1.0 - alpha) * beta * (felt[i] + noise[t, i])
            p[i] = min(max(p[i] + STEP_S * v[i], 0.0), 1.0)
            off += (target[i] - p[i]) ** 2
        seen[slot] = p
        inside = inside + 1 if off <= radius * radius else 0
        if inside > n_dwell:
            return t + 1
    return len(noise)


@njit(cache=True, nogil=True)
def _map(
    alphas: Array, betas: Array, fresh: float, places: Array, noise: Array, radius: float, n_dwell: int, out: Array
) -> None:
    seen = np.zeros((DELAY_BINS, places.shape[1]))
    for a in range(len(alphas)):
        for b in range(len(betas)):
            total = 0
            for i in range(len(places) - 1):
                total += _trial(places[i], places[i + 1], radius, alphas[a], betas[b], fresh, noise[i], n_dwell, seen)
            out[a, b] = STEP_S * (total / (len(places) - 1) + DELAY_BINS)  # a new target is seen late too


def sweep_user(sigma: float, correlation: float, n_outputs: int, lag_s: float = 0.0) -> Tuning:
    """Find smoothing and gain by simulation.

    Random targets with dwell, a user who sees 200 ms late and looks ahead by the speed last seen, and noise of the
    measured strength and correlation on every decoded bin (Willett et al. 2019, Scientific Reports 9:8881: no way of
    calibrating a decoder finds them by itself).

    Parameters
    ----------
    sigma : float
        Noise per axis in bins of 20 ms, in units of full effort.
    correlation : float
        From one bin to the next.
    n_outputs : int
        Dimensions.
    lag_s : float
        Time constant with which the features follow the intention; the user does not know it.

    Returns
    -------
    Tuning
        The best point of the grid and the whole grid; a target that is missed counts with the time limit.
    """
    random = np.random.default_rng(0)
    places = random.uniform(LOWER, UPPER, size=(N_TRIALS + 1, n_outputs))
    white = random.normal(size=(N_TRIALS, round(TIMEOUT_S / STEP_S), n_outputs))
    noise = sigma * coloured(white, float(np.clip(correlation, 0.0, 0.99)))
    times_s = np.empty((len(TAUS_MS), len(BETAS)))
    alphas = np.exp(-1e3 * STEP_S / TAUS_MS)
    fresh = STEP_S / (STEP_S + lag_s)
    _map(alphas, BETAS, fresh, places, noise, radius_of(n_outputs), round(DWELL_S / STEP_S), times_s)
    a, b = calmest(times_s)
    return Tuning(float(TAUS_MS[a]), float(BETAS[b]), float(times_s[a, b]), TAUS_MS, BETAS, times_s)


def calmest(times_s: Array) -> tuple[int, int]:
    """Where the map of shape (n_taus, n_betas) is near its best with the least gain, and of these the fastest.

    Real users have a poorer forward model than the simulated one, and too much gain costs them more than too little.
    """
    near = times_s <= NEAR_BEST * times_s.min()
    b = int(np.flatnonzero(near.any(axis=0))[0])
    a = int(np.argmin(times_s[:, b]))
    return a, b


def coloured(white: Array, correlation: float) -> Array:
    """Noise of the same variance, correlated from bin to bin along axis 1."""
    noise = white.copy()
    for t in range(1, white.shape[1]):
        noise[:, t] = correlation * noise[:, t - 1] + np.sqrt(1.0 - correlation**2) * white[:, t]
    return noise
