"""Each kernel against a plain NumPy or SciPy twin, and all of them against the cut into chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from bci.errors import ProfileError
from bci.profile import BandPower, Rates, Spikes, ZScore, parse_profile
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
    "three bins of rates": Rates(bin_ms=25, stack_bins=3),
    "bursts and watch off": BandPower(bin_ms=25, bands_hz=((8, 30),), zscore=ZScore(freeze_s=0), quality=None),
    "broadband": Spikes(bin_ms=25, band_hz=(20, 90), spike_band_hz=(20, 60), stack_bins=2),
    "regression": Spikes(
        bin_ms=25,
        band_hz=(20, 90),
        spike_band_hz=(20, 60),
        reference="regression",
        regression_s=0.6,
        regression_every_s=1.1,
        transform="sqrt",
    ),
    "mean rates": Rates(bin_ms=25, reduce="mean", transform="none", zscore=None),
}


@pytest.mark.parametrize("kind", FEATURES)
@given(cuts=st.lists(st.integers(0, 400), max_size=12).map(sorted), seed=st.integers(0, 20))
def test_cutting_the_same_samples_elsewhere_gives_the_same_features_to_the_bit(kind, cuts, seed):
    samples = recording(seed=seed)
    samples[150 + seed, seed % 9] = np.nan
    samples[200:, 1] = samples[200, 1]  # flat: masked within these two seconds
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
    newest = [i for i, label in enumerate(extractor.labels) if not label.endswith(("bin", "bins"))]
    hidden = [(f.index, extractor.labels[i]) for f in frames for i in newest if not np.isfinite(f.features[i])]
    assert {index for index, _ in hidden} == {100 // extractor.parts.bin_samples}
    assert {label.split()[0] for _, label in hidden} == {MONTAGE[2]}
    assert not any(f.is_missing for f in frames)
    assert not any(np.isinf(f.features).any() for f in frames)


@pytest.mark.parametrize("kind", FEATURES)
def test_a_bin_in_which_every_channel_has_a_bad_sample_is_missing(kind):
    samples = recording()
    samples[100] = np.nan
    extractor = Extractor(FEATURES[kind], MONTAGE, 200.0)
    frames = frames_of(extractor, chunks_of(samples))
    assert [f.index for f in frames if f.is_missing] == [100 // extractor.parts.bin_samples]


@pytest.mark.parametrize("kind", FEATURES)
@given(data=st.data())
def test_whatever_the_samples_hold_every_feature_is_finite_or_hidden(kind, data):
    samples = recording(200)
    for _ in range(data.draw(st.integers(0, 6))):
        start, channel = data.draw(st.integers(0, 199)), data.draw(st.integers(0, 8))
        value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308, 1e14, 0.0, 5e-324]))
        samples[start : start + data.draw(st.integers(1, 200)), channel] = value
    extractor = Extractor(FEATURES[kind], MONTAGE, 200.0)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        frames = frames_of(extractor, chunks_of(samples))
    n = len(extractor.labels)
    for frame in frames:
        assert frame.features.shape == (n,)
        assert not np.isinf(frame.features).any()
    bad = ~(np.abs(samples) <= 1e15)
    size = extractor.parts.bin_samples
    for frame in frames[5:]:  # older bins of a stack exist by then
        stretch = bad[max(0, (frame.index - 4) * size) : (frame.index + 1) * size]
        if not stretch.any() and not extractor.parts.is_masked.any() and not frame.is_missing:
            assert np.isfinite(frame.features).all()


def test_stacked_bins_are_those_of_the_bins_before_newest_first():
    samples = np.random.default_rng(0).poisson(3.0, (60, 2)).astype(float)
    plain = frames_of(Extractor(Rates(bin_ms=10), ("a", "b"), 200.0), chunks_of(samples))
    extractor = Extractor(Rates(bin_ms=10, stack_bins=3), ("a", "b"), 200.0)
    stacked = frames_of(extractor, chunks_of(samples))
    assert extractor.labels == ("a", "b", "a -1 bin", "b -1 bin", "a -2 bins", "b -2 bins")
    for k in range(2, 30):
        np.testing.assert_array_equal(stacked[k].features, np.concatenate([plain[k - j].features for j in range(3)]))
    assert np.isnan(stacked[0].features[2:]).all()  # nothing was there before the first


def test_what_was_lost_is_hidden_in_the_bins_that_look_back_on_it():
    extractor = Extractor(Rates(bin_ms=20, stack_bins=2, zscore=None), ("a",), 50.0)
    frames = extractor.push(Chunk(np.ones((3, 1)), np.arange(3) / 50))
    frames += extractor.push(Chunk(np.ones((3, 1)), 0.1 + np.arange(3) / 50, 2))
    assert [f.is_missing for f in frames] == [False] * 3 + [True] * 2 + [False] * 3
    assert np.isnan(frames[5].features).tolist() == [False, True]
    assert np.isfinite(frames[6].features).all()


def zscored(values, **settings):
    zscore, out = AdaptiveZScore(ZScore(**settings), values.shape[1], 0.02), values.copy()
    means = []
    for row in out:
        zscore.apply(row)
        means.append(zscore.mean.copy())
    return zscore, out, np.array(means)


def test_after_a_burst_the_statistics_stand_still_for_the_stated_time():
    values = np.random.default_rng(0).normal(size=(2000, 10))
    values[600:605, :5] += 50.0
    _, _, means = zscored(values, freeze_s=10.0)
    moves = np.abs(np.diff(means, axis=0)).max(axis=1) > 0
    assert moves[500:599].all()
    assert not moves[599 : 604 + 499].any()
    assert moves[1110:].all()


def test_a_few_features_beyond_the_clip_are_no_burst():
    values = np.random.default_rng(0).normal(size=(1000, 10))
    values[600:605, :3] += 50.0
    zscore, out, _ = zscored(values)
    assert not zscore.is_frozen
    assert out[600:605, :3].min() == 5.0


def test_what_lasts_longer_than_six_freezes_is_the_new_normal():
    values = np.random.default_rng(0).normal(size=(9000, 10))
    values[600:] += 20.0
    _, out, means = zscored(values, freeze_s=5.0, tau_mean_s=20.0, tau_deviation_s=20.0)
    assert np.abs(means[600 + 1490]).max() < 1.0  # thirty seconds later it still waits
    assert np.abs(out[-500:]).mean() < 1.5


def test_the_deviation_stays_as_it_was_after_the_stated_time_and_the_mean_goes_on():
    values = np.random.default_rng(0).normal(size=(3000, 4))
    zscore, _, _ = zscored(values[:500], freeze_deviation_after_s=10.0, burst_share=1.0)
    before = zscore.variance.copy()
    for row in 4.0 * values[500:].copy() + 1.0:
        zscore.apply(row)
    np.testing.assert_array_equal(zscore.variance, before)
    assert zscore.mean.min() > 0.2


def test_a_hidden_feature_teaches_the_z_score_nothing():
    values = np.random.default_rng(0).normal(size=(300, 2))
    gaps = values.copy()
    gaps[100:200, 0] = np.nan
    one, out, _ = zscored(gaps)
    other, _, _ = zscored(np.delete(values, slice(100, 200), axis=0))
    assert np.isnan(out[100:200, 0]).all()
    assert one.mean[0] == other.mean[0]


def zscore_twin(values, k_mean, k_variance, n_deviation, n_freeze, share, floor, clip):
    n = values.shape[1]
    mean, variance, seen, left, run = np.zeros(n), np.zeros(n), np.zeros(n, int), 0, 0
    out = np.full_like(values, np.nan)
    for row, y in zip(out, values, strict=True):
        known = np.isfinite(y)
        judged = known & (seen > 50)
        far = judged & (np.abs(np.where(known, y, 0) - mean) > clip * np.maximum(np.sqrt(variance), floor))
        burst = judged.any() and far.sum() > share * judged.sum()
        left = n_freeze if burst and run < 6 * n_freeze else left
        frozen = left > 0
        run = run + 1 if frozen else run if burst else 0
        left -= frozen
        learns = known & (~np.full(n, frozen) | (seen == 0))
        seen = seen + learns
        m = np.maximum(seen, 1)
        residual = np.where(known, y, 0) - mean
        limit = clip * np.maximum(np.sqrt(variance), floor)
        residual = np.where(seen > 50, np.clip(residual, -limit, limit), residual)
        k = np.maximum(k_mean, 1 / m)
        mean = mean + np.where(learns, k * residual, 0)
        kv = np.where(seen <= n_deviation, np.maximum(k_variance, 1 / m), 0)
        variance = variance + np.where(learns, kv * ((1 - k) * residual**2 - variance), 0)
        z = np.clip((y - mean) / np.maximum(np.sqrt(variance), floor), -clip, clip)
        row[known] = z[known]
    return out


@given(seed=st.integers(0, 1000))
def test_the_z_score_equals_its_numpy_twin(seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=(400, 5))
    values[random.random((400, 5)) < 0.02] = np.nan
    for start in random.integers(100, 400, 3):
        values[start : start + 8, : random.integers(1, 6)] += 30
    settings = {"tau_mean_s": 2.0, "tau_deviation_s": 4.0, "freeze_s": 0.4, "freeze_deviation_after_s": 5.0}
    _, ours, _ = zscored(values, **settings)
    np.testing.assert_allclose(ours, zscore_twin(values, 0.01, 0.005, 250, 20, 0.3, 1e-3, 5.0), rtol=1e-9)


@pytest.mark.parametrize(
    ("channels", "complaint"),
    [
        (("C3", "Cz", "C4"), "needs more than 4 channels, there are 3"),
        ((*MONTAGE, "O1"), "3 electrodes within 85 mm of each channel, and O1 has fewer"),
    ],
)
def test_a_montage_without_enough_neighbours_is_refused_with_the_channels_that_lack_them(channels, complaint):
    with pytest.raises(ProfileError, match=complaint):
        Extractor(FEATURES["band power"], channels, 200.0)


def test_the_small_laplacian_of_a_64_channel_cap_takes_the_next_electrode_in_each_direction():
    rows = ("F", "FC", "C", "CP", "P")
    cap = tuple(f"{row}{column}" for row in rows for column in ("3", "1", "z", "2", "4"))
    neighbours, is_near = nearest(cap)
    for centre, around in {"C1": {"FC1", "CP1", "C3", "Cz"}, "FCz": {"Fz", "Cz", "FC1", "FC2"}}.items():
        assert {cap[i] for i in neighbours[cap.index(centre)]} == around
    assert is_near.all()


def test_normalisation_and_watch_can_be_switched_off_in_a_profile():
    text = """
    schema_version = 1
    name = "plain"
    [stream]
    name = "Rates"
    n_channels = 2
    rate_hz = 50
    [features]
    kind = "rates"
    zscore = false
    quality = false
    [decoder]
    outputs = ["vx"]
    [device]
    [[device.maps]]
    intent = "vx"
    axis = "x"
    gain = 1.0
    """
    features = parse_profile(text, "x").features
    assert features.zscore is None
    assert features.quality is None
