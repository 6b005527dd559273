"""A simulated participant for rehearsing a calibration: does what is shown, with the signals that a profile wants."""

from __future__ import annotations

from collections import deque
from typing import Literal

import numpy as np

from bci.profile import Profile
from bci.simulation.source import Encoder, channel_labels, encoder_of, make_source
from bci.simulation.user import REACTION_S, User
from bci.types import Array
from calibration.paradigms import MOVE, SQUEEZE

Quality = Literal["good", "median", "poor"]
CLARITY: dict[Quality, dict[Encoder, float]] = {
    "good": {"counts": 1.5, "broadband": 1.5, "eeg": 1.0, "emg": 0.5},
    "median": {"counts": 1.1, "broadband": 1.1, "eeg": 0.8, "emg": 0.25},
    "poor": {"counts": 0.15, "broadband": 0.15, "eeg": 0.1, "emg": 0.01},
}


class Rehearsal:
    """The participant and their signals, bin by bin.

    Parameters
    ----------
    profile : Profile
        Stream, features and outputs.
    quality : {"good", "median", "poor"}
        How clearly the signals tell the intention.
    seed : int
        Of everything random.

    Attributes
    ----------
    source : Source
        From effort and squeeze to samples.
    labels : tuple of str
        Of the channels.
    """

    def __init__(self, profile: Profile, quality: Quality, seed: int) -> None:
        settings = profile.decoder
        period_s = profile.bin_samples / profile.stream.rate_hz
        self.labels = channel_labels(profile)
        clarity = CLARITY[quality][encoder_of(profile)]
        self.source = make_source(profile, np.random.default_rng(seed), clarity=clarity)
        self._n_samples = profile.bin_samples
        self._user = User(len(settings.outputs), period_s, tau_s=settings.tau_ms / 1e3, beta=settings.beta)
        self._asked: deque[float] = deque(maxlen=1 + round(REACTION_S / period_s))

    def samples(self, position: Array, target: Array, mode: float) -> Array:
        """Samples of the next bin, shape (bin_samples, n_channels), given what is shown now."""
        effort = self._user.effort(position, target, mode == MOVE)
        self._asked.append(mode)
        squeeze = 1.0 if self._asked[0] == SQUEEZE else 0.0
        return self.source.samples(np.append(effort, squeeze), self._n_samples)
