"""The guardian's state machine: pure, with the time as an argument.

DISARMED → CHECKING → ARMED → ACTIVE ⇄ HOLD → DISARMED; FAULT and STOP from anywhere, and both are latched.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from bci.types import Intent

DISARMED, CHECKING, ARMED, ACTIVE, HOLD, FAULT, STOP = (
    "DISARMED",
    "CHECKING",
    "ARMED",
    "ACTIVE",
    "HOLD",
    "FAULT",
    "STOP",
)
FRESH_TO_ACT = 5  # consecutive good intents before anything moves
RAMP_S = 0.3  # from standing to full authority
CHECKING_LIMIT_S = 5.0
POWERED = (ARMED, ACTIVE, HOLD)


@dataclass(frozen=True, slots=True)
class Rules:
    """Times of the state machine; a profile may only make them stricter.

    Attributes
    ----------
    lease_s : float
        Without a good intent for this long, ACTIVE ends.
    stale_s : float
        Intents that rest on older samples are not good.
    hold_to_disarm_s, idle_to_disarm_s : float
        How long HOLD and ARMED last.
    """

    lease_s: float = 0.1
    stale_s: float = 0.15
    hold_to_disarm_s: float = 1.0
    idle_to_disarm_s: float = 60.0


class Machine:
    """Who may move the device, and when.

    Parameters
    ----------
    rules : Rules
        Times.
    n_outputs : int
        Length that every intent must have.
    is_stopped : bool
        Whether a STOP survives from an earlier run.
    now_s : float
        The time.

    Attributes
    ----------
    state, reason : str
        Where it is, and why.
    since_s : float
        Since when.
    intent : Intent or None
        The last good intent.
    """

    def __init__(self, rules: Rules, n_outputs: int, is_stopped: bool, now_s: float) -> None:
        self.rules = rules
        self.n_outputs = n_outputs
        self.state = STOP if is_stopped else DISARMED
        self.reason = "stopped before; a caregiver must reset it" if is_stopped else "started"
        self.since_s = now_s
        self.intent: Intent | None = None
        self._good_s = -math.inf
        self._n_good = 0
        self._recent_s: deque[float] = deque(maxlen=20)

    def request(self, verb: str, role: str, now_s: float) -> None:
        """Grant or ignore what somebody asks. Anyone may stop and disarm; only a caregiver may begin or reset."""
        is_caregiver = role == "caregiver"
        if verb == "stop":
            self._enter(STOP, f"stopped by the {role}", now_s)
        elif verb == "disarm" and self.state in (CHECKING, *POWERED):
            self._enter(DISARMED, f"disarmed by the {role}", now_s)
        elif verb == "arm" and is_caregiver and self.state == DISARMED:
            self._enter(CHECKING, "checking before power", now_s)
        elif verb == "acknowledge" and is_caregiver and self.state == FAULT:
            self._enter(DISARMED, "fault acknowledged", now_s)
        elif verb == "reset_stop" and is_caregiver and self.state == STOP:
            self._enter(DISARMED, "stop reset by the caregiver", now_s)

    def take(self, intent: Intent, now_s: float) -> None:
        """Take in an intent; only a good one counts: right length, finite, fresh, confident."""
        if not self.is_good(intent, now_s):
            self._n_good = 0
            if self.state == ACTIVE:
                self._enter(HOLD, self._complaint(intent, now_s), now_s)
            return
        self.intent = intent
        self._good_s = now_s
        self._n_good += 1
        self._recent_s.append(now_s)
        if self.state in (ARMED, HOLD) and self._n_good >= FRESH_TO_ACT:
            self._enter(ACTIVE, "following intents", now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass: leases run out."""
        waited_s = now_s - self.since_s
        if now_s - self._good_s > self.rules.lease_s:
            self._n_good = 0
            if self.state == ACTIVE:
                self._enter(HOLD, f"no intent for {1e3 * self.rules.lease_s:.0f} ms", now_s)
        if self.state == HOLD and waited_s >= self.rules.hold_to_disarm_s:
            self._enter(DISARMED, f"held too long ({self.reason})", now_s)
        elif self.state == ARMED and waited_s >= self.rules.idle_to_disarm_s:
            self._enter(DISARMED, "armed without use", now_s)
        elif self.state == CHECKING and waited_s >= CHECKING_LIMIT_S:
            self._enter(DISARMED, f"checks did not finish: {self.reason}", now_s)

    def checked(self, failures: list[str], now_s: float) -> None:
        """Report the result of the checks: power, or the list of what failed."""
        if self.state == CHECKING:
            if failures:
                self._enter(DISARMED, "not armed: " + "; ".join(failures), now_s)
            else:
                self._enter(ARMED, "ready; waiting for intents", now_s)

    def fail(self, cause: str, now_s: float) -> None:
        """Latch a fault; a STOP stays a STOP."""
        if self.state not in (FAULT, STOP):
            self._enter(FAULT, cause, now_s)

    def lose_power(self, cause: str, now_s: float) -> None:
        """Record that the device has left its powered state by itself."""
        if self.state in POWERED:
            self._enter(DISARMED, cause, now_s)

    def authority(self, now_s: float) -> float:
        """How much of the intended velocity counts now: 0 unless ACTIVE, then rising to 1."""
        if self.state != ACTIVE:
            return 0.0
        return min(1.0, (now_s - self.since_s) / RAMP_S)

    def next_deadline_s(self) -> float:
        """When the lease runs out, if it runs."""
        return self._good_s + self.rules.lease_s if self.state == ACTIVE else math.inf

    def intent_rate_hz(self, now_s: float) -> float:
        """Good intents per second over the last ones; 0 when they have ceased."""
        recent = self._recent_s
        if len(recent) < FRESH_TO_ACT or now_s - recent[-1] > self.rules.lease_s:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-6)

    def is_good(self, intent: Intent, now_s: float) -> bool:
        """Whether an intent may move anything."""
        return self._complaint(intent, now_s) == ""

    def _complaint(self, intent: Intent, now_s: float) -> str:
        if len(intent.velocity) != self.n_outputs:
            return f"an intent has {len(intent.velocity)} values, not {self.n_outputs}"
        if not all(math.isfinite(value) for value in intent.velocity):
            return "an intent is not finite"
        if not all(0.0 <= value <= 1.0 for value in (intent.click, intent.hold, intent.gate)):
            return "a probability of an intent is not between 0 and 1"
        if not intent.is_confident:
            return "the decoder is not confident"
        age_s = now_s - intent.stamp_s
        if not -0.05 <= age_s <= self.rules.stale_s:
            return f"the signals are {1e3 * age_s:.0f} ms old"
        return ""

    def _enter(self, state: str, reason: str, now_s: float) -> None:
        self.state = state
        self.reason = reason
        self.since_s = now_s
        if state not in (ACTIVE, HOLD):
            self._n_good = 0
