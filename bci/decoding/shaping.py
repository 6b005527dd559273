"""From decoded effort to velocity: gain, speed, and the bias that a decoder carries."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.errors import ArgumentError
from bci.profile import Decoder
from bci.types import Array

MOST_BIAS = 0.3  # of full effort


@njit(cache=True, nogil=True)
def shape(
    effort: Array, beta: float, threshold: float, power: float, fast: float, rate: float, bias: Array, velocity: Array
) -> None:
    """Velocity of one bin.

    Parameters
    ----------
    effort : Array
        Shape (k,): decoded, length 1 is full effort.
    beta : float
        Gain: velocity at full effort.
    threshold, power : float
        Speed s becomes s (s / threshold)^(power - 1): slower below the threshold, faster above (Willett et al. 2019,
        Scientific Reports 9:8881).
    fast : float
        Only bins of more effort than this tell about the bias: slow ones are corrections.
    rate : float
        Share of such a bin in the bias, 0 to track none.
    bias : Array
        Shape (k,): mean effort of fast bins, in place, subtracted (Jarosiewicz et al. 2015, Science Translational
        Medicine 7:313ra179); at most 0.3 long.
    velocity : Array
        Shape (k,), written.
    """
    squared = 0.0
    for i in range(len(effort)):
        squared += effort[i] * effort[i]
    if rate > 0.0 and squared > fast * fast:
        length = 0.0
        for i in range(len(effort)):
            bias[i] += rate * (effort[i] - bias[i])
            length += bias[i] * bias[i]
        if length > MOST_BIAS * MOST_BIAS:
            for i in range(len(effort)):
                bias[i] *= MOST_BIAS / np.sqrt(length)
    squared = 0.0
    for i in range(len(effort)):
        velocity[i] = effort[i] - bias[i]
        squared += velocity[i] * velocity[i]
    scale = beta
    if power != 1.0 and squared > 0.0:
        scale *= (np.sqrt(squared) / threshold) ** (power - 1.0)
    for i in range(len(effort)):
        velocity[i] *= scale


class Shaper:
    """Gain, speed and bias as the profile sets them.

    Parameters
    ----------
    settings : Decoder
        beta, speed_threshold, speed_power, bias_tau_s.
    n_outputs : int
        How many.
    bin_s : float
        Bin width.
    fast : float
        Effort above which a bin tells about the bias.
    """

    def __init__(self, settings: Decoder, n_outputs: int, bin_s: float, fast: float) -> None:
        self.beta = settings.beta
        self._threshold, self._power = settings.speed_threshold, settings.speed_power
        self._fast = fast
        self._rate = 0.0 if settings.bias_tau_s is None else 1.0 - math.exp(-bin_s / settings.bias_tau_s)
        self.bias: Array = np.zeros(n_outputs)

    def apply(self, effort: Array, velocity: Array, is_seen: bool = True) -> None:
        """Write the velocity of one bin; one that is only predicted tells nothing about the bias."""
        if not effort.shape == velocity.shape == self.bias.shape:
            raise ArgumentError(
                f"Effort {effort.shape} and velocity {velocity.shape} do not fit {len(self.bias)} outputs.",
                "Give one value of each.",
            )
        rate = self._rate if is_seen else 0.0
        shape(effort, self.beta, self._threshold, self._power, self._fast, rate, self.bias, velocity)


def make_shaper(settings: Decoder, n_outputs: int, bin_s: float, fast: float) -> Shaper | None:
    """The shaper of a profile; None where velocity is just gain times effort."""
    if settings.bias_tau_s is None and settings.speed_power == 1.0:
        return None
    return Shaper(settings, n_outputs, bin_s, fast)
