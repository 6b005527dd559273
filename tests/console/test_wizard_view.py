"""The operator's screen of a calibration fits 80 x 24 in every language, and says what to do."""

import math

import pytest
from rehearsing import shipped
from rich.console import Console

from bci.console.wizard_view import draw_wizard
from calibration.catalogue import Catalogue, languages
from calibration.program import make_program, paradigm_of
from calibration.wizard import judge

PROFILES = ("intracortical_rates", "eeg_motor_imagery", "simulated")


def program_of(profile):
    profile = shipped(profile)
    return make_program(profile, paradigm_of(profile), 96)


def status(phase, **changes):
    return {
        "phase": phase.name, "number": 4, "elapsed_s": 12.0, "seconds": phase.seconds, "is_running": True,
        "is_paused": False, "is_waiting": False, "angle_error_deg": 48.7, "assist": 0.4, "is_squeeze": False,
        "is_rest": False, "position": [0.2, 0.3, 0.9, 0.1], "target": [0.7, 0.8, 0.1, 0.9], "n_successes": 7,
        "n_trials": 9, "channels": "1" * 150 + "0" * 42,
    } | changes  # fmt: skip


def screen(texts, program, attempts=(), shown=None):
    console = Console(width=80, height=24, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    title = "P01 · intracortical_rates (median) · http://127.0.0.1:45678/"
    console.print(draw_wizard(texts, title, program, attempts, shown or {}))
    return console.export_text()


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("profile", PROFILES)
def test_every_step_fits_also_when_everything_failed_before_it(language, profile):
    texts, program = Catalogue(language), program_of(profile)
    for before in program:
        failed = judge(before, {gate.measure: math.nan for gate in before.gates}, 3, 1.0, 0.0)
        for phase in program:
            for changes in ({}, {"is_waiting": True, "is_running": False}, {"is_paused": True}, {"is_lost": True}):
                lines = screen(texts, program, [failed], status(phase, **changes)).splitlines()
                assert len(lines) <= 24, (before.name, phase.name)
                assert max(map(len, lines)) <= 80
                assert texts["ui.never_moves"] in lines[-1]


def test_it_shows_step_time_left_map_angle_help_score_gate_and_channels():
    program = program_of("intracortical_rates")
    text = screen(Catalogue("en"), program, (), status(program[4]))
    for wanted in (
        "step 5/8  Control alone", "63 s left", "●", "◎", "49°", "40 %", "7 / 9", "targets reached", "at least 60 %",
        "channels 150 / 192 good", "×", "space pause · enter go on", "No device is moved.", "http://127.0.0.1:45678/",
    ):  # fmt: skip
        assert wanted in text


def test_a_failed_step_says_what_was_measured_what_to_do_and_what_follows():
    program = program_of("intracortical_rates")
    failed = judge(program[4], {"success_rate": 0.42}, 5, 75.0, 0.0)
    text = screen(Catalogue("en"), program, [failed], status(program[4], is_running=False, is_waiting=True))
    for wanted in (
        "Control alone: not passed  targets reached 42 % (at least 60 %)", "Take a short rest.",
        "Then this will be repeated", "Press Enter to go on.",
    ):  # fmt: skip
        assert wanted in text


def test_a_signal_that_is_lost_is_said_before_anything_else():
    program = program_of("intracortical_rates")
    assert "SIGNAL LOST" in screen(Catalogue("en"), program, (), status(program[4], is_lost=True, is_paused=True))


def test_before_the_first_status_it_says_that_it_starts():
    assert "starting" in screen(Catalogue("en"), program_of("simulated"))


def test_values_off_the_map_and_not_measured_yet_do_not_break_it():
    program = program_of("eeg_motor_imagery")
    text = screen(Catalogue("fr"), program, (), status(program[3], position=[7.0], target=[-3.0], angle_error_deg=None))
    assert "nan" not in text
    assert "–" in text


def test_why_nothing_usable_arrives_is_told_in_whole():
    program = program_of("simulated")
    trouble = "Samples from '[bold]EMG' come in blocks of 500 ms (125 samples), and at most 150 ms are of use: mend it."
    shown = screen(Catalogue("en"), program, shown=status(program[0], is_lost=True, trouble=trouble))
    assert trouble in " ".join(shown.split())
    assert len(shown.splitlines()) <= 24
