"""Broadband voltages with spikes whose times are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.errors import ProfileError
from bci.profile import Spikes, parse_profile
from bci.signals.features import Extractor
from bci.signals.filters import design_bandpass
from bci.signals.spikes import DEVIATION, SpikeBank, cross, rectify
from bci.types import Chunk

RATE_HZ = 30_000.0
NOISE = 10.0  # microvolts
LABELS = ("e1", "e2", "e3", "e4")


def broadband(seconds=1.0, spikes_hz=(40, 0, 10, 5), amplitude=120.0, seed=0):
    """Noise with negative-going spikes; returns the samples and each channel's spike times in samples."""
    random = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    samples = NOISE * random.normal(size=(n, len(spikes_hz)))
    shape = -amplitude * np.exp(-0.5 * ((np.arange(30) - 8) / 3.0) ** 2)
    shape[14:] += 0.4 * amplitude * np.exp(-0.5 * ((np.arange(16) - 5) / 4.0) ** 2)
    times = []
    for c, rate in enumerate(spikes_hz):
        at = 4000 + np.sort(random.choice(np.arange(0, n - 4100, 60), round(rate * seconds), replace=False))
        for t in at:
            samples[t : t + 30, c] += shape
        times.append(at)
    return samples, times


def push(bank, samples, cuts=()):
    return np.vstack([bank.push(part).copy() for part in np.split(samples, cuts)])


def test_every_spike_is_counted_once_and_noise_hardly_ever():
    samples, times = broadband(seconds=3.0)
    bank = SpikeBank(Spikes(reference="none", measures=("crossings",), threshold=-5.0), LABELS, RATE_HZ)
    found = push(bank, samples)
    for c, at in enumerate(times):
        crossings = np.flatnonzero(found[:, c])
        assert len(crossings) == pytest.approx(len(at), abs=1)
        if len(at):
            delays = crossings[:, None] - at[None, :]
            assert np.mean(((delays >= 0) & (delays < 30)).any(axis=0)) > 0.99


def test_the_noise_is_estimated_robustly():
    """A hundred spikes a second raise the root mean square by half, the threshold hardly."""
    samples, _ = broadband(seconds=3.0, spikes_hz=(100, 0, 0, 0))
    quiet, _ = broadband(seconds=3.0, spikes_hz=(0, 0, 0, 0))
    banks = [SpikeBank(Spikes(reference="none"), LABELS, RATE_HZ) for _ in range(2)]
    push(banks[0], samples), push(banks[1], quiet)
    assert banks[0].deviation[0] < 1.15 * banks[1].deviation[0]
    sos = design_bandpass(250, 5000, 2, RATE_HZ)
    from scipy.signal import sosfilt

    assert banks[1].deviation[0] == pytest.approx(np.std(sosfilt(sos, quiet[:, 0])), rel=0.03)


def test_the_threshold_follows_noise_that_grows():
    samples = NOISE * np.random.default_rng(0).normal(size=(90_000, 2))
    samples[30_000:] *= 3.0
    bank = SpikeBank(Spikes(reference="none", adapt_s=0.3), LABELS[:2], RATE_HZ)
    push(bank, samples[:30_000])
    before = bank.deviation
    push(bank, samples[30_000:])
    np.testing.assert_allclose(bank.deviation / before, 3.0, rtol=0.15)


@given(cuts=st.lists(st.integers(0, 9000), max_size=10).map(sorted), seed=st.integers(0, 5))
def test_cutting_the_samples_elsewhere_gives_the_same_bits(cuts, seed):
    samples, _ = broadband(seconds=0.3, seed=seed)
    whole = push(SpikeBank(Spikes(), LABELS, RATE_HZ), samples)
    pieces = push(SpikeBank(Spikes(), LABELS, RATE_HZ), samples, cuts)
    np.testing.assert_array_equal(whole, pieces)


def twin(x, multiple, k, n_settling, n_refractory, n_blank, least):
    """One sample after the other, as the docstring says it."""
    median, last, above, until = np.zeros(x.shape[1]), np.full(x.shape[1], -(10**9)), np.zeros(x.shape[1], bool), -1
    found, blanks = np.zeros_like(x), np.zeros(len(x), bool)
    for i, row in enumerate(x):
        if i < n_settling:
            median += (0.6745 / 0.7979 * np.abs(row) - median) / (i + 1)
            continue
        now = np.sign(multiple) * row > abs(multiple) / 0.6745 * median
        if now.sum() >= least:
            until = i + n_blank
        if i < until:
            blanks[i], above = True, np.ones_like(above)
            continue
        fires = now & ~above & (i - last >= n_refractory)
        found[i, fires], last[fires], above = 1.0, i, now
        step = max(k, 1 / (0.857 * (i + 1)))
        median *= np.where(np.abs(row) > median, 1 + step, 1 - step)
    return found, blanks, median


@given(
    seed=st.integers(0, 1000),
    multiple=st.sampled_from([-4.5, -2.0, 3.0]),
    n_refractory=st.integers(1, 30),
    n_blank=st.integers(1, 20),
    least=st.integers(2, 5),
)
def test_crossings_equal_their_numpy_twin(seed, multiple, n_refractory, n_blank, least):
    x = np.random.default_rng(seed).standard_t(3, size=(600, 4))
    x[300:303] *= 50
    n, seen, blank = 4, np.zeros(1, np.int64), np.zeros(1, np.int64)
    median, since, above = np.zeros(n), np.full(n, 10**9), np.zeros(n, bool)
    found, blanks = np.empty_like(x), np.empty(len(x), bool)
    cross(x, multiple, 1e-4, 50, n_refractory, n_blank, least, seen, blank, median, since, above, found, blanks)
    theirs = twin(x, multiple, 1e-4, 50, n_refractory, n_blank, least)
    np.testing.assert_array_equal(found, theirs[0])
    np.testing.assert_array_equal(blanks, theirs[1])
    np.testing.assert_allclose(median, theirs[2])


def test_an_artifact_on_many_channels_counts_as_no_spike_and_leaves_the_power_alone():
    samples, _ = broadband(spikes_hz=(0, 0, 0, 0))
    clean = push(SpikeBank(Spikes(reference="none"), LABELS, RATE_HZ), samples)
    spoilt = samples.copy()
    spoilt[15_000:15_015] -= 3000.0
    found = push(SpikeBank(Spikes(reference="none", blank_ms=10.0), LABELS, RATE_HZ), spoilt)
    assert found[:, :4].sum() <= clean[:, :4].sum() + 1
    assert found[14_000:16_000, 4:].mean() < 1.3 * clean[14_000:16_000, 4:].mean()


def test_a_blanked_sample_has_the_level_of_the_channel():
    samples, level, out = np.full((3, 1), -2.0), np.array([1.0]), np.empty((3, 1))
    rectify(samples, np.array([False, True, False]), 0.5, level, out)
    assert out[:, 0].tolist() == [2.0, 1.5, 2.0]


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_dead_channel_never_fires(value):
    samples, _ = broadband()
    samples[:, 1] = value
    found = push(SpikeBank(Spikes(reference="none"), LABELS, RATE_HZ), samples)
    assert found[:, 1].sum() == 0
    assert np.isfinite(found).all()


def test_frames_hold_counts_and_mean_rectified_voltage():
    samples, times = broadband()
    extractor = Extractor(Spikes(reference="none", zscore=None, bin_ms=50), LABELS, RATE_HZ)
    frames = extractor.push(Chunk(samples, np.arange(len(samples)) / RATE_HZ))
    assert extractor.labels[0] == "e1 crossings"
    assert extractor.labels[4] == "e1 spike-band power"
    counts = np.array([frame.features for frame in frames])
    assert counts[:, 0].sum() == pytest.approx(len(times[0]), abs=2)
    assert counts[5:, 4].mean() > 1.1 * counts[5:, 5].mean()  # the channel with spikes has more power
    assert pytest.approx(1.4826, abs=1e-4) == DEVIATION


def test_a_profile_of_broadband_voltages_is_checked():
    text = """
    schema_version = 1
    name = "utah"
    [stream]
    name = "Broadband"
    n_channels = 96
    rate_hz = {rate}
    [features]
    kind = "spikes"
    threshold = {threshold}
    [decoder]
    outputs = ["vx"]
    [device]
    [[device.maps]]
    intent = "vx"
    axis = "shoulder"
    gain = 1.0
    """
    assert parse_profile(text.format(rate=30000, threshold=-4.5), "x").features.kind == "spikes"
    with pytest.raises(ProfileError, match="5000 Hz is not below half"):
        parse_profile(text.format(rate=10000, threshold=-4.5), "x")
    with pytest.raises(ProfileError, match="at least 1 deviation"):
        parse_profile(text.format(rate=30000, threshold=0.5), "x")


def test_a_chunk_allocates_little_more_than_its_frame():
    """Buffers are made once: a chunk of 450 kB leaves and needs less than 8 kB."""
    import tracemalloc

    extractor = Extractor(Spikes(reference="regression", regression_s=0.1), [f"e{i}" for i in range(96)], RATE_HZ)
    samples = NOISE * np.random.default_rng(0).normal(size=(600, 96))
    chunk = Chunk(samples, np.arange(600) / RATE_HZ)
    for _ in range(20):
        extractor.push(chunk)
    tracemalloc.start()
    try:
        frames = extractor.push(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(frames) == 1
    assert peak < 8192 < samples.nbytes
