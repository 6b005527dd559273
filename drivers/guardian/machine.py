"""The guardian's state machine: pure, with the time as an argument.

DISARMED → CHECKING → ARMED → ACTIVE ⇄ HOLD → DISARMED; FAULT and STOP from anywhere, and both are latched. Toward
safety anyone may lead at once; away from it only a person may, and never out of a latched state into motion.
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
USER, CAREGIVER, SUPERVISOR, DEVICE = "user", "caregiver", "supervisor", "device"
PROCESS, SIGNAL = "process", "signal"  # one that died, one that ended the session
ROLES = (USER, CAREGIVER, SUPERVISOR, DEVICE, PROCESS, SIGNAL)
FRESH_TO_ACT = 5  # consecutive good intents before anything moves
RAMP_S = 0.3  # from standing to full authority
CHECKING_LIMIT_S = 5.0
DWELL_S = 2.0  # a participant's wish to arm must last so long …
DWELL_GAP_S = 0.5  # … and be repeated at least so often
POWERED = (ARMED, ACTIVE, HOLD)
LATCHED = (FAULT, STOP)
RECENT_S = 2.0
MOST_RECENT = 512
DESERTED = "the operator's console is silent"


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
        How long HOLD lasts, and ARMED or ACTIVE without a wish to move.
    spool_s : float
        How long the device stands powered before anything moves.
    user_may_arm : bool
        Whether the participant may arm and accept faults; resetting a stop stays with the caregiver.
    operator_s : float
        When the operator's console is silent for longer, nothing moves and nothing is armed; 0 waits for no console.
    arms_itself : bool
        Whether the session may arm without a person: only a demonstration whose devices are all software twins.
    """

    lease_s: float = 0.1
    stale_s: float = 0.15
    hold_to_disarm_s: float = 1.0
    idle_to_disarm_s: float = 60.0
    spool_s: float = 1.0
    user_may_arm: bool = False
    operator_s: float = 0.0
    arms_itself: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition: from where to where, why, and who led there; ``before`` is empty at the start."""

    before: str
    state: str
    reason: str
    role: str


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
    state, reason, role : str
        Where it is, why, and who led it there: user, caregiver, supervisor (the session or the guardian itself),
        device, process (which died) or signal.
    since_s : float
        Since when.
    entries : deque of Entry
        States that were entered and not yet acted on, oldest first: the guardian acts once on each.
    last_complaint : str
        What was wrong with the last bad intent.
    intent : Intent or None
        The last good intent.
    """

    def __init__(self, rules: Rules, n_outputs: int, is_stopped: bool, now_s: float) -> None:
        self.rules = rules
        self.n_outputs = n_outputs
        self.state = STOP if is_stopped else DISARMED
        self.reason = "stopped before; a caregiver must reset it" if is_stopped else "started"
        self.role = SUPERVISOR
        self.since_s = now_s
        self.intent: Intent | None = None
        self._good_s = self._operator_s = -math.inf
        self._wish_s = now_s
        self._n_good = 0
        self.last_complaint = ""
        self._recent_s: deque[float] = deque(maxlen=MOST_RECENT)
        self._bad_s: deque[float] = deque(maxlen=MOST_RECENT)
        self._dwell = (-math.inf, -math.inf)
        self.entries: deque[Entry] = deque([Entry("", self.state, self.reason, self.role)])

    def request(self, verb: str, role: str, now_s: float, origin: str = "") -> str:
        """Grant what somebody asks and return "", or return why it is refused; `origin` is by which key or cause.

        Anyone may stop and disarm; only a person may begin, accept or reset.
        """
        by, note = f"by the {role}{_in_brackets(origin)}", _in_brackets(origin)
        why = self._refusal(verb, role, now_s)
        if why:
            return why
        if verb == "stop" and self.state != STOP:  # the first cause is the one to know
            self._enter(STOP, f"stopped {by}", now_s, role)
        elif verb == "disarm":
            self._enter(DISARMED, f"disarmed {by}", now_s, role)
        elif verb == "arm":
            self._enter(CHECKING, f"checking before power{note}", now_s, role)
        elif verb == "acknowledge":
            self._enter(DISARMED, f"fault acknowledged{note}", now_s, role)
        elif verb == "reset_stop":
            self._enter(DISARMED, f"stop reset {by}", now_s, role)
        return ""

    def hear_operator(self, stamp_s: float, now_s: float) -> None:
        """Take in that the operator's console was alive at a time; one from the future counts as now."""
        if self._operator_s < min(stamp_s, now_s):
            self._operator_s = min(stamp_s, now_s)

    def take(self, intent: Intent, now_s: float) -> None:
        """Take in an intent; only a good one counts: right length, finite, fresh, confident."""
        complaint = self._complaint(intent, now_s)
        if complaint:
            self._n_good = 0
            self.last_complaint = complaint
            self._bad_s.append(now_s)
            if self.state == ACTIVE:
                self._enter(HOLD, complaint, now_s)
            return
        self.intent = intent
        self._good_s = now_s
        self._recent_s.append(now_s)
        if intent.gate > 0.0 or intent.click > 0.0:
            self._n_good += 1
            self._wish_s = now_s
        has_spooled = self.state == HOLD or (self.state == ARMED and now_s - self.since_s >= self.rules.spool_s)
        if has_spooled and self._n_good >= FRESH_TO_ACT and not self._is_deserted(now_s):
            self._enter(ACTIVE, "following intents", now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass: leases run out."""
        if now_s - self._good_s > self.rules.lease_s:
            self._n_good = 0
            if self.state == ACTIVE:
                self._enter(HOLD, f"no intent for {1e3 * self.rules.lease_s:.0f} ms", now_s)
        self._miss_operator(now_s)
        waited_s = now_s - self.since_s  # in the state of now: HOLD that has just begun has not lasted yet
        if self.state == HOLD and waited_s >= self.rules.hold_to_disarm_s:
            self._enter(DISARMED, f"held too long ({self.reason})", now_s)
        elif self.state == ARMED and waited_s >= self.rules.idle_to_disarm_s:
            self._enter(DISARMED, "armed without use", now_s)
        elif self.state == ACTIVE and now_s - max(self._wish_s, self.since_s) >= self.rules.idle_to_disarm_s:
            self._enter(DISARMED, "at rest for long", now_s)
        elif self.state == CHECKING and waited_s >= CHECKING_LIMIT_S:
            self._enter(DISARMED, f"checks did not finish: {self.reason}", now_s)

    def checked(self, failures: list[str], now_s: float) -> None:
        """Report the result of the checks: power, or the list of what failed."""
        if self.state == CHECKING:
            if failures:
                self._enter(DISARMED, "not armed: " + "; ".join(failures), now_s)
            else:
                self._enter(ARMED, "ready; waiting for intents", now_s)

    def note(self, reason: str) -> None:
        """Say why it stays where it is."""
        self.entries.append(Entry(self.state, self.state, reason, self.role))
        self.reason = reason

    def hold(self, cause: str, now_s: float) -> None:
        """Stand still for a cause that may pass; while it lasts, intents do not count."""
        self._n_good = 0
        if self.state == ACTIVE:
            self._enter(HOLD, cause, now_s, DEVICE)

    def fail(self, cause: str, now_s: float) -> None:
        """Latch a fault; a STOP stays a STOP."""
        if self.state not in (FAULT, STOP):
            self._enter(FAULT, cause, now_s, DEVICE)

    def lose_power(self, cause: str, now_s: float, role: str = DEVICE) -> None:
        """End power, without a fault: the device left its powered state by itself, or must not go on in it."""
        if self.state in (CHECKING, *POWERED):
            self._enter(DISARMED, cause, now_s, role)

    def authority(self, now_s: float) -> float:
        """How much of the intended velocity counts now: 0 unless ACTIVE, then rising smoothly to 1."""
        if self.state != ACTIVE:
            return 0.0
        share = min(1.0, max(0.0, (now_s - self.since_s) / RAMP_S))
        return share * share * (3.0 - 2.0 * share)

    def lease_left_s(self, now_s: float) -> float:
        """How long the last good intent may still act; 0 unless ACTIVE."""
        return max(0.0, self._good_s + self.rules.lease_s - now_s) if self.state == ACTIVE else 0.0

    def next_deadline_s(self) -> float:
        """When the lease or the operator's silence runs out, if they run."""
        if self.state != ACTIVE:
            return math.inf
        silence_s = self._operator_s + self.rules.operator_s if self.rules.operator_s else math.inf
        return min(self._good_s + self.rules.lease_s, silence_s)

    def intent_rate_hz(self, now_s: float) -> float:
        """Good intents per second over the last two seconds; 0 when they have ceased."""
        recent = [stamp_s for stamp_s in self._recent_s if now_s - stamp_s <= RECENT_S]
        if len(recent) < FRESH_TO_ACT or now_s - recent[-1] > self.rules.lease_s:
            return 0.0
        return len(recent) / RECENT_S

    def n_bad_lately(self, now_s: float) -> int:
        """Bad intents of the last two seconds."""
        return sum(now_s - stamp_s <= RECENT_S for stamp_s in self._bad_s)

    def is_good(self, intent: Intent, now_s: float) -> bool:
        """Whether an intent may move anything."""
        return self._complaint(intent, now_s) == ""

    def _is_deserted(self, now_s: float) -> bool:
        return 0.0 < self.rules.operator_s < now_s - self._operator_s

    def _miss_operator(self, now_s: float) -> None:
        """Without anybody who could press stop nothing moves; soon nothing has power."""
        if not self._is_deserted(now_s):
            return
        self._n_good = 0
        patience_s = self.rules.operator_s + self.rules.hold_to_disarm_s
        if self.state == ACTIVE:
            self._enter(HOLD, DESERTED, now_s)
        elif self.state in (CHECKING, ARMED) and now_s - self._operator_s >= patience_s:
            self._enter(DISARMED, DESERTED, now_s)

    def _refusal(self, verb: str, role: str, now_s: float) -> str:
        """Why a request is not granted; empty when it is."""
        needed = {"arm": DISARMED, "acknowledge": FAULT, "reset_stop": STOP}
        if role not in ROLES:
            return f"there is no role '{role}'"
        if verb == "disarm":
            return "" if self.state in (CHECKING, *POWERED) else f"nothing has power in {self.state}"
        if verb != "stop" and verb not in needed:
            return f"there is no request '{verb}'"
        if verb != "stop" and self.state != needed[verb]:
            return f"it is {self.state}, not {needed[verb]}"
        if verb == "arm" and self._is_deserted(now_s):
            return DESERTED
        if verb == "arm" and not self._may_arm(role, now_s):
            return f"a wish must last {DWELL_S:.0f} s" if self._is_person(role) else f"the {role} may not arm"
        if verb == "acknowledge" and not self._is_person(role):
            return f"the {role} may not accept a fault"
        if verb == "reset_stop" and role != CAREGIVER:
            return "only a caregiver resets a stop"
        return ""

    def _is_person(self, role: str) -> bool:
        return role == CAREGIVER or (role == USER and self.rules.user_may_arm)

    def _may_arm(self, role: str, now_s: float) -> bool:
        """A caregiver at once; a participant, where the profile allows it, with a wish that lasts."""
        if role == CAREGIVER or (role == SUPERVISOR and self.rules.arms_itself):
            return True
        if not self._is_person(role):
            return False
        begun_s, last_s = self._dwell
        begun_s = begun_s if now_s - last_s <= DWELL_GAP_S else now_s
        self._dwell = (begun_s, now_s)
        return now_s - begun_s >= DWELL_S

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

    def _enter(self, state: str, reason: str, now_s: float, role: str = SUPERVISOR) -> None:
        if (state, reason) != (self.state, self.reason):
            self.entries.append(Entry(self.state, state, reason, role))
        self.state = state
        self.reason = reason
        self.role = role
        self.since_s = now_s
        self._dwell = (-math.inf, -math.inf)
        if state not in (ACTIVE, HOLD):
            self._n_good = 0


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
