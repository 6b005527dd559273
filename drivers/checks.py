"""What must be true of intents and of the log before a device gets power; the device's own checks are its driver's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from drivers.base import Check
from drivers.machine import Machine

LEAST_INTENTS_HZ = 5.0
LEAST_FREE_MB = 100.0


def common_checks(machine: Machine, log_folder: Path, now_s: float) -> list[Check]:
    """Check the intents and the log.

    Parameters
    ----------
    machine : Machine
        Knows the rate of good intents.
    log_folder : Path
        Where the fault log is written.
    now_s : float
        The time.
    """
    rate_hz = machine.intent_rate_hz(now_s)
    return [
        make_check(
            "intents", rate_hz >= LEAST_INTENTS_HZ, f"{rate_hz:.0f} Hz, at least {LEAST_INTENTS_HZ:g} are needed",
            "Start the decoder; look at the signals.",
        ),
        _log(log_folder),
    ]  # fmt: skip


def make_check(subject: str, is_ok: bool, found: str, remedy: str) -> Check:
    """One check; the remedy is told only where it is needed."""
    return Check(subject, is_ok, found, "" if is_ok else remedy)


def _log(folder: Path) -> Check:
    remedy = "Free the disk, or choose another folder with --sessions."
    try:
        free_mb = shutil.disk_usage(folder).free / 1e6
    except OSError as error:
        return make_check("fault log", False, f"{folder}: {error.strerror}", remedy)
    if not os.access(folder, os.W_OK):
        return make_check("fault log", False, f"{folder} cannot be written", remedy)
    return make_check("fault log", free_mb >= LEAST_FREE_MB, f"{free_mb:.0f} MB free", remedy)
