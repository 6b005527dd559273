"""The one model of a user: what it sees, expects and does."""

import math

import numpy as np
import pytest

from calibration.user_model import EFFORT_DISTANCES, EFFORTS, UserModel, act, effort_at, make_mind, make_policy

BIN_S, TAU_S, BETA = 0.02, 0.12, 0.8


def steer(user, n_bins, push=(0.0, 0.0), target=(0.8, 0.3), start=(0.5, 0.5), wants=True):
    """Efforts, positions and expectations of a user whose commands are followed without noise."""
    policy, mind = make_policy(user, BIN_S, TAU_S, BETA), make_mind(user, BIN_S, np.array(start))
    p, v, effort = np.array(start), np.zeros(2), np.zeros(2)
    alpha, rows = math.exp(-BIN_S / TAU_S), []
    for _ in range(n_bins):
        act(policy, mind, p, v, np.array(target), wants, effort)
        rows.append((effort.copy(), p.copy(), mind.expected[:2].copy()))
        v = alpha * v + (1 - alpha) * BETA * (effort + np.array(push))
        p = np.clip(p + BIN_S * v, 0, 1)
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def test_effort_follows_the_published_curve_and_holds_beyond_it():
    distances = np.linspace(0, 0.9996, 50)
    ours = [effort_at(d, EFFORT_DISTANCES, EFFORTS) for d in distances]
    np.testing.assert_allclose(ours, np.interp(distances, EFFORT_DISTANCES, EFFORTS), atol=1e-12)
    assert effort_at(3.0, EFFORT_DISTANCES, EFFORTS) == EFFORTS[-1]


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.2, 0.4])
def test_without_noise_a_perfect_forward_model_knows_where_it_is_in_spite_of_the_delay(delay_s):
    _, positions, expected = steer(UserModel(delay_s=delay_s), 150)
    np.testing.assert_allclose(expected, positions, atol=1e-12)


def test_what_it_did_not_cause_is_seen_late():
    user = UserModel()
    policy, mind = make_policy(user, BIN_S, TAU_S, BETA), make_mind(user, BIN_S, np.array([0.5, 0.5]))
    effort, expected = np.zeros(2), []
    for _ in range(20):
        act(policy, mind, np.array([0.5, 0.9]), np.zeros(2), np.array([0.5, 0.5]), False, effort)
        expected.append(mind.expected[1])
    assert expected[9] == pytest.approx(0.5)
    assert expected[10] == pytest.approx(0.9)


def test_at_rest_there_is_no_effort():
    efforts, _, _ = steer(UserModel(damping=0.3, bias_tau_s=1.0), 50, wants=False)
    assert not efforts.any()


def test_damping_brakes_before_the_target():
    free, _, _ = steer(UserModel(), 30)
    damped, _, _ = steer(UserModel(damping=0.5), 30)
    assert np.linalg.norm(damped[20]) < np.linalg.norm(free[20])


def test_a_constant_push_is_learned_and_steered_against():
    push = (0.0, 0.3)
    _, naive, _ = steer(UserModel(), 500, push)
    _, learned, _ = steer(UserModel(bias_tau_s=2.0), 500, push)
    off = [np.abs(positions[-1] - np.array([0.8, 0.3])).max() for positions in (naive, learned)]
    assert off[1] < 0.5 * off[0]


def test_a_tired_user_pushes_less_and_recovers_at_rest():
    user = UserModel(fatigue=0.5, fatigue_tau_s=2.0)
    policy, mind = make_policy(user, BIN_S, TAU_S, BETA), make_mind(user, BIN_S, np.zeros(2))
    effort, lengths = np.zeros(2), []
    for i in range(900):
        act(policy, mind, np.zeros(2), np.zeros(2), np.ones(2), i < 400 or i >= 800, effort)
        lengths.append(np.linalg.norm(effort))
    assert lengths[399] < 0.8 * lengths[0]
    assert lengths[850] > lengths[399]
