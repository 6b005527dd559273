"""What happened to a stream, told once for each cause: at once the first time, then as a count."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bci.types import Event

REPEAT_S = 10.0


@dataclass
class _Repeats:
    until_s: float
    text: str
    state: str = ""
    n: int = 0


class Notices:
    """Events of a stream.

    The first of a cause is told at once. Those that follow within ten seconds become one event, which says how many
    they were, and the ten seconds begin again.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=100)
        self._repeats: dict[str, _Repeats] = {}

    def tell(self, stamp_s: float, code: str, text: str, state: str = "") -> None:
        """Take in what happened; where the code stands for a state, another one is no repetition."""
        repeats = self._repeats.get(code)
        if repeats is None or stamp_s >= repeats.until_s or state != repeats.state:
            self._end(code, stamp_s)
            self._repeats[code] = _Repeats(stamp_s + REPEAT_S, text, state)
            self._events.append(Event(stamp_s, "streams", code, text))
        else:
            repeats.text, repeats.n = text, repeats.n + 1

    def forget(self, *codes: str) -> None:
        """Tell no more of these: another cause explains them."""
        for code in codes:
            if code in self._repeats:
                self._repeats[code].n = 0

    def take(self, now_s: float) -> list[Event]:
        """What is to be told now."""
        for code in [code for code, repeats in list(self._repeats.items()) if now_s >= repeats.until_s]:
            if self._end(code, now_s):
                self._repeats[code] = _Repeats(now_s + REPEAT_S, "")
        happened = list(self._events)
        self._events.clear()
        return happened

    def _end(self, code: str, stamp_s: float) -> bool:
        """Tell the repeats of a cause; whether there were any."""
        repeats = self._repeats.pop(code, None)
        if repeats is None or not repeats.n:
            return False
        more = "" if repeats.n == 1 else f" ({repeats.n} times in {REPEAT_S:.0f} s)"
        self._events.append(Event(stamp_s, "streams", code, repeats.text + more))
        return True
