"""Keys reach the guardian or are told why not; each is answered and written down."""

import json
import os
import pty
import signal
import termios
import threading
import time
from types import SimpleNamespace

import pytest
from bench import wait_for

from bci.console.keys import GONE, key_presses
from bci.console.operator import LATE_S, Operator, name_of
from bci.console.watch import UNANSWERED, UNANSWERED_S, Watch
from bci.live.session import ProcessDiedError, cause_of
from drivers.guardian.link import GuardianSocket, Status


@pytest.fixture
def plan(tmp_path):
    runtime = tmp_path / "r"
    runtime.mkdir()
    return SimpleNamespace(runtime=runtime, path=lambda name: tmp_path / name, session_id="none", demonstration=None,
                           ready_file=lambda name: runtime / name)  # fmt: skip


@pytest.fixture
def guardian(plan):
    guardian = GuardianSocket(plan.runtime)
    yield guardian
    guardian.close()


def written(plan):
    return [json.loads(line)["text"] for line in plan.path("console.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("key", "verb", "name"), [(" ", "stop", "space"), ("\x1a", "disarm", "Ctrl-Z"), ("d", "disarm",
                         "d"), ("a", "arm", "a"), ("f", "acknowledge", "f"), ("r", "reset_stop", "r")])  # fmt: skip
def test_each_key_of_the_device_asks_the_guardian_and_its_answer_is_shown_and_written(plan, guardian, key, verb, name):
    operator = Operator(plan)
    operator.press(key)
    (request,) = guardian.asked()
    assert (request.verb, request.role, request.origin) == (verb, "caregiver", f"key {name}")
    assert operator.answer == f"key {name}: {verb} asked for"
    operator.tend()
    guardian.receive()
    guardian.report(Status(time.monotonic(), "STOP", "", answer="refused: it is STOP", answer_to=request.number))
    operator.tend()
    assert operator.answer == f"key {name}: {verb} refused: it is STOP"
    operator.write_down()
    assert written(plan) == [f"key {name}: {verb} asked for", f"key {name}: {verb} refused: it is STOP"]


def test_an_answer_to_somebody_else_is_no_answer_and_silence_is_told(plan, guardian):
    operator = Operator(plan)
    operator.press("a")
    operator.tend()
    guardian.receive()
    guardian.report(Status(time.monotonic(), "ARMED", "", answer="granted", answer_to=1))
    operator.tend()
    assert operator.answer == "key a: arm asked for"
    time.sleep(0.55)
    operator.tend()
    assert operator.answer == "key a: arm has no answer"


@pytest.mark.parametrize("text", ["ar", "\x1b[a", "aa", "\x1bOa"])
def test_keys_that_come_together_do_not_lead_to_power(plan, guardian, text):
    operator = Operator(plan)
    operator.press(text)
    assert guardian.asked() == []
    assert "press it again" in operator.answer or "means nothing" in operator.answer


def test_a_stop_counts_however_it_comes_and_a_late_wish_to_arm_does_not(plan, guardian):
    operator = Operator(plan)
    time.sleep(LATE_S + 0.05)
    operator.press("a")
    assert guardian.asked() == []
    operator.press("x a")
    assert [request.verb for request in guardian.asked()] == ["stop"]
    assert operator.has_intervened


@pytest.mark.parametrize("key", ["\x13", "\x11", "x", "é", "\x1b"])
def test_other_keys_do_nothing_and_are_told_so(plan, guardian, key):
    operator = Operator(plan)
    operator.press(key)
    assert guardian.asked() == []
    assert operator.answer == f"key {name_of(key)}: means nothing here"


@pytest.mark.parametrize("text", ["q", GONE])
def test_q_leaves_and_so_does_a_terminal_that_has_gone(plan, text):
    operator = Operator(plan)
    operator.press(text)
    assert operator.is_leaving
    assert operator.ending


def test_a_stop_before_there_is_a_guardian_is_said_to_it_when_it_comes(plan):
    operator = Operator(plan)
    operator.press(" ")
    operator.tend()
    guardian = GuardianSocket(plan.runtime)
    operator.tend()
    assert [request.verb for request in guardian.asked()] == ["stop"]
    guardian.close()


class Quiet:
    """A session without processes, whose guardian says nothing."""

    def __init__(self, plan):
        profile = SimpleNamespace(decoder=SimpleNamespace(outputs=("vx",)))
        plan.profile = profile
        self.plan, self.client, self.n_beats = plan, None, 0

    def poll(self):
        return []

    def beat(self):
        self.n_beats += 1


def test_the_screen_says_that_a_stop_has_no_answer_until_it_has_one(plan, guardian):
    operator = Operator(plan)
    watch = Watch(Quiet(plan), operator, "bci run", None)
    watch.look()
    assert watch.session.n_beats == 1
    assert watch.snapshot().alarm == ""
    operator.press(" ")
    watch.look()
    assert watch.snapshot().alarm == ""  # it has just been asked for
    time.sleep(UNANSWERED_S + 0.05)
    operator.tend()
    watch.look()
    assert watch.snapshot().alarm == UNANSWERED
    guardian.receive()
    guardian.report(Status(time.monotonic(), "STOP", "stopped"))
    operator.tend()
    assert watch.snapshot().alarm == ""
    watch.close()


@pytest.mark.parametrize(("error", "cause"), [
    (KeyboardInterrupt(), ("signal", "SIGINT, as Ctrl-C sends it")),
    (SystemExit(143), ("signal", "SIGTERM")),
    (ProcessDiedError("The loop died: SIGKILL."), ("process", "The loop died: SIGKILL")),
    (OSError("disk full"), ("supervisor", "the session failed: disk full")),
])  # fmt: skip
def test_what_ends_a_session_is_named(error, cause):
    assert cause_of(error) == cause


@pytest.fixture
def terminal(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb", buffering=0) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield ours, stdin.fileno()
    os.close(ours)


def test_keys_come_one_by_one_while_the_main_thread_is_busy_and_the_terminal_is_restored(terminal):
    ours, theirs = terminal
    before, heard = termios.tcgetattr(theirs), []
    with key_presses(heard.append) as thread:
        assert thread is not threading.main_thread()
        for key in ("a", "\x1a", "\x13", "\x11", "\x1c", " "):
            os.write(ours, key.encode())
            end_s = time.monotonic() + 5.0
            while key not in heard and time.monotonic() < end_s:
                sum(range(1000))  # busy, as when it draws
        assert heard == ["a", "\x1a", "\x13", "\x11", "\x1c", " "]
        assert termios.tcgetattr(theirs)[3] & termios.ISIG  # Ctrl-C still interrupts
    assert termios.tcgetattr(theirs) == before


def test_after_a_pause_of_the_process_the_terminal_is_set_up_again(terminal):
    ours, theirs = terminal
    before, heard = termios.tcgetattr(theirs), []
    with key_presses(heard.append):
        raw = termios.tcgetattr(theirs)
        termios.tcsetattr(theirs, termios.TCSANOW, before)  # as a shell does that has it meanwhile
        os.kill(os.getpid(), signal.SIGCONT)
        wait_for(lambda: termios.tcgetattr(theirs) == raw)
        os.write(ours, b" ")
        wait_for(lambda: heard == [" "])
    assert termios.tcgetattr(theirs) == before


def test_without_a_terminal_nothing_is_read():
    with key_presses(lambda text: None) as thread:
        assert thread is None
