"""Surface EMG: noise whose amplitude follows the contraction of muscles, two for each output and one to squeeze."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfilt

from bci.simulation.noise import Follower, Mains
from bci.types import Array

BAND_HZ = (20.0, 150.0)  # where surface EMG has its power
RESTING_UV, CONTRACTED_UV = 5.0, 60.0
TWITCH_S = 0.06
CROSSTALK = 0.15
MAINS_UV = 1.5


class Emg:
    """Microvolts at electrodes on the forearm for an effort.

    The electrodes are spread over the muscles in turn; each also sees a little of its neighbour. Amplitude is linear in
    the contraction, as for moderate forces (De Luca 1997, Journal of Applied Biomechanics 13:135).

    Parameters
    ----------
    n_channels, n_outputs : int
        Electrodes, and outputs: two muscles each, one for the way up and one for the way down; one more squeezes.
    rate_hz : float
        Sampling rate.
    random : numpy.random.Generator
        Seeded source of everything random.
    clarity : float
        1 is a strong muscle; scales the contraction.
    mains_hz : float
        50 or 60.
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        rate_hz: float,
        random: np.random.Generator,
        *,
        clarity: float = 1.0,
        mains_hz: float = 50.0,
    ) -> None:
        n_muscles = 2 * n_outputs + 1
        self._share = np.zeros((n_muscles, n_channels))
        for channel in range(n_channels):
            self._share[channel % n_muscles, channel] += random.uniform(0.7, 1.0)
            self._share[(channel + 1) % n_muscles, channel] += CROSSTALK
        self._clarity, self._random = clarity, random
        high_hz = min(BAND_HZ[1], 0.45 * rate_hz)
        self._sos = butter(2, (min(BAND_HZ[0], high_hz / 2), high_hz), "bandpass", fs=rate_hz, output="sos")
        self._gain = 1.0 / np.sqrt((high_hz - BAND_HZ[0]) / (rate_hz / 2))
        self._state: Array = np.zeros((len(self._sos), 2, n_channels))
        self._pull = Follower(np.zeros(n_muscles), TWITCH_S, rate_hz)
        self._mains = Mains(mains_hz, rate_hz, random)

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n_channels), while the effort (k + 1,) holds, the squeeze last."""
        ways, squeeze = effort[:-1], effort[-1:]
        wanted = np.concatenate([np.maximum(ways, 0.0), np.maximum(-ways, 0.0), squeeze])
        amplitude = RESTING_UV + CONTRACTED_UV * self._clarity * self._pull.take(wanted, n_samples) @ self._share
        white = self._random.standard_normal(amplitude.shape)
        noise, self._state = sosfilt(self._sos, white, axis=0, zi=self._state)
        out: Array = self._gain * noise * amplitude + MAINS_UV * self._mains.take(n_samples)[:, None]
        return out
