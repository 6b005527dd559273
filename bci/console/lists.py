"""`bci streams`, `bci devices`, `bci doctor`, `bci profile check`: plain tables for the first look."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

from bci.configs import find_profile
from bci.console.screen import Screen, styled
from bci.live.equipment import check_device
from bci.profile import load_profile

VERDICT_STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red"}


def list_streams(seconds: float, network: bool) -> None:
    """Print every LSL stream that answers within `seconds`."""
    from bci.streams.discover import find_all
    from bci.streams.network import configure

    console = Screen()
    configure("link" if network else "machine")
    with console.status(f"listening for {seconds:g} s"):
        found = find_all(seconds)
    if not found:
        where = "on the network" if network else "on this machine; --network looks beyond it"
        console.print(f"No LSL stream {where}.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "type", "channels", "rate", "host", "source id"):
        table.add_column(heading, justify="right" if heading in ("channels", "rate") else "left", overflow="fold")
    for stream in found:
        rate = f"{stream.rate_hz:g} Hz" if stream.rate_hz else "irregular"
        row = (stream.name, stream.type, str(stream.n_channels), rate, stream.host, stream.source_id)
        table.add_row(*map(Text, row))
    console.print(table)


def list_devices(may_ask: bool) -> None:
    """Print every serial port and what answers on it; one that its USB id does not name is asked only on word."""
    from drivers.trial.probe import NOT_ASKED, find_ports, probe

    console = Screen()
    ports = find_ports()
    rows = []
    for found in ports:
        name = f"{found.port} ({found.description})"
        is_asked = found.is_known or may_ask or _agree(f"Nobody knows what is on {name}, and bytes may move it. Ask?")
        answer = probe(found.port, found.vendor, found.product) if is_asked else NOT_ASKED
        rows.append((found.port, found.description, answer))
    if not rows:
        console.print('No serial port. The software twin needs none: port = "twin" in the profile.')
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("port", "description", "what answers"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _agree(question: str) -> bool:
    """Ask a person; nobody there is no."""
    return sys.stdin.isatty() and Confirm.ask(question, console=Screen(), default=False)


def print_examination(sessions: Path) -> int:
    """Print the findings of the doctor; the exit code is 1 when one is a failure."""
    from bci.live.doctor import examine

    console = Screen()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    has_failed = False
    with console.status("examining this machine"):
        for finding in examine(sessions):
            has_failed |= finding.verdict == "failure"
            verdict = styled(finding.verdict, VERDICT_STYLES[finding.verdict])
            table.add_row(finding.subject, verdict, "\n".join(filter(None, (finding.found, finding.remedy))))
    console.print(table)
    return int(has_failed)


def print_profile(name: str) -> None:
    """Print what a valid profile describes."""
    path = find_profile(name)
    profile = load_profile(path)
    for each in profile.all_devices:
        check_device(each)
    stream, device = profile.stream, profile.device
    moves = ", ".join(f"{m.intent} → {m.axis} x {m.gain:g}" for m in device.maps)
    rows = {
        "profile": f"{profile.name} ({path})",
        "stream": f"{stream.name}, {stream.n_channels} channels at {stream.rate_hz:g} Hz",
        "features": f"{profile.features.kind}, bins of {profile.features.bin_ms:g} ms",
        "decoder": f"{', '.join(profile.decoder.outputs)}; tau {profile.decoder.tau_ms:g} ms, "
        f"beta {profile.decoder.beta:g} per second",
        "device": f"{device.driver} on {device.port}: {moves}",
        "limits": f"lease {device.limits.lease_ms:g} ms, {100 * device.limits.speed_fraction:.0f} % of speed",
        "hash": profile.hash[:16],
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    Screen().print(table)
    Screen().print("valid", style="green")
