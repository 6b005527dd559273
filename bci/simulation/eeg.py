"""EEG over the motor cortex: rhythms of the hands' and the feet's areas that fade while a movement is imagined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.signals.reference import montage
from bci.simulation.noise import Follower, Mains, Pink, Rhythm
from bci.types import Array

AREAS = {"C3": "right hand", "Cz": "feet", "C4": "left hand"}
RHYTHMS = ((10.5, 2.0, 12.0), (21.0, 4.0, 5.0))  # mu and beta: Hz, width, microvolts under the electrode
DEPTH = 0.7  # share of a rhythm's power that fades at full effort
FADING_S = 0.3
SOURCE_DEPTH = 0.75  # of the head's radius
HEAD_M = 0.095  # radius
BACKGROUND_UV, SENSOR_UV, N_BACKGROUND = 10.0, 2.0, 30
BLINK_UV, BLINK_S, BLINKS_PER_MIN = 120.0, 0.3, 12.0
MAINS_UV = 3.0
BLINK_HALF_M = 0.06  # metres from the eyes at which a blink is half as high


class Eeg:
    """Microvolts at scalp electrodes for an effort.

    Along the first output the way up is both hands and the way down the feet; along the second, up is the right hand
    and down the left. What is imagined fades the mu and the beta rhythm of its area (Pfurtscheller & Lopes da Silva
    1999, Clinical Neurophysiology 110:1842). The areas are radial dipoles in a homogeneous head below C3, Cz and C4;
    behind them is pink noise from all over the cortex, and blinks, mains and sensor noise on top.

    Parameters
    ----------
    labels : sequence of str
        Electrodes; those that are not of the 10-05 system hold noise only.
    n_outputs : int
        One or two are encoded.
    rate_hz : float
        Sampling rate.
    random : numpy.random.Generator
        Seeded source of everything random.
    clarity : float
        1 is a good participant; scales how far rhythms fade.
    mains_hz : float
        50 or 60.
    """

    def __init__(
        self,
        labels: Sequence[str],
        n_outputs: int,
        rate_hz: float,
        random: np.random.Generator,
        *,
        clarity: float = 1.0,
        mains_hz: float = 50.0,
    ) -> None:
        self._random, self._rate_hz = random, rate_hz
        positions, places = places_on_head(), dict[str, Array]()
        for label in labels:
            if label.lower() in positions:
                places[label] = positions[label.lower()]
        is_known = np.array([label in places for label in labels])
        electrodes = np.array([places.get(label, np.zeros(3)) for label in labels])
        self._mixing = np.where(is_known[:, None], seen_by(electrodes, [positions[a.lower()] for a in AREAS]), 0.0)
        cortex = random.normal(size=(N_BACKGROUND, 3)) * np.array([1.0, 1.0, 0.6]) + np.array([0.0, 0.0, 0.6])
        cortex *= HEAD_M / np.linalg.norm(cortex, axis=1, keepdims=True)
        self._background_mixing = np.where(is_known[:, None], seen_by(electrodes, list(cortex)), 0.0)
        scale = np.sqrt(np.sum(self._background_mixing**2, axis=1, keepdims=True))
        self._background_mixing *= BACKGROUND_UV / np.where(scale > 0, scale, 1.0)
        eyes = np.array([positions["fp1"], positions["fp2"]]).mean(axis=0)
        away = np.linalg.norm(electrodes - eyes, axis=1)
        self._blink_mixing = np.where(is_known, BLINK_UV * 0.5 ** (away / BLINK_HALF_M), 0.0)
        self._mains_mixing = MAINS_UV * random.uniform(0.3, 1.0, size=len(labels))
        self._depth, self._n_outputs = DEPTH * clarity, n_outputs
        self._rhythms = [(Rhythm(3, hz, width, rate_hz, random), uv) for hz, width, uv in RHYTHMS]
        self._background, self._own = Pink(N_BACKGROUND, rate_hz, random), Pink(len(labels), rate_hz, random)
        self._mains = Mains(mains_hz, rate_hz, random)
        self._power = Follower(np.ones(3), FADING_S, rate_hz)
        self._blink_left, self._blink = 0, np.sin(np.linspace(0, np.pi, max(2, round(BLINK_S * rate_hz)))) ** 2

    def samples(self, effort: Array, n_samples: int) -> Array:
        """The next samples, shape (n_samples, n_channels), while the effort (k,) holds."""
        power = self._power.take(1.0 - self._depth * wanted(effort[: self._n_outputs]), n_samples)
        rhythm = np.zeros((n_samples, 3))
        for source, microvolts in self._rhythms:
            rhythm += microvolts * source.take(n_samples)
        out: Array = (np.sqrt(power) * rhythm) @ self._mixing.T
        out += self._background.take(n_samples) @ self._background_mixing.T
        out += SENSOR_UV * self._own.take(n_samples)
        out += self._mains.take(n_samples)[:, None] * self._mains_mixing
        out += self._blinks(n_samples)[:, None] * self._blink_mixing
        return out

    def _blinks(self, n_samples: int) -> Array:
        chance = BLINKS_PER_MIN / 60.0 / self._rate_hz
        begins = self._random.uniform(size=n_samples) < chance
        lid = np.zeros(n_samples)
        for i in range(n_samples):
            if not self._blink_left and begins[i]:
                self._blink_left = len(self._blink)
            if self._blink_left:
                lid[i] = self._blink[-self._blink_left]
                self._blink_left -= 1
        return lid


def wanted(effort: Array) -> Array:
    """How far each area is active, shape (3,) for right hand, feet, left hand, 0 to 1."""
    first = float(effort[0])
    second = float(effort[1]) if len(effort) > 1 else 0.0
    both, feet = max(first, 0.0), max(-first, 0.0)
    areas: Array = np.minimum([both + max(second, 0.0), feet, both + max(-second, 0.0)], 1.0)
    return areas


def places_on_head() -> dict[str, Array]:
    """Positions of the 10-05 system in metres from the centre of the head, by name in small letters."""
    positions = montage()
    centre = np.mean([positions[name] for name in ("t7", "t8", "fpz", "oz")], axis=0)
    return {name: position - centre for name, position in positions.items()}


def seen_by(electrodes: Array, places: Sequence[Array]) -> Array:
    """What radial dipoles below some places on the scalp give at electrodes, (n_electrodes, n_places), 1 right above.

    The potential of a dipole in a homogeneous conductor, q (r - s)·n / |r - s|³ (Nunez & Srinivasan 2006, Electric
    Fields of the Brain).
    """
    columns = []
    for place in places:
        radius = float(np.linalg.norm(place))
        normal, depth = place / radius, (1.0 - SOURCE_DEPTH) * radius
        away = electrodes - SOURCE_DEPTH * place
        columns.append(depth**2 * (away @ normal) / np.maximum(np.linalg.norm(away, axis=1), 0.01) ** 3)
    return np.column_stack(columns)
