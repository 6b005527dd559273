"""The decoder dies, freezes or is ended while the device moves. Time is measured at the device's true positions."""

import signal
import time

import numpy as np
import pytest
from live import Live

from bci.configs import find_profile
from bci.profile import load_profile

N_TRIALS = 20


@pytest.fixture
def live(bench, tmp_path):
    live = Live(bench, tmp_path)
    yield live
    live.close()


def stop_times(live, harm):
    """Harm the loop while the device moves at full speed; how long the device still moved, in each trial."""
    random = np.random.default_rng(2)
    times = []
    for _ in range(N_TRIALS):
        live.start_loop()
        live.get_moving()
        time.sleep(random.uniform(0, 0.02))
        harmed_s = time.monotonic()
        harm(live.loop)
        time.sleep(0.35)
        times.append(live.bench.last_motion_s() - harmed_s)
        assert times[-1] > 0.0
        live.bench.wait_logged("DISARMED")
        live.loop.send_signal(signal.SIGCONT)  # one that was frozen wakes up, and goes on sending intents
        time.sleep(0.5)
        assert live.bench.last_motion_s() - harmed_s == times[-1]
        live.loop.kill()
        live.loop.wait()
    return times


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "harm",
    [pytest.param("SIGKILL", marks=pytest.mark.fault("F1")), pytest.param("SIGSTOP", marks=pytest.mark.fault("F2"))],
)
def test_the_device_stands_within_150_ms_of_the_decoders_death(live, harm, judge):
    number = getattr(signal, harm)
    times = stop_times(live, lambda loop: loop.send_signal(number))
    judge([1e3 * value for value in times])


def test_the_shipped_demo_profile_has_the_lease_that_this_measures():
    assert load_profile(find_profile("simulated")).device.limits.lease_ms == 100.0
