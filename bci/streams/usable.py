"""Whether anything that the decoder can use arrives, and if not, why: one sentence for the operator."""

from __future__ import annotations

import math
import time

LEAST_S = 1.0  # nothing usable for so long is a state, told on the screen
CLOCK_S = 5.0  # stamps so far away are those of another clock; nearer ones come late


class Usable:
    """Follows one stream; what is asked at each pull costs no text until the state changes.

    Parameters
    ----------
    name : str
        Of the stream.
    stale_s : float
        Older samples are not used.

    Attributes
    ----------
    trouble : str
        Why nothing usable arrives; empty while something does.
    """

    def __init__(self, name: str, stale_s: float) -> None:
        self.trouble = ""
        self._name, self._stale_s = name, stale_s
        self._used_s = math.nan
        self._cause = "silent"
        self._told = ""
        self._value = self._value_hz = 0.0

    def silent(self) -> None:
        """Nothing came."""
        self._cause = "silent"

    def dropped(self, ahead_s: float, stamp_s: float) -> None:
        """Everything that came was too old, or stamped by another clock, `ahead_s` ahead of this one."""
        self._cause = "clock" if abs(ahead_s) > CLOCK_S else "late"
        self._value, self._value_hz = ahead_s, stamp_s

    def wrong_rate(self, found_hz: float, declared_hz: float) -> None:
        """What came had another rate."""
        self._cause = "rate"
        self._value, self._value_hz = found_hz, declared_hz

    def blocks(self, length_s: float, rate_hz: float) -> None:
        """What came was saved up for so long that most of it is too old."""
        self._cause = "blocks"
        self._value, self._value_hz = length_s, rate_hz

    def used(self, now_s: float) -> None:
        """Something was used."""
        self._used_s = now_s

    def has_changed(self, now_s: float) -> bool:
        """Whether `trouble` became another one, or ended."""
        if math.isnan(self._used_s):
            self._used_s = now_s  # samples that came before anybody looked were late for a good reason
        cause = self._cause if now_s - self._used_s > LEAST_S else ""
        if cause == self._told:
            return False
        self._told = cause
        self.trouble = self._sentence(cause) if cause else ""
        return True

    def _sentence(self, cause: str) -> str:
        name, value = self._name, self._value
        match cause:
            case "silent":
                return f"No samples come from '{name}': look at its source, its cable, its battery."
            case "clock":
                return self._clocks()
            case "late":
                return (
                    f"Samples from '{name}' come {1e3 * abs(value):.0f} ms {'late' if value < 0 else 'early'}, and at "
                    f"most {1e3 * self._stale_s:.0f} ms are of use: is the source, or its computer, overloaded?"
                )
            case "rate":
                return (
                    f"Samples from '{name}' come at {value:.1f} Hz, declared are {self._value_hz:g} Hz: set the source "
                    "and stream.rate_hz of the profile to the rate that is sent."
                )
            case _:
                return block_sentence(name, value, self._value_hz, self._stale_s)

    def _clocks(self) -> str:
        ahead_s, stamp_s = self._value, self._value_hz
        unix_s = time.time()
        if abs(stamp_s - unix_s) < 86_400.0:
            theirs = f"Unix time ({stamp_s:.3f} s)"
        else:
            theirs = f"a clock of its own ({stamp_s:.3f} s)"
        return (
            f"Samples from '{self._name}' are stamped with {theirs}, and the clock of LSL says "
            f"{stamp_s - ahead_s:.3f} s here: have the source stamp with pylsl.local_clock(), or leave stamps to LSL."
        )


def block_sentence(name: str, block_s: float, rate_hz: float, stale_s: float) -> str:
    """What is wrong with long blocks, and the sender's setting."""
    n, best = round(block_s * rate_hz), max(1, int(rate_hz * min(0.02, stale_s / 3.0)))
    if block_s > stale_s:
        effect = f"and at most {1e3 * stale_s:.0f} ms are of use"
    else:
        effect = "which makes motion late and uneven"
    return (
        f"Samples from '{name}' come in blocks of {1e3 * block_s:.0f} ms ({n} samples), {effect}: set the block, chunk "
        f"or buffer size of the sender to {best} or fewer."
    )
