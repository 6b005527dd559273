"""Firmware of a node device in C, and what builds it here: for tests, for the emulator, for the Arduino IDE."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from bci.errors import DeviceError

HERE = Path(__file__).parent
AXES = ("arm", "hand", "relay")
EMULATOR_PACKAGES = "make gcc gcc-avr avr-libc libsimavr-dev libelf-dev"
EMULATOR_NEEDS = {
    "make": "make",
    "a C compiler": "cc",
    "avr-gcc": "avr-gcc",
    "avr-libc": "lib/avr/include/avr/io.h",
    "simavr's headers": "include/simavr/sim_avr.h",
    "libelf's headers": "include/libelf.h",
}


def missing_for_emulator() -> list[str]:
    """What the emulated microcontroller needs and this machine lacks; names as people say them."""
    return [name for name, what in EMULATOR_NEEDS.items() if not _is_there(what)]


def build(target: str, axes: str = "arm") -> Path:
    """Make one target of the Makefile in the user's cache, once per version of the sources; return the folder.

    Parameters
    ----------
    target : {"avr", "harness"}
        As in ``drivers/firmware/Makefile``.
    axes : {"arm", "hand", "relay"}
        Which table of axes the AVR build gets.

    Raises
    ------
    DeviceError
        When the tool-chain is absent or fails, with its first complaint.
    """
    folder = cache_folder() / axes
    folder.mkdir(parents=True, exist_ok=True)
    command = ["make", "-s", "-C", str(HERE), f"OUT={folder}", f"AXES={axes}", target]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DeviceError("The firmware cannot be built: make is absent.", _remedy()) from error
    if result.returncode != 0:
        words = (line for line in result.stderr.splitlines() if "rror" in line or "not found" in line)
        raise DeviceError(f"The firmware cannot be built: {next(words, result.stderr.strip())}.", _remedy())
    return folder


def cache_folder() -> Path:
    """Where builds of exactly these sources lie."""
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        if path.suffix in (".c", ".h") or path.name == "Makefile":
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "bci" / "firmware" / digest.hexdigest()[:16]


def write_sketch(folder: Path, axes: str) -> Path:
    """Put the Arduino sketch, the core and one table of axes into ``folder/node``; return the sketch's path.

    Raises
    ------
    DeviceError
        When there is a sketch already: somebody may have changed it.
    """
    sketch = folder / "node"
    if sketch.exists():
        raise DeviceError(f"{sketch} is there already.", "Name another folder, or move the old sketch away.")
    sketch.mkdir(parents=True)
    for path in (*sorted((HERE / "core").iterdir()), HERE / "arduino" / "node" / "node.ino", HERE / "avr" / "memory.h"):
        shutil.copy(path, sketch)
    shutil.copy(HERE / "axes" / f"{axes}.h", sketch / "axes.h")
    return sketch / "node.ino"


def _is_there(what: str) -> bool:
    if "/" not in what:
        return shutil.which(what) is not None
    return any((root / what).exists() for root in (Path("/usr"), Path("/usr/local")))


def _remedy() -> str:
    return f"Debian and Ubuntu: sudo apt-get install --no-install-recommends {EMULATOR_PACKAGES}"
