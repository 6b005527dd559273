"""The operator's screen fits 80 x 24 and says what matters."""

import math

import pytest
from rich.console import Console

from bci.console.view import Snapshot, World, draw
from bci.console.watch import UNANSWERED
from drivers.base import Check

OUTPUTS = ("vx", "vy", "vz", "grasp")


def screen(**changes):
    fields = {
        "title": "bci demo", "phase": "reach", "elapsed_s": 12.0, "total_s": 60.0, "device_state": "ACTIVE",
        "reason": "following intents", "outputs": OUTPUTS, "intent": (0.3, -0.5, 0.0, 0.7), "n_successes": 3,
        "n_trials": 4, "latency_p50_ms": 1.5, "latency_p99_ms": 2.3, "data_age_ms": 12.0,
        "channels": "92/96 ok, masked: 7 12 33 34 EMG 3 EMG 4", "events": ("streams gap: 2 samples are missing.",) * 5,
        "world": World((0.2, 0.3, 0.4, 0.9), (0.7, 0.8, 0.4, 1.0), True, False),
    }  # fmt: skip
    console = Console(width=80, height=24, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(draw(Snapshot(**{**fields, **changes})))
    return console.export_text()


ASKED = {"answer": "key a: arm refused: " + 20 * "a device is silent; ", "alarm": UNANSWERED}


@pytest.mark.parametrize(
    "changes",
    [{}, {"world": None, "axes": ("x", "hand"), "axis_positions": (0.1, 0.2)}, ASKED, {**ASKED, "events": ()}],
)
def test_everything_fits_a_terminal_of_80_by_24(changes):
    lines = screen(**changes).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_it_shows_hand_target_state_successes_and_latency():
    text = screen()
    for wanted in (
        "●",
        "◎",
        "ACTIVE",
        "3 of 4 (75 %)",
        "p50 1.5 ms",
        "p99 2.3 ms",
        "12 / 60 s",
        "q quit",
        "reach",
        "92/96 ok, masked: 7 12",
    ):
        assert wanted in text


def test_what_is_not_known_yet_is_shown_as_such():
    text = screen(latency_p50_ms=math.nan, latency_p99_ms=math.nan, data_age_ms=math.nan, world=None, n_trials=0)
    assert "nan" not in text
    assert "–" in text


def test_values_off_the_map_do_not_break_it():
    assert screen(world=World((7.0, -3.0, 2.0, 5.0), (9.0, 9.0, -1.0, 0.0), True, True), intent=(math.nan,) * 4)


CHECKS = [Check(f"check {i}", True, f"{i} ms") for i in range(12)]
REFUSAL = Check(
    "stop button", False, "not tried in this session", "Press it once, let go, then reset the stop (key r)."
)


def test_a_stop_without_an_answer_is_said_whole_before_all_else_and_only_then():
    assert screen(**ASKED).splitlines()[0].strip() == "STOP HAS NO ANSWER from the guardian: cut the motor supply now"
    assert "NO ANSWER" not in screen()


def test_what_came_of_the_last_key_is_on_the_screen():
    assert "key Ctrl-Z: disarm granted" in screen(answer="key Ctrl-Z: disarm granted")


@pytest.mark.parametrize("asked", [{}, ASKED])
@pytest.mark.parametrize("n_refused", [0, 1, 3, 12])
def test_the_checks_before_power_fit_with_their_values_and_remedies(n_refused, asked):
    text = screen(device_state="CHECKING", checks=CHECKS + [REFUSAL] * n_refused, **asked)
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    if n_refused:
        assert "REFUSED" in text
        assert "→ Press it once" in text
    else:
        assert all(f"check {i}" in text and f"{i} ms" in text for i in range(12))


def test_a_refusal_stays_on_the_screen_until_something_is_armed():
    assert "REFUSED" in screen(device_state="DISARMED", checks=[*CHECKS, REFUSAL])
    assert "REFUSED" not in screen(device_state="ACTIVE", checks=[*CHECKS, REFUSAL])
    assert "check 3" not in screen(device_state="DISARMED", checks=CHECKS)
