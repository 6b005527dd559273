"""Tasks on a screen: what they ask for, and when they are content."""

from itertools import islice, pairwise

import numpy as np
import pytest

from bci.simulation.targets import TASKS, GridTask, PursuitTask, TargetTask, anywhere, centre_out

DT_S = 0.02


def play(task, seconds, go, clicks=lambda where, target: False):
    """Run a task with a cursor that `go(where, target)` moves every 20 ms."""
    where = np.array([0.5, 0.5])
    for i in range(round(seconds / DT_S)):
        target = task.update(where, i * DT_S, clicks(where, task.centre(task.key) if hasattr(task, "key") else where))
        where = go(where, target)
    return task


def perfect(where, target):
    return where + np.clip(target - where, -0.02, 0.02)


def still(where, target):
    return where


def test_centre_out_visits_all_eight_directions_and_comes_back_between():
    places = list(islice(centre_out(np.random.default_rng(0)), 16))
    np.testing.assert_allclose(places[1::2], 0.5)
    out = np.array(places[::2]) - 0.5
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 0.35)
    angles = np.sort(np.degrees(np.arctan2(out[:, 1], out[:, 0])) % 360)
    np.testing.assert_allclose(angles, np.arange(0, 360, 45), atol=1e-9)


def test_a_target_must_be_held_for_the_dwell_time():
    task = play(TargetTask(anywhere(np.random.default_rng(0)), dwell_s=0.5), 10, perfect)
    assert all(trial.is_success for trial in task.trials)
    assert min(trial.end_s - trial.start_s for trial in task.trials) >= 0.5
    assert [cue for cue in task.take_cues() if cue.startswith("success")][:2] == ["success 1", "success 2"]
    assert task.take_cues() == []


def test_a_cursor_that_flies_through_does_not_hold():
    task = TargetTask(iter([np.array([0.5, 0.5])] * 9), dwell_s=0.3, timeout_s=4.0)
    for i in range(300):
        task.update([0.5 if i % 10 else 0.9, 0.5], i * DT_S)
    assert [trial.is_success for trial in task.trials] == [False]


def test_a_target_that_is_never_reached_times_out():
    task = play(TargetTask(centre_out(np.random.default_rng(0)), timeout_s=2.0), 5, still)
    assert not task.trials[0].is_success
    assert task.trials[0].end_s == pytest.approx(2.0)


def test_keys_are_chosen_by_dwelling_and_never_twice_in_a_row():
    task = play(GridTask(5, np.random.default_rng(0), dwell_s=0.4), 30, perfect)
    assert task.n_incorrect == 0
    assert task.n_correct == len(task.trials) > 15
    keys = [trial.name for trial in task.trials]
    assert all(one != other for one, other in pairwise(keys))
    assert task.bit_rate_bps == pytest.approx(np.log2(24) * task.n_correct / 30, rel=0.01)


def test_resting_on_a_wrong_key_selects_it_and_costs():
    task = play(GridTask(3, np.random.default_rng(1), dwell_s=0.5), 4, still)
    assert task.n_incorrect >= 5
    assert task.bit_rate_bps == 0.0


def test_with_clicks_nothing_is_selected_by_staying():
    task = play(GridTask(4, np.random.default_rng(0), dwell_s=None), 5, perfect)
    assert task.n_correct + task.n_incorrect == 0
    near = play(
        GridTask(4, np.random.default_rng(0), dwell_s=None),
        20,
        perfect,
        lambda where, target: np.abs(where - target).max() < 0.05,
    )
    assert near.n_correct > 10
    assert near.n_incorrect == 0


def test_a_held_click_counts_once_in_its_refractory_time():
    task = GridTask(2, np.random.default_rng(0), dwell_s=None)
    for i in range(20):
        task.update([0.1, 0.1], i * DT_S, True)
    assert task.n_correct + task.n_incorrect == 1


def test_the_pursued_target_moves_smoothly_inside_the_workspace_and_the_error_is_kept():
    task, path = PursuitTask(np.random.default_rng(0)), []
    for i in range(3000):
        path.append(task.update([0.5, 0.5], i * DT_S).copy())
    path = np.array(path)
    assert path.min() >= 0.05
    assert path.max() <= 0.95
    assert np.abs(np.diff(path, axis=0)).max() < 0.02
    assert task.mean_error == pytest.approx(np.linalg.norm(path - 0.5, axis=1).mean())
    assert path.std() > 0.1


@pytest.mark.parametrize("name", TASKS)
def test_the_same_seed_asks_for_the_same(name):
    one, same = (TASKS[name](np.random.default_rng(3), 4) for _ in range(2))
    where = [0.3, 0.4, 0.5, 0.5]
    for i in range(200):
        np.testing.assert_array_equal(one.update(where, i * DT_S), same.update(where, i * DT_S))
    assert one.figures == pytest.approx(same.figures, nan_ok=True)
