import numpy as np
import pytest

from bci.simulation.tasks import MOUTH, TIMEOUT_S, CupTask


def play(seconds, go, seed=0):
    """Run the task with a hand that `go(where, target)` moves every 20 ms."""
    task = CupTask(np.random.default_rng(seed))
    where = np.array([0.5, 0.5, 0.5, 0.0])
    for i in range(round(seconds / 0.02)):
        target = np.array(task.update(where, i * 0.02))
        where = go(where, target)
    return task


def perfect(where, target):
    return where + np.clip(target - where, -0.02, 0.02)


def test_the_story_is_reach_close_bring_let_go_and_then_another_cup():
    task = play(20, perfect)
    names = [trial.name for trial in task.trials]
    assert names[:5] == ["reach", "close", "bring", "let go", "reach"]
    assert task.n_cups >= 2
    assert all(trial.is_success for trial in task.trials)
    assert [cue for cue in task.cues if cue.startswith("success")][:2] == ["success 1 reach", "success 2 close"]


def test_a_hand_that_does_not_move_times_out_and_a_new_cup_appears():
    task = play(TIMEOUT_S * 2 + 1, lambda where, target: where)
    assert [trial.is_success for trial in task.trials] == [False, False]
    assert [trial.name for trial in task.trials] == ["reach", "reach"]
    assert task.n_cups == 0


def test_passing_through_the_target_is_not_staying_there():
    shaky = np.random.default_rng(1)

    def fly_by(where, target):
        return target + np.array([0.15, 0, 0, 0]) * (1 if shaky.uniform() < 0.5 else 0)

    assert not any(trial.is_success for trial in play(TIMEOUT_S, fly_by).trials)


def test_bringing_ends_at_the_mouth_with_the_hand_closed():
    task = CupTask(np.random.default_rng(0))
    where, seen = np.array([0.5, 0.5, 0.5, 0.0]), {}
    for i in range(600):
        target = task.update(where, i * 0.02)
        seen[task.step.name] = target
        where = perfect(where, np.array(target))
    assert seen["bring"] == (*MOUTH, 1.0)
    assert seen["let go"] == (*MOUTH, 0.0)
    assert seen["close"][3] == 1.0
    assert seen["reach"][3] == pytest.approx(0.0)
