"""What is recorded from a participant: efforts in, samples of one stream out, one kind of signal for each profile.

An effort has one value per output, full effort is of length 1, and a last one from 0 to 1 for a squeeze of the hand.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from bci.errors import ProfileError
from bci.profile import Profile, Rates, Spikes
from bci.simulation.broadband import Broadband
from bci.simulation.drift import correlation_after, turn_tuning
from bci.simulation.eeg import AREAS, Eeg
from bci.simulation.emg import Emg
from bci.simulation.encoding import encode, linear_gaussian
from bci.simulation.neurons import Neurons
from bci.types import Array

Encoder = Literal["counts", "linear", "broadband", "eeg", "emg"]
UNITS: dict[Encoder, str] = {
    "counts": "count", "linear": "1", "broadband": "microvolts", "eeg": "microvolts", "emg": "microvolts",
}  # fmt: skip
SIGMA, SIGMA_BIN_S = 0.6, 0.02  # of the linear-Gaussian read-out: participant T5's usual day
TURN_EVERY_S = 1.0


class Source(Protocol):
    """Any kind of signal."""

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n_channels), while the effort (k + 1,) holds."""
        ...


def encoder_of(profile: Profile) -> Encoder:
    """Which kind of signal a profile decodes: band power is EEG where the motor cortex is among its channels."""
    if isinstance(profile.features, Rates):
        return "counts"
    if isinstance(profile.features, Spikes):
        return "broadband"
    return "eeg" if set(AREAS) & set(profile.stream.channels) else "emg"


def channel_labels(profile: Profile) -> tuple[str, ...]:
    """Labels of the channels that the profile uses, and invented ones for the others."""
    named = profile.stream.channels
    return (*named, *(f"ch{i + 1}" for i in range(len(named), profile.stream.n_channels)))


def make_source(
    profile: Profile,
    random: np.random.Generator,
    encoder: Encoder | None = None,
    *,
    clarity: float = 1.0,
    time_lapse: float = 1.0,
    mains_hz: float = 50.0,
) -> Source:
    """The signals that a profile describes.

    Parameters
    ----------
    profile : Profile
        Its stream and outputs.
    random : numpy.random.Generator
        Seeded source of everything random.
    encoder : str, optional
        Kind of signal; default: what the profile's features want.
    clarity : float
        How clearly the signals tell the effort; 1 is a good participant.
    time_lapse : float
        The tuning of neurons turns this many times faster than in life.
    mains_hz : float
        50 or 60.

    Raises
    ------
    ProfileError
        When that kind of signal cannot hold the profile's outputs.
    """
    encoder = encoder or encoder_of(profile)
    stream, k = profile.stream, len(profile.decoder.outputs)
    if encoder in ("counts", "broadband"):
        neurons = Neurons(stream.n_channels, k + 1, random, time_lapse)
        neurons.depth_hz *= clarity * np.sqrt((k + 1) / k)  # as deep along each output as without a squeeze
        if encoder == "counts":
            return Counts(neurons, stream.rate_hz)
        return Broadband(neurons, stream.rate_hz, random, mains_hz=mains_hz)
    if encoder == "linear":
        return Linear(stream.n_channels, k + 1, stream.rate_hz, random, clarity, time_lapse)
    if encoder == "emg":
        return Emg(stream.n_channels, k, stream.rate_hz, random, clarity=clarity, mains_hz=mains_hz)
    if k > 2:
        raise ProfileError(f"EEG with {k} outputs cannot be simulated.", "Use one or two, or another --encoder.")
    return Eeg(channel_labels(profile), k, stream.rate_hz, random, clarity=clarity, mains_hz=mains_hz)


class Counts:
    """Spike counts of neurons, one sample a bin."""

    def __init__(self, neurons: Neurons, rate_hz: float) -> None:
        self.neurons, self._bin_s = neurons, 1.0 / rate_hz

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next bins, shape (n_samples, n)."""
        return np.array([self.neurons.counts(effort, self._bin_s) for _ in range(n_samples)])


class Linear:
    """Linear-Gaussian features, one sample a bin, whose tuning turns as that of neurons."""

    def __init__(
        self, n: int, k: int, rate_hz: float, random: np.random.Generator, clarity: float, time_lapse: float
    ) -> None:
        self._bin_s, self._random, self._time_lapse = 1.0 / rate_hz, random, time_lapse
        sigma = SIGMA * np.sqrt(SIGMA_BIN_S / self._bin_s) / clarity
        self._population = linear_gaussian(n, k, sigma, random, bin_s=self._bin_s)
        self._unturned_s = 0.0

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next bins, shape (n_samples, n)."""
        self._turn(n_samples * self._bin_s)
        out = np.empty((n_samples, len(self._population.baseline)))
        for own, row in zip(self._random.standard_normal(out.shape), out, strict=True):
            encode(self._population, own, np.zeros(0), effort, row)
        return out

    def _turn(self, seconds: float) -> None:
        self._unturned_s += seconds
        if self._unturned_s >= TURN_EVERY_S:
            left = correlation_after(self._unturned_s, self._time_lapse)
            self._population.weights[:] = turn_tuning(self._population.weights, left, self._random)
            self._unturned_s = 0.0
