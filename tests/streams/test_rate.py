"""Whether samples come at the declared rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.streams.rate import RateWatch


def verdicts(watch, stamps, per_pull):
    said = []
    for start in range(0, len(stamps), per_pull):
        watch.count(stamps[start : start + per_pull])
        said.append(watch.is_wrong)
    return said


def test_each_change_is_told_once_also_when_it_came_with_an_absence():
    watch = RateWatch(50.0, 0.15)
    pieces = (np.arange(100) / 50, 8.0 + np.arange(100) / 100, 9.0 + np.arange(200) / 50, 20.0 + np.arange(200) / 50)
    told = [sum(watch.count(piece[i : i + 1]) for i in range(len(piece))) for piece in pieces]
    assert told == [0, 1, 1, 0]


@given(
    rate_hz=st.sampled_from([20.0, 50.0, 250.0, 2000.0]),
    per_pull=st.integers(1, 40),
    jitter=st.floats(0.0, 0.3),
    kept=st.floats(0.85, 1.0),
    seed=st.integers(0, 9),
)
def test_jitter_chunks_and_a_few_lost_samples_are_no_other_rate(rate_hz, per_pull, jitter, kept, seed):
    random = np.random.default_rng(seed)
    stamps = (np.arange(round(6 * rate_hz)) + random.uniform(0, jitter, round(6 * rate_hz))) / rate_hz
    stamps = stamps[random.random(len(stamps)) < kept] if rate_hz > 20 else stamps
    assert not any(verdicts(RateWatch(rate_hz, 0.15), stamps, min(per_pull, round(0.1 * rate_hz))))


@pytest.mark.parametrize("rate_hz", [25.0, 100.0])
def test_another_rate_is_wrong_from_its_first_window_on_and_right_again_when_it_ends(rate_hz):
    watch = RateWatch(50.0, 0.15)
    assert not any(verdicts(watch, np.arange(100) / 50, 1))
    said = verdicts(watch, 2.0 + np.arange(round(3 * rate_hz)) / rate_hz, 1)
    assert all(said[round(1.1 * rate_hz) :])
    assert watch.found_hz == pytest.approx(rate_hz, rel=0.01)
    assert not verdicts(watch, 5.0 + np.arange(100) / 50, 1)[-1]


def test_a_pause_is_no_other_rate_but_what_comes_back_after_long_must_show_its_rate_first():
    watch = RateWatch(50.0, 0.15)
    verdicts(watch, np.arange(100) / 50, 1)
    assert not any(verdicts(watch, 2.4 + np.arange(100) / 50, 1))
    said = verdicts(watch, 8.0 + np.arange(100) / 50, 1)
    assert all(said[:24])
    assert not any(said[28:])


@pytest.mark.parametrize(
    ("declared", "sent"),
    [(256.0, 200.0), (200.0, 256.0), (250.0, 225.0), (50.0, 60.0), (1000.0, 930.0), (250.0, 270.0)],
)
@pytest.mark.parametrize("per_pull", [1, 10])
def test_a_rate_that_is_declared_falsely_is_found_before_a_device_is_armed(declared, sent, per_pull):
    watch = RateWatch(declared, 0.15)
    stamps = np.arange(round(5.0 * sent)) / sent
    said = verdicts(watch, stamps, per_pull)
    assert all(said[round(2.4 * sent / per_pull) :])
    assert watch.found_hz == pytest.approx(sent, rel=0.002)


@given(cut=st.integers(0, 4), seed=st.integers(0, 200))
def test_a_false_rate_is_found_also_when_blocks_come_in_two_parts(cut, seed):
    stamps = np.concatenate([5 * (block + 1) / 42.0 - np.arange(4, -1, -1) / 50.0 for block in range(20)])
    watch, is_split = RateWatch(50.0, 0.15), np.random.default_rng(seed).random(20) < 0.5
    for block, split in zip(stamps.reshape(20, 5), is_split, strict=True):
        for part in (block[:cut], block[cut:]) if split else (block,):
            if len(part):
                watch.count(part)
    assert watch.is_wrong
    assert watch.found_hz == pytest.approx(42.0, rel=0.002)


@given(seed=st.integers(0, 200), kept=st.floats(0.83, 0.93), rate_hz=st.sampled_from([250.0, 1000.0]))
def test_samples_lost_by_chance_are_told_and_still_used(seed, kept, rate_hz):
    stamps = np.arange(round(9.2 * rate_hz)) / rate_hz
    stamps = stamps[np.random.default_rng(seed).random(len(stamps)) < kept]
    watch = RateWatch(rate_hz, 0.15)
    assert not any(verdicts(watch, stamps, 5))
    assert watch.is_off


@pytest.mark.parametrize(
    ("sent", "is_off"), [(250.0, False), (249.5, False), (251.5, False), (245.0, True), (255.0, True)]
)
def test_a_small_difference_is_told_and_a_tiny_one_is_none(sent, is_off):
    watch = RateWatch(250.0, 0.15)
    assert not any(verdicts(watch, np.arange(1800) / sent, 10))
    assert watch.is_off == is_off


def test_what_was_dropped_here_is_not_held_against_the_source():
    watch = RateWatch(250.0, 0.15)
    for start in np.arange(0.0, 6.0, 0.2):
        watch.restart()
        watch.count(start + 0.05 + np.arange(37) / 250)
    assert not watch.is_wrong


@pytest.mark.parametrize(("sent", "is_measured"), [(250.0, True), (200.0, False), (300.0, False)])
def test_what_came_before_anybody_looked_may_be_measurement_enough(sent, is_measured):
    watch = RateWatch(250.0, 0.15)
    watch.preview(np.arange(round(0.9 * sent)) / sent)
    assert not watch.is_measured
    watch.preview(np.arange(round(1.5 * sent)) / sent)
    assert watch.is_measured == is_measured
