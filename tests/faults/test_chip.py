"""The firmware's own binary on an emulated ATmega328P: what its pins do when everything around it goes wrong.

Times are the chip's own (cycles), from the last frame that it was given, or from the event at its pins, to the pin's
edge.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from node_chip import milliseconds
from wire_host import FULL_SPEED

from drivers.devices.node import (
    ACTIVE,
    ARMED,
    DISARMED,
    ESTOP,
    HOLD,
    Arm,
    Estop,
    Ping,
    Setpoint,
    config_hash,
    encode,
    fault_names,
)
from drivers.twins.node import AXES

MOVER = Path(__file__).parents[1] / "firmware" / "mover.py"
N_TRIALS = 20
RANDOM = random.Random(5)


def load_mover(chip):
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "firmware" / "mover.py"), chip.path], stdin=subprocess.PIPE
    )


def start(mover, chip):
    since = chip.mark()
    mover.stdin.write(b"\n")
    mover.stdin.flush()
    chip.wait("MOVING", 1, since)


def end(mover):
    mover.kill()
    mover.wait()
    mover.stdin.close()


def stop_time_ms(chip, since):
    """From the last frame that the chip was given to the end of its motion."""
    edge = chip.wait("MOVING", 0, since)
    return milliseconds(chip.last_before(edge, "FRAME", 0), edge)


@pytest.mark.fault("F1")
def test_a_host_that_is_killed_leaves_the_device_to_its_lease(chip, judge):
    times_ms, following = [], load_mover(chip)
    for _ in range(N_TRIALS):
        mover, following = following, load_mover(chip)
        start(mover, chip)
        time.sleep(RANDOM.uniform(0.05, 0.1))
        since = chip.mark()
        end(mover)
        times_ms.append(stop_time_ms(chip, since))
    end(following)
    judge(times_ms)


@pytest.mark.fault("F2")
def test_a_host_that_freezes_stops_the_device_and_continues_only_within_the_hold(chip, judge):
    mover, times_ms = load_mover(chip), []
    try:
        start(mover, chip)
        for _ in range(N_TRIALS):
            time.sleep(RANDOM.uniform(0.03, 0.08))
            since = chip.mark()
            mover.send_signal(signal.SIGSTOP)
            times_ms.append(stop_time_ms(chip, since))
            if len(times_ms) < N_TRIALS:
                resumed = chip.mark()
                mover.send_signal(signal.SIGCONT)
                chip.wait("MOVING", 1, resumed)
        chip.wait("ENABLE", 0, since)
        since = chip.mark()
        mover.send_signal(signal.SIGCONT)  # what it sends now meets a device that is disarmed
        time.sleep(0.5)
        assert not [edge for edge in chip.look()[since:] if edge.pin in ("ENABLE", "MOVING")]
        assert [edge for edge in chip.look()[since:] if edge.pin == "FRAME"]
    finally:
        end(mover)
    judge(times_ms)


@pytest.mark.fault("F3")
def test_thirty_set_points_held_for_600_ms_and_released_at_once_move_nothing(chip):
    host = chip.greet()
    for _ in range(2):
        chip.moving(host)
        tick_ms, n_bad = host.ask().tick_ms, host.status.n_bad
        held = b""
        since = chip.mark()
        for _ in range(30):
            host.seq += 1
            held += encode(Setpoint(100, tick_ms, 0, (FULL_SPEED, 0, 0, 0)), host.seq, host.session)
        chip.wait("MOVING", 0, since)
        time.sleep(0.47)
        since = chip.mark()
        host.port.write(held)
        time.sleep(0.3)
        status = host.ask()
        assert status.state in (HOLD, DISARMED)
        assert "late set-point" in fault_names(status.faults)
        assert status.n_bad >= n_bad + 29
        assert not [edge for edge in chip.look()[since:] if (edge.pin, edge.level) == ("MOVING", 1)]


@pytest.mark.fault("F11")
def test_power_off_and_on_forgets_the_session_so_that_no_old_frame_moves_anything(chip):
    host = chip.greet()
    chip.moving(host)
    since = chip.mark()
    chip.do("power")
    chip.wait("RESET", 0, since)
    since = chip.mark()
    for _ in range(20):
        host.drive()
        host.arm(100)
        time.sleep(0.02)
    assert not [edge for edge in chip.look()[since:] if edge.pin in ("ENABLE", "MOVING")]
    assert len([edge for edge in chip.look()[since:] if (edge.pin, edge.level) == ("FRAME", 0)]) > 20
    old = host.session
    host = chip.greet()
    assert host.ask().state == DISARMED
    assert host.session != old


@pytest.mark.fault("F12")
def test_a_program_that_hangs_is_reset_by_the_watchdog_and_says_so(chip, judge):
    times_ms = []
    for _ in range(N_TRIALS):
        host = chip.greet()
        chip.moving(host, 0.01)
        since = chip.mark()
        chip.do("hang")
        off = chip.wait("ENABLE", 0, since)
        times_ms.append(milliseconds(chip.wait("HANG", 1, since), off))
        assert chip.wait("RESET", 0, since).cycle <= off.cycle
    host = chip.greet()
    assert host.ack.reset_cause == 1
    assert host.ask().state == DISARMED
    judge(times_ms)


@pytest.mark.fault("F14")
def test_noise_endless_streams_zeros_and_ones_are_not_accepted_and_the_next_frame_is(chip):
    host = chip.greet()
    n_ok, asked = host.ask().n_ok, host.seq
    for noise in (RANDOM.randbytes(4000), b"\x55" * 4000, bytes(2000), b"\xff" * 2000):
        host.port.write(noise + b"\0")
        time.sleep(len(noise) / 11520 + 0.1)
    status = host.ask()
    assert status.state == DISARMED
    assert status.n_ok <= n_ok + host.seq - asked  # only what this host has said
    assert not [edge for edge in chip.look() if edge.pin == "ENABLE"]


@pytest.mark.fault("F15")
def test_flipped_bits_are_never_accepted_and_a_few_do_not_interrupt(chip):
    host = chip.greet()
    n_flipped = 0
    for _ in range(100):
        frame = bytearray(encode(Ping(), host.seq + 1000, host.session))
        for _ in range(RANDOM.choice((1, 2))):
            frame[RANDOM.randrange(len(frame) - 1)] ^= 1 << RANDOM.randrange(8)
        if bytes(frame) != encode(Ping(), host.seq + 1000, host.session):
            host.port.write(b"\0" + bytes(frame) + b"\0")
            n_flipped += 1
            time.sleep(0.003)
    assert host.ask().last_seq == host.seq
    assert host.status.n_bad >= n_flipped
    chip.moving(host)
    since = chip.mark()
    for i in range(100):
        host.receive()
        host.drive()
        if i % 20 == 10:
            host.port.write(b"\3\1\4\0")
        time.sleep(0.02)
    assert not [edge for edge in chip.look()[since:] if edge.pin == "ENABLE"]
    assert host.ask().state in (ACTIVE, HOLD)


@pytest.mark.fault("F16")
def test_repeated_reordered_and_replayed_frames_are_dropped_and_counted(chip):
    host = chip.greet()
    chip.moving(host, 0.01)
    host.ask()
    last = host.seq
    frames = [encode(Setpoint(100, host.status.tick_ms, 0, (FULL_SPEED, 0, 0, 0)), last - ago, host.session)
              for ago in (0, 1, 5)]  # fmt: skip
    n_bad = host.status.n_bad
    host.port.write(b"".join(frames))
    assert host.ask().n_bad == n_bad + 3
    chip.wait("ENABLE", 0, chip.mark() - 1)
    recorded = [encode(Arm(100, config_hash(AXES)), 1, host.session),
                encode(Setpoint(100, host.status.tick_ms, 0, (FULL_SPEED, 0, 0, 0)), 2, host.session)]  # fmt: skip
    host = chip.greet()
    since = chip.mark()
    for frame in recorded * 5:
        host.port.write(frame)
        time.sleep(0.01)
    assert host.ask().state == DISARMED
    assert not [edge for edge in chip.look()[since:] if edge.pin in ("ENABLE", "MOVING")]


@pytest.mark.fault("F17")
def test_half_a_frame_and_then_silence_is_held_by_the_lease_and_the_next_frame_is_understood(chip):
    host = chip.greet()
    chip.moving(host)
    since = chip.mark()
    host.port.write(encode(Setpoint(100, host.status.tick_ms, 0, (FULL_SPEED, 0, 0, 0)), 9, host.session)[:11])
    chip.wait("MOVING", 0, since)
    host.port.write(b"\0")
    assert host.ask().state in (HOLD, DISARMED)


@pytest.mark.fault("F18")
def test_a_value_outside_the_range_is_clamped_and_told(chip):
    host = chip.greet()
    host.ask()
    host.arm(200)
    status = host.ask()
    assert status.state == ARMED
    status = host.ask(Setpoint(200, status.tick_ms, 0, (-32768, 0, 0, 0)))
    assert "set-point out of range" in fault_names(status.faults)
    assert all(velocity >= -FULL_SPEED for velocity in status.velocities)


@pytest.mark.fault("F19")
def test_a_stop_with_wrong_session_and_old_number_cuts_power_at_once_and_only_the_challenge_ends_it(chip, judge):
    times_ms = []
    host = chip.greet()
    for trial in range(N_TRIALS):
        chip.moving(host, 0.01)
        since = chip.mark()
        host.port.write(encode(Estop(), 0, 0x12345678))
        off = chip.wait("ENABLE", 0, since)
        chip.wait("MOVING", 0, since)
        times_ms.append(milliseconds(chip.last_before(off, "FRAME", 1), off))
        if trial == 0:
            host = chip.greet()
            host.arm(100)
            host.drive()
            assert host.ask().state == ESTOP
            since = chip.mark()
            chip.do("power")
            chip.wait("RESET", 0, since)
            host = chip.greet()  # latched over power loss
        assert host.ask().state == ESTOP
        host.reset_stop()
        assert host.ask().state == DISARMED
    judge(times_ms)
