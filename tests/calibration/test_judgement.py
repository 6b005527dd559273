"""One line says whether a decoder is worth having."""

import dataclasses
import re

import numpy as np
import pytest
from synthetic import moving_recording

from bci.configs import find_profile
from bci.profile import load_profile
from bci.types import Recording
from calibration.accuracy import Score
from calibration.evaluation import evaluate_profile
from calibration.judgement import judge, score_plain

PROFILE = load_profile(find_profile("intracortical_rates"))


def scores(*values):
    return [Score(axis, cc, cc**2, 1.0) for axis, cc in zip("xy", values, strict=True)]


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "line"),
    [
        ((0.8, 0.7), (0.6, 0.7), "kalman", "Better than a plain Kalman filter on the same bins: .* 0.75 against 0.65."),
        ((0.5, 0.5), (0.6, 0.7), "velocity", "Worse than .* 0.50 against 0.65; try `--decoder kalman`."),
        ((0.5, 0.5), (0.6, 0.7), "kalman", "Worse than .*; record for longer, or try a lower decoder.tau_ms."),
        ((0.65, 0.65), (0.65, 0.655), "velocity", "As good as .*; try `--decoder kalman`."),
        ((0.02, 0.05), (0.05, 0.06), "kalman", r"Nothing is decoded \(mean CC 0.04\): look at the signals"),
        ((np.nan, 0.8), (0.6, 0.7), "kalman", "Better than"),
    ],
)  # fmt: skip
def test_the_line_says_better_or_worse_and_what_to_try(ours, theirs, kind, line):
    assert re.match(line, judge(scores(*ours), scores(*theirs), kind))


def test_the_plain_filter_sees_the_same_bins_and_only_the_past():
    random = np.random.default_rng(0)
    truth = np.cumsum(random.normal(size=(1000, 2)), axis=0)
    features = truth @ random.normal(size=(2, 20)) + random.normal(size=(1000, 20))
    features[:, 3] = 0.0  # silent
    features[10, 4] = np.nan
    weights, judged = np.ones(1000), np.arange(800, 1000)
    before = score_plain(("x", "y"), features, truth, weights, judged, 800)
    assert all(score.cc > 0.9 for score in before)
    spoiled = truth.copy()
    spoiled[800:] = random.normal(size=(200, 2))
    after = score_plain(("x", "y"), features, spoiled, weights, judged, 800)
    assert all(abs(score.cc) < 0.4 for score in after)


def part(whole, bins):
    signal, k = whole.signal, whole.kinematics
    return Recording(
        dataclasses.replace(signal, samples=signal.samples[bins], stamps_s=signal.stamps_s[bins]),
        dataclasses.replace(k, values=k.values[bins], stamps_s=k.stamps_s[bins]),
    )


def test_an_evaluation_ends_with_the_judgement_also_on_a_second_recording():
    whole = moving_recording(3600)
    first, second = part(whole, slice(2800)), part(whole, slice(2800, 3600))
    for evaluation in (evaluate_profile(whole, PROFILE), evaluate_profile(first, PROFILE, second)):
        assert "a plain Kalman filter on the same bins: mean CC" in evaluation.judgement


def test_signals_that_tell_nothing_are_called_nothing():
    whole = moving_recording(3000)
    noise = np.random.default_rng(1).poisson(3.0, whole.signal.samples.shape).astype(float)
    deaf = Recording(dataclasses.replace(whole.signal, samples=noise), whole.kinematics)
    assert evaluate_profile(deaf, PROFILE).judgement.startswith("Nothing is decoded")
