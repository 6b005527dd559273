"""Arrays that callers give, checked before a kernel sees them: compiled code trusts every shape.

What fits already, as everything in the loop does, passes untouched and costs a fraction of a microsecond.
"""

from __future__ import annotations

import numpy as np

from bci.errors import ArgumentError
from bci.types import Array

FLOAT64 = np.dtype(np.float64)


def as_row(values: Array, n: int, what: str = "features") -> Array:
    """One bin, shape (n,), as contiguous float64.

    Raises
    ------
    ArgumentError
        When it is no array of n real numbers.
    """
    if type(values) is np.ndarray and values.dtype is FLOAT64 and values.shape == (n,) and values.flags.c_contiguous:
        return values
    row = as_numbers(values, what)
    if row.shape != (n,):
        raise ArgumentError(f"{what} of one bin have shape {row.shape}, expected is ({n},).", "Give one value of each.")
    return row


def as_rows(values: Array, n: int, what: str = "samples") -> Array:
    """Many samples or bins, shape (any, n), as contiguous float64; errors as `as_row`."""
    if (
        type(values) is np.ndarray
        and values.dtype is FLOAT64
        and values.ndim == 2
        and values.shape[1] == n
        and values.flags.c_contiguous
    ):
        return values
    rows = as_numbers(values, what)
    if rows.ndim != 2 or rows.shape[1] != n:
        raise ArgumentError(f"{what} have shape {rows.shape}, expected is (any, {n}).", "Give one column of each.")
    return rows


def as_mask(values: Array, n: int, what: str = "features") -> Array:
    """Which are used, boolean (n,); errors as `as_row`."""
    mask = np.asarray(values)
    if mask.shape != (n,) or mask.dtype != np.bool_:
        raise ArgumentError(
            f"A mask of shape {mask.shape} and type {mask.dtype} does not fit {n} {what}.", f"Give {n} truth values."
        )
    return mask


def as_numbers(values: Array, what: str) -> Array:
    """Any array of real numbers as contiguous float64; errors as `as_row`."""
    given = np.asarray(values)
    if given.dtype.kind not in "biuf":
        raise ArgumentError(f"{what} are of type {given.dtype}, not real numbers.", "Give float64.")
    return np.asarray(given, dtype=np.float64, order="C")
