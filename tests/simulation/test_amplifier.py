"""A simulated amplifier: the stream that a profile describes, through electrodes that age."""

import dataclasses

import numpy as np
import pytest

from bci.configs import shipped_profiles
from bci.errors import ProfileError
from bci.profile import Profile, Spikes, load_profile
from bci.signals.features import Extractor
from bci.simulation.amplifier import Amplifier
from bci.simulation.drift import BURST_HEIGHT, Ageing, Drift
from bci.simulation.source import channel_labels, encoder_of
from bci.types import Chunk

PROFILES = {name: load_profile(path) for name, path in shipped_profiles().items()}


def broadband_profile(n=8):
    base = PROFILES["intracortical_rates"]
    stream = base.stream.model_copy(update={"n_channels": n, "rate_hz": 30_000.0, "unit": "microvolts"})
    return base.model_copy(update={"stream": stream, "features": Spikes(reference="none", zscore=None)})


ALL = {**PROFILES, "broadband": broadband_profile()}


def recorded(profile, effort=None, seconds=2.0, **options):
    amplifier = Amplifier(profile, **options)
    effort = np.zeros(len(profile.decoder.outputs) + 1) if effort is None else np.array(effort)
    n_blocks = round(seconds / amplifier.block_s)
    return np.vstack([amplifier.samples(effort, amplifier.n_samples) for _ in range(n_blocks)])


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("simulated", "counts"), ("intracortical_rates", "counts"), ("eeg_motor_imagery", "eeg"), ("emg_openbci", "emg"),
     ("broadband", "broadband")],
)  # fmt: skip
def test_each_profile_gets_the_signals_that_it_decodes(name, encoder):
    assert encoder_of(ALL[name]) == encoder


@pytest.mark.parametrize("name", ALL)
def test_the_stream_is_as_its_profile_says_and_its_features_can_be_computed(name):
    profile: Profile = ALL[name]
    samples, labels = recorded(profile), channel_labels(profile)
    assert len(set(labels)) == profile.stream.n_channels
    assert samples.shape == (round(2.0 * profile.stream.rate_hz), profile.stream.n_channels)
    chosen = [labels.index(channel) for channel in profile.stream.channels or labels]
    extractor = Extractor(profile.features, [labels[i] for i in chosen], profile.stream.rate_hz)
    frames = extractor.push(Chunk(samples[:, chosen], np.arange(len(samples)) / profile.stream.rate_hz))
    assert len(frames) > 10
    assert not any(frame.is_missing for frame in frames)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(name):
    drift = Drift(1000.0, 0.5, 0.5, 0.5, 0.5, 20.0)
    one, same, other = (recorded(ALL[name], seconds=0.5, drift=drift, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("encoder", ["counts", "linear"])
def test_features_tell_the_effort_linearly_also_the_squeeze(encoder):
    profile, amplifier = PROFILES["simulated"], Amplifier(PROFILES["simulated"], encoder, seed=3)
    efforts = np.random.default_rng(0).uniform(-1, 1, size=(3000, 5))
    efforts[:, 4] = np.abs(efforts[:, 4])
    samples = np.vstack([amplifier.samples(effort, 1) for effort in efforts])
    half = len(efforts) // 2
    design = np.column_stack([samples, np.ones(len(samples))])
    weights = np.linalg.lstsq(design[:half], efforts[:half], rcond=None)[0]
    told = design[half:] @ weights
    correlations = [np.corrcoef(told[:, i], efforts[half:, i])[0, 1] for i in range(5)]
    assert min(correlations[:4]) > 0.4  # one bin alone; chance is 0
    assert correlations[4] > 0.2
    assert len(profile.decoder.outputs) == 4


def test_an_unclear_participant_tells_less():
    def told(clarity):
        up, down = (recorded(PROFILES["simulated"], [way, 0, 0, 0, 0], 20.0, clarity=clarity) for way in (1.0, -1.0))
        return np.linalg.norm(up.mean(axis=0) - down.mean(axis=0))

    assert told(0.1) < 0.4 * told(1.0)


def test_eeg_of_more_than_two_outputs_is_refused_with_a_remedy():
    profile = PROFILES["simulated"]
    with pytest.raises(ProfileError, match="EEG with 4 outputs"):
        Amplifier(profile, "eeg")


def aged(drift, seconds=60.0, n=400, dt_s=0.02):
    ageing = Ageing(drift, np.full(n, 2.0), np.random.default_rng(0))
    rows = np.ones((round(seconds / dt_s), n))
    for row in rows:
        ageing.apply(row[None], dt_s)
    return rows


def test_without_drift_the_electrodes_change_nothing():
    np.testing.assert_array_equal(aged(Drift(), 1.0), 1.0)


def test_electrodes_die_at_the_stated_rate_and_stay_dead():
    rows = aged(Drift(deaths_per_min=0.2))
    assert np.mean(rows[-1] == 0.0) == pytest.approx(1 - np.exp(-0.2), abs=0.06)
    assert (np.diff(rows, axis=0) <= 0).all()


def test_impedances_change_at_the_stated_rate():
    rows = aged(Drift(gains_per_min=0.2))
    assert np.mean(rows[-1] != 1.0) == pytest.approx(1 - np.exp(-0.2), abs=0.06)
    assert rows.min() >= 0.6**4


def test_bursts_are_on_every_electrode_at_once_as_high_and_as_long_as_stated():
    rows = aged(Drift(bursts_per_min=30.0), 300.0, n=4)
    is_high = rows[:, 0] > 1.0
    np.testing.assert_array_equal(rows[is_high], 1.0 + 2.0 * BURST_HEIGHT)
    n_bursts = np.sum(np.diff(is_high.astype(int)) > 0)
    assert n_bursts == pytest.approx(150, rel=0.25)
    assert is_high.sum() * 0.02 / n_bursts == pytest.approx(0.12, abs=0.03)


def test_means_wander_in_deviations_of_the_noise_and_step():
    wandering = aged(Drift(wander=0.5), 600.0, dt_s=1.0)[-1] - 1.0
    assert wandering.std() == pytest.approx(2.0 * 0.5 * np.sqrt(1 - np.exp(-2.0)), rel=0.15)
    stepped = aged(Drift(steps_per_min=0.3))[-1]
    assert np.mean(stepped != 1.0) == pytest.approx(1 - np.exp(-0.3), abs=0.07)


def test_every_kind_of_drift_has_a_test_here():
    assert {field.name for field in dataclasses.fields(Drift)} == {
        "time_lapse", "wander", "steps_per_min", "gains_per_min", "deaths_per_min", "bursts_per_min",
        "dropouts_per_min",
    }  # fmt: skip


def test_a_time_lapse_turns_the_tuning_of_linear_features_and_of_neurons():
    effort = [1.0, 0.0, 0.0, 0.0, 0.0]
    for encoder in ("counts", "linear"):
        profile, overlap = PROFILES["simulated"], []
        for time_lapse in (1.0, 20_000.0):
            amplifier = Amplifier(profile, encoder, drift=Drift(time_lapse=time_lapse), seed=4)

            def mean(effort, amplifier=amplifier):
                return amplifier.samples(np.array(effort), 1000).mean(axis=0)

            before = mean(effort) - mean([-value for value in effort])
            for _ in range(30):
                amplifier.samples(np.zeros(5), 100)
            after = mean(effort) - mean([-value for value in effort])
            overlap.append(np.corrcoef(before, after)[0, 1])
        assert overlap[1] < 0.6 * overlap[0], encoder
