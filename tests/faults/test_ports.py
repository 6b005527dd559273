"""Cables, ports and files that fail under the guardian as it runs, and others who want what it holds."""

import random
import resource
import termios
import time
from itertools import pairwise

import pytest
import serial
from bench import Bench
from plug import Plug

from bci.errors import DeviceError
from drivers.devices.node import DISARMED as DEVICE_DISARMED
from drivers.dialogue.transport import Port
from drivers.guardian.link import GuardianClient
from drivers.guardian.machine import ACTIVE, DISARMED, FAULT

N_TRIALS = 20
STILL = (0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def plugged(tmp_path):
    """A guardian whose device hangs on a cable."""
    bench = Bench(tmp_path)
    bench.plug = Plug(tmp_path / "tty")
    bench.port = str(bench.plug.path)
    bench.start_guardian()
    yield bench
    bench.close()
    bench.plug.close()


def stop_times_ms(bench, harm, mend):
    """Harm the cable while the device moves: how long it still moved; then mend it, and see that nothing is armed."""
    random_, times_ms = random.Random(10), []
    for trial in range(N_TRIALS):
        bench.drive(0.25, STILL)
        bench.client.request("arm", "caregiver")
        assert bench.drive(5.0, STILL, until=ACTIVE).state == ACTIVE, bench.story()
        velocity = (0.3 * (-1) ** trial, 0.0, 0.0, 0.0)
        assert bench.drive(random_.uniform(0.3, 0.32), velocity).state == ACTIVE
        harmed_s = time.monotonic()
        harm()
        assert bench.drive(1.0, velocity, until=FAULT).state == FAULT
        bench.drive(0.25, velocity)
        times_ms.append(1e3 * (bench.plug.moved_s - harmed_s))
        assert times_ms[-1] > 0.0
        mend()
        where = list(bench.plug.device.positions)
        assert bench.drive(0.1, velocity).state == FAULT  # there again, and still nobody touches it
        bench.client.request("acknowledge", "caregiver")
        assert bench.drive(2.0, velocity, until=DISARMED).state == DISARMED
        assert bench.drive(0.1, velocity).state == DISARMED
        assert bench.plug.device.state == DEVICE_DISARMED
        assert bench.plug.device.positions == where
    return times_ms


@pytest.mark.fault("F10")
def test_a_pulled_cable_leaves_the_device_to_its_lease_and_plugged_in_again_it_is_not_armed(plugged, judge):
    times_ms = stop_times_ms(plugged, plugged.plug.pull, plugged.plug.plug_in)
    reasons = [entry["reason"] for entry in plugged.log() if entry["to"] == FAULT]
    assert len(reasons) == N_TRIALS
    assert all(reason.startswith("Port ") for reason in reasons)
    judge(times_ms)


@pytest.mark.fault("F13")
def test_a_port_that_takes_no_bytes_is_a_fault_that_does_not_delay_the_guardian(plugged, judge):
    judge(stop_times_ms(plugged, plugged.plug.fill, plugged.plug.drain))
    stamps = [status.stamp_s for status in plugged.statuses]
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert sorted(gaps)[int(0.99 * len(gaps))] < 0.05


@pytest.mark.fault("F10")
@pytest.mark.parametrize("kind", [serial.SerialException, OSError, termios.error])
def test_each_of_the_three_exceptions_of_an_unplugged_adapter_is_one_error(kind, tmp_path, monkeypatch):
    plug = Plug(tmp_path / "tty")
    try:
        with Port(str(plug.path), 115200) as port:

            def fail(*_):
                raise kind(5, "Input/output error")

            for name in ("read", "fileno"):
                monkeypatch.setattr(port._serial, name, fail)
            with pytest.raises(DeviceError, match="is gone"):
                port.read()
            with pytest.raises(DeviceError, match="takes no bytes"):
                port.write(b"\0")
    finally:
        plug.close()


@pytest.mark.fault("F26")
def test_a_full_disk_does_not_end_motion_but_the_next_arming_is_refused(bench):
    guardian = bench.start_guardian()
    assert bench.arm_and_move().state == ACTIVE
    size = (bench.folder / "guardian.jsonl").stat().st_size
    resource.prlimit(guardian.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    time.sleep(0.2)  # the lease ends: HOLD, which cannot be written
    assert bench.drive(0.5, until=ACTIVE).state == ACTIVE
    where = bench.drive(0.4, (-0.3, 0.0, 0.0, 0.0)).position[0]
    assert bench.drive(0.4, (-0.3, 0.0, 0.0, 0.0)).position[0] < where - 0.02
    assert (bench.folder / "guardian.jsonl").stat().st_size == size

    def try_to_arm():
        bench.client.request("disarm", "user")
        bench.drive(0.4, STILL)
        bench.client.request("arm", "caregiver")
        bench.drive(0.3, STILL)
        return bench.drive(5.0, STILL, until=DISARMED)

    status = try_to_arm()
    assert "fault log" in status.reason
    assert "could not be written" in status.reason
    resource.prlimit(guardian.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    bench.client.request("arm", "caregiver")
    assert bench.drive(3.0, STILL, until=ACTIVE).state == ACTIVE
    assert max(entry.get("n_dropped", 0) for entry in bench.log()) >= 4


@pytest.mark.fault("F27")
def test_a_second_process_does_not_get_the_port_and_a_second_client_does_not_arm_what_is_armed(bench):
    bench.start_guardian()
    stranger = GuardianClient(bench.folder, "stranger")
    stranger.request("arm", "user")
    stranger.request("arm", "supervisor")
    assert bench.drive(0.3, STILL).state == DISARMED
    assert bench.arm_and_move().state == ACTIVE
    with pytest.raises(DeviceError, match="in use by another program"):
        Port(bench.port, 115200)
    n = len(bench.log())
    asked = ("arm", "acknowledge", "reset_stop")
    for verb in asked:
        stranger.request(verb, "caregiver")
    assert bench.drive(0.4, (-0.3, 0.0, 0.0, 0.0)).state == ACTIVE
    refused = bench.log()[n:]
    assert all(entry["from"] == entry["to"] == ACTIVE for entry in refused), "nothing came of it"
    assert len(refused) == len(asked), "but it is written down"
    assert abs(bench.statuses[-1].command[0] + 0.12) < 0.01
    stranger.close()
