"""Blocks of a calibration: what is shown, and when. Pure: the time and the hand's position are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bci.types import Array
from calibration.metrics import Trial

MOVE_S = 1.0
REST_S = 0.4
LOWER, UPPER = 0.1, 0.9
CENTRE = 0.5
REST, MOVE, SQUEEZE = 0.0, 1.0, 2.0  # what is asked for: nothing, the target, a squeeze of the hand
RADIUS = 0.08  # workspaces, in one or two dimensions
REACH = 0.35  # from the centre to a target
DWELL_S = 0.5
TIMEOUT_S = 10.0
ASSIST_STEP = 0.05  # less of it after each success, more after each timeout
SUCCESSES_ALONE = 6  # in a row without assist: the fading has done its work


@dataclass(frozen=True, slots=True)
class Shown:
    """What the participant sees in one bin: hand and target, shape (k,), what is asked for, and the assist, 0 to 1."""

    position: Array
    target: Array
    mode: float
    assist: float = 0.0


class Block(Protocol):
    """One block: it is told the time and where the hand is, and tells what to show."""

    seconds: float
    trials: list[Trial]

    def update(self, elapsed_s: float, position: Array) -> Shown:
        """What to show now; the hand is wherever `Shown.position` says."""

    def take_cues(self) -> list[str]:
        """What happened since the last call, for the recording."""

    def is_over(self, elapsed_s: float) -> bool:
        """Whether the block has done its work."""


class Timed:
    """What all blocks share: a length, trials, and cues."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.trials: list[Trial] = []
        self._cues: list[str] = []

    def take_cues(self) -> list[str]:
        """What happened since the last call."""
        cues, self._cues = self._cues, []
        return cues

    def is_over(self, elapsed_s: float) -> bool:
        """Whether its time is up."""
        return elapsed_s >= self.seconds


class RestBlock(Timed):
    """Nothing is asked for, and nothing moves."""

    def update(self, elapsed_s: float, position: Array) -> Shown:
        """The hand in the middle."""
        middle = np.full_like(position, CENTRE)
        return Shown(middle, middle, REST)


class ObservationBlock(Timed):
    """A hand that moves by itself from target to target, for the participant to imagine moving it.

    Minimum-jerk movements (Flash & Hogan 1985) with a rest between them.

    Parameters
    ----------
    n_outputs : int
        Dimensions of the workspace.
    seconds : float
        Length of the block.
    random : numpy.random.Generator
        Places the targets.
    """

    def __init__(self, n_outputs: int, seconds: float, random: np.random.Generator) -> None:
        super().__init__(seconds)
        n_targets = int(np.ceil(seconds / (MOVE_S + REST_S))) + 1
        self._targets = random.uniform(LOWER, UPPER, size=(n_targets, n_outputs))
        self._targets[0] = CENTRE

    def at(self, elapsed_s: float) -> tuple[Array, Array, bool]:
        """Position and target, shape (n_outputs,), and whether a movement is wanted."""
        trial, into_s = divmod(elapsed_s, MOVE_S + REST_S)
        i = min(int(trial), len(self._targets) - 2)
        start, target = self._targets[i], self._targets[i + 1]
        s = min(into_s / MOVE_S, 1.0)
        travelled = 10 * s**3 - 15 * s**4 + 6 * s**5
        return start + travelled * (target - start), target, s < 1.0

    def update(self, elapsed_s: float, position: Array) -> Shown:
        """The hand where the movement has brought it."""
        where, target, is_active = self.at(elapsed_s)
        return Shown(where, target, MOVE if is_active else REST, 1.0)


class SqueezeBlock(Timed):
    """In turn: watch a movement, squeeze the hand, rest; to tell a click and idling from moving.

    Parameters
    ----------
    n_outputs : int
        Dimensions of the workspace.
    seconds : float
        Length of the block.
    random : numpy.random.Generator
        Places the targets.
    """

    PARTS_S = (1.6, 1.2, 2.4)  # rest is the longest: it takes a second to come to it

    def __init__(self, n_outputs: int, seconds: float, random: np.random.Generator) -> None:
        super().__init__(seconds)
        n_cycles = int(np.ceil(seconds / sum(self.PARTS_S))) + 1
        signs = random.choice([-1.0, 1.0], size=(n_cycles, n_outputs))
        self._targets = CENTRE + REACH * signs / np.sqrt(n_outputs)
        self._part = -1

    def update(self, elapsed_s: float, position: Array) -> Shown:
        """A hand that goes out first; at rest in the middle, while squeezing and resting."""
        cycle, into_s = divmod(elapsed_s, sum(self.PARTS_S))
        part = int(np.searchsorted(np.cumsum(self.PARTS_S)[:2], into_s, side="right"))
        target = self._targets[min(int(cycle), len(self._targets) - 1)]
        middle = np.full_like(position, CENTRE)
        if part != self._part:
            self._part = part
            self._cues.append(("move", "squeeze", "relax")[part])
        if part == 0:
            travelled = into_s / self.PARTS_S[0]
            return Shown(middle + 0.6 * travelled * (target - middle), target, MOVE, 1.0)
        return Shown(middle, middle, SQUEEZE if part == 1 else REST, 1.0)


def radius_of(n_outputs: int) -> float:
    """Radius of a target: in more dimensions larger, so that the tolerance along each stays the same."""
    return RADIUS * float(np.sqrt(max(n_outputs, 2) / 2))


def directions_of(n_outputs: int) -> Array:
    """Directions of targets around the centre, (n, k): eight in a plane, else both ways along each axis."""
    if n_outputs == 2:
        angles = np.arange(8) * np.pi / 4
        return np.column_stack([np.cos(angles), np.sin(angles)])
    return np.vstack([np.eye(n_outputs), -np.eye(n_outputs)])


class ReachBlock(Timed):
    """Targets to be reached and held in closed loop, one after the other.

    Parameters
    ----------
    n_outputs : int
        Dimensions of the workspace.
    seconds : float
        Length of the block.
    random : numpy.random.Generator
        Places the targets.
    is_centre_out : bool
        Targets around the centre, each followed by the centre; otherwise anywhere.
    assist : float
        At the beginning; it fades with success and comes back with failure.
    idle_s : float
        The end of the block, in which nothing is asked for while the decoder goes on.
    timeout_s : float
        After which a target is given up.
    """

    def __init__(
        self,
        n_outputs: int,
        seconds: float,
        random: np.random.Generator,
        *,
        is_centre_out: bool = False,
        assist: float = 0.0,
        idle_s: float = 0.0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__(seconds)
        self.assist = assist
        self.radius = radius_of(n_outputs)
        self._random = random
        self._directions = directions_of(n_outputs)
        self._order: list[int] = []
        self._is_centre_out = is_centre_out
        self._fades = assist > 0.0
        self._reach_s = seconds - idle_s
        self._timeout_s = timeout_s
        self._target: Array | None = None
        self._since_s = 0.0
        self._inside_since_s: float | None = None
        self._distance = 0.0
        self._n_alone = 0

    def update(self, elapsed_s: float, position: Array) -> Shown:
        """Judge where the hand is, and show the target."""
        if elapsed_s >= self._reach_s:
            return Shown(position, np.full_like(position, CENTRE), REST, self.assist)
        if self._target is None:
            self._begin(elapsed_s, position)
        assert self._target is not None
        if np.linalg.norm(position - self._target) <= self.radius:
            self._inside_since_s = elapsed_s if self._inside_since_s is None else self._inside_since_s
            if elapsed_s - self._inside_since_s >= DWELL_S:
                self._finish(elapsed_s, position, is_success=True)
        else:
            self._inside_since_s = None
            if elapsed_s - self._since_s >= self._timeout_s:
                self._finish(elapsed_s, position, is_success=False)
        return Shown(position, self._target, MOVE, self.assist)

    def is_over(self, elapsed_s: float) -> bool:
        """Whether its time is up, or the assist has faded and is not missed."""
        return elapsed_s >= self.seconds or (self._fades and self._n_alone >= SUCCESSES_ALONE)

    def _finish(self, now_s: float, position: Array, *, is_success: bool) -> None:
        number = len(self.trials) + 1
        self.trials.append(
            Trial(f"reach {number}", self._since_s, now_s, is_success, self._distance, self.radius, DWELL_S)
        )
        self._cues.append(f"{'success' if is_success else 'timeout'} {number}")
        self._n_alone = self._n_alone + 1 if is_success and self.assist == 0.0 else 0
        if self._fades:
            change = -ASSIST_STEP if is_success else ASSIST_STEP
            self.assist = round(min(1.0, max(0.0, self.assist + change)), 6)
        self._begin(now_s, position)

    def _begin(self, now_s: float, position: Array) -> None:
        self._target = self._next(position)
        self._since_s, self._inside_since_s = now_s, None
        self._distance = float(np.linalg.norm(position - self._target))
        self._cues.append(f"trial {len(self.trials) + 1}")

    def _next(self, position: Array) -> Array:
        target: Array
        k = len(position)
        if not self._is_centre_out:
            while True:
                target = self._random.uniform(LOWER, UPPER, size=k)
                if np.linalg.norm(target - position) >= 3 * self.radius:
                    return target
        was_out = self._target is not None and not np.array_equal(self._target, np.full(k, CENTRE))
        if was_out:
            return np.full(k, CENTRE)
        if not self._order:
            self._order = self._random.permutation(len(self._directions)).tolist()
        target = CENTRE + REACH * self._directions[self._order.pop()]
        return target


def assisted(velocity: Array, position: Array, target: Array, assist: float, push: float) -> Array:
    """What the hand does with a decoded velocity while it is assisted.

    What leads toward the target stays, what leads aside is shrunk, and a part of the assist pushes toward it: on a
    line there is no aside. With more than half assist nothing leads away from the target.

    Parameters
    ----------
    velocity, position, target : Array
        Shape (k,).
    assist : float
        0 (none) to 1.
    push : float
        Speed of the push at full assist; 0 where the orthogonal damping is enough.
    """
    error = target - position
    distance = float(np.linalg.norm(error))
    if assist <= 0.0 or distance < 1e-9:
        return velocity
    toward = error / distance
    along = float(velocity @ toward)
    along_kept = max(along, 0.0) if assist > 0.5 else along
    aside = velocity - along * toward
    result: Array = along_kept * toward + (1.0 - assist) * aside + assist * push * toward
    return result
