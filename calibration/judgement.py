"""Whether a decoder is worth having: against a plain Kalman filter on the same bins, in one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.decoding.kinds import VELOCITY
from bci.types import Array
from calibration.accuracy import Score, score_axes
from calibration.fit import without_hidden

ALIKE = 0.01  # of correlation: less is no difference
NOTHING = 0.1  # of correlation: less is no decoding
SMALL_RIDGE = 1.0  # in bins: nothing, but for features that never vary


def score_plain(
    axes: tuple[str, ...], features: Array, truth: Array, weights: Array, judged: Array, n: int
) -> tuple[Score, ...]:
    """Scores of a plain Kalman filter (Wu et al. 2006) that sees what the decoder judged sees.

    Parameters
    ----------
    axes : tuple of str
        Names.
    features, truth, weights : Array
        Consecutive bins: (n_bins, p), (n_bins, d) and (n_bins,); of the d kinematics the first are the axes, and the
        others, such as positions, are decoded along with them.
    judged : Array
        Indices of the bins that count.
    n : int
        It learns from the bins before this one.
    """
    from bci.decoding.estimator import KalmanDecoder  # scikit-learn: not for live processes

    plain = KalmanDecoder(n_lags=1, fading_bins=(), ridge=SMALL_RIDGE, dynamics=1.0, n_hinges=0)
    features, truth = without_hidden(features), np.where(weights[:, None] > 0, truth, 0.0)
    plain.fit(features[:n], truth[:n], weights[:n])
    decoded = plain.predict(features)[judged].reshape(len(judged), -1)
    return score_axes(axes, truth[judged, : len(axes)], decoded[:, : len(axes)])


def judge(scores: Sequence[Score], plain: Sequence[Score], kind: str) -> str:
    """One line: better or worse than the plain filter, and what to try."""
    ours, theirs = (float(np.nanmean([score.cc for score in some])) for some in (scores, plain))
    where = f"a plain Kalman filter on the same bins: mean CC {ours:.2f} against {theirs:.2f}"
    if not max(ours, theirs) > NOTHING:
        return f"Nothing is decoded (mean CC {ours:.2f}): look at the signals with `bci replay`, and at the labels."
    if ours > theirs + ALIKE:
        return f"Better than {where}."
    verdict = "As good as" if ours >= theirs - ALIKE else "Worse than"
    remedy = "try `--decoder kalman`" if kind == VELOCITY else "record for longer, or try a lower decoder.tau_ms"
    return f"{verdict} {where}; {remedy}."
