"""Whether a device goes where it was sent, and stays where it was left: pure, with the time as an argument."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from operator import sub

from drivers.base import Axis

WINDOWS_S = (0.1, 0.25, 0.5, 1.0, 3.0)  # the longest is for slow axes
N_LAGS = 7  # periods until a set-point shows: its own, and 0 to 5 that an axis with its report may be late
LEAST_GAIN, MOST_GAIN = 0.3, 1.6  # of the way commanded, each way its own: an axis may be weak one way
SLACK = 0.006  # of the range, for play, noise and rounding
LONGEST_STEP_S = 0.04  # between set-points; what happens in a longer gap is known less well …
LONGEST_ACT_S = 0.1  # … as a set-point may act for a lease
STILL = 0.02  # of the range that an axis may give way while it stands
LEAST_STEP_S = 0.015  # between samples, so that the lags are of periods
NONSENSE = 3.0  # times the fastest movement, and STILL, between two reports: no motion, but a damaged report
LAG_S = 0.15  # until an axis that was told to end its motion begins to
N_SAMPLES = 512  # are kept; at 50 a second the longest window needs 156


class Following:
    """Compares the way that each axis went with the ways that its commands explain.

    Over windows of 0.1 to 3 s the way must lie within what some gain of 0.3 to 1.6 each way and some lag of
    0 to 5 periods make of the commands, give or take 0.6 % of the range. Less is an axis that does not follow, more or
    the wrong way is motion that nobody asked for.

    Parameters
    ----------
    axes : sequence of Axis
        Of the device.
    may_stall : sequence of str
        Axes that may be held up, as a gripper by what it grips: they may go less far than they were told, and when
        let go catch up with a goal that is at most a lease ahead.
    """

    def __init__(self, axes: Sequence[Axis], may_stall: Sequence[str]) -> None:
        self._ways = [_Way(axis, axis.name in may_stall) for axis in axes]
        self.rest(-math.inf)

    def rest(self, settled_s: float) -> None:
        """Forget: motion begins anew; what the device still does before `settled_s` belongs to an earlier one."""
        self._settled_s = settled_s
        self._told_s = math.inf
        self._times = [-math.inf] * (N_LAGS - 1)
        self._starts = [N_LAGS - 1] * len(WINDOWS_S)
        for way in self._ways:
            way.rest()

    def command(self, velocities: Sequence[float], dt_s: float, now_s: float) -> None:
        """Take note of a set-point that moves the goal by `dt_s`; the one before acted until now, at most a lease."""
        gap_s = min(now_s - self._told_s, LONGEST_ACT_S)
        self._told_s = now_s
        for way, velocity in zip(self._ways, velocities, strict=True):
            way.command(velocity, dt_s, gap_s)

    def judge(self, positions: Sequence[float], now_s: float) -> tuple[int, str] | None:
        """Which axis goes astray, and how; None while all are where their commands explain."""
        times, newest = self._times, len(self._times)
        if now_s - times[-1] < LEAST_STEP_S:
            return None
        times.append(now_s)
        for way, position in zip(self._ways, positions, strict=True):
            way.note(position)
        for i, window_s in enumerate(WINDOWS_S):
            start, since_s = self._starts[i], now_s - window_s + 1e-6
            while start < newest and (times[start + 1] <= since_s or times[start] < self._settled_s):
                start += 1
            self._starts[i] = start
            if times[start] > since_s:
                break  # the longer windows are not full either
            for number, way in enumerate(self._ways):
                words = way.judge(newest, start)
                if words:
                    return number, words
        if newest >= N_SAMPLES:
            self._trim()
        return None

    def _trim(self) -> None:
        n = min(self._starts) - (N_LAGS - 1)
        del self._times[:n]
        self._starts = [start - n for start in self._starts]
        for way in self._ways:
            way.trim(n)


class _Way:
    """One axis: where it was, and the least and the most that was commanded so far, with every gain taken in."""

    def __init__(self, axis: Axis, may_stall: bool) -> None:
        self._slack = SLACK * (axis.upper - axis.lower)
        self._catches_up = LONGEST_ACT_S * axis.max_speed if may_stall else 0.0

    def rest(self) -> None:
        self._velocity = self._low = self._high = 0.0
        padding = [0.0] * (N_LAGS - 1)
        self._positions, self._lows, self._highs = padding, padding.copy(), padding.copy()

    def command(self, velocity: float, dt_s: float, gap_s: float) -> None:
        way = velocity * dt_s
        if way >= 0.0:
            self._low += LEAST_GAIN * way
            self._high += MOST_GAIN * way
        else:
            self._low += MOST_GAIN * way
            self._high += LEAST_GAIN * way
        if gap_s > LONGEST_STEP_S:
            before = MOST_GAIN * self._velocity * gap_s
            self._low = min(self._low, self._low + before)
            self._high = max(self._high, self._high + before)
        self._velocity = velocity

    def note(self, position: float) -> None:
        self._positions.append(position)
        self._lows.append(self._low)
        self._highs.append(self._high)

    def judge(self, newest: int, start: int) -> str:
        """Words when the way between two samples is one that no gain and no lag explain."""
        lows, highs, slack = self._lows, self._highs, self._slack
        way = self._positions[newest] - self._positions[start]
        low, high = lows[newest - 2] - lows[start - 2], highs[newest - 2] - highs[start - 2]
        if low - slack <= way <= high + slack:
            return ""  # a lag of two periods explains it, as nearly always
        now, then = slice(newest - N_LAGS + 1, newest + 1), slice(start - N_LAGS + 1, start + 1)
        low, high = min(map(sub, lows[now], lows[then])), max(map(sub, highs[now], highs[then]))
        if low - slack <= way <= high + slack:
            return ""
        is_held_up = -slack <= way < low if low > 0.0 else high < way <= slack if high < 0.0 else False
        if is_held_up:
            return "" if self._catches_up else "does not follow"
        ahead = self._catches_up + slack
        return "" if low - ahead <= way <= high + ahead else "moves otherwise than it was told"

    def trim(self, n: int) -> None:
        del self._positions[:n], self._lows[:n], self._highs[:n]


class Standing:
    """Notices an axis that moves although nothing was commanded.

    Each position is the median of three reports, and a jump begins anew: without power every report is believed.

    Parameters
    ----------
    axes : sequence of Axis
        Of the device.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = tuple(axes)
        self._slack = [STILL * (axis.upper - axis.lower) for axis in axes]
        self._recent: deque[Sequence[float]] = deque(maxlen=3)
        self._anchor: list[float] = []
        self._is_settled = True
        self.settled_s = -math.inf
        self._brakes = [0.0] * len(self._axes)
        self._heard_s = -math.inf

    def begin(self, velocities: Sequence[float], now_s: float) -> None:
        """Motion ends now, at these velocities; an axis may still brake."""
        if now_s >= self.settled_s:
            self._brakes = [0.0] * len(self._axes)
        for i, (velocity, axis) in enumerate(zip(velocities, self._axes, strict=True)):
            if velocity:
                brake_s = MOST_GAIN * abs(velocity) / axis.max_acceleration
                self._brakes[i] = MOST_GAIN * velocity * (LAG_S + 0.5 * brake_s)
                self.settled_s = max(self.settled_s, now_s + LAG_S + brake_s)
        self._is_settled = now_s >= self.settled_s
        self._anchor = []
        self._recent.clear()

    def judge(self, positions: Sequence[float], now_s: float) -> int | None:
        """Take in a new report; the axis that has left its place, or None."""
        recent = self._recent
        if recent and self._jumps(recent[-1], positions, now_s - self._heard_s):
            recent.clear()
            self._anchor = []
        recent.append(positions)
        self._heard_s = now_s
        if len(recent) < 3:
            return None
        where = [sorted(three)[1] for three in zip(*recent, strict=True)]
        if not self._anchor or (not self._is_settled and now_s >= self.settled_s):
            self._anchor = where
            self._is_settled = now_s >= self.settled_s
        for i, slack in enumerate(self._slack):
            brake = 0.0 if self._is_settled else self._brakes[i]
            if not min(brake, 0.0) - slack <= where[i] - self._anchor[i] <= max(brake, 0.0) + slack:
                return i
        return None

    def _jumps(self, before: Sequence[float], after: Sequence[float], dt_s: float) -> bool:
        return not all(
            abs(a - b) <= NONSENSE * axis.max_speed * dt_s + slack
            for a, b, axis, slack in zip(after, before, self._axes, self._slack, strict=True)
        )
