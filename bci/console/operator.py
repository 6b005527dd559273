"""What the operator asks with keys: said to the guardian by the thread that reads them, answered, and written down."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterator

from bci.console.keys import GONE, key_presses
from bci.console.switch import Switch
from bci.plan import Plan
from drivers.guardian.link import GuardianClient

CTRL_Z = "\x1a"
VERBS = {" ": "stop", CTRL_Z: "disarm", "d": "disarm", "a": "arm", "f": "acknowledge", "r": "reset_stop"}
SAFE = (" ", CTRL_Z, "d", "q")  # these count however they come
NAMES = {" ": "space", "\n": "Enter", "\r": "Enter", "\t": "Tab", "\x7f": "Backspace", "\x1b": "Esc"}
LATE_S = 0.25  # keys that waited while the process was away are no wish of now
ANSWER_S = 0.5
LOG_FILE = "console.jsonl"


class Operator:
    """The operator at this terminal. Its client is its own, so that a screen that is stuck keeps no stop waiting.

    Parameters
    ----------
    plan : Plan
        Of a session that need not have started: a stop is repeated until there is a guardian to hear it.
    switch : Switch or None
        Which stops too, read by the same thread.

    Attributes
    ----------
    answer : str
        What came of the last key, for the screen.
    is_leaving : bool
        Whether q was pressed, or the terminal has gone.
    has_intervened : bool
        Whether something was stopped or disarmed by key: then nothing arms itself any more.
    ending : str
        Why the session is left.
    """

    def __init__(self, plan: Plan, switch: Switch | None = None) -> None:
        self._switch = switch
        self.answer = self.ending = ""
        self.is_leaving = self.has_intervened = False
        self._client = GuardianClient(plan.runtime, "keys")
        self._log = plan.path(LOG_FILE)
        self._notes: deque[str] = deque()
        self._awaited: tuple[int, str, float] | None = None  # number, key, since when
        self._tended_s = time.monotonic()
        self._reader: threading.Thread | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear keys until the end of the context; there is nothing to hear where there is no terminal."""
        try:
            with key_presses(self.press, self.tend, always=self._switch is not None) as self._reader:
                yield
        finally:
            self._client.close()
            if self._switch is not None:
                self._switch.close()
            self.write_down()

    @property
    def is_deaf(self) -> bool:
        """Whether the thread that hears keys has ended, which it never should."""
        return self._reader is not None and not self._reader.is_alive()

    @property
    def stop_unanswered_s(self) -> float:
        """For how long a stop has been asked for without the guardian having reported it; 0 without one."""
        asked_s = self._client.stop_asked_s
        return 0.0 if asked_s is None else time.monotonic() - asked_s

    def press(self, text: str) -> None:
        """Do what was read at once: one key, or several that came together, or late."""
        if text == GONE:
            self._leave("the terminal has gone")
            return
        is_odd = len(text) > 1 or time.monotonic() - self._tended_s > LATE_S
        for key in text:
            if is_odd and key not in SAFE:
                self._tell(key, "not taken, it came late or with others: press it again, alone")
            elif key in VERBS:
                self._ask(key)
            elif key == "q":
                self._leave("key q")
            else:
                self._tell(key, "means nothing here")

    def tend(self) -> None:
        """Look at the stop switch, wait for answers, and repeat a stop until it is heard."""
        self._tended_s = time.monotonic()
        asks = "" if self._switch is None else self._switch.asks()
        if asks:
            self.has_intervened = True
            self._client.request("stop", "caregiver", asks)
            self.answer = f"{asks}: stop asked for"
            self.note("switch", self.answer)
        if self._awaited is None and self._client.stop_asked_s is None:
            return
        reports = self._client.poll()
        if self._awaited is None:
            return
        number, key, asked_s = self._awaited
        answers = [report.answer for report in reports if report.answer_to == number]
        if answers:
            self._awaited = None
            self._tell(key, f"{VERBS[key]} {answers[-1]}")
        elif self._tended_s - asked_s > ANSWER_S:
            self._awaited = None
            self._tell(key, f"{VERBS[key]} has no answer")

    def note(self, what: str, text: str) -> None:
        """Keep what happened at the console, for `write_down`."""
        stamps = {"utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "monotonic_s": round(time.monotonic(), 4)}
        self._notes.append(json.dumps({**stamps, "what": what, "text": text}) + "\n")

    def write_down(self) -> None:
        """Write what was noted; never called by the thread that hears keys, which waits for no disk."""
        if not self._notes:
            return
        with contextlib.suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            while self._notes:
                file.write(self._notes.popleft())

    def _ask(self, key: str) -> None:
        verb = VERBS[key]
        self.has_intervened |= verb in ("stop", "disarm")
        number = self._client.request(verb, "caregiver", f"key {name_of(key)}")
        self._awaited = (number, key, time.monotonic())
        self._tell(key, f"{verb} asked for")

    def _leave(self, why: str) -> None:
        self.is_leaving, self.ending = True, why
        self.note("leave", why)

    def _tell(self, key: str, text: str) -> None:
        self.answer = f"key {name_of(key)}: {text}"
        self.note("key", self.answer)


def name_of(key: str) -> str:
    """What a key is called."""
    if key in NAMES:
        return NAMES[key]
    return key if key.isprintable() else f"Ctrl-{chr(ord(key) + 64)}" if ord(key) < 32 else f"U+{ord(key):04X}"
