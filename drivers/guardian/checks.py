"""What must be true of intents, settings and the log before a device gets power; its own checks are its driver's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from drivers.base import Check
from drivers.guardian.machine import Machine
from drivers.guardian.settings import Config, is_unchanged

LEAST_INTENTS_HZ = 5.0
RATE_TOLERANCE = 0.2
LEAST_FREE_MB = 100.0


def common_checks(config: Config, machine: Machine, n_unwritten: int, now_s: float) -> list[Check]:
    """Check the intents, the settings and the log.

    Parameters
    ----------
    config : Config
        As read at the start.
    machine : Machine
        Knows the good and bad intents of the last two seconds.
    n_unwritten : int
        Records that the log could not take, the one of this attempt among them.
    now_s : float
        The time.
    """
    is_same = is_unchanged(config)
    return [
        _intents(config.intents_hz, machine, now_s),
        make_check("settings", is_same, config.digest[:12] if is_same else "the file was changed since the start",
                   "Restart the session: nothing is taken over while it runs."),
        _log(config.log_path.parent, n_unwritten),
    ]  # fmt: skip


def make_check(subject: str, is_ok: bool, found: str, remedy: str) -> Check:
    """One check; the remedy is told only where it is needed."""
    return Check(subject, is_ok, found, "" if is_ok else remedy)


def _intents(nominal_hz: float, machine: Machine, now_s: float) -> Check:
    rate_hz = machine.intent_rate_hz(now_s)
    found, is_ok = f"{rate_hz:.0f} Hz, at least {LEAST_INTENTS_HZ:g} are needed", rate_hz >= LEAST_INTENTS_HZ
    if nominal_hz > 0.0:
        found = f"{rate_hz:.0f} Hz over 2 s, {nominal_hz:g} expected"
        is_ok = abs(rate_hz - nominal_hz) <= RATE_TOLERANCE * nominal_hz
    if machine.n_bad_lately(now_s):
        found, is_ok = f"{found}; {machine.n_bad_lately(now_s)} bad: {machine.last_complaint}", False
    return make_check("intents", is_ok, found, "Start the decoder; look at the signals.")


def _log(folder: Path, n_unwritten: int) -> Check:
    remedy = "Free the disk, or choose another folder with --sessions."
    try:
        free_mb = shutil.disk_usage(folder).free / 1e6
    except OSError as error:
        return make_check("fault log", False, f"{folder}: {error.strerror}", remedy)
    if n_unwritten:
        return make_check("fault log", False, f"{n_unwritten} records could not be written", remedy)
    if not os.access(folder, os.W_OK):
        return make_check("fault log", False, f"{folder} cannot be written", remedy)
    return make_check("fault log", free_mb >= LEAST_FREE_MB, f"{free_mb:.0f} MB free", remedy)
