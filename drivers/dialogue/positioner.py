"""A device that is given positions, as the guardian sees it: goals with bounded look-ahead, feedback that is judged.

Many servos know no velocity command that is safe without a watchdog. So the guardian's velocities become goals here,
never further ahead than one lease of travel; and what a weak checksum lets through is compared with what the device
can do before it is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bci.errors import DeviceError
from drivers.base import ARMING, OFF, ON, PREPARED, PREPARING, Axis, Check, Declaration, Phase, Report
from drivers.dialogue.exchange import Exchange
from drivers.dialogue.joint import Goals, clamp
from drivers.dialogue.steps import Dialogue, Feedback, Request, Speaker, agreed
from drivers.dialogue.transport import Port

PERIOD_S = 0.02
BUDGET = 0.6  # of a period that the bus may be busy
N_MEASURED = 20  # exchanges that are measured before power
PLAUSIBLE = 3.0  # times the fastest movement since the last report
SLACK = 0.02  # of the range, for play and noise
N_IMPLAUSIBLE = 3  # in a row
N_DISARMS = 3
OBEYED_S = 0.3  # after an order to disarm, until what brakes has come to rest
ALWAYS = 10**9


class Positioner:
    """One device on one port; satisfies `drivers.base.Host`.

    Parameters
    ----------
    port : Port
        Open.
    baud : int
        Its speed.
    speaker : Speaker
        What is said to the device.
    declaration : Declaration
        What it can promise.
    words : str
        How it answered the greeting.
    n_misses : int
        Periods without an answer, in a row, that are borne while powered.
    """

    def __init__(
        self, port: Port, baud: int, speaker: Speaker, declaration: Declaration, words: str = "", n_misses: int = 3
    ) -> None:
        is_limp = getattr(speaker, "is_limp", False)  # an option of arms that would hold
        self.declaration = replace(declaration, safe_state="limp") if is_limp else declaration
        self.axes: tuple[Axis, ...] = tuple(joint.axis for joint in speaker.joints)
        self.phase: Phase = OFF
        self.checks: list[Check] = []
        self.report: Report | None = None
        self.acknowledged = -1
        self.words = words
        self._port = port
        self._speaker = speaker
        self._exchange = Exchange(port, baud)
        self._n_misses = n_misses
        self._goals = Goals(self.axes, declaration.lease_max_ms / 1e3)
        self._lease_s = 0.0
        self._lease_until_s = math.inf
        self._now_s = 0.0
        self._asked_s = self._seen_s = 0.0
        self._ticket = 0
        self._said = 0
        self._is_due = False
        self._driven_s = -math.inf
        self._n_missed = 0
        self._n_doubtful = 0
        self._n_disbelieved = 0
        self._order = Request(b"")
        self._n_orders = 0
        self._disarmed_s = -math.inf
        self._is_untold = False

    @property
    def n_good(self) -> int:
        """Answers that were understood."""
        return self._exchange.n_ok

    @property
    def n_bad(self) -> int:
        """Answers that were not understood, or not believed."""
        return self._exchange.n_bad + self._n_disbelieved

    @property
    def deadline_s(self) -> float:
        """When an answer is overdue, a pause is over, or a set-point has lived its time."""
        return min(self._exchange.wake_s if self._exchange.is_busy else math.inf, self._lease_until_s)

    def fileno(self) -> int:
        """For `select`."""
        return self._port.fileno()

    def close(self) -> None:
        """Give the port back."""
        self._exchange.give_up()
        self._port.close()

    def hear(self, now_s: float) -> bool:
        """Go on with what was begun; a set-point whose lease is over is ended."""
        before = self.report
        self._now_s = now_s
        self._exchange.advance(now_s)
        if self._is_untold and not self._exchange.is_busy:
            self._is_untold = False
            self._exchange.tell(self._order, now_s)
        if now_s >= self._lease_until_s:
            self.stand(now_s)
        self._say_goals(now_s)
        return self.report is not before

    def prepare(self, lease_s: float, now_s: float) -> None:
        """Let the device look at itself, then measure the exchange."""
        self.checks, self.phase, self._lease_s = [], PREPARING, lease_s
        self._end_motion()
        self._exchange.begin(self._preparation(), self._prepared, now_s)

    def arm(self, now_s: float) -> None:
        """Give power where it stands."""
        if self.phase == PREPARED:
            self.phase = ARMING
            self._exchange.begin(self._powering(), self._armed, now_s)

    def drive(self, velocities: Sequence[float], lease_s: float, now_s: float) -> int:
        """Advance the goals by one period, and say them as soon as the wire is free."""
        self._ticket += 1
        if self.phase == ON and self.report is not None:
            self._goals.lookahead_s = lease_s
            dt_s = min(max(now_s - self._driven_s, 0.0), 2 * PERIOD_S)
            self._goals.advance(velocities, self.report.positions, dt_s)
            self._driven_s, self._lease_until_s = now_s, now_s + lease_s
            self._is_due, self._n_orders, self._is_untold = True, 0, False
            self._say_goals(now_s)
        return self._ticket

    def watch(self, now_s: float) -> None:
        """Ask, when the wire is free. The order to stand or to disarm is given again: one alone may have been lost."""
        if not self._exchange.is_busy:
            self._asked_s = now_s
            self._exchange.begin(self._insisting(), self._take, now_s)

    def stand(self, now_s: float) -> None:
        """Hold where it was last seen; a stimulator falls silent."""
        self._end_motion()
        if self.phase == ON:
            positions = self._rest()
            self._goals.hold(positions)
            self._insist(self._speaker.stand(positions), ALWAYS, now_s)

    def stop(self, now_s: float) -> None:
        """As `disarm`: such devices cannot latch by themselves."""
        self.disarm(now_s)

    def disarm(self, now_s: float) -> None:
        """Into the safe state, whatever was going on; said again until it was obeyed, it is the same order."""
        if self.phase == OFF and now_s - self._disarmed_s < OBEYED_S:
            self._insist(self._order, max(1, self._n_orders), now_s)
            return
        if self.phase == OFF and self.report is not None and self.report.asked_s < self._disarmed_s:
            return  # heard so late, it would lead to a place of long ago: first it must answer
        self._end_motion()
        self.phase, self._disarmed_s = OFF, now_s
        if self.report is not None:
            self._insist(self._speaker.disarm(self._rest()), N_DISARMS, now_s)

    def reset_stop(self, now_s: float) -> None:
        """Nothing is latched here."""

    def _insist(self, order: Request, n: int, now_s: float) -> None:
        """Tell at once, unless another order is still being answered: two frames together would be none."""
        self._order, self._n_orders = order, n
        self._is_untold = self._exchange.is_quiet
        if not self._is_untold:
            self._exchange.tell(order, now_s)

    def _insisting(self) -> Dialogue[Feedback]:
        is_late = self.phase == OFF and self._now_s - self._disarmed_s >= OBEYED_S
        if self._n_orders and self._order.wire and not is_late:
            yield self._order
        feedback = yield from self._speaker.watch()
        self._n_orders = max(0, self._n_orders - 1)  # only now: what does not answer may not have heard either
        return feedback

    def _end_motion(self) -> None:
        self._is_due, self._lease_until_s, self._driven_s = False, math.inf, -math.inf
        self._n_orders, self._is_untold = 0, False
        self._exchange.give_up()

    def _rest(self) -> tuple[float, ...]:
        """Where it stands when motion ends: where it was seen and can brake, or no level at all."""
        report = self.report
        if self.declaration.safe_state == "silent" or report is None:
            return tuple(axis.lower for axis in self.axes)
        if not report.velocities or not self.declaration.has_feedback:
            return report.positions
        age_s = max(self._now_s - self._seen_s, 0.0)
        moving = zip(report.positions, report.velocities, self.axes, strict=True)
        return tuple(position + self._until_rest(velocity, axis, age_s) for position, velocity, axis in moving)

    def _until_rest(self, velocity: float, axis: Axis, age_s: float) -> float:
        """Way since it was seen and until it rests, v²/2a: an arm that is told to be where it was seen swings back."""
        most = axis.max_speed * self._lease_s
        way = velocity * age_s + velocity * abs(velocity) / (2.0 * axis.max_acceleration)
        return clamp(way, -most, most)

    def _say_goals(self, now_s: float) -> None:
        """The newest goals, never an older set."""
        if self._is_due and not self._exchange.is_busy:
            self._is_due, self._said, self._asked_s = False, self._ticket, now_s
            self._exchange.begin(self._speaker.drive(self._goals.positions), self._take, now_s)

    def _preparation(self) -> Dialogue[Feedback]:
        yield from self._speaker.prepare(self._lease_s, self.checks)
        times_s: list[float] = []
        busy_s, feedback = 0.0, Feedback(())
        for _ in range(N_MEASURED):
            self._asked_s, n_bytes = self._now_s, self._exchange.n_bytes
            feedback = yield from self._speaker.watch()
            times_s.append(self._now_s - self._asked_s)
            busy_s = (self._exchange.n_bytes - n_bytes) * self._exchange.byte_s
        most_s = sorted(times_s)[int(0.9 * N_MEASURED)]
        words = f"nine of ten within {1e3 * most_s:.1f} ms, limit {1e3 * self._lease_s / 3:.0f} ms"
        self._judge("exchange", most_s < self._lease_s / 3, words, "Set the adapter's latency timer to 1 ms.")
        words = f"busy for {1e3 * busy_s:.1f} ms of each {1e3 * PERIOD_S:.0f} ms"
        self._judge("bus", busy_s <= BUDGET * PERIOD_S, words, "Raise the baud rate.")
        if not self.declaration.has_feedback:
            return feedback
        return (yield from agreed(self._speaker.watch, self._speaker.joints))

    def _powering(self) -> Dialogue[None]:
        """Give power only where it has been seen before, by more than one report: its goal will be there."""
        if self.report is not None and self.declaration.has_feedback:
            before = self.report.positions
            self._take((yield from agreed(self._speaker.watch, self._speaker.joints, before)))
        yield from self._speaker.arm(self._lease_s, self.checks)

    def _judge(self, subject: str, is_ok: bool, found: str, remedy: str) -> None:
        self.checks.append(Check(subject, is_ok, found, "" if is_ok else remedy))

    def _prepared(self, result: Feedback | DeviceError) -> None:
        self._settle(result)
        if isinstance(result, Feedback):
            self._take(result)
        self.phase = PREPARED if all(check.is_ok for check in self.checks) else OFF

    def _armed(self, result: DeviceError | None) -> None:
        self._settle(result)
        if self.report is None or not all(check.is_ok for check in self.checks):
            self.disarm(self._now_s)
            return
        self._goals.hold(self._rest())
        self._n_missed = self._n_doubtful = 0
        self.phase = ON

    def _settle(self, result: object) -> None:
        if isinstance(result, DeviceError):
            self.checks.append(Check("device", False, result.problem, result.remedy))

    def _take(self, result: Feedback | DeviceError) -> None:
        now_s = self._now_s
        if isinstance(result, DeviceError):
            self._n_missed += 1
            if self.phase == ON and self._n_missed > self._n_misses:
                self._fail(now_s, result.problem)
            return
        self._n_missed = 0
        if not self._is_plausible(result, now_s):
            self._n_disbelieved += 1
            self._n_doubtful += 1
            if self._n_doubtful >= N_IMPLAUSIBLE:
                self._fail(now_s, "positions were reported that it cannot have reached")
            return
        self._n_doubtful = 0
        self.acknowledged = max(self.acknowledged, self._said) if self._said else -1
        velocities = result.velocities or self._differences(result)
        self.report = Report(
            now_s, self._asked_s, result.positions, velocities, result.faults, result.note, efforts=result.efforts
        )
        self._seen_s = now_s

    def _is_plausible(self, feedback: Feedback, now_s: float) -> bool:
        if not all(map(math.isfinite, feedback.positions)):
            return False
        if self.report is None or self.phase != ON or not self.declaration.has_feedback:
            return True  # people may move a device without power
        dt_s = now_s - self.report.asked_s
        return all(
            abs(new - old) <= PLAUSIBLE * axis.max_speed * dt_s + SLACK * (axis.upper - axis.lower)
            for new, old, axis in zip(feedback.positions, self.report.positions, self.axes, strict=True)
        )

    def _differences(self, feedback: Feedback) -> tuple[float, ...]:
        if self.report is None:
            return ()
        dt_s = max(self._asked_s - self.report.asked_s, 1e-3)
        pairs = zip(feedback.positions, self.report.positions, strict=True)
        return tuple((new - old) / dt_s for new, old in pairs)

    def _fail(self, now_s: float, fault: str) -> None:
        """End motion, and report the fault with what was last believed."""
        self.stand(now_s)
        if self.report is not None:
            self.report = replace(self.report, stamp_s=now_s, faults=(fault,))
