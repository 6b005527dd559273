"""Blocks: what is shown and when, how the help fades, and what is measured from what happened."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.conductor import Trace
from calibration.gain import drift_of
from calibration.imagery import ImageryBlock
from calibration.measures import (
    COME_TO_REST_S,
    DISCRETE_STATES,
    classify,
    idle_drift,
    imagery_measures,
    signal_quality,
    states_of,
    tuning_p_values,
)
from calibration.metrics import Trial
from calibration.paradigms import (
    CENTRE,
    MOVE,
    REACH,
    REST,
    SQUEEZE,
    ObservationBlock,
    ReachBlock,
    SqueezeBlock,
    assisted,
    directions_of,
)
from calibration.tuning import Noise

BIN_S = 0.02
numbers = st.floats(-2.0, 2.0, allow_nan=False)
vectors = st.lists(numbers, min_size=2, max_size=2).map(np.array)


def perform(block, speed, *, seconds=None, aim=lambda shown: shown.target):
    """A hand that goes straight to where it aims; what was shown in each bin."""
    position, history = np.full(2, CENTRE), []
    for i in range(round((seconds or block.seconds) / BIN_S)):
        shown = block.update(i * BIN_S, position)
        history.append(shown)
        error = aim(shown) - shown.position
        distance = float(np.linalg.norm(error))
        step = min(speed * BIN_S, distance) if shown.mode == MOVE else 0.0
        position = shown.position + (error / distance * step if distance > 0 else 0.0)
        if block.is_over(i * BIN_S):
            break
    return history


def random():
    return np.random.default_rng(3)


def test_the_help_fades_with_success_and_the_block_ends_when_it_is_not_missed():
    block = ReachBlock(2, 300.0, random(), assist=0.2)
    history = perform(block, 1.0)
    assert history[-1].assist == 0.0
    assert len(history) * BIN_S < 60.0
    assert all(trial.is_success for trial in block.trials)


def test_the_help_comes_back_with_failure():
    block = ReachBlock(2, 20.0, random(), assist=0.5, timeout_s=2.0)
    history = perform(block, 0.0)
    assert not any(trial.is_success for trial in block.trials)
    assert history[-1].assist > 0.8


def test_a_target_counts_only_when_it_is_held():
    block = ReachBlock(2, 20.0, random(), timeout_s=2.0)
    perform(block, 1.0, aim=lambda shown: shown.target + 0.2)
    assert block.trials
    assert not any(trial.is_success for trial in block.trials)


def test_targets_of_the_evaluation_are_the_eight_around_the_centre_each_followed_by_the_centre():
    block = ReachBlock(2, 120.0, random(), is_centre_out=True, idle_s=0.0)
    targets = [tuple(np.round(shown.target, 6)) for shown in perform(block, 2.0)]
    order = [target for i, target in enumerate(targets) if i == 0 or target != targets[i - 1]]
    assert set(order[1::2]) == {(CENTRE, CENTRE)}
    assert len(set(order[0:16:2])) == 8
    assert np.linalg.norm(np.array(order[0]) - CENTRE) == pytest.approx(REACH, abs=1e-5)


def test_at_the_end_of_the_evaluation_nothing_is_asked_for():
    history = perform(ReachBlock(2, 20.0, random(), is_centre_out=True, idle_s=5.0), 1.0)
    modes = np.array([shown.mode for shown in history])
    assert set(modes[: round(15.0 / BIN_S)]) == {MOVE}
    assert set(modes[round(15.0 / BIN_S) + 1 :]) == {REST}


def test_imagery_keeps_the_timing_of_the_graz_paradigm():
    block = ImageryBlock(1, directions_of(1), 5, random())
    history = perform_line(block)
    is_cued = np.array([shown.mode == MOVE for shown in history])
    edges = np.flatnonzero(np.diff(is_cued.astype(int)))
    lengths_s = np.diff(edges) * BIN_S
    np.testing.assert_allclose(lengths_s[::2], 4.0, atol=2 * BIN_S)
    assert np.all((lengths_s[1::2] > 3.4) & (lengths_s[1::2] < 4.6))
    assert sorted(block.labels) == [0] * 5 + [1] * 5
    assert len(block.trials) == 10


def test_along_a_line_the_hand_never_leaves_it_and_in_the_plane_it_may():
    axes = np.eye(2)
    for directions, is_line in ((np.vstack([axes[:1], -axes[:1]]), True), (np.vstack([axes, -axes]), False)):
        block = ImageryBlock(2, directions, 3, random(), has_feedback=True, assist=0.5)
        history = perform(block, 0.3, aim=lambda shown: shown.target + 0.1)
        aside = np.abs([shown.position[1] - CENTRE for shown in history]).max()
        assert (aside < 1e-9) == is_line
        assert len(block.trials) > 2


def perform_line(block):
    history = []
    for i in range(round(2 * block.seconds / BIN_S)):
        if block.is_over(i * BIN_S):
            break
        history.append(block.update(i * BIN_S, np.array([CENTRE])))
    return history


def test_the_observed_hand_moves_smoothly_from_target_to_target():
    history = perform(ObservationBlock(2, 30.0, random()), 0.0)
    positions = np.array([shown.position for shown in history])
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) / BIN_S
    assert speed.max() < 3.0
    assert positions.min() >= 0.1
    assert positions.max() <= 0.9
    assert {shown.mode for shown in history} == {MOVE, REST}


def test_squeezing_gives_ten_clicks_and_rest_enough_to_come_to_it():
    block = SqueezeBlock(2, 52.0, random())
    modes = np.array([shown.mode for shown in perform(block, 0.0)])
    assert np.sum(np.diff((modes == SQUEEZE).astype(int)) == 1) == 10
    assert np.mean(modes == REST) * 52.0 / 10 > COME_TO_REST_S + 1.0


@given(vectors, vectors, vectors, st.floats(0.0, 1.0), st.floats(0.0, 0.5))
def test_help_never_turns_the_hand_further_from_the_target(velocity, position, target, assist, push):
    helped = assisted(velocity, position, target, assist, push)
    toward = target - position
    assert helped @ toward >= velocity @ toward - 1e-9
    assert np.all(np.isfinite(helped))
    if assist == 0.0:
        np.testing.assert_array_equal(helped, velocity)


@given(vectors, vectors, st.floats(0.51, 1.0))
def test_full_help_leaves_nothing_that_leads_aside(velocity, target, assist):
    helped = assisted(velocity, np.zeros(2), target, 1.0, 0.0)
    assert abs(helped[0] * target[1] - helped[1] * target[0]) < 1e-9 or not np.linalg.norm(target) > 1e-9
    assert assisted(velocity, np.zeros(2), target, assist, 0.0) @ target >= -1e-9 or not np.linalg.norm(target) > 1e-9


def trace(n, **arrays):
    """A block of n bins in which nothing happened but what is given."""
    zeros, pair = np.zeros(n), np.full((n, 2), CENTRE)
    given_ = {
        "time_s": BIN_S * (1 + np.arange(n)), "stamp_s": BIN_S * np.arange(n), "position": pair, "target": pair,
        "v_int": 0 * pair, "raw": 0 * pair, "velocity": 0 * pair, "mode": zeros, "assist": zeros, "weight": zeros,
        "is_missing": zeros.astype(bool), "click": zeros, "gate": 1 + zeros, "n_clicks": zeros, "trial": zeros,
        "features": np.zeros((n, 3)),
    }  # fmt: skip
    return Trace(**{**given_, **arrays})


def test_a_hand_that_wanders_at_rest_is_measured_by_its_speed():
    n = 1000
    position = np.column_stack([0.04 * BIN_S * np.arange(n), np.full(n, CENTRE)])
    assert idle_drift(trace(n, position=position)) == pytest.approx(0.04, rel=0.01)
    assert idle_drift(trace(n)) == 0.0
    assert np.isnan(idle_drift(trace(n, mode=np.full(n, MOVE))))


def test_what_noise_alone_does_to_a_resting_hand_is_foreseen():
    random, n = np.random.default_rng(0), 60_000
    for correlation in (0.0, 0.7):
        white = random.normal(size=(n, 2))
        noise = white.copy()
        for t in range(1, n):
            noise[t] = correlation * noise[t - 1] + np.sqrt(1 - correlation**2) * white[t]
        measured = idle_drift(trace(n, position=np.cumsum(0.5 * BIN_S * noise, axis=0)))
        assert drift_of(Noise(0.5, correlation), BIN_S) == pytest.approx(measured, rel=0.1)


def test_states_are_known_after_the_reaction_and_rest_after_coming_to_it():
    mode = np.repeat([MOVE, SQUEEZE, REST], 100)
    states = states_of(trace(300, mode=mode), DISCRETE_STATES)
    assert set(states[:12]) == {""}
    assert set(states[15:100]) == {"move"}
    assert set(states[115:200]) == {"click"}
    assert set(states[200:249]) == {""}
    assert set(states[255:]) == {"idle"}


def line_trace(*, starts_s, stops_s):
    """One trial along a line: cue at 2 s, the hand moves a while after it, and stops a while after its end at 6 s."""
    n = 500
    t = BIN_S * (1 + np.arange(n))
    is_cued = (t >= 2.0) & (t < 6.0)
    moves = (t >= 2.0 + starts_s) & (t < 6.0 + stops_s)
    speed = np.where(moves, 0.2, 0.0)
    return dataclasses.replace(
        trace(n), time_s=t, mode=np.where(is_cued, MOVE, REST), target=np.where(is_cued, 0.85, CENTRE)[:, None],
        position=(CENTRE + np.cumsum(speed) * BIN_S)[:, None], velocity=speed[:, None], raw=speed[:, None],
        v_int=np.where(is_cued, 1.0, 0.0)[:, None],
    )  # fmt: skip


def test_starting_and_stopping_are_timed_from_the_cue_and_from_its_end():
    trial = Trial("class 1", 2.0, 6.0, True, REACH, 0.08)
    found = imagery_measures(line_trace(starts_s=0.5, stops_s=1.2), [trial], 0.2)
    assert found["initiation_s"] == pytest.approx(0.5 + 0.05 / 0.2, abs=0.05)  # until it has gone 0.05
    assert found["stop_s"] == pytest.approx(1.2, abs=0.05)
    assert imagery_measures(line_trace(starts_s=0.5, stops_s=9.0), [trial], 0.2)["stop_s"] == np.inf
    assert imagery_measures(line_trace(starts_s=9.0, stops_s=0.0), [trial], 0.2)["initiation_s"] == pytest.approx(4.0)


def test_channels_that_follow_the_movement_are_told_from_those_that_do_not():
    random = np.random.default_rng(1)
    v_int = np.repeat(random.normal(size=(60, 2)), 20, axis=0)
    features = random.normal(size=(1200, 10))
    features[:, :4] += v_int @ random.normal(size=(2, 4))
    p = tuning_p_values(features, v_int)
    assert p[:4].max() < 0.01
    assert np.sum(p[4:] < 0.01) <= 1


def test_classes_that_are_not_there_are_not_found():
    random = np.random.default_rng(2)
    classes = np.tile([0, 1], 40)
    epochs = random.normal(size=(80, 12))
    assert classify(epochs, classes, 2).accuracy < 0.65
    found = classify(epochs + 2.0 * classes[:, None], classes, 2)
    assert found.accuracy > 0.95
    assert found.auc > 0.95
    np.testing.assert_array_equal(found.confusion.sum(axis=1), [40, 40])
    assert classify(epochs[:6], classes[:6], 2).accuracy == 0.0


def test_dead_and_jumping_features_are_not_counted_as_usable():
    random = np.random.default_rng(4)
    features = random.normal(size=(500, 4))
    features[:, 1] = 0.0
    features[:, 2] = np.nan
    np.testing.assert_array_equal(signal_quality(features), [1, 0, 0, 1])
