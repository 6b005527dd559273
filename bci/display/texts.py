"""What the participant reads, in each language."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bci.errors import SessionError

CATALOGUE = Path(__file__).with_name("texts.toml")


def languages() -> dict[str, dict[str, str]]:
    """Texts by language, then by key."""
    return tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))


def texts_in(language: str) -> dict[str, str]:
    """Texts of one language.

    Raises
    ------
    SessionError
        When there are none.
    """
    known = languages()
    if language not in known:
        raise SessionError(f"There are no texts in '{language}'.", f"Choose one of {', '.join(sorted(known))}.")
    return known[language]
