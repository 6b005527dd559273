"""The live loop with two handles to break it: SIGUSR1 makes its decoding thread hang, SIGUSR2 raises in it.

Handlers of signals run in the main thread, which is the one that decodes; those of liblsl and of the clock live on.
"""

import signal
import time

from bci.live.loop import run
from bci.process import run_in_session

HANG_S = 0.5


def fail(number, frame):
    raise ValueError("an error in the loop")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda number, frame: time.sleep(HANG_S))
    signal.signal(signal.SIGUSR2, fail)
    run_in_session(run)
