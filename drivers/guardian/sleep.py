"""Whether the computer was suspended: two clocks say."""

from __future__ import annotations

import time


def asleep_for_s() -> float:
    """How long the computer has been suspended since it was started; the monotonic clock stands meanwhile."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # only Linux has it
    return 0.0 if clock is None else time.clock_gettime(clock) - time.monotonic()
