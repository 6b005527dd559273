"""Blocks of a calibration: what is shown, and when."""

from __future__ import annotations

import numpy as np

from bci.types import Array

MOVE_S = 1.0
REST_S = 0.4
LOWER, UPPER = 0.1, 0.9


class ObservationBlock:
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
        self.seconds = seconds
        n_targets = int(np.ceil(seconds / (MOVE_S + REST_S))) + 1
        self._targets = random.uniform(LOWER, UPPER, size=(n_targets, n_outputs))
        self._targets[0] = 0.5

    def at(self, elapsed_s: float) -> tuple[Array, Array, bool]:
        """Position and target, shape (n_outputs,), and whether a movement is wanted."""
        trial, into_s = divmod(elapsed_s, MOVE_S + REST_S)
        i = min(int(trial), len(self._targets) - 2)
        start, target = self._targets[i], self._targets[i + 1]
        s = min(into_s / MOVE_S, 1.0)
        travelled = 10 * s**3 - 15 * s**4 + 6 * s**5
        return start + travelled * (target - start), target, s < 1.0
