"""What a simulated participant wants at each moment, given what it sees."""

from __future__ import annotations

from collections import deque

import numpy as np

from bci.types import Array
from calibration.user_model import Mind, UserModel, act, make_mind, make_policy

REACTION_S = 0.2  # until a new target has an effect
PAUSE_UNIT_S, PAUSE_MEAN = 0.5, 4.0  # a pause lasts half a second, and some more of them (Wilson et al. 2023)


class User:
    """A user model before a screen: reacts late to a new target, sees late, looks ahead, gets tired, pauses.

    Parameters
    ----------
    n_outputs : int
        Dimensions of the workspace.
    period_s : float
        Between two looks.
    model : UserModel, optional
        Habits.
    tau_s, beta : float
        Smoothing and gain as the user has come to know them.
    reaction_s : float
        Until a new target, or the wish for rest, has an effect.
    pause_share : float
        Chance that the user rests before going for a new target.
    random : numpy.random.Generator, optional
        Of the pauses.
    """

    def __init__(
        self,
        n_outputs: int,
        period_s: float,
        *,
        model: UserModel | None = None,
        tau_s: float = 0.12,
        beta: float = 0.7,
        reaction_s: float = REACTION_S,
        pause_share: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> None:
        self._model = model or UserModel()
        self._policy = make_policy(self._model, period_s, tau_s, beta)
        self._period_s, self._pause_share = period_s, pause_share
        self._random = random or np.random.default_rng(0)
        self._asked: deque[tuple[Array, bool]] = deque(maxlen=1 + round(reaction_s / period_s))
        self._mind: Mind | None = None
        self._before: Array = np.zeros(n_outputs)
        self._goal: Array = np.full(n_outputs, np.nan)
        self._pause_s = 0.0
        self._effort: Array = np.zeros(n_outputs)

    def effort(self, position: Array, target: Array, is_active: bool) -> Array:
        """Take in what is shown now; return the effort of this moment, length 1 is full effort."""
        if self._mind is None:
            self._mind = make_mind(self._model, self._period_s, position)
            self._before = position.copy()
        self._asked.append((target.copy(), is_active))
        goal, wants = self._asked[0]
        if wants and not np.array_equal(goal, self._goal):
            self._goal = goal
            if self._random.uniform() < self._pause_share:
                self._pause_s = PAUSE_UNIT_S * (1 + self._random.poisson(PAUSE_MEAN))
        self._pause_s = max(0.0, self._pause_s - self._period_s)
        velocity = (position - self._before) / self._period_s
        self._before = position.copy()
        act(self._policy, self._mind, position, velocity, goal, wants and self._pause_s == 0.0, self._effort)
        return self._effort.copy()
