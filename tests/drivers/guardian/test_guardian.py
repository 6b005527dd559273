"""The guardian as it runs: a process that owns a pseudo-terminal with a twin behind it."""

import signal
import subprocess
import sys
import time

import pytest
from bench import wait_for

from drivers.guardian.link import GuardianClient
from drivers.guardian.machine import ACTIVE, ARMED, DISARMED, FAULT, HOLD, STOP
from drivers.trial.probe import probe

STILL = (0.0, 0.0, 0.0, 0.0)


def test_it_moves_only_after_a_caregiver_armed_and_intents_are_good(bench):
    bench.start_guardian()
    assert bench.drive(0.5).state == DISARMED
    assert bench.trace()[-1][1:] == (0.2, 0.2, 0.2, 0.0)
    bench.client.request("arm", "user")
    assert bench.drive(0.5).state == DISARMED
    status = bench.arm_and_move()
    assert status.state == ACTIVE
    assert status.position[0] > 0.22
    assert status.command[0] == pytest.approx(0.12, abs=0.01)
    assert status.acknowledged_s > status.sent_s or status.acknowledged_s != status.acknowledged_s
    states = [entry["to"] for entry in bench.log()]
    assert states == [DISARMED, DISARMED, "CHECKING", ARMED, ACTIVE]
    assert bench.log()[1]["reason"] == "refused arm by the user: the user may not arm"


def test_without_intents_it_refuses_to_arm_and_says_why(bench):
    bench.start_guardian()
    bench.client.request("arm", "caregiver")
    bench.wait("CHECKING")
    status = bench.wait(DISARMED)
    assert "intents: 0 Hz" in status.reason


def test_silence_of_the_decoder_holds_within_the_lease_and_disarms_after_a_second(bench):
    bench.start_guardian()
    bench.arm_and_move()
    silent_s = time.monotonic()
    bench.wait(HOLD)
    bench.wait(DISARMED)
    assert 0.9 < bench.statuses[-1].stamp_s - silent_s < 1.5
    time.sleep(0.1)
    assert bench.last_motion_s() - silent_s < 0.15
    assert bench.drive(0.5).state == DISARMED


@pytest.mark.parametrize("bad", [{"is_confident": False}, {"age_s": 0.4}, {"velocity": (float("nan"), 0.0, 0.0, 0.0)}])
def test_bad_intents_hold_the_device_although_they_keep_coming(bench, bad):
    bench.start_guardian()
    bench.arm_and_move()
    start_s = time.monotonic()
    while time.monotonic() < start_s + 0.5:
        bench.send(**{"velocity": (0.3, 0.0, 0.0, 0.0), **bad})
        time.sleep(0.02)
        bench.look()
    assert bench.statuses[-1].state == HOLD
    assert bench.last_motion_s() - start_s < 0.15


def test_good_intents_within_the_hold_continue_without_a_new_arming(bench):
    bench.start_guardian()
    bench.arm_and_move()
    bench.wait(HOLD)
    assert bench.drive(0.5).state == ACTIVE


def test_the_workspace_ends_motion_gently(bench):
    bench.start_guardian()
    bench.arm_and_move((0.7, -0.7, 0.0, 0.9))
    status = bench.drive(1.5, (0.7, -0.7, 0.0, 0.9))
    assert status.state == ACTIVE
    assert status.position[0] == pytest.approx(0.4, abs=0.004)
    assert status.position[1] == pytest.approx(0.0, abs=0.004)
    assert max(row[1] for row in bench.trace()) <= 0.4
    assert status.position[3] == pytest.approx(1.0, abs=0.01)


def test_stop_is_latched_across_a_restart_and_only_a_caregiver_resets_it(bench):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    asked_s = time.monotonic()
    bench.client.request("stop", "user")
    bench.wait(STOP)
    assert bench.drive(0.3).state == STOP
    assert bench.last_motion_s() - asked_s < 0.1
    guardian.terminate()
    assert guardian.wait(5) == 0
    bench.start_guardian()
    bench.client.request("arm", "caregiver")
    assert bench.drive(0.3).state == STOP
    bench.client.request("reset_stop", "user")
    assert bench.drive(0.2).state == STOP
    bench.client.request("reset_stop", "caregiver")
    assert bench.drive(0.3).state == DISARMED
    assert bench.arm_and_move().state == ACTIVE


def test_what_was_checked_before_a_stop_is_no_longer_shown_after_it(bench):
    bench.start_guardian()
    bench.arm_and_move()
    assert bench.client.checks
    bench.client.request("stop", "user")
    bench.wait(STOP)
    bench.client.request("reset_stop", "caregiver")
    bench.wait(DISARMED)
    wait_for(lambda: bench.look() and not bench.client.checks)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ending_it_disarms_the_device(bench, number):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    ended_s = time.monotonic()
    guardian.send_signal(number)
    assert guardian.wait(5) == 0
    time.sleep(0.15)
    assert bench.last_motion_s() - ended_s < 0.15
    assert bench.log()[-1]["to"] == DISARMED


def test_killing_the_guardian_leaves_the_device_to_its_own_lease(bench):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    killed_s = time.monotonic()
    guardian.kill()
    time.sleep(0.4)
    assert 0.0 < bench.last_motion_s() - killed_s < 0.2


def test_a_device_that_vanishes_is_a_fault_that_needs_acknowledgement(bench):
    twin = bench.processes[0]
    bench.start_guardian()
    bench.arm_and_move()
    twin.kill()
    twin.wait(5)
    bench.drive(1.0, until=FAULT)
    assert bench.statuses[-1].state == FAULT
    bench.client.request("acknowledge", "caregiver")
    assert bench.drive(0.3).state == FAULT
    assert bench.log()[-1]["reason"]


def test_a_frozen_device_is_a_fault(bench):
    bench.start_guardian()
    bench.arm_and_move()
    bench.processes[0].send_signal(signal.SIGSTOP)
    status = bench.drive(1.0, until=FAULT)
    assert status.state == FAULT
    assert "silent" in status.reason


def run_guardian(bench, **changes):
    return subprocess.run(
        [sys.executable, "-m", "drivers.guardian.process", str(bench.config(**changes))],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


def test_a_port_in_use_is_refused_in_one_line(bench):
    bench.start_guardian()
    second = run_guardian(bench)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "is in use by another program" in second.stderr


def test_a_port_that_is_not_there_is_refused_in_one_line(bench):
    result = run_guardian(bench, devices=[bench.device(port="/dev/ttyNOTHING")])
    assert result.returncode == 1
    assert "/dev/ttyNOTHING does not exist" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_mapping_to_an_axis_that_the_device_lacks_is_refused_before_anything_is_armed(bench):
    result = run_guardian(bench, devices=[bench.device(maps=[{"intent": "vx", "axis": "wrist", "gain": 1.0}])])
    assert result.returncode == 1
    assert "has no axis wrist; it has x, y, z, hand" in result.stderr


def test_it_knows_no_numpy():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, drivers.guardian.process; print([m for m in ('numpy', 'numba', 'pydantic') "
         "if m in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout.strip() == "[]"


def test_who_asks_before_the_guardian_exists_loses_only_what_was_said(bench):
    client = GuardianClient(bench.folder, "early")
    client.request("arm", "caregiver")
    bench.start_guardian()
    assert bench.wait(DISARMED).state == DISARMED
    client.close()


def test_a_stop_that_was_asked_for_before_the_guardian_exists_means_no_start(bench):
    client = GuardianClient(bench.folder, "early")
    client.request("stop", "user")
    bench.start_guardian()
    wait_for(lambda: client.poll() and client.stop_asked_s is None)
    bench.client.request("arm", "caregiver")
    assert bench.drive(0.5).state == STOP
    client.close()


def test_a_stop_reaches_a_guardian_whose_queue_of_intents_is_full(bench):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    guardian.send_signal(signal.SIGSTOP)
    for _ in range(40):
        bench.send(velocity=(0.3, 0.0, 0.0, 0.0))
    bench.client.request("stop", "caregiver")
    guardian.send_signal(signal.SIGCONT)
    assert bench.wait(STOP).state == STOP


def test_a_probe_names_the_device_and_moves_nothing(bench):
    assert probe(bench.port) == "node/1, firmware 1, axes x [m], y [m], z [m], hand [1]"
    assert probe("/dev/ttyNOTHING").startswith("Port /dev/ttyNOTHING does not exist")


def test_a_reset_and_a_stop_in_one_turn_leave_it_stopped_here_on_disk_and_in_the_log(bench):
    guardian = bench.start_guardian()
    bench.client.request("stop", "user")
    bench.wait(STOP)
    guardian.send_signal(signal.SIGSTOP)
    bench.client.request("reset_stop", "caregiver")
    bench.client.request("stop", "user")
    guardian.send_signal(signal.SIGCONT)
    wait_for(lambda: len(bench.log()) == 4)
    assert [entry["to"] for entry in bench.log()] == [DISARMED, STOP, DISARMED, STOP]
    bench.client.request("arm", "caregiver")
    assert bench.drive(0.5).state == STOP
    assert (bench.folder / "stop.json").exists()


def test_disarming_and_arming_in_one_turn_disarms_the_device_while_it_moves(bench):
    guardian = bench.start_guardian()
    bench.arm_and_move()
    guardian.send_signal(signal.SIGSTOP)
    bench.client.request("disarm", "caregiver")
    bench.client.request("arm", "caregiver")
    guardian.send_signal(signal.SIGCONT)
    wait_for(lambda: [entry["to"] for entry in bench.log()][-3:-1] == [DISARMED, "CHECKING"])
    asked_s = time.monotonic()
    time.sleep(0.3)
    assert bench.last_motion_s() - asked_s < 0.15


def test_nothing_is_armed_where_a_stop_would_be_forgotten_and_the_stop_says_so_too(bench):
    bench.start_guardian(state_dir=str(bench.folder / "absent"))
    bench.drive(2.2, (0.0,) * 4)
    bench.client.request("arm", "caregiver")
    bench.drive(4.0, (0.0,) * 4, until="CHECKING")
    bench.drive(4.0, (0.0,) * 4, until=DISARMED)
    assert "memory of stops: a stop would be forgotten" in bench.log()[-1]["reason"], bench.story()
    bench.client.request("stop", "user")
    wait_for(lambda: "it will be forgotten by the next session" in bench.now().reason)
    assert bench.now().state == STOP
