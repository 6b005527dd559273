"""What the wizard says, in the languages that have a file in `texts`; every language has the same keys."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

from bci.errors import ProfileError

FOLDER = Path(__file__).resolve().parent / "texts"
PERCENT = ("_share", "_rate", "_accuracy", "accuracy", "efficiency", "assist_left")


class Catalogue:
    """The texts of one language, by dotted key.

    Parameters
    ----------
    language : str
        Name of a file in `texts`, for example ``en``.

    Raises
    ------
    ProfileError
        Naming the languages that there are.
    """

    def __init__(self, language: str) -> None:
        if language not in languages():
            raise ProfileError(f"There are no texts in '{language}'.", f"Choose one of: {', '.join(languages())}.")
        self.language = language
        self._texts = read_texts(language)

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def name(self, measure: str) -> str:
        """What a measure is called."""
        return self._texts.get(f"gate.{measure}.name") or self._texts.get(f"measure.{measure}", measure)


def languages() -> list[str]:
    """Languages that have a file."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_texts(language: str) -> dict[str, str]:
    """All texts of a language, flat: ``phase.rest.title``."""
    return _flat(tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")), "")


def _flat(table: dict[str, object], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return found


def number(measure: str, value: float) -> str:
    """A measured value for people: with its unit, and as many digits as mean something."""
    if not math.isfinite(value):
        return "–"
    if measure.endswith(PERCENT):
        return f"{100 * value:.0f} %"
    if measure.endswith("_deg"):
        return f"{value:.0f}°"
    if measure.endswith("_ms"):
        return f"{value:.1f} ms"
    if measure.endswith("_s"):
        return f"{value:.2f} s"
    if measure == "idle_drift":  # workspaces/s; the limit is 0.05
        return f"{value:.3f}"
    if measure in ("tuned_channels", "n_trials"):
        return f"{value:.0f}"
    return f"{value:.2f}{' bit/s' if measure.endswith('_bps') else ''}"
