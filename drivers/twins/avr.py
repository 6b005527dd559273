"""The real firmware on an emulated ATmega328P, behind a pseudo-terminal: a twin of the chip, not of its behaviour.

The firmware is the one that is flashed to a board (`drivers/firmware`); the emulator is libsimavr. Its trace holds
every edge of the pins ENABLE and MOVING, with the time of `time.monotonic()` and the chip's own cycle.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bci.errors import DeviceError
from drivers.firmware import EMULATOR_PACKAGES, build, missing_for_emulator


def prepare_emulator(axes: str = "arm") -> tuple[Path, Path]:
    """Build what is not built yet; return the emulator and the firmware.

    Raises
    ------
    DeviceError
        When tools are absent or fail, naming them and the remedy.
    """
    missing = missing_for_emulator()
    if missing:
        raise DeviceError(
            f"The emulated microcontroller needs {', '.join(missing)}.",
            f"Debian and Ubuntu: sudo apt-get install --no-install-recommends {EMULATOR_PACKAGES}",
        )
    return build("harness") / "harness", build("avr", axes) / "node.elf"


def command(axes: str, ready: Path, trace: Path | None, has_pulses: bool = False) -> list[str]:
    """The emulator's command line, after building what is not built yet.

    Parameters
    ----------
    axes : {"arm", "hand", "relay"}
        Table of axes.
    ready : Path
        File that will hold the path of the terminal.
    trace : Path or None
        CSV of the pins and received frames: ``stamp_s,cycle,pin,level``.
    has_pulses : bool
        Whether the servo pins are in it too.

    Raises
    ------
    DeviceError
        When tools are absent or fail.
    """
    harness, program = prepare_emulator(axes)
    words = [str(harness), "--ready", str(ready), *(["--trace", str(trace)] if trace else [])]
    return [*words, *(["--pulses"] if has_pulses else []), str(program)]


def main() -> None:
    """Become the emulator; it serves its terminal until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready", type=Path, required=True, help="file that will hold the path of the terminal")
    parser.add_argument("--trace", type=Path, help="CSV of the pins' edges")
    parser.add_argument("--axes", default="arm", help="arm, hand or relay")
    parser.add_argument("--device", type=Path, help="section of the profile; this device describes itself")
    arguments = parser.parse_args()
    try:
        words = command(arguments.axes, arguments.ready, arguments.trace)
    except DeviceError as error:
        sys.exit(str(error))
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
