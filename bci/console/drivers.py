"""`bci driver-test`: the conformance suite on one driver, as a table that fits 80 columns."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from rich.table import Table
from rich.text import Text

from bci.configs import find_profile
from bci.console.screen import Screen, styled
from bci.errors import DeviceError
from bci.live.equipment import device_section, find_driver
from bci.profile import load_profile
from drivers.base import ENTRY_POINTS
from drivers.guardian.settings import load_driver
from drivers.trial.conformance import examine

STYLES = {"failed": "bold red", "passed": "green", "not tried": "yellow"}


def test_driver(name: str, port: str, profile: str | None, may_move: bool) -> int:
    """Run every trial and print it as it ends; the exit code is 1 when one failed."""
    driver = load_driver(find_driver(name))
    section = _section(name, profile) if profile is not None else dict(getattr(driver, "example", {}))
    console = Screen()
    where = "its twin" if port == "twin" else port
    console.print(styled(driver.declaration.name, "bold"), f"on {where}")
    if driver.declaration.watchdog:
        console.print(f"watchdog: {driver.declaration.watchdog}", style="dim")
    counts = dict.fromkeys(STYLES, 0)
    for result in examine(driver, section, port, may_move or port == "twin"):
        counts[result.verdict] += 1
        table = Table.grid(padding=(0, 2))
        table.add_column(width=24, overflow="fold")
        table.add_column(width=9)
        table.add_column(overflow="fold")
        table.add_row(result.trial, Text(result.verdict, style=STYLES[result.verdict]), Text(result.found))
        console.print(table)
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    console.print(Text(words, style=STYLES["failed" if counts["failed"] else "passed"]))
    return int(counts["failed"] > 0)


def list_drivers() -> None:
    """Print every driver that an installed package offers."""
    table = Table(box=None, pad_edge=False)
    for heading in ("driver", "safe state", "lease", "watchdog"):
        table.add_column(heading, overflow="fold")
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            d = load_driver(entry.value).declaration
        except DeviceError as error:
            table.add_row(entry.name, "", "", error.problem)
            continue
        table.add_row(entry.name, d.safe_state, f"{d.lease_max_ms} ms", Text(d.watchdog))
    Screen().print(table)


def _section(name: str, profile: str) -> dict[str, Any]:
    for device in load_profile(find_profile(profile)).all_devices:
        if device.driver == name:
            return device_section(device, device.port)
    raise DeviceError(f"Profile '{profile}' has no device with driver '{name}'.", "Name another profile.")
