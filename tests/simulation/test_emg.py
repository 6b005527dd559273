"""Simulated EMG: which electrodes see which muscle, and how strongly."""

import numpy as np
import pytest
from scipy.signal import welch

from bci.simulation.emg import BAND_HZ, CONTRACTED_UV, RESTING_UV, TWITCH_S, Emg

RATE_HZ = 1000.0
N, K = 10, 2


def recorded(effort=(0.0, 0.0, 0.0), seconds=10.0, seed=0, **options):
    source = Emg(N, K, RATE_HZ, np.random.default_rng(seed), **options)
    return np.vstack([source.samples(np.array(effort), 20) for _ in range(round(seconds * RATE_HZ / 20))])


def level(samples):
    return samples[500:].std(axis=0)


@pytest.mark.parametrize(
    ("effort", "muscle"),
    [((1.0, 0.0, 0.0), 0), ((0.0, 1.0, 0.0), 1), ((-1.0, 0.0, 0.0), 2), ((0.0, -1.0, 0.0), 3), ((0.0, 0.0, 1.0), 4)],
)
def test_each_way_of_each_output_and_a_squeeze_have_electrodes_of_its_own(effort, muscle):
    rise = level(recorded(effort)) / level(recorded())
    own = np.arange(N) % (2 * K + 1) == muscle
    assert rise[own].min() > 6.0
    assert rise[own].min() > 2.0 * rise[~own].max()


def test_the_amplitude_is_linear_in_the_contraction():
    rest, half, full = (level(recorded((share, 0.0, 0.0)))[0] for share in (0.0, 0.5, 1.0))
    assert rest == pytest.approx(RESTING_UV, rel=0.15)
    assert half - rest == pytest.approx(full - half, rel=0.15)
    assert 0.7 * CONTRACTED_UV < full < 1.1 * CONTRACTED_UV + RESTING_UV


def test_a_weak_muscle_contracts_less():
    rest, strong, weak = (
        level(recorded())[0],
        level(recorded((1.0, 0.0, 0.0)))[0],
        level(recorded((1.0, 0.0, 0.0), clarity=0.2))[0],
    )
    assert weak - rest == pytest.approx(0.2 * (strong - rest), rel=0.3)


def test_a_burst_rises_and_falls_within_a_few_twitches():
    source = Emg(N, K, RATE_HZ, np.random.default_rng(0))
    efforts = [(0.0, 0.0, 0.0)] * 50 + [(1.0, 0.0, 0.0)] * 50 + [(0.0, 0.0, 0.0)] * 50
    signal = np.concatenate([source.samples(np.array(effort), 20)[:, 0] for effort in efforts])
    late = round(1000 * 4 * TWITCH_S)
    before, during, after = signal[:1000].std(), signal[1000 + late : 2000].std(), signal[2000 + late :].std()
    assert during > 8 * before
    assert after < 1.5 * before


def test_its_power_lies_in_the_band_of_surface_emg():
    hz, density = welch(recorded((1.0, 0.0, 0.0))[:, 0], RATE_HZ, nperseg=1024)
    within = density[(hz >= BAND_HZ[0] / 2) & (hz <= 1.3 * BAND_HZ[1])].sum() / density.sum()
    assert within > 0.9


def test_slow_amplifiers_get_what_fits_below_their_limit():
    source = Emg(N, K, 100.0, np.random.default_rng(0))
    assert np.isfinite(source.samples(np.array([1.0, 0.0, 0.0]), 200)).all()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    np.testing.assert_array_equal(recorded(seconds=1.0), recorded(seconds=1.0))
    assert not np.array_equal(recorded(seconds=1.0), recorded(seconds=1.0, seed=1))
