"""The firmware's own binary on an emulated ATmega328P: what its pins do when everything around it goes wrong.

Rows F1-F3, F11, F12, F14-F19 of the fault table. Times are the chip's own (cycles), from the last frame that it was
given, or from the event at its pins, to the pin's edge; the worst of all trials is printed (`-s`) and judged.
"""

import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from node_chip import milliseconds
from wire_host import FULL_SPEED

from drivers.node import (
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

N_TRIALS = 20
BOUND_LEASE_MS, BOUND_WATCHDOG_MS, BOUND_STOP_MS = 150.0, 120.0, 20.0
RANDOM = random.Random(5)


def report(row, times_ms, bound_ms):
    assert len(times_ms) >= N_TRIALS
    print(f"\n{row}: worst {max(times_ms):.1f} ms of {len(times_ms)}, bound {bound_ms:g} ms")
    assert max(times_ms) <= bound_ms


def load_mover(chip):
    return subprocess.Popen([sys.executable, str(Path(__file__).parent / "mover.py"), chip.path], stdin=subprocess.PIPE)


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


def test_it_greets_describes_arms_moves_and_disarms_itself_a_second_after_the_last_set_point(chip):
    host = chip.greet()
    assert host.axes == AXES
    assert (host.ack.watchdog_ms, host.ack.reset_cause) == (60, 0)
    assert host.ask().state == DISARMED
    chip.moving(host)
    since = chip.mark()
    held = chip.wait("MOVING", 0, since)
    off = chip.wait("ENABLE", 0, since)
    assert host.ask().state == DISARMED
    assert "lease ran out" in fault_names(host.status.faults)
    assert milliseconds(held, off) == pytest.approx(1000 - 33, abs=35)  # held from the lease's end, which brakes first


def test_f1_a_host_that_is_killed_leaves_the_device_to_its_lease(chip):
    times_ms, following = [], load_mover(chip)
    for _ in range(N_TRIALS):
        mover, following = following, load_mover(chip)
        start(mover, chip)
        time.sleep(RANDOM.uniform(0.05, 0.1))
        since = chip.mark()
        end(mover)
        times_ms.append(stop_time_ms(chip, since))
    end(following)
    report("F1 host killed", times_ms, BOUND_LEASE_MS)


def test_f2_a_host_that_freezes_stops_the_device_and_continues_only_within_the_hold(chip):
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
    report("F2 host frozen", times_ms, BOUND_LEASE_MS)


def test_f3_thirty_set_points_held_for_600_ms_and_released_at_once_move_nothing(chip):
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


def test_f11_power_off_and_on_forgets_the_session_so_that_no_old_frame_moves_anything(chip):
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


def test_f12_a_program_that_hangs_is_reset_by_the_watchdog_and_says_so(chip):
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
    report("F12 program hangs", times_ms, BOUND_WATCHDOG_MS)


def test_f14_noise_endless_streams_zeros_and_ones_are_not_accepted_and_the_next_frame_is(chip):
    host = chip.greet()
    n_ok, asked = host.ask().n_ok, host.seq
    for noise in (RANDOM.randbytes(4000), b"\x55" * 4000, bytes(2000), b"\xff" * 2000):
        host.port.write(noise + b"\0")
        time.sleep(len(noise) / 11520 + 0.1)
    status = host.ask()
    assert status.state == DISARMED
    assert status.n_ok <= n_ok + host.seq - asked  # only what this host has said
    assert not [edge for edge in chip.look() if edge.pin == "ENABLE"]


def test_f15_flipped_bits_are_never_accepted_and_a_few_do_not_interrupt(chip):
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


def test_f16_repeated_reordered_and_replayed_frames_are_dropped_and_counted(chip):
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


def test_f17_half_a_frame_and_then_silence_is_held_by_the_lease_and_the_next_frame_is_understood(chip):
    host = chip.greet()
    chip.moving(host)
    since = chip.mark()
    host.port.write(encode(Setpoint(100, host.status.tick_ms, 0, (FULL_SPEED, 0, 0, 0)), 9, host.session)[:11])
    chip.wait("MOVING", 0, since)
    host.port.write(b"\0")
    assert host.ask().state in (HOLD, DISARMED)


def test_f18_a_value_outside_the_range_is_clamped_and_told(chip):
    host = chip.greet()
    host.ask()
    host.arm(200)
    status = host.ask()
    assert status.state == ARMED
    status = host.ask(Setpoint(200, status.tick_ms, 0, (-32768, 0, 0, 0)))
    assert "set-point out of range" in fault_names(status.faults)
    assert all(velocity >= -FULL_SPEED for velocity in status.velocities)


def test_f19_a_stop_with_wrong_session_and_old_number_cuts_power_at_once_and_only_the_challenge_ends_it(chip):
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
    report("F19 software stop, from its first bit", times_ms, BOUND_STOP_MS)


def test_the_stop_button_cuts_power_and_a_reset_waits_for_its_release(chip):
    times_ms = []
    host = chip.greet()
    for _ in range(N_TRIALS):
        chip.moving(host, 0.01)
        since = chip.mark()
        chip.do("stop")
        pressed = chip.wait("STOP", 1, since)
        times_ms.append(milliseconds(pressed, chip.wait("ENABLE", 0, since)))
        assert "stop input" in fault_names(host.ask().faults)
        host.reset_stop()
        assert host.ask().state == ESTOP
        chip.do("release")
        chip.wait("STOP", 0, since)
        time.sleep(0.01)
        host.reset_stop()
        assert host.ask().state == DISARMED
    report("stop button", times_ms, BOUND_STOP_MS)


def test_servo_pulses_are_those_of_the_position_and_none_without_power(make_chip):
    chip = make_chip("hand")
    host = chip.greet()
    assert [axis.name for axis in host.axes] == ["hand"]
    assert not [edge for edge in chip.look() if edge.pin == "SERVO0"]
    deadline = time.monotonic() + 30
    while host.status.positions[0] < FULL_SPEED and time.monotonic() < deadline:
        if host.ask().state == DISARMED:
            host.arm(200)
        host.send(Setpoint(200, host.status.tick_ms, 0, (FULL_SPEED // 2,)))
        time.sleep(0.02)
    time.sleep(0.1)
    pulses = [e for e in chip.look() if e.pin == "SERVO0"]
    widths_us = [1e3 * milliseconds(up, down) for up, down in zip(pulses[::2], pulses[1::2], strict=False)]
    starts = [milliseconds(a, b) for a, b in zip(pulses[::2], pulses[2::2], strict=False)]
    assert widths_us[0] == pytest.approx(1000, abs=15)
    assert widths_us[-1] == pytest.approx(2000, abs=15)
    assert all(after > before - 15 for before, after in pairwise(widths_us))
    assert starts[:10] == pytest.approx([20.0] * 10, abs=0.1)
    chip.do("stop")
    off = chip.wait("ENABLE", 0)
    time.sleep(0.1)
    later = [e for e in chip.look() if e.pin == "SERVO0" and e.cycle > off.cycle + 40_000]
    assert later == []


def test_a_relay_opens_with_the_lease_and_stays_open(make_chip):
    chip = make_chip("relay")
    host = chip.greet()
    for _ in range(200):
        if chip.level("ENABLE"):
            break
        if host.ask().state == DISARMED:
            host.arm(100)
        host.send(Setpoint(100, host.status.tick_ms, 0, (0,)))
        time.sleep(0.01)
    since = chip.mark() - 1
    off = chip.wait("ENABLE", 0, since)
    assert milliseconds(chip.last_before(off, "FRAME", 0), off) <= BOUND_LEASE_MS
    status = host.ask()
    assert status.state == DISARMED
    assert host.ask(Setpoint(100, status.tick_ms, 0, (0,))).state == DISARMED
    assert not chip.level("ENABLE")
