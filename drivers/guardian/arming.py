"""From CHECKING to power: every device checks itself, then intents, log and settings are judged, then power is given.

All devices check before the first gets power; a single refusal leaves all of them without. Nothing can be skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers import base
from drivers.base import Check
from drivers.guardian.checks import common_checks
from drivers.guardian.faultlog import FaultLog
from drivers.guardian.machine import Machine
from drivers.guardian.settings import Config
from drivers.guardian.stopfile import StopMemory
from drivers.guardian.unit import Unit

PATIENCE_S = 2.3  # for two seconds of good intents


class Arming:
    """One attempt.

    Parameters
    ----------
    config : Config
        What must be true.
    units : sequence of Unit
        All devices.
    log : FaultLog
        Must take what is written.
    stops : StopMemory
        Must take a stop.
    now_s : float
        When it begins.
    """

    def __init__(self, config: Config, units: Sequence[Unit], log: FaultLog, stops: StopMemory, now_s: float) -> None:
        self._config = config
        self._log = log
        self._units = units
        self._begun_s = now_s
        self._common: list[Check] = []
        self._memory = stops.check()
        self._is_powering = False
        for unit in units:
            unit.prepare(config.rules.lease_s, now_s)

    @property
    def checks(self) -> list[Check]:
        """Everything that was found so far; with several devices their names come first."""
        found = [*(Check(**fact) for fact in self._config.facts), *self._common, self._memory]
        for unit in self._units:
            name = f"{unit.config.name}: " if len(self._units) > 1 else ""
            found += [Check(name + c.subject, c.is_ok, c.found, c.remedy) for c in unit.checks()]
        return found

    def step(self, machine: Machine, now_s: float) -> bool | None:
        """Go on; true when all have power, false when something is refused, None while it is under way."""
        phases = [unit.phase for unit in self._units]
        if base.OFF in phases or base.STOPPED in phases:
            self._common = self._common or common_checks(self._config, machine, self._log.n_dropped, now_s)
            return False
        if self._is_powering:
            return True if all(phase == base.ON for phase in phases) else None
        if not all(phase == base.PREPARED for phase in phases):
            return None
        self._common = common_checks(self._config, machine, self._log.n_dropped, now_s)
        if all(check.is_ok for check in self.checks):
            self._is_powering = True
            for unit in self._units:
                unit.arm(now_s)
            return None
        return False if now_s - self._begun_s > PATIENCE_S else None
