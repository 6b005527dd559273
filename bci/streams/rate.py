"""Whether samples come at the rate that their stream declares: some declare another, and one that returns may differ.

Two judgements: windows of half a second find a rate that is quite another at once; a stretch of 4.5 s (the first: 2 s)
finds the small difference, and whether it is a false declaration or loss. What is lost by chance makes counts vary at
least as binomial ones do; a source that really sends at another rate counts evenly.
"""

from __future__ import annotations

import math

from bci.types import Array

WINDOW_S, LEAST_SAMPLES = 0.5, 10
LEAST, MOST = 0.7, 1.4  # of the samples that should have come; fewer are lost often enough by a bad radio link
AWAY_S = 1.5  # what comes back after so long has to show its rate first
PIECE_S, STRETCH_S = 0.25, 4.5
PREVIEW_S = 1.0
FIRST_S = 2.0  # the first stretch, before a device is armed; so short a one must show more
NAMED, WRONG = 0.01, 0.05  # relative difference that is told, and that is not decoded
EDGE = 0.02  # relative; a step of stamps that differs so much from the declared one is none inside a block
EVEN = 0.1  # of the variance that loss would cause; loss itself has so little once in a million stretches


class _Count:
    """Samples since a stamp, until a length has passed."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self.begin(math.nan)

    def begin(self, stamp_s: float) -> None:
        self.n, self.begun_s = 0, stamp_s

    def add(self, n: int, last_s: float) -> tuple[int, float] | None:
        """Take in samples; when the length has passed: how many there were in how many seconds."""
        self.n += n
        elapsed_s = last_s - self.begun_s
        if not elapsed_s >= self.length_s:
            return None
        counted = self.n, elapsed_s
        self.begin(last_s)
        return counted


class RateWatch:
    """Counts samples by their stamps and judges how many they are.

    Parameters
    ----------
    rate_hz : float
        Declared.
    gap_s : float
        After a pause of this length counting begins anew: what is lost is told as a gap, and is no other rate.

    Attributes
    ----------
    is_wrong : bool
        Whether samples come at another rate; true also while nothing has been counted after an absence.
    is_off : bool
        Whether the last stretch had more than 1 % too many or too few: by loss, or by a rate that is slightly false.
    found_hz : float
        Rate of what was judged last; NaN before.
    is_measured : bool
        Whether a stretch has been judged yet.
    """

    def __init__(self, rate_hz: float, gap_s: float) -> None:
        self.is_wrong = self.is_off = False
        self.found_hz = math.nan
        self._rate_hz = rate_hz
        self._gap_s = max(gap_s, 3.0 / rate_hz)
        self._window = _Count(max(WINDOW_S, LEAST_SAMPLES / rate_hz))
        self._piece = _Count(max(PIECE_S, LEAST_SAMPLES / rate_hz))
        self._pieces: list[tuple[int, float]] = []
        self._last_s = math.nan
        self._was_wrong = self._is_false = self._is_cut = False
        self._is_new = self._is_overdue = False  # of a stretch: not yet at the end of a block; of a piece: is due
        self._is_first = True
        self.is_measured = False

    def restart(self) -> None:
        """Count anew from the next samples on: some were dropped here, and their number says nothing."""
        self._is_cut = True

    def preview(self, stamps_s: Array) -> None:
        """Take in what had come before anybody looked: a second of it or more at the right rate is a measurement."""
        span_s = float(stamps_s[-1] - stamps_s[0])
        if span_s >= PREVIEW_S and abs((len(stamps_s) - 1) / span_s / self._rate_hz - 1.0) < WRONG:
            self.is_measured = True

    def count(self, stamps_s: Array) -> bool:
        """Take in the stamps of one or more samples; true when it is judged otherwise than before."""
        first_s, last_s = float(stamps_s[0]), float(stamps_s[-1])
        before_s, self._last_s = self._last_s, last_s
        pause_s = first_s - before_s
        is_cut, self._is_cut = self._is_cut, False
        if is_cut or not -self._gap_s < pause_s < self._gap_s:  # or it is the very first
            self._window.begin(last_s)
            self._begin_stretch(last_s)
            if pause_s > AWAY_S:
                self.is_wrong = self._is_first = True
            return False
        has_changed = self._count_piece(len(stamps_s), before_s, last_s, pause_s)
        return self._judge_window(self._window.add(len(stamps_s), last_s), last_s) or has_changed

    def _count_piece(self, n: int, before_s: float, last_s: float, pause_s: float) -> bool:
        """Count to the piece. It begins and ends where a block does: one that came in two parts is counted whole.

        Inside a block the stamps step by the declared period. Where all do, a piece waits for one more pull only.
        """
        is_inside = abs(pause_s * self._rate_hz - 1.0) <= EDGE
        is_new, self._is_new = self._is_new, False
        if is_new and is_inside:
            self._piece.begin(last_s)
            return False
        waits = is_inside and not self._is_overdue
        self._is_overdue = waits and before_s - self._piece.begun_s >= self._piece.length_s
        has_changed = not waits and self._judge_piece(self._piece.add(0, before_s))
        self._piece.n += n
        return has_changed

    def _begin_stretch(self, stamp_s: float) -> None:
        self._piece.begin(stamp_s)
        self._pieces.clear()
        self._is_new, self._is_overdue = True, False

    def _judge_window(self, counted: tuple[int, float] | None, last_s: float) -> bool:
        if counted is None:
            return False
        rate_hz = counted[0] / counted[1]
        before, self._was_wrong = self._was_wrong, not LEAST * self._rate_hz < rate_hz < MOST * self._rate_hz
        if self._was_wrong != before:
            self._begin_stretch(last_s)
            self._is_false, self.found_hz = False, rate_hz
        self.is_wrong = self._was_wrong or self._is_false
        return self._was_wrong != before

    def _judge_piece(self, counted: tuple[int, float] | None) -> bool:
        if counted is None:
            return False
        self._pieces.append(counted)
        n, elapsed_s = (sum(values) for values in zip(*self._pieces, strict=True))
        if elapsed_s < (FIRST_S if self._is_first else STRETCH_S):
            return False
        doubt, self._is_first = (2.0 if self._is_first else 1.0), False
        before = self._is_false, self.is_off
        self.found_hz = n / elapsed_s
        excess = self.found_hz / self._rate_hz - 1.0
        self.is_off = abs(excess) > NAMED * doubt
        self._is_false = excess > WRONG or (excess < -WRONG and self._is_even(excess, EVEN / doubt**2))
        self.is_wrong = self._was_wrong or self._is_false
        self._pieces.clear()
        self.is_measured = True
        return (self._is_false, self.is_off) != before

    def _is_even(self, excess: float, share: float) -> bool:
        """Whether the pieces of a stretch differ less than they would if the missing samples were lost by chance."""
        variance = sum((n - self.found_hz * elapsed_s) ** 2 for n, elapsed_s in self._pieces) / len(self._pieces)
        expected = sum(self._rate_hz * elapsed_s for _, elapsed_s in self._pieces) / len(self._pieces)
        return variance < share * expected * -excess * (1.0 + excess)
