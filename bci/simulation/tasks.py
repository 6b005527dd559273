"""Tasks: what is asked for next, given where the hand is. Pure, with the time as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bci.types import Array
from calibration.metrics import Trial

RADIUS = 0.1  # workspaces, around a place
GRIP_TOLERANCE = 0.25
DWELL_S = 0.3
TIMEOUT_S = 10.0
MOUTH = (0.5, 0.2, 0.8)
OPEN, CLOSED = 0.0, 1.0
CUP_X, CUP_Y, CUP_Z = (0.2, 0.8), (0.5, 0.8), (0.15, 0.4)


@dataclass(frozen=True)
class Step:
    """One movement of the story: a name, a place, and the hand's opening."""

    name: str
    place: tuple[float, float, float]
    grip: float

    @property
    def target(self) -> tuple[float, ...]:
        """Place and grip as one point of the workspace."""
        return (*self.place, self.grip)


class CupTask:
    """Reach a cup, close the hand, bring it to the mouth, let go; then another cup.

    Parameters
    ----------
    random : numpy.random.Generator
        Places the cups.

    Attributes
    ----------
    step : Step
        What is asked for now.
    trials : list of Trial
        Movements finished so far.
    cues : list of str
        What happened since the last `take_cues`, for the recording.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._steps: list[Step] = []
        self.trials: list[Trial] = []
        self.cues: list[str] = []
        self.n_cups = 0
        self.step = Step("start", (0.5, 0.5, 0.5), OPEN)
        self._since_s: float | None = None
        self._inside_since_s: float | None = None
        self._distance = 0.0

    def update(self, position: Sequence[float], now_s: float) -> tuple[float, ...]:
        """Take in where the hand is; return the present target."""
        where = np.asarray(position)
        if self._since_s is None:
            self._begin(where, now_s)
        elif self._is_inside(where):
            self._inside_since_s = now_s if self._inside_since_s is None else self._inside_since_s
            if now_s - self._inside_since_s >= DWELL_S:
                self._finish(where, now_s, is_success=True)
        else:
            self._inside_since_s = None
            if now_s - self._since_s >= TIMEOUT_S:
                self._finish(where, now_s, is_success=False)
        return self.step.target

    @property
    def figures(self) -> dict[str, float]:
        """What else tells how it went."""
        return {"cups brought": self.n_cups}

    def take_cues(self) -> list[str]:
        """Return the cues since the last call."""
        cues, self.cues = self.cues, []
        return cues

    def _is_inside(self, where: Array) -> bool:
        off = float(np.linalg.norm(where[:3] - self.step.place))
        return off <= RADIUS and abs(float(where[3]) - self.step.grip) <= GRIP_TOLERANCE

    def _finish(self, where: Array, now_s: float, *, is_success: bool) -> None:
        assert self._since_s is not None
        self.trials.append(
            Trial(self.step.name, self._since_s, now_s, is_success, self._distance, RADIUS, dwell_s=DWELL_S)
        )
        self.cues.append(f"{'success' if is_success else 'timeout'} {len(self.trials)} {self.step.name}")
        if is_success and self.step.name == "let go":
            self.n_cups += 1
        if not is_success:
            self._steps = []  # the cup fell: begin again with another
        self._begin(where, now_s)

    def _begin(self, where: Array, now_s: float) -> None:
        if not self._steps:
            cup = tuple(float(self._random.uniform(*span)) for span in (CUP_X, CUP_Y, CUP_Z))
            place = (cup[0], cup[1], cup[2])
            self._steps = [
                Step("reach", place, OPEN),
                Step("close", place, CLOSED),
                Step("bring", MOUTH, CLOSED),
                Step("let go", MOUTH, OPEN),
            ]
        self.step = self._steps.pop(0)
        self._since_s, self._inside_since_s = now_s, None
        self._distance = float(np.linalg.norm(where - self.step.target))
        self.cues.append(f"trial {len(self.trials) + 1} {self.step.name}")
