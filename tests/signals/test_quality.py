"""Faults that a laboratory meets, put into clean signals at a known moment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.profile import BandPower, Quality, RateQuality, Rates
from bci.signals.features import Extractor
from bci.signals.quality import (
    FAULTS,
    ChannelWatch,
    find_shorted,
    follow_pairs,
    judge,
    observe,
    repair,
    typical,
)
from bci.types import Chunk

RATE_HZ, BIN = 250.0, 10
LABELS = tuple(f"ch{i + 1}" for i in range(12))


def clean(seconds, seed=0):
    """Voltages with an offset, a drift, a little mains and something in common."""
    random = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    t = np.arange(n)[:, None] / RATE_HZ
    mains = 3 * np.sin(2 * np.pi * 50 * t) * random.uniform(0.5, 1.5, 12)
    return 10 * random.normal(size=(n, 12)) + 5 * random.normal(size=(n, 1)) + 300 + 0.5 * t + mains


def watch_of(samples, settings=None, line_hz=50.0, cuts=()):
    """Everything that happened: (second, channel, code, text)."""
    watch = ChannelWatch(settings or Quality(), LABELS, RATE_HZ, BIN, line_hz)
    last, story = np.zeros(12), []
    for b in range(len(samples) // BIN):
        piece, n_bad = samples[b * BIN : (b + 1) * BIN], np.zeros(12)
        for part in np.split(piece, cuts):
            good = np.empty_like(part)
            repair(part, last, n_bad, good)
            watch.observe(good)
        before = watch.is_used.copy()
        if watch.end_bin(n_bad):
            story += [(b * BIN / RATE_HZ, e.text.split()[0], e.code, e.text) for e in watch.changes(before, 0.0)]
    return watch, story


def spoil(samples, fault, begin):
    random = np.random.default_rng(9)
    after, n = samples[begin:, 4], len(samples) - begin
    t = np.arange(n) / RATE_HZ
    after[:] = {
        "not finite": np.full(n, np.nan),
        "flat": np.full(n, after[0]),
        "dead": after[0] + 0.5 * random.normal(size=n),
        "saturated": np.clip(1000 * (after - 310), -5000, 5000),
        "noisy": after + 60 * random.normal(size=n),
        "line noise": after + 150 * np.sin(2 * np.pi * 50 * t),
        "shorted to another": samples[begin:, 1] + 0.3 * random.normal(size=n),
    }[fault]


@pytest.mark.parametrize(
    ("fault", "within_s"),
    [("not finite", 1.2), ("flat", 1.2), ("dead", 11.0), ("saturated", 2.0), ("noisy", 3.0), ("line noise", 10.0),
     ("shorted to another", 30.0)],
)  # fmt: skip
def test_each_fault_is_found_in_time_named_and_no_other_channel_is_blamed(fault, within_s):
    samples, begin = clean(80), 30 * round(RATE_HZ)
    spoil(samples, fault, begin)
    settings = Quality(saturation=5000.0 if fault == "saturated" else None,
                       noisy_ratio=1e6 if fault in ("saturated", "line noise") else 9.0)  # fmt: skip
    _, story = watch_of(samples, settings)
    ((second, channel, code, text),) = story
    assert (channel, code) == ("ch5", "masked")
    assert fault in text
    assert 30.0 <= second <= 30.0 + within_s


def test_clean_channels_with_offset_drift_and_mains_are_never_masked():
    assert watch_of(clean(120))[1] == []


def test_an_artifact_on_every_channel_blames_none():
    samples = clean(60)
    samples[10_000:12_000] *= 8.0
    assert watch_of(samples)[1] == []


def test_a_channel_is_admitted_again_after_thirty_good_seconds():
    samples = clean(120)
    spoil(samples[: 50 * 250], "flat", 30 * 250)
    _, story = watch_of(samples)
    assert [(channel, code) for _, channel, code, _ in story] == [("ch5", "masked"), ("ch5", "readmitted")]
    assert story[1][0] == pytest.approx(80.0, abs=0.5)


def test_a_neuron_that_is_silent_for_a_while_is_not_flat_and_one_that_was_busy_is():
    random = np.random.default_rng(2)
    counts = random.poisson([0.01, 0.4], size=(6000, 2)).astype(float)
    counts[3000:] = 0
    extractor = Extractor(Rates(), ("rare", "busy"), 50.0)
    extractor.push(Chunk(counts[:3600], np.arange(3600) / 50))
    assert [event.text.split()[:3] for event in extractor.parts.events] == [["busy", "is", "flat:"]]
    assert RateQuality().dead_ratio == 0.0


def test_masked_channels_are_hidden_and_leave_the_reference():
    samples = clean(60)
    samples[30 * 250 :, 4] = 1e9 * np.random.default_rng(0).normal(size=30 * 250)
    feature = {"bin_ms": 40, "bands_hz": ((8, 30),), "reference": "average"}
    frames = Extractor(BandPower(**feature), LABELS, RATE_HZ).push(Chunk(samples, np.arange(len(samples)) / RATE_HZ))
    assert np.flatnonzero(~np.isfinite(frames[-1].features)).tolist() == [4]
    others = np.delete(frames[-1].features, 4)
    clean_frames = Extractor(BandPower(**feature), LABELS, RATE_HZ).push(
        Chunk(clean(60), np.arange(len(samples)) / RATE_HZ)
    )
    np.testing.assert_allclose(others, np.delete(clean_frames[-1].features, 4), atol=1.5)


@given(cuts=st.lists(st.integers(0, BIN), max_size=3).map(sorted), seed=st.integers(0, 3))
def test_where_a_bin_is_cut_changes_no_verdict_and_no_bit(cuts, seed):
    samples = clean(20, seed)
    spoil(samples, "flat", 3000)
    whole, story = watch_of(samples)
    pieces, same = watch_of(samples, cuts=cuts)
    assert story == same
    np.testing.assert_array_equal(whole._now, pieces._now)
    np.testing.assert_array_equal(whole._products, pieces._products)


# -- twins --------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000))
def test_repairing_equals_its_numpy_twin(seed):
    random = np.random.default_rng(seed)
    samples = random.normal(size=(30, 3))
    samples[random.random((30, 3)) < 0.2] = random.choice([np.nan, np.inf, -1e308])
    last, n_bad, out = np.array([7.0, 8.0, 9.0]), np.zeros(3), np.empty((30, 3))
    repair(samples, last, n_bad, out)
    is_bad = ~(np.abs(samples) <= 1e15)
    np.testing.assert_array_equal(n_bad, is_bad.sum(axis=0))
    expected, row = [], np.array([7.0, 8.0, 9.0])
    for x, bad in zip(samples, is_bad, strict=True):
        row = np.where(bad, row, x)
        expected.append(row)
    np.testing.assert_array_equal(out, expected)


def test_observing_equals_its_numpy_twin():
    random = np.random.default_rng(1)
    samples = np.round(random.normal(size=(50, 4)))
    angle = 2 * np.pi * 0.17
    turn, phase = np.array([np.cos(angle), np.sin(angle)]), np.array([1.0, 0.0])
    previous, run, sums = np.zeros(4), np.zeros(4), np.zeros((6, 4))
    observe(samples, 2.0, turn, phase, previous, run, sums)
    d = np.diff(samples, axis=0, prepend=np.zeros((1, 4)))
    rotation = np.exp(1j * angle * np.arange(50))[:, None]
    expected = [(d != 0).sum(0), (d**2).sum(0), (np.abs(samples) >= 2).sum(0), (d * rotation.real).sum(0),
                (d * rotation.imag).sum(0), np.zeros(4)]  # fmt: skip
    np.testing.assert_allclose(sums, expected, atol=1e-9)
    np.testing.assert_array_equal(run, [np.argmax(column[::-1] != 0) for column in d.T])


def test_following_pairs_equals_its_numpy_twin_and_the_later_of_a_pair_is_found():
    random = np.random.default_rng(1)
    D = random.normal(size=(400, 5))
    D[:, 3] = D[:, 1] * 2 + 0.01 * random.normal(size=400)
    products, expected = np.zeros((5, 5)), np.zeros((5, 5))
    for d in D:
        follow_pairs(d, 0.02, products)
        expected += 0.02 * (np.outer(d, d) - expected)
    np.testing.assert_allclose(products, np.triu(expected))
    is_shorted = np.zeros(5, bool)
    find_shorted(products, 0.99, np.ones(5, bool), is_shorted)
    assert is_shorted.tolist() == [False, False, False, True, False]
    find_shorted(products, 0.99, np.array([True, False, True, True, True]), is_shorted)
    assert not is_shorted.any()


def test_the_typical_value_is_a_geometric_mean():
    values, is_used = np.array([1.0, 100.0, 0.0, 5.0]), np.array([True, True, True, False])
    assert typical(values, is_used) == pytest.approx(10.0)
    assert typical(values, np.zeros(4, bool)) == 0.0


def judge_twin(n_samples, sums, rates, limits, patience, n_settling, n_readmit, s):
    """One bin, one array operation at a time."""
    activity = sums[1] / n_samples
    fresh = np.array([activity, sums[2] / n_samples, sums[3] / n_samples, sums[4] / n_samples])
    s["now"] += rates[[0, 0, 2, 2]][:, None] * (fresh - s["now"])
    settled, (usual, changes) = s["seen"] >= n_settling, s["usual"]

    def typical_of(x):
        x = x[s["is_used"] & (x > 0)]
        return np.exp(np.mean(np.log(x))) if len(x) else 0.0

    with np.errstate(divide="ignore", invalid="ignore"):
        common = max(1.0, typical_of(np.where(settled & (usual > 0), s["now"][0] / usual, 0.0)))
    line = 2 * (s["now"][2] ** 2 + s["now"][3] ** 2)
    least = np.maximum(usual, 0.1 * typical_of(usual))
    faulty = np.array([
        np.zeros(len(usual), bool),
        sums[5] > 0,
        s["run"] >= np.maximum(60 / np.maximum(changes, 1e-12), limits[3]),
        settled & (s["now"][0] < limits[0] * usual),
        s["now"][1] > 0.05,
        settled & (s["now"][0] > limits[1] * common * least),
        settled & (line > limits[2] * typical_of(line)) & (line > 0.8 * s["now"][0]),
        s["is_shorted"],
    ])  # fmt: skip
    s["lasting"] = np.where(faulty, s["lasting"] + 1, 0)
    due = s["lasting"] >= patience[:, None]
    due[0] = False
    first = np.where(due.any(0), due.argmax(0), 0)
    s["fault"] = np.where(s["fault"] == 0, first, s["fault"])
    good = ~faulty.any(0)
    s["n_good"] = np.where(good, s["n_good"] + 1, 0)
    s["fault"] = np.where(s["n_good"] >= n_readmit, 0, s["fault"])
    s["is_used"] = s["fault"] == 0
    learns = good & (s["now"][0] <= 0.5 * limits[1] * common * least) | ~settled
    s["seen"] = s["seen"] + learns
    k = np.maximum(rates[1], 1 / np.maximum(1, s["seen"]))
    share = np.maximum(rates[1], 1 / (s["seen"] + limits[4]))
    s["usual"] = np.where(learns, [usual + k * (activity - usual), changes + share * (sums[0] / n_samples - changes)],
                          s["usual"])  # fmt: skip


@given(seed=st.integers(0, 10_000))
def test_judging_equals_its_numpy_twin(seed):
    random = np.random.default_rng(seed)
    n = 6
    rates, limits = np.array([0.2, 0.05, 0.2]), np.array([0.3, 3.0, 4.0, 30.0, 5.0])
    patience = np.array([1, 2, 1, 3, 2, 2, 3, 2])
    s = {"now": np.zeros((4, n)), "usual": np.vstack([np.zeros(n), np.ones(n)]), "run": np.zeros(n),
         "is_shorted": np.zeros(n, bool), "lasting": np.zeros((8, n), int), "n_good": np.zeros(n, int),
         "fault": np.zeros(n, int), "is_used": np.ones(n, bool), "seen": np.zeros(n, int)}  # fmt: skip
    t = {name: value.copy() for name, value in s.items()}
    for b in range(60):
        sums = np.abs(random.normal(size=(6, n))) * np.array([5, 10, 0.3, 1, 1, 0])[:, None]
        loud = random.random(n) < 0.2
        sums[1, loud] *= random.choice([0.01, 30.0])
        sums[3, random.random(n) < 0.1] *= 30
        sums[5] = random.random(n) < 0.1
        t["run"][:] = s["run"] = np.where(random.random(n) < 0.1, 50.0 + b, 0.0)
        t["is_shorted"][:] = s["is_shorted"] = random.random(n) < 0.1
        before = t["is_used"].copy()
        judge_twin(10, sums.copy(), rates, limits, patience, 8, 5, s)
        changed = judge(10, sums, rates, limits, patience, 8, 5, t["seen"], t["now"], t["usual"], t["run"],
                        t["is_shorted"], np.zeros(n), t["lasting"], t["n_good"], t["fault"], t["is_used"])  # fmt: skip
        assert changed == bool((before != t["is_used"]).any()) or changed
        for name in ("now", "usual"):
            np.testing.assert_allclose(t[name], s[name], rtol=1e-9)
        for name in ("lasting", "n_good", "fault", "is_used", "seen"):
            np.testing.assert_array_equal(t[name], s[name], err_msg=name)
    assert len(FAULTS) == len(patience)
