"""`bci device …`: what is done with a device before anybody is moved by it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

device_app = typer.Typer(help="Look at a device before anybody is moved by it.", no_args_is_help=True)

ProfilePath = Annotated[str, typer.Argument(metavar="PROFILE", help="A profile's path, or the name of a shipped one.")]


class FirmwareAxes(StrEnum):
    """Tables of axes that come with the firmware."""

    HAND = "hand"
    ARM = "arm"
    RELAY = "relay"


@device_app.command("dry-run")
def dry_run_device(
    profile: ProfilePath,
    port: Annotated[str | None, typer.Option(help="Serial port, or 'twin'; default: the profile's.")] = None,
) -> None:
    """Say what would move, and how fast; nothing is armed, nothing moves."""
    from bci.console.device import dry_run

    dry_run(profile, port)


@device_app.command("firmware")
def write_firmware(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the sketch is put.")],
    axes: Annotated[FirmwareAxes, typer.Option(help="What the board moves.")] = FirmwareAxes.HAND,
) -> None:
    """Write the firmware of a device of your own as a sketch."""
    from drivers.firmware import write_sketch

    typer.echo(f"Open {write_sketch(folder, axes.value)} with the Arduino IDE; docs/build-a-device.md goes on.")


@device_app.command("log")
def check_log(file: Annotated[Path, typer.Argument(metavar="FILE", help="The guardian.jsonl of a session.")]) -> None:
    """Check that no record of a fault log was altered, and show them."""
    from bci.console.device import show_log

    raise typer.Exit(show_log(file))
