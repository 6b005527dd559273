"""The firmware under test: its core as a library, and its binary on an emulated chip. Both skip, with the reason."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from node_chip import Chip
from node_core import Library, library

from drivers.firmware import EMULATOR_PACKAGES, missing_for_emulator


@pytest.fixture(scope="session")
def core() -> Library:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc): apt-get install gcc")
    return library()


@pytest.fixture(scope="session")
def _emulator() -> None:
    missing = missing_for_emulator()
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install {EMULATOR_PACKAGES}")


@pytest.fixture
def chip(_emulator, tmp_path):
    """The arm's firmware on an emulated ATmega328P."""
    with Chip(tmp_path, "arm") as chip:
        yield chip


@pytest.fixture
def make_chip(_emulator, tmp_path):
    """A chip with another table of axes."""
    chips = []

    def make(axes: str, program: Path | None = None) -> Chip:
        chips.append(Chip(tmp_path, axes, has_pulses=True, program=program))
        return chips[-1]

    yield make
    for chip in chips:
        chip.close()
