"""Spatial filters against their definition, and in the whole path from a recording with cues to a live decoder."""

import dataclasses
import hashlib

import numpy as np
import pytest
from scipy.linalg import eigh

from bci.configs import find_profile
from bci.decoding.model import load_model, save_model
from bci.errors import ModelError, ProfileError
from bci.pipeline import make_pipeline
from bci.profile import BandPower, load_profile, parse_profile
from bci.signals.features import Extractor
from bci.signals.power import PowerBank, n_components, project
from bci.types import Chunk, Recording, Signal
from calibration.evaluation import evaluate_profile
from calibration.offline import fit_recording
from calibration.spatial import common_spatial_patterns, fit_spatial

LABELS = ("FC3", "FCz", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4")
RATE_HZ = 160.0


def profile(classes=2, **changes):
    text = find_profile("eeg_motor_imagery").read_text()
    if classes == 2:
        text = text.replace("T0 = [0.0]\n", "")
    base = parse_profile(text, "eeg")
    features = base.features.model_copy(
        update={"reference": "none", "csp_pairs": 1, "bands_hz": ((8.0, 12.0),), **changes}
    )
    stream = base.stream.model_copy(update={"channels": LABELS, "n_channels": 9})
    return base.model_copy(update={"features": features, "stream": stream})


def cued(n_trials=24, seed=0):
    """Two sources at 10 Hz, mixed into nine channels; fists make one louder, feet the other."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(2, 9))
    n = round(5.0 * RATE_HZ)
    samples, markers, tick = [], [], 0
    for trial in range(n_trials):
        kind = trial % 3
        t = np.arange(n) / RATE_HZ
        amplitude = {0: (1.0, 1.0), 1: (3.0, 1.0), 2: (1.0, 3.0)}[kind]
        sources = np.column_stack([
            a * np.sin(2 * np.pi * 10 * t + random.uniform(0, 6)) * (1 + 0.3 * random.normal()) for a in amplitude
        ])  # fmt: skip
        samples.append(sources @ mixing + 2 * random.normal(size=(n, 9)))
        markers.append((tick / RATE_HZ, f"T{kind}"))
        tick += n
    data = np.vstack(samples)
    signal = Signal("EEG", "EEG", "microvolts", LABELS, RATE_HZ, data, np.arange(len(data)) / RATE_HZ)
    return Recording(signal, markers=tuple(markers), marker_name="EEG-markers"), mixing


def random_covariances(k, n=6, seed=0):
    random = np.random.default_rng(seed)
    return [(lambda A: A @ A.T)(random.normal(size=(n, 2 * n))) for _ in range(k)]


def test_the_filters_are_the_ends_of_the_generalised_spectrum():
    Ca, Cb = random_covariances(2)
    W = common_spatial_patterns([Ca, Cb], 2, shrinkage=0.0)
    ratios = [(w @ Ca @ w) / (w @ Cb @ w) for w in W]
    extreme = eigh(Ca, Cb, eigvals_only=True)
    np.testing.assert_allclose(ratios, [extreme[-1], extreme[-2], extreme[0], extreme[1]], rtol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1.0)


def test_three_classes_stand_each_against_the_rest():
    C = random_covariances(3)
    W = common_spatial_patterns(C, 1, shrinkage=0.0)
    assert len(W) == n_components(1, 3) == 6
    for i in range(3):
        rest = (sum(C) - C[i]) / 2
        top, bottom = W[2 * i], W[2 * i + 1]
        extreme = eigh(C[i], rest, eigvals_only=True)
        assert (top @ C[i] @ top) / (top @ rest @ top) == pytest.approx(extreme[-1])
        assert (bottom @ C[i] @ bottom) / (bottom @ rest @ bottom) == pytest.approx(extreme[0])
    assert n_components(2, 2) == 4


def test_singular_covariances_as_after_an_average_reference_are_no_obstacle():
    C = [np.outer(v, v) for v in np.eye(4)[:2]]
    assert np.isfinite(common_spatial_patterns(C, 2)).all()


def test_each_filter_hears_one_source_and_is_deaf_to_the_other():
    recording, mixing = cued()
    W = fit_spatial(recording.signal, recording.markers, profile(), 1e9)[0]
    gains = np.abs(W @ mixing.T)
    assert gains[0, 0] > 10 * gains[0, 1]
    assert gains[1, 1] > 10 * gains[1, 0]


def test_only_the_training_part_is_learned_from():
    recording, _ = cued(n_trials=36)
    half_s = recording.signal.stamps_s[len(recording.signal.stamps_s) // 2]
    spoilt = dataclasses.replace(recording.signal, samples=recording.signal.samples.copy())
    spoilt.samples[recording.signal.stamps_s >= half_s] *= np.arange(9)
    first = fit_spatial(recording.signal, recording.markers, profile(), half_s)
    np.testing.assert_array_equal(first, fit_spatial(spoilt, recording.markers, profile(), half_s))


@pytest.mark.parametrize("fraction", [0.5, 0.8])
def test_what_is_held_out_does_not_change_the_filters_by_a_single_sample(fraction):
    recording, _ = cued(n_trials=45)
    model, frames = fit_recording(recording, profile(), {}, fraction)
    held_out_s = frames.stamps_s[int(fraction * len(frames.features)) - 1]
    samples = recording.signal.samples.copy()
    samples[recording.signal.stamps_s > held_out_s] = 1e3
    other = dataclasses.replace(recording, signal=dataclasses.replace(recording.signal, samples=samples))
    np.testing.assert_array_equal(fit_recording(other, profile(), {}, fraction)[0].spatial, model.spatial)


def test_the_model_carries_the_filters_to_the_live_pipeline_and_saves_to_the_same_bytes(tmp_path):
    recording, _ = cued()
    for name in ("a.npz", "b.npz"):
        save_model(tmp_path / name, fit_recording(recording, profile(), {})[0])
    assert len({hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.npz", "b.npz")}) == 1
    model = load_model(tmp_path / "a.npz")
    pipeline = make_pipeline(profile(), LABELS, None, spatial=model.spatial)
    assert pipeline.extractor.labels == model.feature_labels == ("CSP1 8-12 Hz", "CSP2 8-12 Hz")


@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_fitted_on_one_session_decodes_another(classes):
    evaluation = evaluate_profile(cued()[0], profile(classes), cued(seed=1)[0])
    assert evaluation.scores[0].cc > 0.75


def test_spatial_filters_without_a_model_are_refused_with_the_way_to_get_one():
    with pytest.raises(ProfileError, match=r"no model that holds them.*bci fit"):
        make_pipeline(profile(), LABELS, None)


def test_filters_of_another_montage_are_refused():
    with pytest.raises(ModelError, match="for 1 bands and 9 channels, not for 1 and 8"):
        make_pipeline(profile(), LABELS[:8], None, spatial=np.ones((1, 2, 9)))


def test_too_few_trials_are_refused_with_their_number():
    recording, _ = cued(n_trials=12)
    with pytest.raises(ModelError, match=r"5 trials of each intention, and \[1.0\] has 4"):
        fit_recording(recording, profile(), {})


def test_a_profile_without_two_different_cues_cannot_learn_filters():
    text = find_profile("eeg_motor_imagery").read_text().replace("T1 = [1.0]\nT2 = [-1.0]\n", "")
    with pytest.raises(ProfileError, match=r"at least 2 different training\.cues"):
        parse_profile(text.replace('kind = "band_power"', 'kind = "band_power"\ncsp_pairs = 2'), "x")


def test_a_component_that_rests_on_masked_channels_is_hidden_and_others_go_on():
    spatial = np.zeros((1, 2, 9))
    spatial[0, 0, 3], spatial[0, 1, :] = 1.0, 1 / 3
    bank = PowerBank(BandPower(bands_hz=((8, 12),), csp_pairs=1), LABELS, RATE_HZ, spatial)
    assert bank.use(np.arange(9) != 3).tolist() == [False, True]
    assert bank.use(np.ones(9, bool)).tolist() == [True, True]


def test_cutting_the_samples_elsewhere_gives_the_same_bits():
    samples = cued()[0].signal.samples[:4000]
    spatial = np.random.default_rng(0).normal(size=(2, 4, 9))
    features = BandPower(bin_ms=50, bands_hz=((8, 12), (18, 26)), csp_pairs=2, reference="laplacian", stack_bins=2)

    def frames(cuts):
        extractor = Extractor(features, LABELS, RATE_HZ, spatial)
        stamps = np.arange(len(samples)) / RATE_HZ
        pairs = zip(np.split(samples, cuts), np.split(stamps, cuts), strict=True)
        return np.array([f.features for x, t in pairs for f in extractor.push(Chunk(x, t))])

    np.testing.assert_array_equal(frames([]), frames([1, 7, 500, 501, 3333]))


def test_projecting_equals_its_numpy_twin():
    random = np.random.default_rng(0)
    samples, weights, out = random.normal(size=(20, 5)), random.normal(size=(5, 3)), np.empty((20, 3))
    project(weights, samples, out)
    np.testing.assert_allclose(out, samples @ weights, atol=1e-12)


@pytest.mark.real
def test_on_real_motor_imagery_the_filters_beat_the_laplacian(real_data):
    """Runs 6 and 10 to fit, run 14 held out: imagined fists against feet."""
    from bci.recording.reader import read_recording

    runs = [read_recording(real_data(f"eegmmidb_S001/S001R{run:02d}.edf")) for run in (6, 10, 14)]
    first, second = runs[0], runs[1]
    shift = first.signal.seconds
    both = dataclasses.replace(
        first.signal,
        samples=np.vstack([first.signal.samples, second.signal.samples]),
        stamps_s=np.concatenate([first.signal.stamps_s, second.signal.stamps_s + shift]),
    )
    train = Recording(both, markers=first.markers + tuple((t + shift, text) for t, text in second.markers))
    base = load_profile(find_profile("eeg_motor_imagery"))
    learned = base.model_copy(update={"features": base.features.model_copy(update={"csp_pairs": 2})})
    scores = [evaluate_profile(train, p, runs[2]).scores[0] for p in (base, learned)]
    assert scores[1].cc > scores[0].cc + 0.05  # .561 and .501
    assert scores[1].r2 > scores[0].r2 + 0.05  # .308 and .240, each at the gain that errs least in training
    assert scores[1].cc > scores[0].cc
