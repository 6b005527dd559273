import numpy as np
import pytest
from synthetic import moving_recording

from bci.configs import find_profile
from bci.decoding.model import load_model, save_model
from bci.errors import ModelError, RecordingError
from bci.pipeline import make_pipeline
from bci.profile import load_profile
from bci.recording.reader import read_recording
from bci.types import Chunk, Recording, Signal
from calibration.evaluation import evaluate_plain, evaluate_profile
from calibration.offline import fit_recording

PROFILE = load_profile(find_profile("intracortical_rates"))


def recording(n=3000, n_channels=96, seed=0):
    return moving_recording(n, seed, n_channels)


def test_a_live_decoder_fitted_on_the_beginning_decodes_the_end():
    profile = PROFILE.model_copy(update={"training": PROFILE.training.model_copy(update={"lead_bins": 0})})
    evaluation = evaluate_profile(recording(), profile)
    assert evaluation.n_test == 600
    assert all(score.cc > 0.75 for score in evaluation.scores)


def test_a_session_begins_with_what_was_normal_in_the_recording(tmp_path):
    """Its first bins are decoded as the recording's own, not compared with nothing."""
    whole = recording()
    model, frames = fit_recording(whole, PROFILE, {})
    save_model(tmp_path / "model.npz", model)
    session = make_pipeline(PROFILE, whole.signal.labels, None)
    session.extractor.restore(load_model(tmp_path / "model.npz").statistics)
    steps = []
    session.push(Chunk(whole.signal.samples[:40], whole.signal.stamps_s[:40]), steps.append)
    counts, z = whole.signal.samples[:40], np.array([step.frame.features for step in steps])
    normal = (counts - whole.signal.samples.mean(axis=0)) / whole.signal.samples.std(axis=0)
    assert np.abs(z - normal).max() < 0.6
    assert np.mean(np.abs(z - normal)) < 0.5 * np.mean(np.abs(frames.features[:40] - normal))


def test_the_held_out_part_is_the_end_and_never_seen_in_fitting():
    whole = recording()
    spoiled = whole.signal.samples.copy()
    spoiled[2400:] = spoiled[2400:][np.random.default_rng(1).permutation(600)]
    spoiled_signal = Signal(*[getattr(whole.signal, n) for n in ("name", "type", "unit", "labels", "rate_hz")],
                            spoiled, whole.signal.stamps_s)  # fmt: skip
    before, _ = fit_recording(whole, PROFILE, {}, 0.8)
    after, _ = fit_recording(Recording(spoiled_signal, whole.kinematics), PROFILE, {}, 0.8)
    np.testing.assert_array_equal(before.C, after.C)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"n_channels": 95}, "it has 95 channels, the profile expects 96"), ({"n": 100}, "too few")],
)
def test_a_recording_that_does_not_fit_the_profile_is_refused(change, complaint):
    with pytest.raises((RecordingError, ModelError), match=complaint):
        fit_recording(recording(**change), PROFILE, {})


def test_without_kinematics_or_cues_there_is_nothing_to_learn():
    bare = Recording(recording().signal)
    with pytest.raises(RecordingError, match=r"no kinematics.*maps no cues"):
        fit_recording(bare, PROFILE, {})
    with pytest.raises(RecordingError, match="no kinematics to compare with"):
        evaluate_plain(bare)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "cc"),
    [
        ("limblab_nick/Nick_CO_001-01-binned.mat", [0.79, 0.84, 0.71, 0.66]),
        ("limblab_nick/Nick_CO_002-01-binned.mat", [0.90, 0.85, 0.75, 0.63]),
    ],
)
def test_the_plain_filter_reaches_the_known_correlations_on_nick(real_data, name, cc):
    evaluation = evaluate_plain(read_recording(real_data(name)))
    np.testing.assert_allclose([score.cc for score in evaluation.scores], cc, atol=0.011)


@pytest.mark.real
def test_the_plain_filter_reaches_the_known_r2_on_contdata95(real_data):
    evaluation = evaluate_plain(read_recording(real_data("contdata95/contdata95.mat")))
    np.testing.assert_allclose([score.r2 for score in evaluation.scores], [0.63, 0.65, 0.45, 0.50], atol=0.006)


@pytest.mark.real
def test_a_real_day_decodes_forward_in_time(real_data):
    day = read_recording(real_data("limblab_spike_wf_2012/Spike_07-19-12_WF_001.mat"))
    assert np.mean([score.cc for score in evaluate_plain(day).scores[:2]]) > 0.85


@pytest.mark.real
def test_what_moves_the_device_decodes_a_real_day_better_than_the_plain_filter(real_data):
    day = read_recording(real_data("limblab_spike_wf_2012/Spike_07-19-12_WF_001.mat"))
    live = np.mean([score.cc for score in evaluate_profile(day, PROFILE).scores])
    assert live > np.mean([score.cc for score in evaluate_plain(day).scores[2:]]) + 0.05
    assert live > 0.73


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "profile", "least"),
    [
        ("xdf/magicblink_emg/three_motion_one.xdf", "emg_openbci", 0.4),
        ("eegmmidb_S001/S001R06.edf", "eeg_motor_imagery", 0.3),
    ],
)
def test_cued_recordings_decode_what_was_cued_later(real_data, name, profile, least):
    evaluation = evaluate_profile(read_recording(real_data(name)), load_profile(find_profile(profile)))
    assert all(score.cc > least for score in evaluation.scores)
