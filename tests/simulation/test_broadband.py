"""Simulated broadband voltage: our own detector finds what was planted, where it was planted."""

import numpy as np
import pytest
from scipy.signal import welch

from bci.profile import Spikes
from bci.signals.features import Extractor
from bci.signals.spikes import SpikeBank
from bci.simulation.broadband import Broadband, place_spikes, waveform
from bci.simulation.neurons import Neurons
from bci.types import Chunk

RATE_HZ = 30_000.0
N = 8
REST = np.zeros(2)


def source(seed=0, n=N):
    return Broadband(Neurons(n, 2, np.random.default_rng(seed)), RATE_HZ, np.random.default_rng([seed, 1]))


def recorded(seconds=4.0, seed=0, block=600, effort=REST):
    voltage = source(seed)
    samples = np.vstack([voltage.samples(effort, block) for _ in range(round(seconds * RATE_HZ / block))])
    return samples, voltage.n_spikes


def test_our_own_detector_counts_the_spikes_that_were_planted():
    samples, planted = recorded(6.0)
    bank = SpikeBank(Spikes(reference="none", measures=("crossings",)), tuple("abcdefgh"), RATE_HZ)
    found = bank.push(samples).sum(axis=0)
    assert planted.min() > 20
    np.testing.assert_allclose(found, planted, rtol=0.12, atol=4)


def test_the_detector_finds_each_spike_at_its_time():
    n_samples = round(2 * RATE_HZ)
    random = np.random.default_rng(0)
    out = 6.0 * random.normal(size=(n_samples, 1))
    shape = 90.0 * waveform(RATE_HZ)[None]
    when = np.sort(random.choice(np.arange(6000, n_samples - 100, 90), 40, replace=False))[None]
    place_spikes(out, np.array([40]), when, shape, 45, np.array([-45]), np.zeros((shape.shape[1], 1)))
    bank = SpikeBank(Spikes(reference="none", measures=("crossings",)), ("e",), RATE_HZ)
    crossings = np.flatnonzero(bank.push(out)[:, 0])
    delays = crossings[:, None] - when
    assert ((delays >= 0) & (delays < 30)).any(axis=0).all()


def test_spikes_follow_the_effort_of_their_neuron():
    neurons = Neurons(N, 2, np.random.default_rng(3))
    best = int(np.argmax(neurons.depth_hz))
    preferred = neurons.directions[best].copy()
    _, there = recorded(4.0, 3, effort=preferred)
    _, back = recorded(4.0, 3, effort=-preferred)
    assert there[best] > back[best] + 4 * neurons.depth_hz[best]


def test_features_of_the_profile_see_the_direction():
    features = Spikes(reference="none", zscore=None, measures=("crossings",))

    def rates(effort):
        samples, _ = recorded(4.0, 3, effort=np.array(effort))
        extractor = Extractor(features, [f"e{i}" for i in range(N)], RATE_HZ)
        frames = extractor.push(Chunk(samples, np.arange(len(samples)) / RATE_HZ))
        return np.mean([frame.features for frame in frames], axis=0) / 0.02

    neurons = Neurons(N, 2, np.random.default_rng(3))
    tuned = neurons.depth_hz > 3
    expected = 2 * (neurons.depth_hz * neurons.directions[:, 0])[tuned]
    difference = (rates((1.0, 0.0)) - rates((-1.0, 0.0)))[tuned]
    assert np.corrcoef(difference, expected)[0, 1] > 0.9


@pytest.mark.parametrize("block", [1, 7, 600, 3000])
def test_a_spike_is_whole_however_blocks_are_cut(block):
    shape = waveform(RATE_HZ)[None]
    n_samples, at = 6000, (100, 2995, 5998)
    whole, tail = np.zeros((n_samples, 1)), np.zeros((shape.shape[1], 1))
    place_spikes(whole, np.array([3]), np.array([at]), shape, 45, np.array([-45]), tail)
    parts, last, tail = [], np.array([-45]), np.zeros((shape.shape[1], 1))
    for begin in range(0, n_samples, block):
        inside = [t - begin for t in at if begin <= t < begin + block]
        out = np.zeros((min(block, n_samples - begin), 1))
        when = np.array([inside + [0] * (3 - len(inside))])
        place_spikes(out, np.array([len(inside)]), when, shape, 45, last, tail)
        parts.append(out)
    np.testing.assert_allclose(np.vstack(parts), whole, atol=1e-12)


def test_a_neuron_rests_after_each_spike():
    shape = waveform(RATE_HZ)[None]
    out, last = np.zeros((600, 1)), np.array([-10])  # the last one was ten samples before this block
    placed = place_spikes(out, np.array([4]), np.array([[5, 100, 120, 300]]), shape, 45, last, np.zeros((48, 1)))
    assert placed[0] == 2
    assert last[0] == 300 - 600


def test_a_waveform_has_a_short_trough_and_a_slower_hump():
    shape = waveform(RATE_HZ)
    assert shape.min() == pytest.approx(-1.0)
    below_half = np.sum(shape < -0.5) / RATE_HZ
    assert 0.0002 < below_half < 0.0005
    assert 0.15 < shape.max() < 0.5
    assert np.abs(shape[[0, -1]]).max() < 0.02


def test_below_the_spikes_there_is_field_potential_and_mains():
    samples, _ = recorded(8.0)
    hz, density = welch(samples, RATE_HZ, nperseg=30_000, axis=0)
    density = density.mean(axis=1)
    assert density[(hz > 1) & (hz < 10)].mean() > 100 * density[(hz > 300) & (hz < 1000)].mean()
    assert density[hz == 50][0] > 2 * density[(hz >= 45) & (hz <= 55) & (np.abs(hz - 50) > 2)].mean()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    np.testing.assert_array_equal(recorded(0.2)[0], recorded(0.2)[0])
    assert not np.array_equal(recorded(0.2)[0], recorded(0.2, seed=1)[0])
