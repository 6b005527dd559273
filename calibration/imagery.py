"""Imagined movements on cue, the block of the EEG's calibration."""

from __future__ import annotations

import numpy as np

from bci.types import Array
from calibration.metrics import Trial
from calibration.paradigms import ASSIST_STEP, CENTRE, MOVE, RADIUS, REACH, REST, Shown, Timed

GRAZ_FIXATION_S, GRAZ_IMAGERY_S, GRAZ_BREAK_S = 2.0, 4.0, (1.5, 2.5)  # BNCI 2014-001, cue and imagery together
FEEDBACK_S = 8.0  # longest closed-loop imagery


class ImageryBlock(Timed):
    """Imagined movements on cue with the timing of the Graz paradigm, with or without feedback.

    Fixation, cue and imagery, break of random length. Without feedback the hand stays in the middle; with feedback it
    starts there, and the trial ends when it reaches a target, the right or a wrong one.

    Parameters
    ----------
    n_outputs : int
        Dimensions of the workspace.
    directions : Array
        Shape (n_classes, n_outputs), length 1.
    n_per_class : int
        Trials of each direction, in random order.
    random : numpy.random.Generator
        Orders the trials and draws the breaks.
    has_feedback : bool
        Whether the hand moves.
    assist : float
        Push toward the target at the beginning, fading with success.
    """

    def __init__(
        self,
        n_outputs: int,
        directions: Array,
        n_per_class: int,
        random: np.random.Generator,
        *,
        has_feedback: bool = False,
        assist: float = 0.0,
    ) -> None:
        order = random.permutation(np.repeat(np.arange(len(directions)), n_per_class))
        self._breaks_s = random.uniform(*GRAZ_BREAK_S, size=len(order)) + float(has_feedback)  # time to stop
        active_s = FEEDBACK_S / 2 if has_feedback else GRAZ_IMAGERY_S
        super().__init__(float(len(order) * (GRAZ_FIXATION_S + active_s) + self._breaks_s.sum()))
        self.assist = assist if has_feedback else 1.0  # a hand that cannot move is only watched
        self.labels: list[int] = order.tolist()
        self._directions = directions
        self._has_feedback = has_feedback
        self._longest_s = FEEDBACK_S if has_feedback else GRAZ_IMAGERY_S
        self._fades = assist > 0.0
        self._begin_s, self._cue_s, self._end_s = 0.0, np.nan, np.nan
        self._middle: Array = np.full(n_outputs, CENTRE)
        self._is_line = np.linalg.matrix_rank(directions) == 1

    @property
    def target(self) -> Array:
        """Of the present trial."""
        target: Array = self._middle + REACH * self._directions[self.labels[len(self.trials)]]
        return target

    def is_over(self, elapsed_s: float) -> bool:
        """Whether all trials have been shown."""
        return len(self.trials) >= len(self.labels)

    def update(self, elapsed_s: float, position: Array) -> Shown:
        """Go on with the trial: fixation, imagery, break."""
        i = len(self.trials)
        if i >= len(self.labels):
            return Shown(self._middle, self._middle, REST, self.assist)
        if np.isnan(self._cue_s):
            if elapsed_s - self._begin_s < GRAZ_FIXATION_S:
                return Shown(self._middle, self._middle, REST, self.assist)
            self._cue_s = elapsed_s
            self._cues.append(f"trial {i + 1} class {self.labels[i] + 1}")
        if np.isnan(self._end_s):
            where = self._place(position)
            reached = self._reached(where)
            if reached < 0 and elapsed_s - self._cue_s < self._longest_s:
                return Shown(where, self.target, MOVE, self.assist)
            self._end_s = elapsed_s
            self._is_success = reached == self.labels[i] or not self._has_feedback
            self._cues.append(f"{'success' if self._is_success else 'timeout'} {i + 1}")
        where = self._place(position)
        if elapsed_s - self._end_s >= self._breaks_s[i]:
            self._finish(elapsed_s)
        return Shown(where, self._middle, REST, self.assist)

    def _place(self, position: Array) -> Array:
        """Where the hand may be: in the middle without feedback; on the line where all targets are on one."""
        if not self._has_feedback:
            return self._middle
        along = self._directions[0]
        return self._middle + along * float(along @ (position - self._middle)) if self._is_line else position

    def _reached(self, position: Array) -> int:
        """Class whose target the hand has come to, -1 for none."""
        along = self._directions @ (position - self._middle)
        best = int(np.argmax(along))
        return best if along[best] >= REACH - RADIUS else -1

    def _finish(self, now_s: float) -> None:
        name = f"class {self.labels[len(self.trials)] + 1}"
        self.trials.append(Trial(name, self._cue_s, self._end_s, self._is_success, REACH, RADIUS))
        if self._fades:
            change = -ASSIST_STEP if self._is_success else ASSIST_STEP
            self.assist = round(min(1.0, max(0.0, self.assist + change)), 6)
        self._begin_s, self._cue_s, self._end_s = now_s, np.nan, np.nan
