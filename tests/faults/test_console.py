"""The operator's console fails, or is treated as terminals are: measured at the device's true position.

The whole way: keys in a pseudo-terminal that `bci run` controls, a steady source over LSL, the guardian, the twin.
"""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from bench import Bench, wait_for
from live import PROFILE, Live, Source, model_of, profile_of
from operated import Terminal
from sessions import only_session

from bci.decoding.model import save_model
from bci.plan import read_plan
from drivers.guardian.link import GuardianClient

SLOW = 0.5  # of full speed, so that no wall helps to stop within the silence that is allowed
CTRL_Z, CTRL_S = "\x1a", "\x13"


class Operated(Live):
    """A session of `bci run`; it is armed and reset with keys."""

    def __init__(self, folder):
        name = f"steady-{folder.name}"
        profile = folder / "steady.toml"
        profile.write_text(PROFILE.format(name=name, port="twin"))
        save_model(folder / "model.npz", model_of(profile_of(name)))
        self.source = Source(name)
        self.terminal = Terminal("run", str(profile), "--model", str(folder / "model.npz"), "--no-recording",
                                 "--sessions", str(folder / "sessions"))  # fmt: skip
        self.console = self.terminal.process
        self.log_of = folder / "sessions"
        wait_for(lambda: any(self.log_of.glob("*/guardian.jsonl")), 60.0)
        self.session = only_session(self.log_of)
        self.plan = read_plan(self.session)
        wait_for(self.plan.ready_file("loop").exists, 60.0)
        self.bench = Bench(self.session, client=GuardianClient(self.plan.runtime, "test"))

    def arm(self):
        self.terminal.press("a")

    def get_moving(self, effort=SLOW, seconds=20.0):
        if self.bench.now().state == "STOP":
            self.terminal.press("r")
            wait_for(lambda: self.bench.now().state == "DISARMED")
        return super().get_moving(effort, seconds)

    def keep_moving_until_the_screen_is_stuck(self):
        """Read the terminal no more; return since when nothing more is written to it, while the device moves."""
        self.terminal.is_read = False
        n_waits, waited_s = -1, time.monotonic()
        while time.monotonic() - waited_s < 0.15:  # it turns every 20 ms
            self.get_moving()
            if self.terminal.n_waits != n_waits:
                n_waits, waited_s = self.terminal.n_waits, time.monotonic()
        return waited_s

    def reasons(self):
        return [(entry["to"], entry["role"], entry["reason"]) for entry in self.bench.log()]

    def close(self):
        self.bench.client.close()
        self.terminal.close()
        super().close()


@pytest.fixture(scope="module")
def operated(tmp_path_factory):
    operated = Operated(tmp_path_factory.mktemp("op"))
    yield operated
    operated.close()


def wait_disarmed(operated):
    """Held, then disarmed, by the guardian itself, because nobody is there."""
    wait_for(lambda: operated.bench.now().state == "DISARMED")
    (hold, why), (disarmed, role, reason) = operated.reasons()[-2][::2], operated.reasons()[-1]
    assert (hold, disarmed, role) == ("HOLD", "DISARMED", "supervisor"), operated.bench.story()
    assert "console is silent" in why
    assert "console is silent" in reason


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.fault("F33")
def test_a_console_that_is_frozen_or_whose_terminal_is_not_read_holds_and_disarms_the_device(operated, judge):
    times = []
    for _ in range(10):
        operated.get_moving()
        time.sleep(np.random.default_rng(time.monotonic_ns()).uniform(0, 0.1))
        harmed_s = time.monotonic()
        operated.console.send_signal(signal.SIGSTOP)
        wait_disarmed(operated)
        times.append(1e3 * (operated.stop_s(harmed_s) - harmed_s))
        operated.console.send_signal(signal.SIGCONT)
        thawed_s = time.monotonic()
        time.sleep(0.4)
        assert operated.bench.last_motion_s() < thawed_s
    for _ in range(10):
        operated.get_moving()
        stuck_s = operated.keep_moving_until_the_screen_is_stuck()
        wait_disarmed(operated)
        times.append(1e3 * (operated.stop_s(stuck_s) - stuck_s))
        operated.terminal.is_read = True
    judge(times)
    assert min(times) > 300.0  # it was the silence, and no wall


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.fault("F34")
def test_ctrl_z_disarms_after_ctrl_s_space_still_stops_and_so_it_does_in_a_terminal_that_is_not_read(operated, judge):
    times = []
    for key, state in [(CTRL_Z, "DISARMED"), (" ", "STOP")] * 6:
        operated.get_moving(1.0)
        operated.terminal.press(CTRL_S)
        time.sleep(0.1)
        operated.get_moving(1.0)
        harmed_s = operated.terminal.press(key)
        wait_for(lambda state=state: operated.bench.now().state == state)
        time.sleep(0.1)
        times.append(1e3 * (operated.stop_s(harmed_s) - harmed_s))
        name = "Ctrl-Z" if key == CTRL_Z else "space"
        assert f"by the caregiver (key {name})" in operated.reasons()[-1][2]
    for key, state in [(CTRL_Z, "DISARMED"), (" ", "STOP")] * 4:
        operated.get_moving()
        operated.keep_moving_until_the_screen_is_stuck()
        harmed_s = operated.terminal.press(key)
        wait_for(lambda state=state: operated.bench.now().state == state)
        time.sleep(0.1)
        times.append(1e3 * (operated.stop_s(harmed_s) - harmed_s))
        assert "by the caregiver (key" in operated.reasons()[-1][2]
        operated.terminal.is_read = True
    judge(times)
    assert operated.console.poll() is None
    wait_for(lambda: "key Ctrl-S: means nothing here" in operated.terminal.text)


def stop_from_elsewhere(*arguments):
    return subprocess.run([sys.executable, "-m", "bci", "stop", *arguments], capture_output=True, text=True,
                          timeout=30, check=False)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F34")
@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_session_is_stopped_from_another_terminal_also_while_its_console_is_frozen(operated, is_frozen):
    operated.get_moving()
    if is_frozen:
        operated.console.send_signal(signal.SIGSTOP)
    done = stop_from_elsewhere(str(operated.session))
    told_s = time.monotonic()
    operated.console.send_signal(signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"STOP  {operated.session}")
    assert operated.bench.now().state == "STOP"
    assert operated.bench.last_motion_s() < told_s
    assert operated.reasons()[-1] == ("STOP", "caregiver", "stopped by the caregiver (another terminal)")


@pytest.mark.slow
@pytest.mark.fault("F34")
def test_a_guardian_that_does_not_answer_a_stop_from_elsewhere_is_said_and_the_exit_code_tells(operated):
    guardian = next(p.pid for p in psutil.process_iter() if _is_guardian(p, operated.session))
    os.kill(guardian, signal.SIGSTOP)
    try:
        done = stop_from_elsewhere(operated.session.name)
    finally:
        os.kill(guardian, signal.SIGCONT)
    assert done.returncode == 1
    assert "NO ANSWER" in done.stderr
    assert "cut the motor supply now" in done.stderr


def _is_guardian(process, session):
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "drivers.guardian.process" in words and any(str(session) in word for word in words)
