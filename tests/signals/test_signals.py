"""Each kernel against a plain NumPy or SciPy twin, and all of them against the cut into chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from bci.errors import ProfileError
from bci.profile import BandPower, Rates, ZScore
from bci.signals.features import Extractor
from bci.signals.filters import design_bandpass, design_notch, filter_sections, settled_state
from bci.signals.normalise import AdaptiveZScore
from bci.signals.power import follow_power
from bci.signals.reference import nearest, subtract_average, subtract_mean_of
from bci.types import Chunk

MONTAGE = ("FC3", "FCz", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4")


def recording(n_samples=400, n_channels=9, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, n_channels)) * 20 + 300


def chunks_of(samples, cuts=(), rate_hz=200.0):
    stamps = 10 + np.arange(len(samples)) / rate_hz
    return [
        Chunk(part, time)
        for part, time in zip(np.split(samples, cuts), np.split(stamps, cuts), strict=True)
        if len(part)
    ]


def frames_of(extractor, chunks):
    return [frame for chunk in chunks for frame in extractor.push(chunk)]


FEATURES = {
    "band power": BandPower(
        bin_ms=40, reference="laplacian", notch_hz=50.0, bands_hz=((8, 12), (18, 26)), window_ms=300
    ),
    "average reference": BandPower(bin_ms=25, reference="average", bands_hz=((8, 30),), zscore=None),
    "envelope": BandPower(bin_ms=25, bands_hz=((20, 90),), measure="envelope"),
    "rates": Rates(bin_ms=25),
    "mean rates": Rates(bin_ms=25, reduce="mean", transform="none", zscore=None),
}


@pytest.mark.parametrize("kind", FEATURES)
@given(cuts=st.lists(st.integers(0, 400), max_size=12).map(sorted), seed=st.integers(0, 20))
def test_cutting_the_same_samples_elsewhere_gives_the_same_features_to_the_bit(kind, cuts, seed):
    samples = recording(seed=seed)
    whole = frames_of(Extractor(FEATURES[kind], MONTAGE, 200.0), chunks_of(samples))
    pieces = frames_of(Extractor(FEATURES[kind], MONTAGE, 200.0), chunks_of(samples, cuts))
    assert [f.index for f in pieces] == list(range(len(whole)))
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        assert one.stamp_s == other.stamp_s


def test_the_filter_equals_scipy_and_begins_settled():
    samples = recording()
    sos = np.vstack([design_notch(50, 200), design_bandpass(8, 30, 4, 200)])
    ours = np.empty_like(samples)
    filter_sections(sos, settled_state(sos, samples[0]), samples, ours)
    zi = signal.sosfilt_zi(sos)[:, :, None] * samples[0]
    theirs, _ = signal.sosfilt(sos, samples, axis=0, zi=zi)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert np.abs(ours).max() < 200  # an offset of 300 leaves no transient


def test_the_notch_removes_the_line_and_leaves_its_neighbours():
    sos = design_notch(50, 1000)
    _, response = signal.sosfreqz(sos, worN=[50, 40], fs=1000)
    assert abs(response[0]) < 1e-6
    assert abs(response[1]) > 0.99


def test_the_common_average_has_zero_mean_over_channels():
    samples = recording()
    out = np.empty_like(samples)
    subtract_average(np.full(9, 1 / 9), samples, out)
    np.testing.assert_allclose(out, samples - samples.mean(axis=1, keepdims=True), atol=1e-9)


def test_the_laplacian_subtracts_the_mean_of_the_neighbours():
    samples, (neighbours, _) = recording(), nearest(MONTAGE)
    out = np.empty_like(samples)
    subtract_mean_of(neighbours, np.full(neighbours.shape, 0.25), samples, out)
    np.testing.assert_allclose(out, samples - samples[:, neighbours].mean(axis=2), atol=1e-9)


def test_the_neighbours_of_a_central_electrode_surround_it():
    neighbours, _ = nearest(MONTAGE)
    around = {MONTAGE[i] for i in neighbours[MONTAGE.index("Cz")]}
    assert around == {"FCz", "CPz", "C3", "C4"}


def test_a_laplacian_without_electrode_positions_names_the_channel():
    with pytest.raises(ProfileError, match="EMG7 is not in the 10-05 system"):
        nearest(("C3", "Cz", "C4", "CPz", "FCz", "EMG7"))


def test_band_power_of_a_sine_is_half_its_squared_amplitude():
    features = BandPower(bin_ms=50, bands_hz=((8, 12),), window_ms=500, zscore=None)
    t = np.arange(4000) / 200
    frames = frames_of(Extractor(features, ("C3",), 200.0), chunks_of(6 * np.sin(2 * np.pi * 10 * t)[:, None]))
    power = np.exp([f.features[0] for f in frames[-20:]])
    assert power.mean() == pytest.approx(18.0, rel=0.03)


def test_the_envelope_of_a_sine_is_its_mean_rectified_value():
    features = BandPower(bin_ms=50, bands_hz=((8, 12),), window_ms=500, measure="envelope", zscore=None)
    t = np.arange(4000) / 200
    frames = frames_of(Extractor(features, ("biceps",), 200.0), chunks_of(6 * np.sin(2 * np.pi * 10 * t)[:, None]))
    assert np.mean([f.features[0] for f in frames[-20:]]) == pytest.approx(6 * 2 / np.pi, rel=0.03)


def test_power_is_an_exponential_window():
    samples = recording(50, 2)
    power = np.zeros(2)
    follow_power(0.1, samples, power)
    weights = 0.1 * 0.9 ** np.arange(50)[::-1]
    np.testing.assert_allclose(power, weights @ samples**2)


def test_the_z_score_starts_as_plain_statistics():
    values = np.random.default_rng(3).normal(5, 2, size=(200, 4))
    zscore = AdaptiveZScore(ZScore(tau_mean_s=1e6, tau_deviation_s=1e6), 4, 0.02)
    for row in values.copy():
        zscore.apply(row)
    np.testing.assert_allclose(zscore.mean, values.mean(axis=0), rtol=1e-2)
    np.testing.assert_allclose(np.sqrt(zscore.variance), values.std(axis=0), rtol=2e-2)


@given(outlier=st.floats(1e3, 1e300))
def test_a_burst_neither_leaves_the_clip_nor_poisons_the_statistics(outlier):
    zscore = AdaptiveZScore(ZScore(), 1, 0.02)
    random = np.random.default_rng(1)
    for _ in range(500):
        zscore.apply(random.normal(size=1))
    before = zscore.mean.copy()
    burst = np.array([outlier])
    zscore.apply(burst)
    assert burst[0] == 5.0
    assert abs(zscore.mean - before) < 0.01


def test_counts_are_summed_and_square_rooted():
    samples = np.full((10, 3), 8.0)
    frames = frames_of(Extractor(Rates(bin_ms=10, zscore=None), ("a", "b", "c"), 200.0), chunks_of(samples))
    np.testing.assert_array_equal([f.features for f in frames], np.full((5, 3), 4.0))


@given(n_lost=st.integers(1, 40), filled=st.integers(1, 9))
def test_bins_with_lost_samples_are_missing_and_later_bins_keep_their_places(n_lost, filled):
    samples = np.ones((60, 1))
    stamps = np.arange(60 + n_lost) / 200
    extractor = Extractor(Rates(bin_ms=25, transform="none", zscore=None), ("a",), 200.0)
    frames = extractor.push(Chunk(samples[:filled], stamps[:filled]))
    frames += extractor.push(Chunk(samples[filled:], stamps[filled + n_lost :], n_lost))
    lost = set(range(filled, filled + n_lost))
    assert [f.index for f in frames] == list(range((60 + n_lost) // 5))
    for frame in frames:
        places = set(range(5 * frame.index, 5 * frame.index + 5))
        assert frame.is_missing == bool(places & lost)
        assert frame.stamp_s == pytest.approx(stamps[5 * frame.index + 4])
        if not frame.is_missing:
            assert frame.features[0] == 5.0


def test_a_gap_of_hours_is_counted_and_not_told_bin_by_bin():
    extractor = Extractor(Rates(bin_ms=20), ("a",), 50.0)
    frames = extractor.push(Chunk(np.ones((1, 1)), np.array([7200.0]), 360_000))
    assert len(frames) <= 501
    assert frames[-1].index == 360_000


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 1e308, -1e308])
def test_a_sample_that_is_no_number_hides_its_channel_in_its_bin_and_harms_nothing_else(kind, nonsense):
    samples = recording()
    samples[100, 2] = nonsense
    extractor = Extractor(FEATURES[kind], MONTAGE, 200.0)
    frames = frames_of(extractor, chunks_of(samples))
    hidden = [(f.index, extractor.labels[i]) for f in frames for i in np.flatnonzero(~np.isfinite(f.features))]
    assert {index for index, _ in hidden} == {100 // extractor.parts.bin_samples}
    assert {label.split()[0] for _, label in hidden} == {MONTAGE[2]}
    assert not any(f.is_missing for f in frames)


@pytest.mark.parametrize("kind", FEATURES)
def test_a_bin_in_which_every_channel_has_a_bad_sample_is_missing(kind):
    samples = recording()
    samples[100] = np.nan
    extractor = Extractor(FEATURES[kind], MONTAGE, 200.0)
    frames = frames_of(extractor, chunks_of(samples))
    assert [f.index for f in frames if f.is_missing] == [100 // extractor.parts.bin_samples]
