"""A user before a screen: the same model that the sweep runs, with a reaction time and pauses."""

import numpy as np
import pytest

from bci.simulation.user import PAUSE_UNIT_S, REACTION_S, User
from calibration.user_model import EFFORT_DISTANCES, EFFORTS, UserModel, act, make_mind, make_policy

PERIOD_S, TAU_S, BETA = 0.02, 0.12, 0.7
LEFT, RIGHT, UP = np.array([0.2, 0.2]), np.array([0.8, 0.2]), np.array([0.2, 0.8])


def user(**options):
    return User(2, PERIOD_S, tau_s=TAU_S, beta=BETA, **options)


def still(person, target, seconds, wants=True):
    return np.array([person.effort(LEFT, target, wants) for _ in range(round(seconds / PERIOD_S))])


def test_it_is_the_user_model_bin_by_bin_once_it_has_reacted():
    person, model = user(reaction_s=0.0), UserModel()
    policy, mind, expected = make_policy(model, PERIOD_S, TAU_S, BETA), make_mind(model, PERIOD_S, LEFT), np.zeros(2)
    random, before = np.random.default_rng(0), LEFT
    for i in range(50):
        where = before + (0.01 * random.normal(size=2) if i else 0.0)
        act(policy, mind, where, (where - before) / PERIOD_S, RIGHT, True, expected)
        np.testing.assert_array_equal(person.effort(where, RIGHT, True), expected)
        before = where


def test_a_new_target_has_an_effect_only_after_the_reaction_time():
    person = user()
    still(person, RIGHT, 1.0)
    turned = still(person, UP, 1.0)
    late = round(REACTION_S / PERIOD_S)
    assert (turned[:late, 1] <= 0.0).all()
    assert turned[late, 1] > 0.3


def test_the_first_effort_is_the_published_one_for_the_distance():
    person = user()
    first = still(person, RIGHT, 1.0)[-40]
    assert np.linalg.norm(first) == pytest.approx(np.interp(0.6, EFFORT_DISTANCES, EFFORTS), rel=0.05)


def test_it_expects_to_move_on_while_it_sees_late():
    person = user()
    for i in range(30):
        effort = person.effort(np.array([0.2 + 0.02 * i, 0.2]), np.array([0.65, 0.2]), True)
    assert effort[0] < 0.0  # what it sees is still before the target, but by now it must have passed it


def test_at_rest_it_does_nothing():
    assert not still(user(), RIGHT, 1.0, wants=False).any()


def test_pauses_come_as_often_as_asked_and_last_half_a_second_and_more():
    person = user(pause_share=0.5, random=np.random.default_rng(1))
    rests = []
    for i in range(200):
        target = RIGHT if i % 2 else UP
        rests.append(PERIOD_S * np.sum(~still(person, target, 8.0).any(axis=1)))
    rested = np.array(rests) > 0.4
    assert rested.mean() == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(rests)[rested]) == pytest.approx(5 * PAUSE_UNIT_S, rel=0.15)


def test_a_tired_user_pushes_less():
    tired = still(user(model=UserModel(fatigue=0.6, fatigue_tau_s=5.0)), RIGHT, 20.0)
    assert np.linalg.norm(tired[-1]) < 0.75 * np.linalg.norm(tired[40])


def test_the_same_seed_pauses_at_the_same_moments():
    def efforts(seed):
        person = user(pause_share=0.5, random=np.random.default_rng(seed))
        return np.vstack([still(person, target, 1.0) for target in (RIGHT, UP) * 5])

    np.testing.assert_array_equal(efforts(3), efforts(3))
    assert not np.array_equal(efforts(3), efforts(4))
