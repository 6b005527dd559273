"""Whether what a device reports can be believed, and what is wrong with it: pure, with the time as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.base import Axis, Report
from drivers.guardian.motion import Following, Standing

HOLD_SILENCE_S = 0.1
FAULT_SILENCE_S = 0.4
BAD_IN_A_ROW = 4  # damaged answers without a good one between them: hold
BAD_SHARE = 0.05  # of the answers of a second: fault
OUTSIDE = 0.02  # of an axis's range that it may be reported beyond its bounds
JUMP_S = 0.06  # at full speed: a longer jump between two reports is not believed …
JUMPS = 3  # … and so many in a row are a fault


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a device: something that may pass (hold), or not (fault)."""

    is_fault: bool
    cause: str


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
        self._following, self._standing = Following(axes, may_stall), Standing(axes)
        self._looked: Report | None = None
        self._good, self._bad, self._bad_since_good = 0, 0, 0
        self._window = (0.0, 0, 0)

    def rest(self) -> None:
        """Motion begins anew."""
        self._following.rest(self._standing.settled_s)

    def end_motion(self, velocities: Sequence[float], now_s: float) -> None:
        """Motion ends, at these velocities: from now on it must stand."""
        self._standing.begin(velocities, now_s)

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

    def command(self, velocities: Sequence[float], dt_s: float, now_s: float) -> None:
        """Take note of a set-point."""
        self._following.command(velocities, dt_s, now_s)

    def follow(self, now_s: float) -> Trouble | None:
        """Compare the way that was gone with the way that was commanded."""
        astray = self._following.judge(self.positions, now_s) if self.positions else None
        return None if astray is None else Trouble(True, f"axis {self.axes[astray[0]].name} {astray[1]}")

    def stay(self, report: Report, now_s: float) -> Trouble | None:
        """Look whether it stands, once at each report."""
        if report is self._looked or not self.positions:
            return None
        self._looked = report
        astray = self._standing.judge(self.positions, now_s)
        if astray is None:
            return None
        return Trouble(True, f"axis {self.axes[astray].name} moves although nothing was commanded")

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
