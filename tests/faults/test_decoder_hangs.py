"""Processes that live but do not work: the decoding thread hangs, or the machine gives no time."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from live import BREAKABLE, FULL_SPEED, Live, freeze

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
N_TRIALS = 20


@pytest.fixture
def live(bench, tmp_path):
    live = Live(bench, tmp_path, BREAKABLE)
    live.start_loop()
    yield live
    live.close()


def assert_no_burst(live, stood_s, end_s):
    """What comes after a standstill begins slowly; a burst of what waited would be at full speed in 30 ms."""
    stamps, speeds = live.speeds(stood_s + 0.03, end_s)
    moving = np.flatnonzero(np.abs(speeds) > 1e-3)
    if len(moving):
        first = speeds[(stamps >= stamps[moving[0]]) & (stamps < stamps[moving[0]] + 0.08)]
        assert np.abs(first).max() < 0.5 * FULL_SPEED
    assert np.abs(speeds).max() < 1.2 * FULL_SPEED


@pytest.mark.fault("F4")
def test_a_decoder_that_hangs_while_its_io_lives_is_stopped_by_the_guardian(live, judge):
    times = []
    for _ in range(N_TRIALS):
        begun_s = time.monotonic()
        times.append(live.harm(lambda: live.loop.send_signal(signal.SIGUSR1)))
        held = [entry for entry in live.bench.log() if entry["monotonic_s"] > begun_s and entry["to"] == "HOLD"]
        assert held, live.bench.story()
        time.sleep(0.3)
        stopped_s = begun_s + 0.001 * times[-1]
        assert_no_burst(live, max(stopped_s, held[-1]["monotonic_s"]), np.inf)
    assert live.loop.poll() is None
    judge(times)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_raises_or_is_ended_leaves_the_device_to_the_lease(live, number):
    assert live.harm(lambda: live.loop.send_signal(number)) <= 150.0
    assert (b"an error in the loop" in live.loop.communicate(timeout=10)[1]) == (number == signal.SIGUSR2)
    live.bench.wait_logged("DISARMED")


@pytest.mark.fault("F25")
def test_a_pause_on_a_busy_machine_is_held_by_a_lease_and_no_burst_follows(live, judge):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    times = []
    try:
        assert all(os.getpriority(os.PRIO_PROCESS, one.pid) == 0 for one in busy)
        for trial in range(N_TRIALS):
            paused = live.loop if trial % 2 else live.guardian
            live.get_moving()
            harmed_s = time.monotonic()
            freeze(paused, 0.2)
            time.sleep(0.3)
            stood_s = live.stop_s(harmed_s)
            times.append(1e3 * (stood_s - harmed_s))
            assert_no_burst(live, stood_s, np.inf)
    finally:
        for one in busy:
            one.kill()
            one.wait()
    judge(times)
