"""Smoothing and gain for one participant: whose forward model is poorer than perfect, and whose hand must rest."""

from __future__ import annotations

import numpy as np

from calibration.measures import IDLE_WINDOW_S
from calibration.paradigms import DWELL_S, TIMEOUT_S, radius_of
from calibration.tuning import GAIN_RATIOS, Noise, TuningMap, expected_gain, sweep
from calibration.user_model import UserModel

DELAY_S = 0.2
BELIEVED_GAIN = 0.6  # people know less of their decoder than a perfect forward model does
N_TRIALS = 60
CALM = 0.035  # workspaces/s of drift at rest to be tuned for; the evaluation allows 0.05


def tune_participant(noise: Noise, n_outputs: int, bin_s: float, lag_s: float, most_beta: float = np.inf) -> TuningMap:
    """Find smoothing and gain for a participant's noise, for the targets of the evaluation.

    Parameters
    ----------
    noise : Noise
        Of the unsmoothed read-out, in bins of `bin_s`.
    n_outputs : int
        Dimensions.
    bin_s : float
        Bin width.
    lag_s : float
        Time constant with which the features follow an intention: it delays what the participant sees.
    most_beta : float
        Largest gain to try.
    """
    radius, correlation = radius_of(n_outputs), float(np.clip(noise.correlation, 0.0, 0.99))
    expected = expected_gain(noise.sigma, radius) * ((1.0 - correlation) / (1.0 + correlation)) ** 0.3
    most = min(expected * GAIN_RATIOS[-1], most_beta)
    betas = np.geomspace(min(expected * GAIN_RATIOS[0], most / 2), most, len(GAIN_RATIOS))
    return sweep(
        noise.sigma, radius, DWELL_S, correlation=correlation, n_outputs=n_outputs, bin_s=bin_s, timeout_s=TIMEOUT_S,
        user=UserModel(delay_s=DELAY_S + lag_s, believed_gain=BELIEVED_GAIN), betas=betas, n_trials=N_TRIALS,
    )  # fmt: skip


def calm_gain(noise: Noise, bin_s: float, drift: float, beta: float) -> float:
    """Largest gain with which a hand can be expected to rest, where `drift` was measured at rest with gain `beta`."""
    return CALM / max(drift_of(noise, bin_s), drift / beta if np.isfinite(drift) else 0.0)


def drift_of(noise: Noise, bin_s: float) -> float:
    """Speed at which noise alone moves a resting hand at gain 1, as `measures.idle_drift` counts it, per second.

    The mean length of a two-dimensional random walk after the window, over the window: σ √(π/2) √(bin/window), more by
    √((1 + ρ)/(1 - ρ)) for noise that is correlated from bin to bin. Smoothing changes nothing over seconds.
    """
    correlation = float(np.clip(noise.correlation, 0.0, 0.99))
    spread = noise.sigma * np.sqrt((1.0 + correlation) / (1.0 - correlation) * bin_s / IDLE_WINDOW_S)
    return max(float(np.sqrt(np.pi / 2) * spread), 1e-6)
