"""A stop reaches the guardian whatever else is on its way to it: measured at the device's true position."""

import signal
import time

import numpy as np
import pytest
from bench import wait_for
from test_guardian_ends import move

AWAY_S = 0.19  # shorter than what makes a guardian give up power by itself


@pytest.mark.slow
@pytest.mark.fault("F32")
def test_a_stop_is_heard_although_the_guardian_was_away_and_intents_filled_its_queue(bench):
    random, times = np.random.default_rng(32), []
    bench.start_guardian()
    for _ in range(20):
        guardian = bench.processes[-1]
        move(bench)
        guardian.send_signal(signal.SIGSTOP)
        away_s = time.monotonic()
        asked_after_s = random.uniform(0.12, 0.17)
        while time.monotonic() < away_s + asked_after_s:  # a decoder at 100 Hz: more than a queue of ten
            bench.send((1.0, 0.0, 0.0, 0.0))
            time.sleep(0.01)
        asked_s = time.monotonic()
        bench.client.request("stop", "caregiver")
        time.sleep(max(0.0, away_s + AWAY_S - time.monotonic()))
        guardian.send_signal(signal.SIGCONT)
        for _ in range(10):  # the decoder goes on, and nobody asks again
            bench.send((1.0, 0.0, 0.0, 0.0))
            time.sleep(0.02)
        bench.wait_logged("STOP")
        assert (bench.folder / "stop.json").exists()
        times.append(max(0.0, 1e3 * (bench.last_motion_s() - asked_s)))
        bench.client.request("reset_stop", "caregiver")
        wait_for(lambda: bench.now().state == "DISARMED")
    assert max(times) < 150.0  # mostly 0: the lease of the device has ended motion by then
