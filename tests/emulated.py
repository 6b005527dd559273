"""Fixtures of an emulated chip, for whoever tests its firmware or breaks it; they skip, with the reason."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from node_chip import Chip

from drivers.firmware import EMULATOR_PACKAGES, missing_for_emulator


@pytest.fixture(scope="session")
def emulator() -> None:
    missing = missing_for_emulator()
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install {EMULATOR_PACKAGES}")


@pytest.fixture
def chip(emulator: None, tmp_path: Path) -> Iterator[Chip]:
    """The arm's firmware on an emulated ATmega328P."""
    with Chip(tmp_path, "arm") as chip:
        yield chip


@pytest.fixture
def make_chip(emulator: None, tmp_path: Path) -> Iterator[Callable[..., Chip]]:
    """A chip with another table of axes."""
    chips = []

    def make(axes: str, program: Path | None = None) -> Chip:
        chips.append(Chip(tmp_path, axes, has_pulses=True, program=program))
        return chips[-1]

    yield make
    for chip in chips:
        chip.close()
