"""A live session to break: a steady source over real LSL, the loop, the guardian and its twin, all real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pylsl

from bci.decoding.model import Model, save_model
from bci.plan import create_plan
from bci.profile import parse_profile
from bci.streams.outlet import open_outlet

N = 16
OUTPUTS = ("vx", "vy", "vz", "grasp")
C = np.column_stack([np.random.default_rng(4).normal(size=(N, 4)), np.full(N, 5.0)])
BREAKABLE = str(Path(__file__).parent / "breakable_loop.py")
FULL_SPEED = 0.27  # m/s, what full effort becomes
ROOM = 0.13  # m ahead, so that no wall helps to stop

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
zscore = false
[decoder]
outputs = ["vx", "vy", "vz", "grasp"]
[device]
port = "{port}"
maps = [{{intent = "vx", axis = "x", gain = 0.4}}]
"""


def profile_of(name="steady", port="twin"):
    return parse_profile(PROFILE.format(name=name, port=port), "test")


def model_of(profile):
    return Model(OUTPUTS, tuple(f"n{i}" for i in range(N)), profile.features_hash, 0.02, C, 0.09 * np.eye(N),
                 np.eye(5) * 100, 1000.0, 10.0)  # fmt: skip


def session_plan(bench, folder):
    """The plan of a session whose guardian is the bench's."""
    profile = profile_of(f"steady-{bench.folder.name}", bench.port)
    save_model(folder / "model.npz", model_of(profile))
    plan = create_plan(folder, profile, model=folder / "model.npz", is_recorded=False)
    plan = plan.model_copy(update={"runtime": bench.folder})
    plan.path("session.json").write_text(plan.model_dump_json())
    return plan


class Source:
    """Sixteen channels that encode a steady intention, sent at 50 Hz from a thread.

    `distort` may be replaced: from a sample and its stamp to the list of samples and stamps that are sent instead.
    """

    def __init__(self, name):
        self.name = name
        self.effort = np.zeros(4)
        self.heal()
        self._outlet = None
        self._lock = threading.Lock()
        self.open()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._random = np.random.default_rng(8)
        self._thread.start()

    def open(self, n=N, rate_hz=50.0, is_text=False):
        """Open the outlet, after its end again; it may be of another shape then."""
        labels = [f"n{i}" for i in range(n)]
        if is_text:
            info = pylsl.StreamInfo(self.name, "Rates", n, rate_hz, pylsl.cf_string, self.name)
            outlet = pylsl.StreamOutlet(info)
        else:
            outlet = open_outlet(self.name, "Rates", labels, ["count"] * n, self.name, rate_hz=rate_hz)
        with self._lock:
            self._outlet, self._n, self._period_s, self._is_text = outlet, n, 1.0 / rate_hz, is_text

    def end(self):
        """End the outlet, as a source that is closed does."""
        with self._lock:
            self._outlet = None

    def heal(self):
        self.distort = lambda sample, stamp_s: [(sample, stamp_s)]

    def encode(self, effort):
        return C[:, :4] @ effort + C[:, 4] + 0.3 * self._random.normal(size=N)

    def _run(self):
        next_s = pylsl.local_clock()
        while not self._closing.is_set():
            with self._lock:
                if self._outlet is not None:
                    for sample, stamp_s in self.distort(self.encode(self.effort), next_s):
                        row = np.resize(sample, self._n)
                        self._outlet.push_sample([f"{x}" for x in row] if self._is_text else row, stamp_s)
                next_s += self._period_s
            time.sleep(max(0.0, next_s - pylsl.local_clock()))

    def close(self):
        self._closing.set()
        self._thread.join()
        self.end()


def start_loop(bench, plan, *program):
    """Start the loop, or a program that is one, and wait until it is ready; if it will not be, say what it said."""
    ready = plan.ready_file("loop")
    ready.unlink(missing_ok=True)
    program = program or ("-m", "bci.live.loop")
    loop = subprocess.Popen([sys.executable, *program, str(plan.folder)], stderr=subprocess.PIPE)
    bench.processes.append(loop)
    deadline_s = time.monotonic() + 60
    while not ready.exists():
        if loop.poll() is not None or time.monotonic() > deadline_s:
            loop.kill()
            raise AssertionError(f"the loop was not ready: {loop.stderr.read().decode()}")
        time.sleep(0.01)
    return loop


class Live:
    """The session, and what is asked of it again and again."""

    def __init__(self, bench, folder, *program):
        self.bench = bench
        self.plan = session_plan(bench, folder)
        self.guardian = bench.start_guardian()
        self.source = Source(self.plan.profile.stream.name)
        self._program = program
        self.loop = None

    def start_loop(self):
        self.loop = start_loop(self.bench, self.plan, *self._program)

    def arm(self):
        self.bench.client.request("arm", "caregiver")

    def get_moving(self, effort=1.0, seconds=20.0):
        """Move at full speed with room ahead. Before anything is measured, arm as often as a loaded machine makes it
        necessary."""
        full, asked_s, source = FULL_SPEED * effort, 0.0, self.source
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            status = self.bench.now()
            if status.state == "DISARMED" and status.stamp_s - asked_s > 0.5:
                source.effort[0] = 0.0
                self.arm()
                asked_s = status.stamp_s
            elif status.state == "ACTIVE":
                x, v = status.position[0], status.velocity[0]
                side = np.sign(source.effort[0]) or (1.0 if x < 0.2 else -1.0)
                has_room = (0.4 - x if side > 0 else x) > ROOM
                source.effort[0] = effort * (side if has_room else -side)
                if has_room and side * v > 0.75 * full:
                    return status
        raise AssertionError(f"did not move within {seconds:g} s: {self.bench.story()}")

    def stop_s(self, harmed_s):
        """Stamp from which the device stood for 30 ms or more, after a harm that it was moving at."""
        rows = [row for row in self.bench.trace() if row[0] > harmed_s - 0.05]
        begun_s = None
        for before, after in pairwise(rows):
            if before[1:] != after[1:]:
                begun_s = after[0]
            elif begun_s is not None and after[0] > harmed_s and after[0] - begun_s >= 0.03:
                return begun_s
        raise AssertionError(f"never stood: {self.bench.story()}")

    def harm(self, act, seconds=0.35):
        """Harm while it moves, at any moment of a period; the time until it stands, ms."""
        self.get_moving()
        time.sleep(np.random.default_rng(time.monotonic_ns()).uniform(0, 0.02))
        harmed_s = time.monotonic()
        act()
        time.sleep(seconds)
        return 1e3 * (self.stop_s(harmed_s) - harmed_s)

    def speeds(self, begin_s, end_s=np.inf):
        """Stamps and true velocities of the first axis."""
        rows = np.array([row[:2] for row in self.bench.trace() if begin_s <= row[0] <= end_s])
        return rows[1:, 0], np.diff(rows[:, 1]) / np.diff(rows[:, 0])

    def close(self):
        self.source.close()


def freeze(process, seconds):
    """Give a process no time for a while."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
