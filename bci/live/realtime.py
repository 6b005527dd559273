"""Ask the operating system for punctuality, and say what was granted.

Every step is optional: where a right or a call does not exist, the loop runs without it and the session records that.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from dataclasses import dataclass

MCL_CURRENT_AND_FUTURE = 3  # <sys/mman.h>
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_TIMERSLACK = 29
FIFO_PRIORITY = 50


@dataclass(frozen=True)
class Achieved:
    """What was granted; each value is ``yes`` or the reason why not."""

    garbage_collection_frozen: str
    timer_slack_1_ns: str
    memory_locked: str
    pinned_to_cpu: str
    sched_fifo: str


def enter_real_time() -> Achieved:
    """Make the calling thread as punctual as its rights allow; call it last, after everything is warm."""
    gc.collect()
    gc.freeze()
    gc.disable()
    return Achieved(
        garbage_collection_frozen="yes",
        timer_slack_1_ns=_prctl(PR_SET_TIMERSLACK, 1),
        memory_locked=_lock_memory(),
        pinned_to_cpu=_pin(),
        sched_fifo=_schedule_fifo(),
    )


def die_with_parent() -> str:
    """Have the kernel terminate this process when its parent dies, however it dies: ``yes``, or why not."""
    return _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> str:
    if sys.platform != "linux":
        return f"not on {sys.platform}"
    return "yes" if ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0 else "refused"


def _lock_memory() -> str:
    if sys.platform != "linux":
        return f"not on {sys.platform}"
    libc = ctypes.CDLL(None, use_errno=True)
    return "yes" if libc.mlockall(MCL_CURRENT_AND_FUTURE) == 0 else os.strerror(ctypes.get_errno())


def _pin() -> str:
    """Pin to the last CPU: the first ones serve most interrupts."""
    if not hasattr(os, "sched_setaffinity"):
        return f"not on {sys.platform}"
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return "only one CPU"
    try:
        os.sched_setaffinity(0, {cpus[-1]})
    except OSError as error:
        return str(error.strerror)
    return "yes"


def _schedule_fifo() -> str:
    if not hasattr(os, "sched_setscheduler"):
        return f"not on {sys.platform}"
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
    except OSError as error:
        return str(error.strerror)
    return "yes"
