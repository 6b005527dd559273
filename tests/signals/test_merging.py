"""Three streams on one grid: what arrives in time gives the same bits in any order, what does not is hidden."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.profile import BandPower, Rates
from bci.signals.features import BinFeatures, Extractor
from bci.signals.merging import AWAY_S, Follower, Merger
from bci.types import Chunk

BIN_S, WAIT_S, N_BINS = 0.02, 0.05, 60
COUNTS = Rates(bin_ms=20, transform="none", zscore=None)
PARTS = {  # features, rate, phase of the stamps, labels
    0: (Rates(bin_ms=20), 100.0, 0.0, ("n1", "n2")),
    1: (BandPower(bin_ms=20, bands_hz=((20, 90),), measure="envelope"), 250.0, 0.0013, ("m1", "m2", "m3")),
    2: (Rates(bin_ms=20, reduce="mean", transform="none", zscore=None), 50.0, 0.007, ("button",)),
}


def merger():
    features, rate_hz, _, labels = PARTS[0]
    others = [
        Follower(BinFeatures(features, labels, rate_hz), rate_hz, WAIT_S)
        for features, rate_hz, _, labels in (PARTS[1], PARTS[2])
    ]
    return Merger(Extractor(features, labels, rate_hz), others, ("EMG", "Switch"))


def signals(seed=0):
    """Samples and stamps of each stream; the others begin before the main one and end after it."""
    random, streams = np.random.default_rng(seed), {}
    for i, (_, rate_hz, phase_s, labels) in PARTS.items():
        margin = 0.0 if i == 0 else 0.1
        n = round((N_BINS * BIN_S + 2 * margin) * rate_hz)
        samples = random.poisson(3.0, (n, len(labels))).astype(float)
        streams[i] = samples, 10.0 - margin + phase_s + (1 + np.arange(n)) / rate_hz
    return streams


def push_all(m, arrivals):
    return [frame for _, i, chunk in arrivals for frame in m.push(chunk, i)]


def in_order(streams, lost=()):
    """The others first, then the main one, each in one piece."""
    return [(0.0, i, Chunk(*streams[i])) for i in (1, 2, 0)]


def test_the_others_stand_beside_the_main_stream_and_say_whose_they_are():
    m = merger()
    assert m.labels == ("n1", "n2", "EMG/m1 20-90 Hz", "EMG/m2 20-90 Hz", "EMG/m3 20-90 Hz", "Switch/button")
    frames = push_all(m, in_order(signals()))
    assert [f.index for f in frames] == list(range(N_BINS))
    assert all(np.isfinite(f.features).all() for f in frames)
    alone = Extractor(PARTS[0][0], PARTS[0][3], 100.0).push(Chunk(*signals()[0]))
    np.testing.assert_array_equal([f.features[:2] for f in frames], [f.features for f in alone])


@given(
    cuts=st.lists(st.lists(st.integers(0, 300), max_size=40).map(sorted), min_size=3, max_size=3),
    delays=st.lists(st.floats(0.0, 0.02), min_size=3, max_size=3),
    seed=st.integers(0, 5),
)
def test_any_order_of_arrival_in_time_gives_the_same_bits(cuts, delays, seed):
    """A chunk arrives when its last sample was taken, and a transport delay later."""
    streams, arrivals = signals(seed), []
    for i, (samples, stamps) in streams.items():
        most = round(0.02 * PARTS[i][1])  # no chunk is longer than 20 ms: with its delay it stays within the wait
        edges = sorted({0, len(samples), *range(0, len(samples), most), *(c for c in cuts[i] if c < len(samples))})
        for a, b in pairwise(edges):
            delay = -1.0 if i and a == 0 else delays[i]  # the others are there when the main stream begins
            arrivals.append((stamps[b - 1] + delay, i, Chunk(samples[a:b], stamps[a:b])))
    arrivals.sort(key=lambda arrival: arrival[:2])
    whole, pieces = push_all(merger(), in_order(streams)), push_all(merger(), arrivals)
    assert [f.index for f in whole] == [f.index for f in pieces]
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        assert (one.stamp_s, one.is_missing) == (other.stamp_s, other.is_missing)


def test_each_bin_holds_the_samples_whose_stamps_fall_into_it():
    m = two()
    stamps = np.arange(1, 500) / 250 + 0.0003
    m.push(Chunk(np.arange(1.0, 500.0)[:, None], stamps), 1)
    frames = m.push(Chunk(np.ones((50, 1)), 0.5 + np.arange(50) / 50))
    for frame in frames:
        inside = (stamps > frame.stamp_s - BIN_S + 1e-9) & (stamps <= frame.stamp_s + 1e-9)
        assert frame.features[1] == pytest.approx(np.sum(np.arange(1.0, 500.0)[inside]) * 5 / inside.sum())


def feed(m, n, late_s=0.0, stops_at=np.inf, gap=(np.inf, np.inf)):
    """Bin by bin: the other stream's samples come `late_s` after those of the main one; returns the frames."""
    frames, sent, lost = [], 0, 0
    for k in range(n):
        now = 1.0 + k * BIN_S
        while sent < 5 * n and 1.0 - BIN_S + 0.004 * (sent + 1) <= now - late_s + 1e-9:
            stamp = 1.0 - BIN_S + 0.004 * (sent + 1)
            sent += 1
            if stamp > stops_at:
                continue
            if gap[0] < stamp < gap[1]:
                lost += 1
                continue
            frames += m.push(Chunk(np.ones((1, 1)), np.array([stamp]), lost), 1)
            lost = 0
        frames += m.push(Chunk(np.ones((1, 1)), np.array([now])))
    return frames


def two():
    return Merger(
        Extractor(COUNTS, ("a",), 50.0), [Follower(BinFeatures(COUNTS, ("b",), 250.0), 250.0, WAIT_S)], ("x",)
    )


def hidden(frames):
    return [bool(np.isnan(frame.features[1])) for frame in frames]


def test_a_stream_that_is_a_little_late_is_waited_for():
    m = two()
    frames = feed(m, 50, late_s=0.03)
    assert hidden(frames)[2:] == [False] * (len(frames) - 2)
    assert 46 <= len(frames) < 50
    assert m.is_waiting


def test_a_stream_that_is_too_late_is_hidden_and_the_main_stream_goes_on():
    m = two()
    frames = feed(m, 60, late_s=0.2)
    assert all(hidden(frames))
    assert len(frames) >= 56
    assert [f.index for f in frames] == list(range(len(frames)))
    assert not any(f.is_missing for f in frames)


def test_a_stream_that_dies_is_soon_not_waited_for_and_welcome_when_it_returns():
    m = two()
    frames = feed(m, 100, stops_at=1.5)
    assert hidden(frames)[:26] == [False] * 26
    assert all(hidden(frames)[27:])
    assert len(frames) == 100  # nothing waits any more
    assert not m.is_waiting
    m.push(Chunk(np.ones((10, 1)), 3.0 - BIN_S + 0.004 * np.arange(1, 11), 400), 1)
    back = m.push(Chunk(np.ones((2, 1)), np.array([3.0, 3.02])))
    assert hidden(back) == [False, False]
    assert back[-1].features[1] == 5.0
    assert AWAY_S > WAIT_S


def test_a_bin_in_which_the_other_stream_lost_samples_is_hidden():
    frames = feed(two(), 50, gap=(1.201, 1.219))
    assert [i for i, is_hidden in enumerate(hidden(frames)) if is_hidden] == [11]


def test_late_samples_pass_the_filters_and_count_in_no_bin():
    frames = feed(two(), 60, late_s=0.2)
    m = two()
    feed(m, 20, late_s=0.2)
    done = m.push(Chunk(np.ones((60, 1)), 1.16 + 0.004 * np.arange(1, 61)), 1)
    done += m.push(Chunk(np.ones((1, 1)), np.array([1.4])))
    assert all(hidden(frames))
    assert done[-1].stamp_s == 1.4
    assert done[-1].features[1] == 5.0


def test_lost_samples_of_the_main_stream_make_bins_missing_whatever_the_others_say():
    m = two()
    m.push(Chunk(np.ones((500, 1)), 0.9 + np.arange(500) / 250), 1)
    frames = m.push(Chunk(np.ones((3, 1)), 1.0 + np.arange(3) / 50))
    frames += m.push(Chunk(np.ones((3, 1)), 1.2 + np.arange(3) / 50, 7))
    assert [f.is_missing for f in frames] == [False] * 3 + [True] * 7 + [False] * 3
    assert [f.index for f in frames] == list(range(13))


def test_the_quality_line_counts_the_channels_of_all_streams():
    streams = signals()
    streams[0][0][:, 1] = np.nan
    streams[1][0][:, 2] = np.nan
    m = merger()
    push_all(m, in_order(streams))
    assert m.quality() == "channels 4/6 ok, masked: 2 EMG 3"
    events = m.take_events()
    assert [event.code for event in events] == ["masked", "masked", "quality"]
    assert m.take_events() == []
