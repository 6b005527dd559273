"""Every language says everything, and what the participant reads is short."""

import pytest
from rehearsing import shipped

from bci.errors import ProfileError
from calibration.catalogue import Catalogue, languages, number, read_texts
from calibration.program import make_program, paradigm_of

PROFILES = ("intracortical_rates", "eeg_motor_imagery", "emg_openbci", "simulated")


def test_there_is_english_and_french():
    assert {"en", "fr"} <= set(languages())


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_same_keys_and_no_empty_text(language):
    texts = read_texts(language)
    assert texts.keys() == read_texts("en").keys()
    assert all(text.strip() for text in texts.values())


def test_no_text_was_left_untranslated():
    english, french = read_texts("en"), read_texts("fr")
    same = {key for key in english if english[key] == french[key]}
    assert same <= {"report.participant", "report.verdict", "report.minutes", "report.depth", "cue.pause"}


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("profile", PROFILES)
def test_every_step_and_gate_of_every_program_has_its_words(language, profile):
    texts, paradigm = Catalogue(language), paradigm_of(shipped(profile))
    for changes, is_quick in (({}, False), ({}, True), ({"outputs": ("vx", "vy")}, False)):
        for phase in make_program(shipped(profile, **changes), paradigm, 96, is_quick=is_quick):
            for part in ("title", "operator", "participant"):
                assert texts[f"phase.{phase.name}.{part}"]
            for gate in phase.gates:
                assert texts[f"gate.{gate.measure}.advice"].endswith((".", "?", "bci doctor"))
                assert texts.name(gate.measure) != gate.measure


@pytest.mark.parametrize("language", languages())
def test_what_the_participant_reads_is_short(language):
    texts = read_texts(language)
    read = [text for key, text in texts.items() if key.startswith("cue.") or key.endswith(".participant")]
    assert max(map(len, read)) <= 30


def test_a_language_that_is_not_there_names_those_that_are():
    with pytest.raises(ProfileError, match="en, fr"):
        Catalogue("de")


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("success_rate", 0.914, "91 %"),
        ("angle_error_deg", 49.6, "50°"),
        ("median_time_s", 1.234, "1.23 s"),
        ("loop_p99_ms", 3.26, "3.3 ms"),
        ("tuned_channels", 12.0, "12"),
        ("idle_drift", 0.0491, "0.049"),
        ("success_rate", float("nan"), "–"),
    ],
)
def test_a_number_has_its_unit_and_the_digits_that_mean_something(measure, value, text):
    assert number(measure, value) == text
