"""Where Numba keeps what it compiled: beside the program, else where this account may write.

Called before the first kernel is defined: Numba raises at its definition when it finds no folder that it can write to,
as in a container, on a read-only installation or for an account without a home.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bci.errors import BciError

VARIABLE = "NUMBA_CACHE_DIR"


def ensure_cache() -> Path:
    """Have Numba write to a folder that can be written to, and return it.

    Raises
    ------
    BciError
        When there is none at all.
    """
    given = os.environ.get(VARIABLE)
    beside = Path(__file__).parent / "__pycache__"
    for folder in (*([Path(given)] if given else []), beside):
        if is_writable(folder):
            return folder
    for folder in _fallbacks():
        if is_writable(folder) and _is_ours(folder):
            os.environ[VARIABLE] = str(folder)  # child processes inherit it
            if "numba" in sys.modules:  # it has read the variable already
                sys.modules["numba"].config.CACHE_DIR = str(folder)
            return folder
    raise BciError(
        "There is no folder for compiled code: neither the program's, nor a cache of this account, nor a temporary one "
        "can be written to.",
        f"Set {VARIABLE} to a folder that can.",
    )


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, which is made where it is absent; tried, not asked."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _fallbacks() -> Iterator[Path]:
    with contextlib.suppress(RuntimeError):  # an account without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bci" / "numba"
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir()) / f"bci-numba-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _is_ours(folder: Path) -> bool:
    """What is loaded from the cache is run: nobody else may have written it."""
    if not hasattr(os, "getuid"):
        return True
    about = folder.stat()
    return about.st_uid == os.getuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
