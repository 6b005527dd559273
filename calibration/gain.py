"""Smoothing and gain for one participant, whose forward model is poorer than a perfect one."""

from __future__ import annotations

from calibration.paradigms import DWELL_S, TIMEOUT_S, radius_of
from calibration.tuning import Noise, TuningMap, sweep
from calibration.user_model import UserModel

DELAY_S = 0.2
BELIEVED_GAIN = 0.6  # people know less of their decoder than a perfect forward model does
N_TRIALS = 60


def tune_participant(noise: Noise, n_outputs: int, bin_s: float, lag_s: float) -> TuningMap:
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
    """
    return sweep(
        noise.sigma, radius_of(n_outputs), DWELL_S, correlation=max(0.0, noise.correlation), n_outputs=n_outputs,
        bin_s=bin_s, timeout_s=TIMEOUT_S, user=UserModel(delay_s=DELAY_S + lag_s, believed_gain=BELIEVED_GAIN),
        n_trials=N_TRIALS,
    )  # fmt: skip
