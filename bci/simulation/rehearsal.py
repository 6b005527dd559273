"""A simulated participant for rehearsing a calibration: does what is shown, with the signals that a profile wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from bci.errors import ProfileError
from bci.profile import BandPower, Profile, Rates
from bci.simulation.neurons import Neurons
from bci.simulation.user import User
from bci.types import Array
from calibration.paradigms import MOVE, SQUEEZE
from calibration.program import paradigm_of

Quality = Literal["good", "median", "poor"]
DEPTH: dict[Quality, float] = {"good": 2.0, "median": 1.4, "poor": 0.25}  # of the tuning
DESYNCHRONISATION: dict[Quality, float] = {"good": 0.75, "median": 0.6, "poor": 0.1}  # share of the rhythm's power
CONTRACTION: dict[Quality, float] = {"good": 4.0, "median": 2.0, "poor": 0.15}  # of the resting amplitude
RHYTHMS_HZ = (10.0, 22.0)
RHYTHM_UV, BACKGROUND_UV, MUSCLE_UV = (6.0, 3.0), 4.0, 10.0
SPREAD = 0.9  # electrode distances over which a source is seen
ROWS = {"FC": 1.0, "C": 0.0, "CP": -1.0}
SOURCES = {"C3": (-2.0, 0.0), "Cz": (0.0, 0.0), "C4": (2.0, 0.0)}
ERD_TAU_S = 0.3


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

    Raises
    ------
    ProfileError
        When signals of this kind are not simulated.
    """

    def __init__(self, profile: Profile, quality: Quality, seed: int) -> None:
        stream, k = profile.stream, len(profile.decoder.outputs)
        self.labels = labels_of(profile)
        self._n_samples = profile.bin_samples
        self._random = np.random.default_rng(seed)
        self._user = User(k, profile.bin_samples / stream.rate_hz)
        self._encode: Callable[[Array, int], Array]
        if isinstance(profile.features, Rates):
            neurons = Neurons(stream.n_channels, k + 1, self._random)
            neurons.depth_hz *= DEPTH[quality]
            dt_s = 1.0 / stream.rate_hz
            self._encode = lambda effort, n: np.array([neurons.counts(effort, dt_s) for _ in range(n)])
        elif isinstance(profile.features, BandPower) and paradigm_of(profile) == "imagery":
            self._encode = Rhythms(self.labels, k, stream.rate_hz, DESYNCHRONISATION[quality], self._random).samples
        elif isinstance(profile.features, BandPower):
            self._encode = Muscles(stream.n_channels, k, CONTRACTION[quality], self._random).samples
        else:
            raise ProfileError(
                f"Signals of kind '{profile.features.kind}' cannot be rehearsed.",
                "Rehearse with a profile of rates or band power.",
            )

    def samples(self, position: Array, target: Array, mode: float) -> Array:
        """Samples of the next bin, shape (bin_samples, n_channels), given what is shown now."""
        effort = self._user.effort(position, target, mode == MOVE)
        squeeze = 1.0 if mode == SQUEEZE else 0.0
        return self._encode(np.append(effort, squeeze), self._n_samples)


def labels_of(profile: Profile) -> tuple[str, ...]:
    """Labels of the channels that the profile uses, and invented ones for the others."""
    named = profile.stream.channels
    return (*named, *(f"ch{i + 1}" for i in range(len(named), profile.stream.n_channels)))


class Rhythms:
    """EEG over the motor cortex: rhythms at three sources that fade when a movement is imagined, in pink noise.

    Along the first output the way up fades both hands' sources and the way down the feet's between them; the second
    fades the left against the right (Pfurtscheller & Lopes da Silva 1999, Clinical Neurophysiology 110:1842).
    """

    def __init__(
        self, labels: tuple[str, ...], n_outputs: int, rate_hz: float, depth: float, random: np.random.Generator
    ) -> None:
        self._mixing = np.array([[_seen(label, place) for place in SOURCES.values()] for label in labels])
        patterns = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])[:n_outputs]
        opposite = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])[:n_outputs]
        if n_outputs > len(patterns):
            raise ProfileError(f"EEG with {n_outputs} outputs cannot be rehearsed.", "Use one or two outputs.")
        self._patterns, self._opposite = patterns, opposite
        self._rate_hz, self._depth, self._random = rate_hz, depth, random
        self._phase = np.zeros((len(RHYTHMS_HZ), 3))
        self._level = np.ones((len(RHYTHMS_HZ), 3))
        self._power = np.ones(3)
        self._pink = np.zeros((3, len(labels)))

    def samples(self, effort: Array, n: int) -> Array:
        """Microvolts, shape (n, n_channels)."""
        wanted = np.maximum(effort[:-1], 0.0) @ self._patterns + np.maximum(-effort[:-1], 0.0) @ self._opposite
        out = np.empty((n, len(self._mixing)))
        k = 1.0 / (ERD_TAU_S * self._rate_hz)
        for i in range(n):
            self._power += k * (1.0 - self._depth * np.minimum(wanted, 1.0) - self._power)
            self._level += 0.02 * (1.0 - self._level) + 0.05 * self._random.normal(size=self._level.shape)
            source = np.zeros(3)
            for r, hz in enumerate(RHYTHMS_HZ):
                self._phase[r] += 2 * np.pi * hz / self._rate_hz + 0.1 * self._random.normal(size=3)
                source += RHYTHM_UV[r] * np.maximum(self._level[r], 0.2) * np.sin(self._phase[r])
            for octave, keep in enumerate((0.99, 0.9, 0.5)):  # three poles look pink
                self._pink[octave] = keep * self._pink[octave] + np.sqrt(1 - keep**2) * self._random.normal(
                    size=len(self._mixing)
                )
            out[i] = self._mixing @ (source * np.sqrt(self._power)) + BACKGROUND_UV * self._pink.sum(axis=0) / 3
        return out


class Muscles:
    """Surface EMG: noise whose amplitude follows the contraction, a pair of muscles for each output, one to squeeze."""

    def __init__(self, n_channels: int, n_outputs: int, gain: float, random: np.random.Generator) -> None:
        n_muscles = 2 * n_outputs + 1
        self._share = np.zeros((n_channels, n_muscles))
        for channel in range(n_channels):
            self._share[channel, channel % n_muscles] = 1.0
            self._share[channel, (channel + 1) % n_muscles] += 0.2  # crosstalk
        self._gain, self._random = gain, random

    def samples(self, effort: Array, n: int) -> Array:
        """Microvolts, shape (n, n_channels)."""
        pulls = np.concatenate([np.maximum(effort[:-1], 0.0), np.maximum(-effort[:-1], 0.0), effort[-1:]])
        amplitude = MUSCLE_UV * (1.0 + self._gain * self._share @ pulls)
        samples: Array = amplitude * self._random.normal(size=(n, len(amplitude)))
        return samples


def _seen(label: str, place: tuple[float, float]) -> float:
    """How strongly an electrode sees a source; electrodes away from the motor cortex do not."""
    row = label.rstrip("z0123456789")
    number = label[len(row) :]
    if row not in ROWS or not number:
        return 0.0
    across = 0.0 if number == "z" else (int(number) + 1) // 2 * (-1.0 if int(number) % 2 else 1.0)
    squared = (across - place[0]) ** 2 + (ROWS[row] - place[1]) ** 2
    return float(np.exp(-squared / (2 * SPREAD**2)))
