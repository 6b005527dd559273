"""What the guardian is told at its start."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.errors import DeviceError
from drivers.base import Driver
from drivers.machine import Rules


@dataclass(frozen=True)
class Config:
    """What the guardian is told at its start, from a JSON file; nothing changes while it runs."""

    driver: str
    port: str
    baud: int
    outputs: tuple[str, ...]
    maps: tuple[dict[str, Any], ...]
    limits: dict[str, float]
    stale_after_ms: float
    socket_dir: Path
    state_dir: Path
    log_path: Path
    ready_file: Path
    axes: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def rules(self) -> Rules:
        """Times of the state machine."""
        return Rules(
            lease_s=self.limits["lease_ms"] / 1e3,
            stale_s=self.stale_after_ms / 1e3,
            hold_to_disarm_s=self.limits["hold_to_disarm_ms"] / 1e3,
            idle_to_disarm_s=self.limits["idle_to_disarm_s"],
        )


def read_config(path: Path) -> Config:
    """Read the configuration that the session wrote."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    for name in ("socket_dir", "state_dir", "log_path", "ready_file"):
        fields[name] = Path(fields[name])
    for name in ("outputs", "maps", "axes"):
        fields[name] = tuple(fields.get(name, ()))
    return Config(**fields)


def load_driver(reference: str) -> Driver:
    """Import what an entry point names.

    Raises
    ------
    DeviceError
        When it cannot be imported.
    """
    module, _, name = reference.partition(":")
    try:
        driver: Driver = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DeviceError(f"Driver '{reference}' cannot be loaded: {error}.", "Install its package again.") from error
    return driver
