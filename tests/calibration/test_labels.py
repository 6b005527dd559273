import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.configs import find_profile
from bci.errors import RecordingError
from bci.profile import Training, load_profile
from calibration.intention import NEAR, intended_velocity
from calibration.labels import from_cues, from_kinematics, full_effort_speed

PROFILE = load_profile(find_profile("intracortical_rates")).model_copy(update={"training": Training(lead_bins=2)})
CUED = PROFILE.model_copy(
    update={
        "training": Training(
            cues={"left": (-1.0, 0.0), "rest": (0.0, 0.0)}, reaction_ms=500.0, hold_ms=2000.0, repeat_ends=False
        )
    }
)
points = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(np.array)


@given(points, points)
def test_the_intention_points_straight_at_the_target_with_effort_of_at_most_one(position, target):
    v = intended_velocity(position, target, True)
    error = target - position
    assert np.linalg.norm(v) <= 1 + 1e-9
    if np.linalg.norm(error) > NEAR:
        assert np.linalg.norm(v) == pytest.approx(1.0)
        np.testing.assert_allclose(v, error / np.linalg.norm(error))
    assert not intended_velocity(position, target, False).any()


def test_kinematics_are_paired_with_features_that_lead_them():
    stamps = np.arange(100) / 20
    values = np.column_stack([stamps, stamps, stamps**2, -stamps])
    v = from_kinematics(("x", "y", "vx", "vy"), values, stamps, stamps[:50], PROFILE, 0.05)
    np.testing.assert_allclose(v[:, 0], (stamps[:50] + 0.1) ** 2, atol=1e-3)
    np.testing.assert_allclose(v[:, 1], -(stamps[:50] + 0.1), atol=1e-9)


def test_an_output_that_was_not_measured_is_named():
    with pytest.raises(RecordingError, match="no kinematics named vx, vy; it has angle"):
        from_kinematics(("angle",), np.zeros((5, 1)), np.arange(5.0), np.arange(5.0), PROFILE, 0.05)


def test_a_cue_counts_from_the_reaction_until_the_next_cue_or_its_longest_hold():
    stamps = np.arange(0, 6, 0.1)
    v, weights = from_cues([(1.0, "left"), (4.0, "rest"), (5.0, "unknown")], stamps, CUED)
    meant = (stamps >= 1.5 - 1e-9) & (stamps < 3.0 - 1e-9)
    np.testing.assert_array_equal(v[:, 0] == -1.0, meant)
    np.testing.assert_array_equal(weights > 0, meant | (stamps >= 4.5 - 1e-9))


def test_a_repeated_cue_ends_what_it_began():
    profile = CUED.model_copy(update={"training": CUED.training.model_copy(update={"repeat_ends": True})})
    stamps = np.arange(0, 6, 0.1)
    v, weights = from_cues([(0.0, "left"), (2.0, "left"), (4.0, "left")], stamps, profile)
    assert v[10, 0] == -1.0
    assert v[30, 0] == 0.0
    assert weights[30] == 1.0
    assert v[50, 0] == -1.0


def test_cues_that_do_not_occur_are_named_with_what_does():
    with pytest.raises(RecordingError, match="none of the cues left, rest; its markers are T1"):
        from_cues([(0.0, "T1")], np.arange(3.0), CUED)


def test_full_effort_is_a_fast_movement_and_rest_alone_is_refused():
    velocity = np.column_stack([np.linspace(0, 10, 101), np.zeros(101)])
    assert full_effort_speed(velocity) == pytest.approx(9.5)
    with pytest.raises(RecordingError, match="Nothing moves"):
        full_effort_speed(np.zeros((10, 2)))
