"""What came of each request: told to whoever asked, and written down when it was refused."""

from __future__ import annotations

from collections import deque

from drivers.guardian.link import Request

REMEMBERED = 64


class Answers:
    """The last answer. A request that is only repeated is not answered again, nor is a refusal written down again.

    Attributes
    ----------
    text : str
        The last answer.
    number : int
        Of the request that it answers.
    """

    def __init__(self) -> None:
        self.text, self.number = "", 0
        self._heard: deque[int] = deque(maxlen=REMEMBERED)
        self._refusal = ""

    def note(self, request: Request, why: str) -> str:
        """Answer a request that was granted, or refused for a reason; return a sentence for the log, if one is new."""
        if request.number and request.number in self._heard:
            return ""
        self._heard.append(request.number)
        self.text, self.number = f"refused: {why}" if why else "granted", request.number
        origin = f" ({request.origin})" if request.origin else ""
        refusal = f"refused {request.verb} by the {request.role}{origin}: {why}" if why else ""
        is_new, self._refusal = refusal != self._refusal, refusal
        return refusal if is_new else ""
