"""What a command writes to: files that are tried before the work, and terminals of every encoding."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import tempfile
import unicodedata
from pathlib import Path

from bci.errors import BciError

PLAIN = {
    "→": "->", "−": "-", "–": "-", "—": "-", "…": "...", "×": "x", "·": "*", "’": "'", "‘": "'", "“": '"', "”": '"',
    "µ": "u", "°": " deg", "≤": "<=", "≥": ">=", "•": "*", "█": "#", "░": ".",
}  # fmt: skip


def check_writable(path: Path | None, option: str) -> None:
    """Find out before the work whether its result can be written.

    Parameters
    ----------
    path : Path or None
        Where the result will go; None: nowhere.
    option : str
        How the command line names it, for example ``--model``.

    Raises
    ------
    BciError
        Saying why not.
    """
    if path is None:
        return
    remedy = f"Choose another place with {option}."
    if path.is_dir():
        raise BciError(f"{path} is a folder, no file.", remedy)
    try:
        with tempfile.TemporaryFile(dir=path.parent):  # results are written beside their place, then moved
            pass
    except OSError as error:
        raise BciError(f"{path} cannot be written: {path.parent}: {error.strerror}.", remedy) from error
    if path.exists() and not os.access(path, os.W_OK):
        raise BciError(f"{path} is there and may not be written over.", remedy)


def speak_plainly() -> None:
    """Have standard output and error spell what the terminal's encoding lacks, instead of raising."""
    codecs.register_error("bci-plain", _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError):
                stream.reconfigure(errors="bci-plain")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_letter, text)), error.end


def _letter(letter: str) -> str:
    bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return PLAIN.get(letter) or bare or "?"
