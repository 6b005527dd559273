"""What the guardian is told at its start."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.errors import DeviceError
from drivers.base import Driver
from drivers.guardian.machine import Rules


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device: where it is, what it follows, and how far it may go.

    Attributes
    ----------
    name : str
        Unique in the session.
    driver : str
        Where its driver is, as ``module:attribute``.
    section : mapping
        Its section of the profile: port, baud, axes, options, maps, frame, actions.
    limits : mapping
        ``speed_fraction``, ``acceleration_fraction``, ``force_fraction``, ``may_stall`` (names of axes).
    has_stop_button : bool
        Whether a stop button is wired to it, which then must be tried before power.
    """

    name: str
    driver: str
    section: dict[str, Any]
    limits: dict[str, Any]
    has_stop_button: bool = False


@dataclass(frozen=True)
class Config:
    """What the guardian is told at its start, from a JSON file; nothing changes while it runs.

    Attributes
    ----------
    outputs : tuple of str
        Names of the decoder's outputs.
    rules : Rules
        Times of the state machine.
    devices : tuple of DeviceConfig
        All that one stop stops.
    intents_hz : float
        How many intents a second the decoder should send; 0 when that is not known.
    facts : tuple of dict
        Checks that the session has made already, as fields of `drivers.base.Check`.
    socket_dir, state_dir, log_path, ready_file : Path
        Where it is reached, keeps a latched stop, writes its log, and says that it is ready.
    stop_names : tuple of str
        Whose a latched stop is: names of files in `state_dir`, without their ending.
    path, digest : Path and str
        Of the file that it was read from.
    """

    outputs: tuple[str, ...]
    rules: Rules
    devices: tuple[DeviceConfig, ...]
    socket_dir: Path
    state_dir: Path
    log_path: Path
    ready_file: Path
    intents_hz: float = 0.0
    facts: tuple[dict[str, Any], ...] = ()
    stop_names: tuple[str, ...] = ("stop",)
    path: Path = field(default=Path())
    digest: str = ""


def read_config(path: Path) -> Config:
    """Read the configuration that the session wrote."""
    text = path.read_bytes()
    fields = json.loads(text)
    for name in ("socket_dir", "state_dir", "log_path", "ready_file"):
        fields[name] = Path(fields[name])
    fields["outputs"], fields["facts"] = tuple(fields["outputs"]), tuple(fields.get("facts", ()))
    fields["stop_names"] = tuple(fields.get("stop_names", ("stop",)))
    fields["rules"] = Rules(**fields["rules"])
    fields["devices"] = tuple(DeviceConfig(**device) for device in fields["devices"])
    return Config(**fields, path=path, digest=hashlib.sha256(text).hexdigest())


def is_unchanged(config: Config) -> bool:
    """Whether the file still says what was read at the start."""
    try:
        return hashlib.sha256(config.path.read_bytes()).hexdigest() == config.digest
    except OSError:
        return False


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
