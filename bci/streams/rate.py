"""Whether samples come at the rate that their stream declares: one that is opened again may have another."""

from __future__ import annotations

import math

from bci.types import Array

WINDOW_S, LEAST_SAMPLES = 0.5, 10
LEAST, MOST = 0.7, 1.4  # of the samples that should have come; fewer are lost often enough by a bad radio link
AWAY_S = 1.0  # what comes back after so long has to show its rate first


class RateWatch:
    """Counts samples in windows of half a second or ten periods, whichever is longer, and judges each.

    Parameters
    ----------
    rate_hz : float
        Declared.
    gap_s : float
        After a pause of this length counting begins anew: what is lost is told as a gap, and is no other rate.

    Attributes
    ----------
    is_wrong : bool
        Whether the last window had another rate; true also while nothing has been counted after an absence.
    found_hz : float
        Rate of the last window; NaN before the first.
    """

    def __init__(self, rate_hz: float, gap_s: float) -> None:
        self.is_wrong = False
        self.found_hz = math.nan
        self._rate_hz = rate_hz
        self._gap_s = max(gap_s, 3.0 / rate_hz)
        self._window_s = max(WINDOW_S, LEAST_SAMPLES / rate_hz)
        self._begun_s = self._last_s = math.nan
        self._n = 0
        self._was_wrong = False

    def count(self, stamps_s: Array) -> bool:
        """Take in the stamps of one or more samples; true when a window is judged otherwise than the one before."""
        first_s, last_s = float(stamps_s[0]), float(stamps_s[-1])
        pause_s = first_s - self._last_s
        self._last_s = last_s
        if not -self._gap_s < pause_s < self._gap_s:  # or it is the very first
            self._begun_s, self._n = last_s, 0
            if pause_s > AWAY_S:
                self.is_wrong = True
            return False
        self._n += len(stamps_s)
        elapsed_s = last_s - self._begun_s
        if elapsed_s < self._window_s:
            return False
        self.found_hz = self._n / elapsed_s
        before, self._was_wrong = self._was_wrong, not LEAST * self._rate_hz < self.found_hz < MOST * self._rate_hz
        self.is_wrong = self._was_wrong
        self._begun_s, self._n = last_s, 0
        return self.is_wrong != before
