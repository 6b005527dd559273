"""Over real LSL, in one process: outlets made here, read by the inlet of the live loop."""

import os
import subprocess
import sys
import time
import uuid

import numpy as np
import pylsl
import pytest

from bci.errors import StreamError
from bci.profile import Stream
from bci.signals.grid import Grid
from bci.streams.discover import find_all
from bci.streams.inlet import Inlet
from bci.streams.latest import LatestSamples
from bci.streams.outlet import open_marker_outlet, open_outlet


@pytest.fixture(autouse=True, scope="module")
def warm():
    """Load the compiled code of the grid first: samples that wait for it would be stale."""
    Grid(50.0).split(np.zeros((1, 1)), np.zeros(1))


def unique():
    return f"t{uuid.uuid4().hex[:8]}"


def source(name, labels=("a", "b", "c"), unit="count", rate_hz=50.0, source_id=None):
    return open_outlet(name, "Rates", labels, [unit] * len(labels), source_id or unique(), rate_hz=rate_hz)


def wanted(name, **fields):
    return Stream(**{"name": name, "n_channels": 3, "rate_hz": 50.0, "unit": "count", **fields})


def pull_for(inlet, seconds):
    chunks, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        chunks += inlet.pull(0.05)
    return chunks


def feed(outlet, values, stamps):
    for value, stamp in zip(values, stamps, strict=True):
        outlet.push_sample([float(value)] * outlet.channel_count, stamp)


def test_samples_arrive_with_their_stamps_and_chosen_channels_in_the_profiles_order():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name, channels=("c", "a")), wait_s=5) as inlet:
        assert inlet.labels == ("c", "a")
        time.sleep(0.3)
        now = pylsl.local_clock()
        for i in range(5):
            outlet.push_sample([1.0, 2.0, 3.0 + i], now + i / 50)
        chunks = pull_for(inlet, 0.4)
        samples = np.concatenate([c.samples for c in chunks])
        np.testing.assert_array_equal(samples, [[3.0 + i, 1.0] for i in range(5)])
        assert chunks[0].stamps_s[0] == pytest.approx(now, abs=1e-3)


def test_a_missing_stream_is_named_together_with_what_is_there_instead():
    other = unique()
    outlet = source(other)
    with pytest.raises(StreamError, match=f"No stream 'absent'.*there is.*{other}"):
        Inlet(wanted("absent"), wait_s=0.2)
    del outlet


def test_two_streams_that_match_are_refused_and_both_are_named():
    name = unique()
    outlets = source(name, source_id="first"), source(name, source_id="second")
    with pytest.raises(StreamError, match=r"2 streams match.*source_id = .first., or source_id = .second"):
        Inlet(wanted(name), wait_s=2)
    with Inlet(wanted(name, source_id="second"), wait_s=2) as inlet:
        assert inlet.found.source_id == "second"
    del outlets


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        ({"labels": ("a", "b")}, "it has 2 channels, the profile expects 3"),
        ({"unit": "millivolts"}, "its unit is millivolts, the profile expects count"),
        ({"rate_hz": 100.0}, "its rate is 100 Hz, the profile expects 50 Hz"),
        ({"labels": ("a", "b", "b")}, "channel labels repeat: b"),
        ({"labels": ("a", "b", "x")}, "it has no channels c"),
    ],
)
def test_a_stream_that_is_not_what_the_profile_describes_is_refused(stream, complaint):
    name = unique()
    outlet = source(name, **stream)
    with pytest.raises(StreamError, match=complaint):
        Inlet(wanted(name, channels=("a", "b", "c") if "x" in stream.get("labels", ()) else ()), wait_s=5)
    del outlet


def test_lost_samples_become_a_gap_and_an_event():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        now = pylsl.local_clock()
        feed(outlet, range(3), [now, now + 0.02, now + 0.10])
        chunks = pull_for(inlet, 0.4)
        assert sum(c.n_lost for c in chunks) == 3
        assert "gap" in {event.code for event in inlet.events()}


def test_a_backlog_is_dropped_and_never_decoded():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name, stale_after_ms=150), wait_s=5) as inlet:
        time.sleep(0.3)
        start = pylsl.local_clock()
        feed(outlet, [0], [start])
        assert pull_for(inlet, 0.1)
        feed(outlet, range(1, 31), start + np.arange(1, 31) / 50)
        time.sleep(1.0)
        newest = pylsl.local_clock()
        feed(outlet, [99], [newest])
        chunks = pull_for(inlet, 0.3)
        assert np.concatenate([c.samples for c in chunks])[:, 0].tolist() == [99.0]
        assert chunks[0].n_lost > 30
        assert {"backlog", "gap", "silent"} <= {event.code for event in inlet.events()}


@pytest.mark.parametrize("jump_s", [10.0, -10.0])
def test_a_sample_from_a_clock_that_jumped_is_dropped_and_the_next_is_used(jump_s):
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name, stale_after_ms=150), wait_s=5) as inlet:
        time.sleep(0.3)
        now = pylsl.local_clock()
        feed(outlet, range(4), [now, now + 0.02, now + 0.04 + jump_s, now + 0.06])
        chunks = pull_for(inlet, 0.3)
        assert np.concatenate([c.samples for c in chunks])[:, 0].tolist() == [0.0, 1.0, 3.0]
        assert sum(c.n_lost for c in chunks) == 1
        assert np.concatenate([c.stamps_s for c in chunks]) == pytest.approx([now, now + 0.02, now + 0.06], abs=2e-3)


def test_a_silent_source_shows_in_the_age_of_its_data():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        feed(outlet, [1], [pylsl.local_clock()])
        pull_for(inlet, 0.4)
        assert inlet.data_age_s() > 0.25
        assert [event.code for event in inlet.events()] == ["silent"]


def test_a_stream_can_be_followed_before_it_exists():
    source_id = unique()
    reader = LatestSamples(source_id)
    assert reader.pull() == []
    outlet = open_marker_outlet(unique(), source_id)
    deadline = time.monotonic() + 10
    while not reader.is_open and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    outlet.push_sample(["go"], 12.0)
    time.sleep(0.2)
    assert [values for _, values in reader.pull()] == [["go"]]
    reader.close()


def test_every_stream_is_listed_with_what_identifies_it():
    name = unique()
    outlet = source(name, source_id="unmistakable")
    (found,) = [stream for stream in find_all(1.0) if stream.name == name]
    assert (found.type, found.n_channels, found.rate_hz, found.source_id) == ("Rates", 3, 50.0, "unmistakable")
    assert found.host
    del outlet


def test_a_machine_with_several_sessions_is_seen_whole():
    code = """
from bci.streams.discover import find_all
from bci.streams.network import configure
from bci.streams.outlet import open_outlet
configure("machine")
outlets = [open_outlet(f"crowd{i}", "Rates", ["a"], ["1"], f"crowd{i}") for i in range(45)]
print(len({found.source_id for found in find_all(2.0) if found.name.startswith("crowd")}))
"""
    ours = {name: value for name, value in os.environ.items() if name != "LSLAPICFG"}  # as configured for operators
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ours)
    assert int(result.stdout) == 45


@pytest.mark.parametrize("is_ahead", [True, False])
def test_a_source_whose_clock_runs_ahead_is_read_only_where_that_is_known(is_ahead):
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5, is_ahead=is_ahead) as inlet:
        time.sleep(0.3)
        now = pylsl.local_clock()
        feed(outlet, range(20), now + 10 + np.arange(20) / 50)
        n_samples = sum(len(chunk.samples) for chunk in pull_for(inlet, 0.4))
    assert n_samples == (20 if is_ahead else 0)


def play(inlet, outlet, seconds, *, rate_hz=50.0, block=1, shift_s=0.0):
    """Send evenly in blocks while the inlet is read as the live loop reads it; events, and how many samples came."""
    events, n_samples, sent = [], 0, 0
    begin_s = pylsl.local_clock()
    while pylsl.local_clock() < begin_s + seconds:
        due = int((pylsl.local_clock() - begin_s) * rate_hz) // block * block
        if due > sent:
            outlet.push_chunk([[1.0] * outlet.channel_count] * (due - sent), begin_s + due / rate_hz + shift_s)
            sent = due
        n_samples += sum(len(chunk.samples) for chunk in inlet.pull(0.01))
        events += inlet.events()
    return events, n_samples


def test_a_source_with_another_clock_is_named_with_both_times_within_two_seconds():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        unix_s = time.time() - pylsl.local_clock()
        events, n_samples = play(inlet, outlet, 2.0, shift_s=unix_s)
        assert n_samples == 0
        assert "stamped with Unix time" in inlet.trouble
        assert f"LSL says {pylsl.local_clock():.0f}"[:-1] in inlet.trouble
        assert [event.text for event in events if event.code == "use"] == [f"Nothing usable. {inlet.trouble}"]
        assert not inlet.has_right_rate
        events, n_samples = play(inlet, outlet, 2.5)
        assert n_samples > 100
        assert inlet.has_right_rate
        assert inlet.trouble == ""
        assert [event.text for event in events if event.code == "use"] == [f"Samples from '{name}' are used again."]


def test_a_source_that_never_sends_is_a_trouble_too():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        pull_for(inlet, 1.5)
        assert inlet.trouble.startswith(f"No samples come from '{name}'")
    del outlet


@pytest.mark.parametrize("per_block", [1, 5])
def test_a_source_that_sends_at_another_rate_than_it_declares_is_named_within_five_seconds(per_block):
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        events, _ = play(inlet, outlet, 5.2, rate_hz=42.0, block=per_block)
        assert [event.text for event in events if event.code == "rate"] == [
            "Samples come at 42.0 Hz, declared were 50: they are not used."
        ]
        events, n_samples = play(inlet, outlet, 1.3, rate_hz=42.0, block=per_block)
        assert n_samples == 0
        assert not inlet.has_right_rate
        assert "come at 42.0 Hz" in inlet.trouble
        assert not [event for event in events if event.code == "gap"], "told as lost samples"


def test_a_sender_of_long_blocks_is_told_its_setting_once():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        events, _ = play(inlet, outlet, 6.2, block=25)
    texts = [event.text for event in events]
    assert sum("blocks of 500 ms (25 samples)" in text for text in texts) == 2, "the block, and that nothing is usable"
    assert any("size of the sender to 1 or fewer" in text for text in texts)
    assert len(events) <= 6, texts
    assert "blocks of 500 ms" in inlet.trouble


def test_blocks_that_are_long_but_of_use_are_told_and_used():
    name = unique()
    outlet = source(name)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        events, n_samples = play(inlet, outlet, 2.0, block=5)
    assert ["blocks of 100 ms (5 samples)" in event.text for event in events] == [True]
    assert n_samples >= 90
    assert inlet.trouble == ""


def test_an_undeclared_rate_is_that_of_the_profile_when_samples_come_at_it():
    name = unique()
    outlet = source(name, rate_hz=0.0)
    with Inlet(wanted(name), wait_s=5) as inlet:
        time.sleep(0.3)
        begin_s, n_samples = pylsl.local_clock(), 0
        for i in range(40):
            outlet.push_sample([1.0] * 3, begin_s + i / 50)
            while pylsl.local_clock() < begin_s + (i + 1) / 50:
                n_samples += sum(len(chunk.samples) for chunk in inlet.pull(0.005))
        assert n_samples >= 35
        assert [event.code for event in inlet.events()] == []
