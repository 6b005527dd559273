"""The firmware under test: its core as a library, and its binary on an emulated chip. Both skip, with the reason."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulated import chip, emulator, make_chip
from node_core import Library, library

__all__ = ["chip", "core", "emulator", "make_chip"]


@pytest.fixture(scope="session")
def core() -> Library:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc): apt-get install gcc")
    return library()
