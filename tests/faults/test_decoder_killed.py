"""The decoder dies, freezes or is ended while the device moves. Time is measured at the device's true positions."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pylsl
import pytest
from bench import wait_for

from bci.configs import find_profile
from bci.decoding.model import Model, save_model
from bci.plan import create_plan
from bci.profile import load_profile, parse_profile
from bci.streams.outlet import open_outlet

N_TRIALS = 20
N = 16
OUTPUTS = ("vx", "vy", "vz", "grasp")
C = np.column_stack([np.random.default_rng(4).normal(size=(N, 4)), np.full(N, 5.0)])


class Source:
    """Sixteen channels that encode a steady intention, sent at 50 Hz from a thread."""

    def __init__(self, name):
        self.effort = np.zeros(4)
        labels = [f"n{i}" for i in range(N)]
        self._outlet = open_outlet(name, "Rates", labels, ["count"] * N, name, rate_hz=50.0)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._random = np.random.default_rng(8)
        self._thread.start()

    def _run(self):
        next_s = pylsl.local_clock()
        while not self._closing.is_set():
            noise = 0.3 * self._random.normal(size=N)
            self._outlet.push_sample(C[:, :4] @ self.effort + C[:, 4] + noise, next_s)
            next_s += 0.02
            time.sleep(max(0.0, next_s - pylsl.local_clock()))

    def close(self):
        self._closing.set()
        self._thread.join()


PROFILE = """
schema_version = 1
name = "steady"
[stream]
name = "{name}"
n_channels = 16
rate_hz = 50.0
[features]
kind = "rates"
bin_ms = 20.0
transform = "none"
zscore = {{}}
[decoder]
outputs = ["vx", "vy", "vz", "grasp"]
[device]
port = "{port}"
maps = [{{intent = "vx", axis = "x", gain = 0.4}}]
"""


@pytest.fixture
def session(bench, tmp_path):
    """A guardian with its twin, a source, and a loop that can be started again and again."""
    name = f"steady-{bench.folder.name}"
    profile = parse_profile(PROFILE.format(name=name, port=bench.port), "test")
    features = profile.features.model_copy(update={"zscore": None})
    profile = profile.model_copy(update={"features": features})
    model = Model(OUTPUTS, tuple(f"n{i}" for i in range(N)), profile.features_hash, 0.02, C, 0.09 * np.eye(N),
                  np.eye(5) * 100, 1000.0, 10.0)  # fmt: skip
    save_model(tmp_path / "model.npz", model)
    plan = create_plan(tmp_path, profile, model=tmp_path / "model.npz", is_recorded=False)
    plan = plan.model_copy(update={"runtime": bench.folder})
    plan.path("session.json").write_text(plan.model_dump_json())
    bench.start_guardian()
    source = Source(name)
    yield dataclasses.make_dataclass("S", ["plan", "source"])(plan, source)
    source.close()


def start_loop(bench, plan):
    ready = plan.ready_file("loop")
    ready.unlink(missing_ok=True)
    loop = subprocess.Popen([sys.executable, "-m", "bci.live.loop", str(plan.folder)], stderr=subprocess.PIPE)
    bench.processes.append(loop)
    wait_for(ready.exists, 60)
    return loop


def get_moving(bench, source):
    """Arm, and move toward the farther wall."""
    source.effort[:] = 0.0
    wait_for(lambda: bench.look() and bench.statuses[-1].state == "DISARMED", 5)
    time.sleep(0.3)
    bench.client.request("arm", "caregiver")
    bench.wait("ACTIVE", 5)
    source.effort[0] = 1.0 if bench.statuses[-1].position[0] < 0.2 else -1.0
    wait_for(lambda: bench.look() and abs(bench.statuses[-1].velocity[0]) > 0.2, 5)


def stop_times(bench, session, harm):
    """Harm the loop while the device moves at full speed; how long the device still moved, in each trial."""
    random = np.random.default_rng(2)
    times = []
    for _ in range(N_TRIALS):
        loop = start_loop(bench, session.plan)
        get_moving(bench, session.source)
        time.sleep(random.uniform(0, 0.02))
        harmed_s = time.monotonic()
        harm(loop)
        time.sleep(0.35)
        times.append(bench.last_motion_s() - harmed_s)
        assert times[-1] > 0.0
        wait_for(lambda: bench.look() and bench.statuses[-1].state == "DISARMED", 3)
        loop.send_signal(signal.SIGCONT)  # one that was frozen wakes up, and goes on sending intents
        time.sleep(0.5)
        assert bench.last_motion_s() - harmed_s == times[-1]
        loop.kill()
        loop.wait()
    return times


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "harm",
    [pytest.param("SIGKILL", marks=pytest.mark.fault("F1")), pytest.param("SIGSTOP", marks=pytest.mark.fault("F2"))],
)
def test_the_device_stands_within_150_ms_of_the_decoders_death(bench, session, harm, judge):
    number = getattr(signal, harm)
    times = stop_times(bench, session, lambda loop: loop.send_signal(number))
    judge([1e3 * value for value in times])


def test_the_shipped_demo_profile_has_the_lease_that_this_measures():
    assert load_profile(find_profile("simulated")).device.limits.lease_ms == 100.0
