"""Rows that are written anew for each piece of samples: made once, grown to the longest piece, then reused."""

from __future__ import annotations

import numpy as np

from bci.types import Array


class Scratch:
    """Room for pieces of samples.

    Parameters
    ----------
    n_columns : int
        Of every piece.
    """

    def __init__(self, n_columns: int) -> None:
        self._rows: Array = np.empty((0, n_columns))

    def rows(self, n: int) -> Array:
        """Room for n rows, (n, n_columns); what was written there before is overwritten by the next user."""
        if n > len(self._rows):
            self._rows = np.empty((n, self._rows.shape[1]))
        return self._rows[:n]
