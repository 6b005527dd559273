"""Ranges of the settings of the scikit-learn estimators, which by convention are checked at `fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bci.errors import ArgumentError

REAL = (int, float, np.integer, np.floating)


def _is_real(value: Any) -> bool:
    return type(value) is not bool and isinstance(value, REAL) and math.isfinite(value)


def _whole_from(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is not bool and isinstance(value, int | np.integer) and bool(value >= least)


def _is_positive(value: Any) -> bool:
    return _is_real(value) and value > 0


def _is_fraction(value: Any) -> bool:
    return _is_real(value) and 0 <= value <= 1


def _are_time_constants(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(_is_positive(one) for one in value)


def _are_bands(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) > 0
        and all(len(band) == 2 and all(map(_is_positive, band)) and band[0] < band[1] for band in value)
    )


def _or_none(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "n_lags": (_whole_from(1), "a whole number, 1 or more"),
    "fading_bins": (_are_time_constants, "time constants in bins above 0, or ()"),
    "ridge": (_or_none(lambda value: _is_real(value) and value >= 0), "0 or more, or None"),
    "dynamics": (_or_none(_is_fraction), "from 0 to 1, or None"),
    "n_hinges": (_whole_from(0), "a whole number, 0 or more"),
    "n_folds": (_whole_from(2), "a whole number, 2 or more"),
    "clip": (_is_positive, "above 0"),
    "half_life_bins": (_or_none(_is_positive), "above 0, or None"),
    "rate_hz": (_is_positive, "above 0"),
    "bands_hz": (_are_bands, "pairs of a lower and a higher frequency"),
    "skip_s": (lambda value: _is_real(value) and value >= 0, "0 or more"),
    "regularisation": (_is_positive, "above 0"),
    "forgetting": (_is_fraction, "from 0 to 1"),
}


def check_ranges(estimator: Any) -> None:
    """Refuse settings out of their range, all at once.

    Raises
    ------
    ArgumentError
        Naming each, its value, and what it may be.
    """
    settings = estimator.get_params(deep=False)
    wrong = [f"{name} is {settings[name]!r}, not {RANGES[name][1]}" for name in settings
             if not RANGES[name][0](settings[name])]  # fmt: skip
    if wrong:
        raise ArgumentError(f"{type(estimator).__name__}: {'; '.join(wrong)}.", "Correct it and fit again.")
