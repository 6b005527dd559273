"""A recording played over real LSL arrives as it was recorded."""

import dataclasses
import itertools
import threading
import time
import uuid

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.profile import Stream
from bci.recording.replay import play
from bci.streams.inlet import Inlet
from bci.streams.latest import LatestSamples
from bci.types import Kinematics, Recording, Signal


def recording(name, n=220, lost=()):
    stamps = 5000 + np.delete(np.arange(n + len(lost)), lost) / 50
    values = np.random.default_rng(0).normal(size=(n, 3))
    signal = Signal(name, "EEG", "microvolts", ("C3", "Cz", "C4"), 50.0, values, stamps)
    kinematics = Kinematics(("x",), "cm", values[:, :1] * 2, stamps)
    return Recording(signal, kinematics, ((5000.6, "left"), (5004.0, "right")), f"{name}-markers")


def test_samples_gaps_units_and_markers_arrive_at_their_own_pace():
    name = f"replay-{uuid.uuid4().hex[:6]}"
    source = recording(name, lost=[200, 201, 202])
    cues = LatestSamples(f"{name}-id-markers")
    player = threading.Thread(target=play, args=(source, f"{name}-id"))
    started = time.monotonic()
    player.start()
    wanted = Stream(name=name, n_channels=3, rate_hz=50.0, unit="microvolts", source_id=f"{name}-id")
    chunks, got_cues = [], []
    with Inlet(wanted, wait_s=5) as inlet:
        assert inlet.labels == ("C3", "Cz", "C4")
        while player.is_alive():
            chunks += inlet.pull(0.05)
            got_cues += cues.pull()
    player.join()
    assert 4.3 < time.monotonic() - started < 6.5
    values = np.concatenate([c.samples for c in chunks])
    np.testing.assert_array_equal(values, source.signal.samples[-len(values) :])
    assert sum(c.n_lost for c in chunks) == 3
    assert [text for _, (text,) in got_cues][-1:] == ["right"]
    cues.close()


def test_a_part_can_be_chosen_and_a_part_that_is_not_there_is_refused():
    played = []
    play(recording("part"), "part-id", start_s=1.0, seconds=0.5, speed=2.0, tell=lambda s: played.append(s) or True)
    assert played[-1] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(RecordingError, match=r"lasts 4\.4 s; nothing is there at 9 s"):
        play(recording("part"), "part-id", start_s=9.0)


def test_in_a_loop_the_outlets_stay_and_stamps_go_on():
    name = f"loop-{uuid.uuid4().hex[:6]}"
    rounds = []

    def tell(played_s):
        rounds.append(played_s)
        return len(rounds) < 200

    options = {"seconds": 0.5, "loop": True, "tell": tell}
    player = threading.Thread(target=play, args=(recording(name), f"{name}-id"), kwargs=options)
    player.start()
    chunks = []
    with Inlet(Stream(name=name, n_channels=3, rate_hz=50.0, source_id=f"{name}-id"), wait_s=5) as inlet:
        while player.is_alive():
            chunks += inlet.pull(0.05)
    player.join()
    assert sum(later < earlier for earlier, later in itertools.pairwise(rounds)) >= 2
    stamps = np.concatenate([c.stamps_s for c in chunks])
    np.testing.assert_allclose(np.diff(stamps), 0.02, atol=0.002)


def test_every_marker_stream_is_played_under_its_own_name():
    name = f"many-{uuid.uuid4().hex[:6]}"
    source = dataclasses.replace(recording(name), other_markers={f"{name}-keys": ((5000.6, "space"),)})
    keys = LatestSamples(name=f"{name}-keys")
    player = threading.Thread(target=play, args=(source, f"{name}-id"))
    player.start()
    got = []
    while player.is_alive():
        got += keys.pull()
        time.sleep(0.05)
    player.join()
    keys.close()
    assert [text for _, (text,) in got] in ([], ["space"])
