"""A source that keeps sending and tells nothing is found within bins, and no real or slow source is taken for one."""

import numpy as np
import pytest

from bci.pipeline import make_pipeline
from bci.profile import parse_profile
from bci.recording.reader import read_recording
from bci.signals.standstill import Standstill
from bci.types import Chunk

N = 96


def counts(n_bins=1200, rate=0.5, n=N, seed=0):
    return np.random.default_rng(seed).poisson(rate, size=(n_bins, n)).astype(np.float64)


def without_signal(samples, bin_samples=1, bin_s=0.05, changes=0.01):
    """Bins told as without signal, boolean."""
    watch, found = Standstill(samples.shape[1], bin_samples, bin_s, changes), []
    for start in range(0, len(samples) - bin_samples + 1, bin_samples):
        watch.observe(samples[start : start + bin_samples])
        watch.end_bin()
        found.append(watch.n_bins > 0)
    return np.array(found)


KINDS = {
    "zeros": lambda x: np.zeros_like(x),
    "the last frame": lambda x: np.repeat(x[:1], len(x), axis=0),
    "one value on all": lambda x: np.repeat(x[:, :1], x.shape[1], axis=1) + np.arange(len(x))[:, None] % 2,
    "one waveform on all": lambda x: np.sin(np.arange(len(x)))[:, None] + np.arange(x.shape[1]),
    "a counter": lambda x: np.arange(len(x), dtype=float)[:, None] + np.zeros(x.shape[1]),
    "a counter for each": lambda x: np.arange(len(x), dtype=float)[:, None] + 1000.0 * np.arange(x.shape[1]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_no_signal_is_found_in_three_bins_of_an_array_and_over_with_the_first_that_tells(kind):
    samples = counts()
    samples[800:850] = KINDS[kind](samples[799:849])
    found = without_signal(samples)
    assert not found[:800].any()
    assert found[803:850].all()
    assert not found[851:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_found_in_voltages_within_three_bins(kind):
    samples = 20.0 * np.random.default_rng(1).normal(size=(5000, 8)) + 300.0 * np.arange(8)
    samples[3000:3500] = KINDS[kind](samples[2999:3499])
    found = without_signal(samples, bin_samples=10, bin_s=0.04, changes=1.0)
    assert not found[:300].any()
    assert found[303:350].all()
    assert not found[351:].any()


def test_a_few_silent_neurons_are_no_missing_signal():
    assert not without_signal(counts(n_bins=20_000, rate=0.01, n=4)).any()
    assert not without_signal(counts(n_bins=20_000, rate=0.002, n=96)).any()


def test_a_source_that_updates_more_slowly_than_it_sends_is_learned_and_its_end_still_found():
    slow = np.repeat(counts(n_bins=400), 5, axis=0)
    found = without_signal(slow, bin_s=0.02)
    assert not found[30:].any()
    slow[1500:] = slow[1499]
    assert without_signal(slow, bin_s=0.02)[1515:].all()


@pytest.mark.parametrize(("pattern", "n_at_most"), [
    ("limblab_spike_wf_2012/Spike_0[78]*WF_00?.mat", 0), ("limblab_spike_wf_2012/Spike_09-04*.mat", 0),
    ("fhlsjs_midterm/*.mat", 0), ("limblab_nick/*binned.mat", 0), ("contdata95/*.mat", 0),
    ("eegmmidb_S001/*.edf", 12), ("xdf/magicblink_emg/*.xdf", 0),
])  # fmt: skip
def test_no_real_recording_is_taken_for_none(real_data, pattern, n_at_most):
    """The EDF files end with half a second of zeros, which are one."""
    folder, name = pattern.rsplit("/", 1)
    for path in sorted(real_data(folder).glob(name)):
        signal = read_recording(path).signal
        is_count = path.suffix == ".mat"
        n = 1 if is_count else max(1, round(0.04 * signal.rate_hz))
        samples = np.nan_to_num(np.ascontiguousarray(signal.samples, dtype=np.float64))
        found = without_signal(samples, n, n / signal.rate_hz, 0.01 if is_count else 1.0)
        assert found.sum() <= n_at_most, path.name
        assert not found[: len(found) - n_at_most].any(), path.name


PROFILE = """
schema_version = 1
name = "rates"
[stream]
name = "rates"
n_channels = 96
rate_hz = 20.0
[features]
kind = "rates"
bin_ms = 50.0
[decoder]
outputs = ["vx", "vy"]
[device]
port = "twin"
maps = [{intent = "vx", axis = "x", gain = 0.4}]
"""


def test_its_frames_are_missing_and_say_so_and_nothing_of_it_becomes_normal():
    samples = counts()
    samples[800:1100] = 0.0
    pipeline = make_pipeline(parse_profile(PROFILE, "test"), tuple(f"n{i}" for i in range(N)), None)
    steps = []
    for i, row in enumerate(samples):
        pipeline.push(Chunk(row[None], np.array([i / 20])), steps.append)
        if i == 802:
            before = pipeline.extractor.statistics()
    missing = [s.frame.index for s in steps if s.frame.is_missing]
    assert missing == list(range(missing[0], 1100))
    assert missing[0] <= 803
    assert steps[missing[0]].frame.n_before == missing[0] - 801, "all bins after the one that fell to zero"
    assert pipeline.extractor.statistics()["mean"] == pytest.approx(before["mean"], abs=0.05)
    texts = [event.code for event in pipeline.extractor.take_events()]
    assert texts.count("no signal") == texts.count("signal") == 1
