"""Tasks of laboratories on a screen: centre-out, random targets, a grid of keys, pursuit. Pure, time as an argument.

Each is told where the cursor is, and whether there was a click, and says what is asked for now; like `tasks.CupTask` it
keeps `trials`, and cues for the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bci.simulation.tasks import CupTask
from bci.types import Array
from calibration.metrics import Trial, achieved_bit_rate

CENTRE = 0.5
REACH = 0.35  # of centre-out targets
LOWER, UPPER = 0.05, 0.95  # where random targets are
N_DIRECTIONS = 8
CLICK_REFRACTORY_S = 0.4


def centre_out(random: np.random.Generator, k: int = 2, reach: float = REACH) -> Iterator[Array]:
    """Eight places around the centre in shuffled order, and back to the centre after each; for ever."""
    angles = 2 * np.pi * np.arange(N_DIRECTIONS) / N_DIRECTIONS
    while True:
        for angle in random.permutation(angles):
            place = np.full(k, CENTRE)
            place[:2] += reach * np.array([np.cos(angle), np.sin(angle)])
            yield place
            yield np.full(k, CENTRE)


def anywhere(random: np.random.Generator, k: int = 2) -> Iterator[Array]:
    """Places anywhere in the workspace."""
    while True:
        yield random.uniform(LOWER, UPPER, size=k)


class TargetTask:
    """One place after the other, to be held for a while.

    Parameters
    ----------
    places : iterator of Array
        For example `centre_out` or `anywhere`.
    radius, dwell_s, timeout_s : float
        What counts as being there, how long, and how long to try.
    """

    def __init__(
        self, places: Iterator[Array], radius: float = 0.075, dwell_s: float = 0.5, timeout_s: float = 10.0
    ) -> None:
        self._places = places
        self._radius, self._dwell_s, self._timeout_s = radius, dwell_s, timeout_s
        self.trials: list[Trial] = []
        self.cues: list[str] = []
        self.target: Array | None = None
        self._since_s, self._inside_since_s, self._distance = 0.0, float("nan"), 0.0

    def update(self, position: Sequence[float], now_s: float, is_click: bool = False) -> Array:
        """Take in where the cursor is; return the present target, (k,). Clicks mean nothing here."""
        where = np.asarray(position, dtype=np.float64)
        if self.target is None:
            return self._begin(where, now_s)
        if np.linalg.norm(where - self.target) <= self._radius:
            if not self._inside_since_s <= now_s:
                self._inside_since_s = now_s
            if now_s - self._inside_since_s >= self._dwell_s - 1e-9:
                return self._finish(where, now_s, is_success=True)
        else:
            self._inside_since_s = float("nan")
        if now_s - self._since_s >= self._timeout_s:
            return self._finish(where, now_s, is_success=False)
        return self.target

    @property
    def figures(self) -> dict[str, float]:
        """What else tells how it went: nothing."""
        return {}

    def take_cues(self) -> list[str]:
        """Return the cues since the last call."""
        cues, self.cues = self.cues, []
        return cues

    def _finish(self, where: Array, now_s: float, *, is_success: bool) -> Array:
        name = f"target {len(self.trials) + 1}"
        self.trials.append(Trial(name, self._since_s, now_s, is_success, self._distance, self._radius, self._dwell_s))
        self.cues.append(f"{'success' if is_success else 'timeout'} {len(self.trials)}")
        return self._begin(where, now_s)

    def _begin(self, where: Array, now_s: float) -> Array:
        self.target = next(self._places)
        self._since_s, self._inside_since_s = now_s, float("nan")
        self._distance = float(np.linalg.norm(where - self.target))
        self.cues.append(f"trial {len(self.trials) + 1}")
        return self.target


class GridTask:
    """N x N keys that fill the workspace; one lights up, any key that is dwelt on or clicked is selected.

    Parameters
    ----------
    n : int
        Keys in a row.
    random : numpy.random.Generator
        Chooses the keys; never the same twice in a row.
    dwell_s : float or None
        How long the cursor must stay on a key; None: keys are clicked.
    timeout_s : float
        After this long another key lights up.
    """

    def __init__(
        self, n: int, random: np.random.Generator, dwell_s: float | None = 1.0, timeout_s: float = 10.0
    ) -> None:
        self.n = n
        self._random, self._dwell_s, self._timeout_s = random, dwell_s, timeout_s
        self.trials: list[Trial] = []
        self.cues: list[str] = []
        self.n_correct, self.n_incorrect = 0, 0
        self.key = -1
        self._started_s, self._since_s, self._now_s, self._clicked_s = float("nan"), 0.0, 0.0, -np.inf
        self._over, self._over_since_s, self._distance = -1, 0.0, 0.0

    @property
    def bit_rate_bps(self) -> float:
        """Achieved bit rate so far."""
        return achieved_bit_rate(self.n**2, self.n_correct, self.n_incorrect, self._now_s - self._started_s)

    def update(self, position: Sequence[float], now_s: float, is_click: bool = False) -> Array:
        """Take in where the cursor is and whether there was a click; return the centre of the lit key, (2,)."""
        where = np.asarray(position, dtype=np.float64)[:2]
        self._now_s = now_s
        if self.key < 0:
            self._started_s = now_s
            return self._light(where, now_s)
        column, row = (min(max(int(value * self.n), 0), self.n - 1) for value in where)
        over = row * self.n + column
        if over != self._over:
            self._over, self._over_since_s = over, now_s
        if self._dwell_s is None:
            is_selected = is_click and now_s - self._clicked_s >= CLICK_REFRACTORY_S
            if is_selected:
                self._clicked_s = now_s
        else:
            is_selected = now_s - self._over_since_s >= self._dwell_s - 1e-9
        if is_selected:
            self._over_since_s = now_s
            return self._select(over, where, now_s)
        if now_s - self._since_s >= self._timeout_s:
            self._end_trial(now_s, is_success=False)
            return self._light(where, now_s)
        return self.centre(self.key)

    @property
    def figures(self) -> dict[str, float]:
        """What else tells how it went."""
        return {"achieved bit rate, bit/s": self.bit_rate_bps}

    def take_cues(self) -> list[str]:
        """Return the cues since the last call."""
        cues, self.cues = self.cues, []
        return cues

    def centre(self, key: int) -> Array:
        """Where a key is, shape (2,)."""
        row, column = divmod(key, self.n)
        return (np.array([column, row]) + 0.5) / self.n

    def _select(self, over: int, where: Array, now_s: float) -> Array:
        is_right = over == self.key
        self.n_correct += is_right
        self.n_incorrect += not is_right
        self.cues.append(f"{'right' if is_right else 'wrong'} key {over}")
        if not is_right:
            return self.centre(self.key)
        self._end_trial(now_s, is_success=True)
        return self._light(where, now_s)

    def _end_trial(self, now_s: float, *, is_success: bool) -> None:
        radius, dwell_s = 0.5 / self.n, self._dwell_s or 0.0
        name = f"key {self.key}"
        self.trials.append(Trial(name, self._since_s, now_s, is_success, self._distance, radius, dwell_s))

    def _light(self, where: Array, now_s: float) -> Array:
        others = [key for key in range(self.n**2) if key != self.key]
        self.key = int(self._random.choice(others))
        self._since_s = now_s
        self._distance = float(np.linalg.norm(where - self.centre(self.key)))
        self.cues.append(f"trial {len(self.trials) + 1} key {self.key}")
        return self.centre(self.key)


class PursuitTask:
    """A target that wanders and is to be followed: its velocity is a smooth random walk, bent back at the borders.

    Parameters
    ----------
    random : numpy.random.Generator
        Of its way.
    k : int
        Dimensions.
    speed : float
        Standard deviation per axis, workspaces per second.
    tau_s : float
        How long it keeps a direction.
    """

    def __init__(self, random: np.random.Generator, k: int = 2, speed: float = 0.15, tau_s: float = 1.0) -> None:
        self._random, self._speed, self._tau_s = random, speed, tau_s
        self.trials: list[Trial] = []
        self.cues: list[str] = ["pursuit"]
        self.target: Array = np.full(k, CENTRE)
        self._velocity: Array = np.zeros(k)
        self._now_s = float("nan")
        self._sum, self._n = 0.0, 0

    @property
    def mean_error(self) -> float:
        """Mean distance between cursor and target so far, workspaces."""
        return self._sum / self._n if self._n else float("nan")

    def update(self, position: Sequence[float], now_s: float, is_click: bool = False) -> Array:
        """Take in where the cursor is; return where the target is now, (k,)."""
        dt_s = now_s - self._now_s if self._now_s == self._now_s else 0.0
        self._now_s = now_s
        keep = np.exp(-dt_s / self._tau_s)
        kick = self._speed * np.sqrt(1.0 - keep**2)
        self._velocity = keep * self._velocity + kick * self._random.normal(size=len(self.target))
        moved = self.target + dt_s * self._velocity
        is_out = (moved < LOWER) | (moved > UPPER)
        self._velocity[is_out] *= -1.0
        self.target = np.clip(moved, LOWER, UPPER)
        self._sum += float(np.linalg.norm(np.asarray(position) - self.target))
        self._n += 1
        return self.target

    @property
    def figures(self) -> dict[str, float]:
        """What else tells how it went."""
        return {"mean distance, workspaces": self.mean_error}

    def take_cues(self) -> list[str]:
        """Return the cues since the last call."""
        cues, self.cues = self.cues, []
        return cues


Task = TargetTask | GridTask | PursuitTask | CupTask
TASKS: dict[str, Callable[[np.random.Generator, int], Task]] = {
    "cup": lambda random, k: CupTask(random),
    "centre-out": lambda random, k: TargetTask(centre_out(random, k)),
    "random": lambda random, k: TargetTask(anywhere(random, k)),
    "grid": lambda random, k: GridTask(6, random),
    "pursuit": lambda random, k: PursuitTask(random, k),
}
