"""Gain and smoothing for a participant's noise: every pair of a grid, tried by the user model.

No way of calibrating a decoder finds these two by itself, and a wrong gain costs more than a wrong direction (Willett
et al. 2018, IEEE TBME; 2019, Scientific Reports 9:8881). So they are set after the fit, from how noisy the decoder's
unsmoothed output is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bci.errors import ModelError
from bci.types import Array
from calibration.user_model import Mind, Policy, UserModel, act, make_mind, make_policy

TAUS_MS = np.array([40.0, 60.0, 85.0, 120.0, 170.0, 250.0])
GAIN_RATIOS = np.geomspace(0.4, 2.5, 8)  # around the gain that the rule of thumb expects
FLAT = 1.02  # times within 2 % are the same for a person
CLEAR_EFFORT = 0.5  # where a movement was meant clearly enough to measure the gain
LEAST_BINS = 50


@dataclass(frozen=True)
class Noise:
    """Noise of the unsmoothed read-out, per axis, in units of full effort.

    Attributes
    ----------
    sigma : float
        Standard deviation in one bin.
    correlation : float
        Between one bin and the next: 0 is white.
    """

    sigma: float
    correlation: float


@dataclass(frozen=True)
class TuningMap:
    """Time to target over smoothing and gain.

    Attributes
    ----------
    taus_ms, betas : Array
        Shapes (n_taus,) and (n_betas,): the grid.
    time_to_target_s : Array
        Shape (n_taus, n_betas): mean, dwell included; a target that is missed counts with the time limit.
    success_rate : Array
        Shape (n_taus, n_betas), 0 to 1.
    tau_ms, beta : float
        The best point: of those whose time is within 2 % of the least, the one with the lowest gain. The optimum is
        flat, and a lower gain forgives more when the noise grows.
    """

    taus_ms: Array
    betas: Array
    time_to_target_s: Array
    success_rate: Array
    tau_ms: float
    beta: float

    @property
    def best(self) -> float:
        """Time to target at the best point, seconds."""
        at = np.flatnonzero(self.taus_ms == self.tau_ms)[0], np.flatnonzero(self.betas == self.beta)[0]
        return float(self.time_to_target_s[at])


def estimate_noise(raw: Array, v_int: Array) -> Noise:
    """Noise of a decoder from what it read out and what was meant.

    Parameters
    ----------
    raw : Array
        Shape (n_bins, k): the read-out before smoothing, any constant gain; bins that are not finite are left out.
    v_int : Array
        Shape (n_bins, k): intended velocity, length 1 is full effort. Only clear efforts count.

    Raises
    ------
    ModelError
        When there are too few bins, or the read-out does not follow the intention at all.
    """
    used = np.isfinite(raw).all(axis=1) & (np.linalg.norm(v_int, axis=1) > CLEAR_EFFORT)
    if used.sum() < LEAST_BINS:
        raise ModelError(
            f"Only {used.sum()} bins show a clear effort; {LEAST_BINS} are needed to measure noise.",
            "Move for longer.",
        )
    follows = np.flatnonzero(np.diff(np.flatnonzero(used)) == 1)
    raw, v_int = raw[used], v_int[used]
    gain = float(np.sum(raw * v_int) / np.sum(v_int**2))
    if not gain > 0.0:
        raise ModelError("What is decoded does not follow what was meant.", "Calibrate again.")
    residual = raw / gain - v_int
    variance = float(np.mean(residual**2))
    lagged = float(np.mean(residual[follows] * residual[follows + 1])) if len(follows) else 0.0
    return Noise(float(np.sqrt(variance)), lagged / variance if variance > 0 else 0.0)


def expected_gain(sigma: float, radius: float) -> float:
    """Gain near which the optimum lies, workspaces per second: 0.6 (radius / 0.075) / sigma^0.9, within about 25 %.

    A curve through simulated optima for white noise, dwell 0.5 s and delay 0.2 s.
    """
    return float(0.6 * (radius / 0.075) / max(sigma, 0.1) ** 0.9)


def sweep(
    sigma: float,
    radius: float,
    dwell_s: float,
    *,
    correlation: float = 0.0,
    n_outputs: int = 2,
    bin_s: float = 0.02,
    timeout_s: float = 10.0,
    user: UserModel | None = None,
    taus_ms: Array = TAUS_MS,
    betas: Array | None = None,
    n_trials: int = 150,
    seed: int = 0,
) -> TuningMap:
    """Time to target for each smoothing and gain, by simulation: random targets in the unit workspace.

    Parameters
    ----------
    sigma : float
        Noise of the unsmoothed read-out per axis and bin of `bin_s`, in units of full effort.
    radius : float
        Of the target, workspaces.
    dwell_s : float
        How long it has to be held.
    correlation : float
        Of the noise, from one bin to the next.
    n_outputs : int
        Dimensions of the workspace.
    bin_s, timeout_s : float
        Bin width, and time limit of a trial.
    user : UserModel, optional
        Default: 200 ms of delay, a perfect forward model.
    taus_ms, betas : Array
        The grid; default: 40-250 ms, and 8 gains around the expected one.
    n_trials, seed : int
        How many targets, the same noise at every point of the grid.

    Returns
    -------
    TuningMap
        6 x 8 points of 150 targets take about half a second.
    """
    user = user or UserModel()
    if betas is None:
        slower = (1.0 - np.clip(correlation, 0.0, 0.99)) / (1.0 + np.clip(correlation, 0.0, 0.99))
        betas = expected_gain(sigma, radius) * slower**0.3 * GAIN_RATIOS
    random = np.random.default_rng(seed)
    targets = random.uniform(size=(n_trials + 1, n_outputs))
    white = random.standard_normal((n_trials, round(timeout_s / bin_s), n_outputs))
    noise = sigma * coloured(white, correlation)
    times_s, success = np.empty((len(taus_ms), len(betas))), np.empty((len(taus_ms), len(betas)))
    for i, tau_ms in enumerate(taus_ms):
        for j, beta in enumerate(betas):
            policy = make_policy(user, bin_s, tau_ms / 1e3, float(beta))
            mind = make_mind(user, bin_s, targets[0])
            n_bins, n_hits = _perform(policy, mind, float(beta), targets, noise, radius, round(dwell_s / bin_s))
            times_s[i, j], success[i, j] = n_bins * bin_s / n_trials, n_hits / n_trials
    good = times_s <= FLAT * times_s.min()
    lowest = int(np.argmax(good.any(axis=0) & (betas == betas[good.any(axis=0)].min())))
    best_tau = int(np.argmin(times_s[:, lowest]))
    return TuningMap(np.asarray(taus_ms), betas, times_s, success, float(taus_ms[best_tau]), float(betas[lowest]))


def coloured(white: Array, correlation: float) -> Array:
    """First-order autoregressive noise of the same variance, along axis 1 of (n_trials, n_bins, k)."""
    noise = white.copy()
    kick = np.sqrt(1.0 - correlation**2)
    for t in range(1, white.shape[1]) if correlation != 0.0 else ():
        noise[:, t] = correlation * noise[:, t - 1] + kick * white[:, t]
    return noise


@njit(cache=True, nogil=True)
def _perform(
    policy: Policy, mind: Mind, beta: float, targets: Array, noise: Array, radius: float, n_dwell: int
) -> tuple[int, int]:
    """Bins that all trials took, and how many ended on their target; each begins where the one before has ended."""
    k = targets.shape[1]
    p, v, effort = targets[0].copy(), np.zeros(k), np.zeros(k)
    n_total, n_hits = 0, 0
    for trial in range(len(noise)):
        target, n_inside = targets[trial + 1], 0
        for t in range(noise.shape[1]):
            act(policy, mind, p, v, target, True, effort)
            off = 0.0
            for i in range(k):
                v[i] = policy.alpha * v[i] + (1.0 - policy.alpha) * beta * (effort[i] + noise[trial, t, i])
                p[i] = min(max(p[i] + policy.bin_s * v[i], 0.0), 1.0)
                off += (p[i] - target[i]) ** 2
            n_total += 1
            n_inside = n_inside + 1 if off <= radius * radius else 0
            if n_inside >= n_dwell:
                n_hits += 1
                break
    return n_total, n_hits
