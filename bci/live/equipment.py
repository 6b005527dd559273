"""From a profile's devices to what the guardian is told: drivers by name, sections, limits, times."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bci.errors import DeviceError
from bci.plan import Plan
from bci.profile import Device
from drivers.base import ENTRY_POINTS
from drivers.dialogue.transport import identity
from drivers.guardian.settings import load_driver
from drivers.twins import TWINS

OPERATOR_S = 0.5  # the console may be silent for so long
RULES = ("lease_ms", "hold_to_disarm_ms", "idle_to_disarm_s", "spool_ms", "user_may_arm")


def find_driver(name: str) -> str:
    """Where the driver of that name is, as ``module:attribute``.

    Raises
    ------
    DeviceError
        When no installed package offers it.
    """
    installed = {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}
    if name not in installed:
        raise DeviceError(
            f"Driver '{name}' is not installed; there is {', '.join(sorted(installed)) or 'none'}.",
            "Correct device.driver in the profile.",
        )
    return installed[name]


def twin_module(device: Device, port: str) -> str:
    """Module that stands in for a device on a port of `drivers.twins.TWINS`.

    Raises
    ------
    DeviceError
        When its driver has none.
    """
    module = load_driver(find_driver(device.driver)).twin if port == "twin" else TWINS[port]
    if not module:
        raise DeviceError(f"Driver '{device.driver}' has no software twin.", "Give a serial port with --port.")
    return module


def device_section(device: Device, port: str) -> dict[str, Any]:
    """What a driver and the mapping are told of a device."""
    section = device.model_dump(include={"baud", "maps", "frame", "axes", "options"})
    section["actions"] = [
        {**action.model_dump(exclude={"dwell_ms"}), "dwell_s": action.dwell_ms / 1e3} for action in device.actions
    ]
    return {**section, "port": port}


def check_device(device: Device) -> None:
    """Let the driver read a device's axes and options, without opening anything.

    Raises
    ------
    DeviceError
        When the driver is not installed, or does not take them.
    """
    build = getattr(load_driver(find_driver(device.driver)), "build", None)
    if build is not None:
        build(device_section(device, device.port))


def device_config(device: Device, port: str) -> dict[str, Any]:
    """The fields of `drivers.guardian.settings.DeviceConfig`."""
    return {
        "name": device.name,
        "driver": find_driver(device.driver),
        "section": device_section(device, port),
        "limits": device.limits.model_dump(exclude=set(RULES)),
        "has_stop_button": device.stop_button,
    }


def guardian_config(
    plan: Plan, ports: Mapping[str, str], state_dir: Path, *, arms_itself: bool = False
) -> dict[str, Any]:
    """The guardian's configuration; where devices differ in their times, the strictest holds for all.

    Nothing moves while the operator's console is silent, unless a stop button is wired to every device.

    Parameters
    ----------
    plan : Plan
        Of the session.
    ports : mapping
        From a device's name to its port, twins included.
    state_dir : Path
        Where a latched stop survives.
    arms_itself : bool
        Whether the session may arm without a person: a demonstration with nothing but software twins.
    """
    profile, devices = plan.profile, plan.profile.all_devices
    limits = [device.limits for device in devices]
    return {
        "outputs": profile.decoder.outputs,
        "rules": {
            "lease_s": min(limit.lease_ms for limit in limits) / 1e3,
            "stale_s": profile.stream.stale_after_ms / 1e3,
            "hold_to_disarm_s": min(limit.hold_to_disarm_ms for limit in limits) / 1e3,
            "idle_to_disarm_s": min(limit.idle_to_disarm_s for limit in limits),
            "spool_s": max(limit.spool_ms for limit in limits) / 1e3,
            "user_may_arm": all(limit.user_may_arm for limit in limits),
            "operator_s": 0.0 if all(device.stop_button for device in devices) else OPERATOR_S,
            "arms_itself": arms_itself,
        },
        "devices": [device_config(device, ports[device.name]) for device in devices],
        "intents_hz": 1000.0 / profile.features.bin_ms,
        "facts": [_profile_fact(plan), _model_fact(plan)],
        "socket_dir": str(plan.runtime),
        "state_dir": str(state_dir),
        "stop_names": stop_names(plan, ports),
        "log_path": str(plan.path("guardian.jsonl")),
        "ready_file": str(plan.ready_file("guardian")),
    }


def stop_names(plan: Plan, ports: Mapping[str, str]) -> tuple[str, ...]:
    """Whose a latched stop is: the profile's, and each real device's by the identity of its adapter.

    An adapter without a serial number has no identity but its port. Names are safe as those of files.
    """
    owners = [f"profile {plan.profile.name}"]
    owners += [f"device {identity(port)}" for port in sorted(ports.values()) if port not in TWINS]
    return tuple(f"{_slug(owner)}-{hashlib.sha256(owner.encode()).hexdigest()[:12]}" for owner in owners)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:40].strip("-")


def _profile_fact(plan: Plan) -> dict[str, Any]:
    is_ok = plan.profile.hash == plan.profile_hash
    found = f"{plan.profile.name}, {plan.profile_hash[:12]}" if is_ok else "it is not the one that was planned with"
    return {"subject": "profile", "is_ok": is_ok, "found": found, "remedy": "" if is_ok else "Restart the session."}


def _model_fact(plan: Plan) -> dict[str, Any]:
    found = "fitted in this session" if plan.model is None else f"{plan.model.name}, fits the montage"
    return {"subject": "decoder", "is_ok": True, "found": found, "remedy": ""}
