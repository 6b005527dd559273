"""A simulated participant for rehearsing a calibration: does what is shown, with the signals that a profile wants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

import numpy as np

from bci.profile import BandPower, Profile, Rates
from bci.simulation.broadband import Broadband
from bci.simulation.eeg import Eeg
from bci.simulation.emg import Emg
from bci.simulation.neurons import Neurons
from bci.simulation.user import REACTION_S, User
from bci.types import Array
from calibration.paradigms import MOVE, SQUEEZE
from calibration.program import paradigm_of

Quality = Literal["good", "median", "poor"]
DEPTH: dict[Quality, float] = {"good": 2.0, "median": 1.4, "poor": 0.25}  # of the neurons' tuning
DESYNCHRONISATION: dict[Quality, float] = {"good": 1.0, "median": 0.7, "poor": 0.1}  # of the EEG's rhythms
CONTRACTION: dict[Quality, float] = {"good": 0.5, "median": 0.25, "poor": 0.01}  # of a strong muscle


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
    encode : callable
        From effort and squeeze, shape (k + 1,), to so many samples.
    """

    def __init__(self, profile: Profile, quality: Quality, seed: int) -> None:
        settings = profile.decoder
        period_s = profile.bin_samples / profile.stream.rate_hz
        self.labels = labels_of(profile)
        self._n_samples = profile.bin_samples
        self._user = User(len(settings.outputs), period_s, tau_s=settings.tau_ms / 1e3, beta=settings.beta)
        self._asked: deque[float] = deque(maxlen=1 + round(REACTION_S / period_s))
        self.encode = encoder(profile, self.labels, quality, np.random.default_rng(seed))

    def samples(self, position: Array, target: Array, mode: float) -> Array:
        """Samples of the next bin, shape (bin_samples, n_channels), given what is shown now."""
        effort = self._user.effort(position, target, mode == MOVE)
        self._asked.append(mode)
        squeeze = 1.0 if self._asked[0] == SQUEEZE else 0.0
        return self.encode(np.append(effort, squeeze), self._n_samples)


def labels_of(profile: Profile) -> tuple[str, ...]:
    """Labels of the channels that the profile uses, and invented ones for the others."""
    named = profile.stream.channels
    return (*named, *(f"ch{i + 1}" for i in range(len(named), profile.stream.n_channels)))


def encoder(
    profile: Profile, labels: tuple[str, ...], quality: Quality, random: np.random.Generator
) -> Callable[[Array, int], Array]:
    """What turns effort and squeeze, shape (k + 1,), into so many samples of the signal that the profile wants."""
    k, rate_hz, n_channels = len(profile.decoder.outputs), profile.stream.rate_hz, profile.stream.n_channels
    if isinstance(profile.features, BandPower):
        if paradigm_of(profile) == "imagery":
            return Eeg(labels, k, rate_hz, random, clarity=DESYNCHRONISATION[quality]).samples
        return Emg(n_channels, k + 1, rate_hz, random, clarity=CONTRACTION[quality]).samples
    neurons = Neurons(n_channels, k + 1, random)
    neurons.depth_hz *= DEPTH[quality]
    if isinstance(profile.features, Rates):
        return lambda effort, n: np.array([neurons.counts(effort, 1.0 / rate_hz) for _ in range(n)])
    return Broadband(neurons, rate_hz, random).samples
