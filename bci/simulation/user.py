"""What a simulated participant wants at each moment, given what it sees."""

from __future__ import annotations

from collections import deque

import numpy as np

from bci.types import Array
from calibration.intention import intended_velocity

VISUAL_DELAY_S = 0.2
SMOOTHING_S = 0.1  # of the speed that the user believes it sees


class User:
    """Sees late, and looks ahead by what it knows of its own motion.

    The delay is that of visual feedback; the forward model extends the last seen velocity over it (Willett et al.
    2017, Journal of Neural Engineering: feedback control policies).

    Parameters
    ----------
    n_outputs : int
        Dimensions of the workspace.
    period_s : float
        Between two looks.
    """

    def __init__(self, n_outputs: int, period_s: float) -> None:
        self._n_outputs = n_outputs
        self._period_s = period_s
        self._seen: deque[tuple[Array, Array, bool]] = deque(maxlen=max(1, round(VISUAL_DELAY_S / period_s)))
        self._velocity: Array = np.zeros(n_outputs)
        self._position: Array | None = None

    def effort(self, position: Array, target: Array, is_active: bool) -> Array:
        """Take in what is shown now; return the effort of this moment, length 1 at most."""
        self._seen.append((position, target, is_active))
        seen, goal, wants = self._seen[0]
        if self._position is not None:
            k = min(1.0, self._period_s / SMOOTHING_S)
            self._velocity = self._velocity + k * ((seen - self._position) / self._period_s - self._velocity)
        self._position = seen
        expected = seen + VISUAL_DELAY_S * self._velocity
        return intended_velocity(expected, goal, wants)
