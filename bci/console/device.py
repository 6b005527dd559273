"""`bci device dry-run` and `bci device log`: what a device would do, and what one has done."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci.configs import find_profile
from bci.console.screen import Screen, styled
from bci.errors import SessionError
from bci.live.children import start_child, wait_until_ready
from bci.live.equipment import device_config, device_section, twin_module
from bci.plan import write_json
from bci.profile import Device, Profile, load_profile
from bci.types import Intent
from drivers.base import Axis
from drivers.guardian.faultlog import read_records, verify
from drivers.guardian.limits import Bounds
from drivers.guardian.settings import DeviceConfig
from drivers.guardian.unit import Unit
from drivers.twins import TWINS

TWIN_S = 60.0
LOG_STYLES = {"FAULT": "bold red", "STOP": "bold red", "HOLD": "yellow", "ACTIVE": "green"}


def dry_run(name: str, port: str | None) -> None:
    """Greet every device of a profile, and print what each output and action would move."""
    console = Screen()
    profile = load_profile(find_profile(name))
    console.print(f"{profile.name}: nothing is armed, nothing moves.", style="bold")
    with contextlib.ExitStack() as stack:
        for device in profile.all_devices:
            where = port if port is not None and device is profile.device else device.port
            real = stack.enter_context(_twin(device, where)) if where in TWINS else where
            unit = Unit(DeviceConfig(**device_config(device, real)), profile.decoder.outputs)
            stack.callback(unit.close)
            _print_device(console, device, where, unit)
            _print_moves(console, profile, device, unit)


def show_log(file: Path) -> int:
    """Print a fault log; the exit code is 1 when it was altered."""
    console = Screen()
    try:
        records = read_records(file)
    except OSError as error:
        raise SessionError(f"{file} cannot be read: {error.strerror}.", "It is guardian.jsonl of a session.") from error
    table = Table(box=None, pad_edge=False)
    for heading in ("time (UTC)", "from", "to", "by", "reason"):
        table.add_column(heading, no_wrap=heading != "reason", overflow="fold")
    for r in records:
        state = Text(str(r.get("to", "?")), style=LOG_STYLES.get(str(r.get("to")), ""))
        table.add_row(str(r.get("utc", ""))[11:19], str(r.get("from", "")), state, str(r.get("role", "")),
                      Text(str(r.get("reason", ""))))  # fmt: skip
    console.print(table)
    verdict = verify(file)
    if verdict.problem:
        console.print(
            styled("not whole:", "bold red"), f"{verdict.problem}; {verdict.n_records} records before it are."
        )
        return 1
    console.print(styled("whole:", "green"), f"{verdict.n_records} records, each bound to the one before.")
    return 0


@contextlib.contextmanager
def _twin(device: Device, port: str) -> Iterator[str]:
    """The software twin of a device, for as long as it is looked at."""
    with tempfile.TemporaryDirectory(prefix="bci-") as name:
        folder = Path(name)
        section, ready = folder / "device.json", folder / "twin.ready"
        write_json(section, device_section(device, ""))
        child = start_child("twin", [twin_module(device, port), f"--ready={ready}", f"--device={section}"], folder)
        try:
            wait_until_ready(child, ready, TWIN_S)
            yield ready.read_text(encoding="utf-8").strip()
        finally:
            child.stop()


def _print_device(console: Console, device: Device, where: str, unit: Unit) -> None:
    facts = unit.host.declaration
    console.print(
        f"\n{device.name}: {device.driver} on {where}; without power it is in state '{facts.safe_state}'.", style="bold"
    )
    watchdog = facts.watchdog or ("stops by itself" if facts.has_watchdog else "none: it goes on to its last goal")
    console.print(Text(f"Watchdog of the device: {watchdog}"))
    table = _table("axis", "from", "to", "unit", "speed limit", "acceleration limit")
    for axis, bounds in zip(unit.axes, unit.bounds, strict=True):
        table.add_row(axis.name, f"{axis.lower:g}", f"{axis.upper:g}", axis.unit, f"{bounds.speed:g} {per_s(axis)}",
                      f"{bounds.acceleration:g} {per_s(axis)}²")  # fmt: skip
    console.print(table)


def _print_moves(console: Console, profile: Profile, device: Device, unit: Unit) -> None:
    effort = profile.decoder.beta
    table = _table(f"full effort ({effort:g}/s)", "axis", "moves", "end to end", "")
    for i, output in enumerate(profile.decoder.outputs):
        for sign in (1.0, -1.0):
            velocity = tuple(sign * effort * (j == i) for j in range(len(profile.decoder.outputs)))
            wanted = unit.mapping.velocities(Intent(0, 0.0, velocity, 1.0, True))
            for row in _moves(unit, wanted):
                table.add_row(f"{'+' if sign > 0 else '−'} {output}", *row)
    console.print(table)
    idle = [
        output for i, output in enumerate(profile.decoder.outputs) if not any(row[i] for row in unit.mapping.matrix)
    ]
    if idle:
        console.print(f"No axis of it follows: {', '.join(idle)}.")
    for action in device.actions:
        dwell = "each click of the decoder" if action.intent == "n_clicks" else (
            f"{action.intent} above {action.on:g} for {action.dwell_ms:g} ms, then below {action.off:g}"
        )  # fmt: skip
        what = (
            action.does
            if not action.axis
            else f"{action.does} {action.axis} at {100 * action.speed:.0f} % of its speed"
        )
        console.print(Text(f"{dwell}: {what}"))


def _moves(unit: Unit, wanted: list[float]) -> Iterator[tuple[Any, ...]]:
    for axis, bounds, velocity in zip(unit.axes, unit.bounds, wanted, strict=True):
        if velocity:
            given = _limited(velocity, bounds)
            seconds = (axis.upper - axis.lower) / abs(given)
            note = "" if given == velocity else f"limited from {abs(velocity):.3g}"
            yield axis.name, f"{given:+.3g} {per_s(axis)}", f"{seconds:.1f} s", note


def per_s(axis: Axis) -> str:
    """Unit of an axis's speed."""
    return f"{'' if axis.unit == '1' else axis.unit}/s"


def _limited(velocity: float, bounds: Bounds) -> float:
    return max(-bounds.speed, min(bounds.speed, velocity))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
