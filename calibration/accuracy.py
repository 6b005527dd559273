"""Decoded against true values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.types import Array


@dataclass(frozen=True)
class Score:
    """Decoded against true values of one axis, on held-out bins: correlation, R² = 1 - SSE/SST, mean squared error."""

    axis: str
    cc: float
    r2: float
    mse: float


def score_axes(names: tuple[str, ...], truth: Array, decoded: Array) -> tuple[Score, ...]:
    """Score each axis of decoded against true values, both (n_bins, n_axes); NaN where a correlation has no meaning."""
    scores = []
    for name, t, d in zip(names, truth.T, decoded.T, strict=True):
        mse = float(np.mean((d - t) ** 2))
        varies = t.std() > 0 and d.std() > 0
        cc = float(np.corrcoef(d, t)[0, 1]) if varies else float("nan")
        scores.append(Score(name, cc, 1.0 - mse / float(np.var(t)) if t.std() > 0 else float("nan"), mse))
    return tuple(scores)
