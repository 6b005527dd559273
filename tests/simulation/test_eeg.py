"""Simulated EEG: what fades, where, and by how much."""

import numpy as np
import pytest
from scipy.signal import welch

from bci.simulation import eeg
from bci.simulation.eeg import BLINK_UV, BLINKS_PER_MIN, DEPTH, MAINS_UV, Eeg, places_on_head, seen_by
from bci.simulation.noise import Mains, Pink, Rhythm

LABELS = ("Fp1", "FC3", "C3", "CP3", "Cz", "C4", "Oz", "EMG1")
RATE_HZ = 250.0
REST, RIGHT, LEFT, HANDS, FEET = ([0.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 0.0], [-1.0, 0.0])


def recorded(effort=REST, seconds=120.0, seed=0, labels=LABELS, **options):
    source = Eeg(labels, 2, RATE_HZ, np.random.default_rng(seed), **options)
    blocks = [source.samples(np.array(effort), 10) for _ in range(round(seconds * RATE_HZ / 10))]
    return np.vstack(blocks)[round(2 * RATE_HZ) :]


def power(samples, low_hz, high_hz):
    hz, density = welch(samples, RATE_HZ, nperseg=512, axis=0)
    return density[(hz >= low_hz) & (hz <= high_hz)].sum(axis=0) * (hz[1] - hz[0])


@pytest.fixture
def left_of_the_rhythm(monkeypatch):
    """Share of a rhythm's own power that an effort leaves, each channel: what stays without rhythms is taken off."""

    def measure(effort, band, **options):
        at_rest, active = power(recorded(), *band), power(recorded(effort, **options), *band)
        monkeypatch.setattr(eeg, "RHYTHMS", tuple((hz, width, 0.0) for hz, width, _ in eeg.RHYTHMS))
        background = power(recorded(), *band)
        with np.errstate(invalid="ignore"):  # the last channel sees no brain
            return dict(zip(LABELS, (active - background) / (at_rest - background), strict=True))

    return measure


@pytest.mark.parametrize("band", [(9.5, 11.5), (19.0, 23.0)])
@pytest.mark.parametrize(("effort", "faded", "kept"), [(RIGHT, "C3", "C4"), (LEFT, "C4", "C3"), (FEET, "Cz", "C3")])
def test_mu_and_beta_fade_over_the_side_that_is_imagined_by_the_stated_share(
    left_of_the_rhythm, band, effort, faded, kept
):
    left = left_of_the_rhythm(effort, band)
    assert left[faded] == pytest.approx(1.0 - DEPTH, abs=0.08)
    assert left[kept] == pytest.approx(1.0, abs=0.15)


def test_both_hands_fade_both_sides(left_of_the_rhythm):
    left = left_of_the_rhythm(HANDS, (9.5, 11.5))
    assert left["C3"] == pytest.approx(1.0 - DEPTH, abs=0.08)
    assert left["C4"] == pytest.approx(1.0 - DEPTH, abs=0.08)


def test_an_unclear_participant_fades_less(left_of_the_rhythm):
    assert left_of_the_rhythm(RIGHT, (9.5, 11.5), clarity=0.3)["C3"] == pytest.approx(1.0 - 0.3 * DEPTH, abs=0.1)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    np.testing.assert_array_equal(recorded(seconds=5.0), recorded(seconds=5.0))
    assert not np.array_equal(recorded(seconds=5.0), recorded(seconds=5.0, seed=1))


def test_blinks_are_seen_at_the_front_and_come_as_often_as_stated():
    samples = recorded(seconds=300.0)
    is_high = samples[:, 0] > 0.55 * BLINK_UV
    begins = np.flatnonzero(np.diff(is_high.astype(int)) > 0)
    n_blinks = 1 + np.sum(np.diff(begins) > 0.3 * RATE_HZ)
    assert n_blinks == pytest.approx(5 * BLINKS_PER_MIN, rel=0.35)
    high = [samples[begin : begin + 40].max(axis=0) for begin in begins]
    assert np.mean(high, axis=0)[6] < 0.3 * np.mean(high, axis=0)[0]


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_the_mains_are_where_they_should_be(mains_hz):
    samples = recorded(mains_hz=mains_hz)
    line = power(samples, mains_hz - 1, mains_hz + 1)
    beside = power(samples, mains_hz + 3, mains_hz + 5)
    assert (line > 2 * beside).all()
    assert np.median(line / beside) > 10
    assert (np.sqrt(2 * line) < 1.2 * MAINS_UV).all()


def test_a_channel_that_is_not_on_the_head_sees_no_brain():
    alone = recorded(seconds=10.0, labels=("C3", "AUX7"))[:, 1]
    assert alone.std() < 5.0
    assert recorded(seconds=10.0)[:, 2].std() > 8.0


def test_a_dipole_is_seen_best_right_above_it_and_hardly_from_the_other_side():
    positions = places_on_head()
    seen = seen_by(np.array([positions[name] for name in ("c3", "c1", "cz", "c4", "oz")]), [positions["c3"]])[:, 0]
    assert seen[0] == pytest.approx(1.0)
    assert (np.diff(seen[:3]) < 0).all()
    assert np.abs(seen[3:]).max() < 0.05


def slope(samples, rate_hz, low_hz, high_hz):
    hz, density = welch(samples, rate_hz, nperseg=4096, axis=0)
    used = (hz >= low_hz) & (hz <= high_hz)
    return np.polyfit(np.log(hz[used]), np.log(density[used].mean(axis=1)), 1)[0]


def test_pink_noise_falls_about_as_one_over_f_and_blocks_join():
    noise = Pink(4, RATE_HZ, np.random.default_rng(0))
    samples = np.vstack([noise.take(25) for _ in range(4000)])
    assert slope(samples, RATE_HZ, 0.5, 30.0) == pytest.approx(-1.0, abs=0.2)
    assert samples.std() == pytest.approx(1.0, abs=0.15)
    seams = samples[25::25] - samples[24:-1:25]
    assert seams.std() == pytest.approx(np.diff(samples, axis=0).std(), rel=0.05)


def test_a_rhythm_has_its_frequency_its_width_and_variance_one():
    samples = Rhythm(3, 10.5, 2.0, RATE_HZ, np.random.default_rng(0)).take(100_000)
    hz, density = welch(samples, RATE_HZ, nperseg=2048, axis=0)
    density = density.mean(axis=1)
    above_half = hz[density > density.max() / 2]
    assert hz[np.argmax(density)] == pytest.approx(10.5, abs=0.5)
    assert np.ptp(above_half) == pytest.approx(2.0, abs=0.7)
    assert samples.std() == pytest.approx(1.0, rel=0.05)


def test_the_mains_keep_their_phase_from_block_to_block():
    mains = Mains(50.0, 1000.0, np.random.default_rng(0))
    samples = np.concatenate([mains.take(7) for _ in range(50)])
    assert np.abs(np.diff(samples)).max() < 2 * np.pi * 50.1 / 1000.0
