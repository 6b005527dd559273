"""Three sources in processes of their own, merged on one grid by the live loop; one of them dies."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sessions import arm, only_session, start, streams_of

from bci.decoding.model import save_model
from bci.profile import parse_profile
from bci.recording.reader import read_recording
from bci.types import Kinematics, Recording, Signal
from calibration.offline import fit_recording

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SOURCE = """
import sys, time
import numpy as np
import pylsl
from bci.streams.outlet import open_outlet
name, n, rate_hz, per_chunk = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
labels = [f"{name.lower()}{i}" for i in range(n)]
outlet = open_outlet(name, name, labels, ["count"] * n, f"source-{name}", rate_hz=rate_hz)
random, begin_s, sent = np.random.default_rng(1), pylsl.local_clock(), 0
while True:
    due = int((pylsl.local_clock() - begin_s) * rate_hz) // per_chunk * per_chunk
    if due > sent:
        t = begin_s + np.arange(sent, due) / rate_hz
        values = random.poisson(3 + 2 * np.sin(t)[:, None] * np.ones(n)).astype(float)
        outlet.push_chunk(values, float(t[-1]))
        sent = due
    time.sleep(0.002)
"""

PROFILE = """
schema_version = 1
name = "merged"
[stream]
name = "Neural"
n_channels = 12
rate_hz = 50.0
[features]
kind = "rates"
[[extra_streams]]
name = "Muscle"
n_channels = 4
rate_hz = 250.0
wait_ms = 60.0
[extra_streams.features]
kind = "band_power"
bin_ms = 20.0
bands_hz = [[20.0, 100.0]]
[[extra_streams]]
name = "Switch"
n_channels = 1
rate_hz = 50.0
[extra_streams.features]
kind = "rates"
reduce = "mean"
transform = "none"
zscore = false
[decoder]
outputs = ["vx"]
[device]
port = "twin"
[[device.maps]]
intent = "vx"
axis = "x"
gain = 0.4
[device.limits]
lease_ms = 200.0
"""


def source(name, n, rate_hz, per_chunk):
    return subprocess.Popen([sys.executable, "-c", SOURCE, name, str(n), str(rate_hz), str(per_chunk)])


def recorded(seconds=40.0):
    """What the three sources send, as one recording."""

    def one(name, n, rate_hz):
        t = np.arange(round(seconds * rate_hz)) / rate_hz
        counts = np.random.default_rng(n).poisson(3 + 2 * np.sin(t)[:, None] * np.ones(n)).astype(float)
        return Signal(name, name, "count", tuple(f"{name.lower()}{i}" for i in range(n)), rate_hz, counts, t)

    main = one("Neural", 12, 50.0)
    vx = np.sin(main.stamps_s)
    kinematics = Kinematics(("x", "vx"), "cm", np.column_stack([np.cumsum(vx) / 50, vx]), main.stamps_s)
    return Recording(main, kinematics, extras=(one("Muscle", 4, 250.0), one("Switch", 1, 50.0)))


def test_three_sources_are_merged_and_one_that_dies_is_left_out_while_the_arm_goes_on(tmp_path):
    profile = tmp_path / "merged.toml"
    profile.write_text(PROFILE)
    model = tmp_path / "model.npz"
    save_model(model, fit_recording(recorded(), parse_profile(PROFILE, "merged"), {})[0])
    sources = [source("Neural", 12, 50, 1), source("Muscle", 4, 250, 5), source("Switch", 1, 50, 1)]
    try:
        process = start("run", str(profile), "--model", str(model), "--seconds", "60", "--sessions",
                        str(tmp_path / "sessions"))  # fmt: skip
        arm(tmp_path / "sessions", process)
        time.sleep(4.0)
        sources[1].kill()
        killed_s = time.monotonic()
        time.sleep(4.0)
        sources[1].wait()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        for one in sources:
            one.kill()
            one.wait()
    assert "Traceback" not in errors
    session = only_session(tmp_path / "sessions")
    streams = streams_of(session / "recording.xdf")
    assert {"Neural", "Muscle", "Switch", "bci.features", "bci.intents"} <= set(streams)
    channels = streams["bci.features"]["info"]["desc"][0]["channels"][0]["channel"]
    labels = [channel["label"][0] for channel in channels]
    assert labels[12] == "Muscle/muscle0 20-100 Hz"
    assert labels[16] == "Switch/switch0"
    stamps, features = streams["bci.features"]["time_stamps"], streams["bci.features"]["time_series"]
    before = features[(stamps > killed_s - 3.0) & (stamps < killed_s - 0.2)]
    after = features[stamps > killed_s + 0.5]
    assert len(before) > 100
    assert len(after) > 100
    assert np.isfinite(before).mean(axis=0).min() > 0.9  # a loaded machine may be late now and then
    assert np.isnan(after[:, 12:16]).all()
    assert np.isfinite(np.delete(after, range(12, 16), axis=1)).mean() > 0.9
    intents = streams["bci.intents"]
    confident = intents["time_series"][intents["time_stamps"] > killed_s + 0.5, -2]
    assert confident.mean() > 0.95
    events = [text for (text,) in streams["bci.events"]["time_series"]]
    assert any("silent" in text and "'Muscle'" in text for text in events)
    again = read_recording(session)
    assert [extra.name for extra in again.extras] == ["Muscle", "Switch"]
    assert [len(extra.labels) for extra in again.extras] == [4, 1]
    verified = start("replay", str(session), "--verify")
    output, errors = verified.communicate(timeout=60)
    assert verified.returncode == 0, output + errors
