"""Whether what a device reports can be believed, and what is wrong with it: pure, with the time as an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub

from drivers.base import Axis, Report

HOLD_SILENCE_S = 0.1
FAULT_SILENCE_S = 0.4
BAD_IN_A_ROW = 4  # damaged answers without a good one between them: hold
BAD_SHARE = 0.05  # of the answers of a second: fault
OUTSIDE = 0.02  # of an axis's range that it may be reported beyond its bounds
JUMP_S = 0.06  # at full speed: a longer jump between two reports is not believed …
JUMPS = 3  # … and so many in a row are a fault
STALL_WINDOW_S = 0.25
STALL_LONGEST_S = 3.0
STALL_SHARE = 0.3  # of the commanded way that an axis must have gone
STALL_LEAST = 0.02  # of the range must have been commanded before an axis is judged
N_LAGS = 6  # an axis may be 0 to 5 periods late, its report included: after a reversal it still goes the other way


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a device: something that may pass (hold), or not (fault)."""

    is_fault: bool
    cause: str


class Stall:
    """Notices an axis that does not follow.

    Parameters
    ----------
    axis : Axis
        Its range says how much of a command is enough to judge by.
    """

    def __init__(self, axis: Axis) -> None:
        self._least = STALL_LEAST * (axis.upper - axis.lower)
        self._commanded = (0.0,) * N_LAGS
        self._direction, self._farthest = 1.0, 0.0
        self._history: deque[tuple[float, tuple[float, ...], float]] = deque(maxlen=200)

    def rest(self) -> None:
        """Forget: motion begins anew."""
        self._commanded = (0.0,) * N_LAGS
        self._farthest = 0.0
        self._history.clear()

    def command(self, velocity: float, dt_s: float) -> None:
        """Take note of what the axis was told."""
        self._commanded = (*self._commanded[1:], self._commanded[-1] + velocity * dt_s)

    def judge(self, position: float, now_s: float) -> bool:
        """Whether the axis went less than a third of its commanded way over the last quarter of a second or more.

        Judged is only a way that is clear, and in the same direction, however late the axis may be.
        """
        history, commanded = self._history, self._commanded
        if self._has_turned(commanded[-1]):
            history.clear()  # ways there and back cancel, what an axis falls short of them adds up
        history.append((now_s, commanded, position))
        while len(history) > 2 and self._way(history[1], commanded, now_s):
            history.popleft()
        if now_s - history[0][0] > STALL_LONGEST_S:
            history.popleft()
        way = self._way(history[0], commanded, now_s)
        return way != 0.0 and not (position - history[0][2]) / way >= STALL_SHARE

    def _has_turned(self, commanded: float) -> bool:
        """Whether the commands have gone back by more than is judged."""
        back = (self._farthest - commanded) * self._direction
        if back > self._least:
            self._direction = -self._direction
        if not 0.0 < back <= self._least:
            self._farthest = commanded
        return back > self._least

    def _way(self, entry: tuple[float, tuple[float, ...], float], commanded: Sequence[float], now_s: float) -> float:
        """The shortest way that may have been commanded since, whatever the lag; 0 when that cannot be judged."""
        if now_s - entry[0] < STALL_WINDOW_S:
            return 0.0
        ways: list[float] = list(map(sub, commanded, entry[1]))
        shortest, longest = min(ways), max(ways)
        if shortest >= self._least:
            return shortest
        return longest if longest <= -self._least else 0.0


class Belief:
    """The newest positions that can be believed, and what is wrong.

    Parameters
    ----------
    axes : sequence of Axis
        Of the device.
    may_stall : sequence of str
        Axes that may be held up, as a gripper by what it grips.
    """

    def __init__(self, axes: Sequence[Axis], may_stall: Sequence[str] = ()) -> None:
        self.axes = tuple(axes)
        self.positions: tuple[float, ...] = ()
        self._asked_s = 0.0
        self._n_jumps = 0
        self._stalls = {i: Stall(axis) for i, axis in enumerate(axes) if axis.name not in may_stall}
        self._good, self._bad, self._bad_since_good = 0, 0, 0
        self._window = (0.0, 0, 0)

    def rest(self) -> None:
        """Motion begins anew."""
        for stall in self._stalls.values():
            stall.rest()

    def hear(self, report: Report, is_powered: bool) -> Trouble | None:
        """Take in a report; what a powered device says of positions is believed only when it is possible."""
        if report.faults:
            return Trouble(True, "device: " + ", ".join(report.faults))
        if len(report.positions) != len(self.axes):
            return Trouble(True, f"the device reports {len(report.positions)} axes, not {len(self.axes)}")
        if is_powered and self.positions and self._jumped(report):
            self._n_jumps += 1
            if self._n_jumps >= JUMPS:
                return Trouble(True, "the reported position jumps")
            return None
        self._n_jumps = 0
        self.positions, self._asked_s = report.positions, report.asked_s
        for axis, position in zip(self.axes, report.positions, strict=True) if is_powered else ():
            margin = OUTSIDE * (axis.upper - axis.lower)
            if not axis.lower - margin <= position <= axis.upper + margin:
                return Trouble(True, f"axis {axis.name} is at {position:.3g} {axis.unit}, outside its bounds")
        return None

    def command(self, velocities: Sequence[float], dt_s: float) -> None:
        """Take note of a set-point."""
        for i, stall in self._stalls.items():
            stall.command(velocities[i], dt_s)

    def follow(self, now_s: float) -> Trouble | None:
        """Compare the way that was commanded with the way that was gone."""
        for i, stall in self._stalls.items():
            if stall.judge(self.positions[i], now_s):
                return Trouble(True, f"axis {self.axes[i].name} does not follow")
        return None

    def count(self, n_good: int, n_bad: int, now_s: float) -> Trouble | None:
        """Judge how many answers were damaged."""
        self._bad_since_good = 0 if n_good > self._good else self._bad_since_good + n_bad - self._bad
        self._good, self._bad = n_good, n_bad
        start_s, good, bad = self._window
        if now_s - start_s >= 1.0:
            self._window = (now_s, n_good, n_bad)
            n, lost = n_good - good, n_bad - bad
            if lost > 2 and lost > BAD_SHARE * (n + lost):
                return Trouble(True, f"{lost} of {n + lost} answers of the device were damaged")
        if self._bad_since_good >= BAD_IN_A_ROW:
            return Trouble(False, f"{self._bad_since_good} damaged answers in a row")
        return None

    def _jumped(self, report: Report) -> bool:
        elapsed_s = max(report.stamp_s - self._asked_s, 0.0)
        return not all(
            abs(after - before) <= axis.max_speed * (JUMP_S + elapsed_s)
            for axis, before, after in zip(self.axes, self.positions, report.positions, strict=True)
        )


def judge_silence(silent_s: float) -> Trouble | None:
    """What a device's silence means while it is powered."""
    if not silent_s <= FAULT_SILENCE_S:
        return Trouble(True, f"the device has been silent for {1e3 * FAULT_SILENCE_S:.0f} ms")
    if not silent_s <= HOLD_SILENCE_S:
        return Trouble(False, f"the device has been silent for {1e3 * silent_s:.0f} ms")
    return None
