"""From intents to axes, as the profile says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.errors import DeviceError
from bci.types import Intent
from drivers.base import Axis
from drivers.guardian.mapping import Action, IntentMap, Trigger, rotation

OUTPUTS = ("vx", "vy", "vz", "grasp")
AXES = tuple(Axis(name, "m", 0.0, 1.0, 0.5, 5.0) for name in ("x", "y", "z", "thumb", "index"))
STRAIGHT = [{"intent": f"v{axis}", "axis": axis, "gain": 0.4} for axis in "xyz"]


def intent(*velocity, click=0.0, n_clicks=0):
    return Intent(0, 0.0, velocity or (0.0,) * 4, 1.0, True, click=click, n_clicks=n_clicks)


def test_gains_turn_output_units_into_axis_units():
    mapping = IntentMap(OUTPUTS, AXES, {"maps": STRAIGHT})
    assert mapping.velocities(intent(0.5, -1.0, 0.0, 9.0)) == pytest.approx([0.2, -0.4, 0.0, 0.0, 0.0])


def test_one_output_may_drive_a_whole_grasp():
    synergy = [{"intent": "grasp", "axis": "thumb", "gain": 0.5}, {"intent": "grasp", "axis": "index", "gain": 1.0}]
    mapping = IntentMap(OUTPUTS, AXES, {"maps": synergy})
    assert mapping.velocities(intent(0.0, 0.0, 0.0, 0.6)) == pytest.approx([0.0, 0.0, 0.0, 0.3, 0.6])


def test_a_turned_frame_is_right_handed_about_its_axes():
    frame = {"intents": ["vx", "vy", "vz"], "rotation_deg": [0.0, 0.0, 90.0]}
    mapping = IntentMap(OUTPUTS, AXES, {"maps": STRAIGHT, "frame": frame})
    assert mapping.velocities(intent(1.0, 0.0, 0.0, 0.0))[:3] == pytest.approx([0.0, 0.4, 0.0])
    assert mapping.velocities(intent(0.0, 1.0, 0.0, 0.0))[:3] == pytest.approx([-0.4, 0.0, 0.0])


@given(st.lists(st.floats(-360, 360), min_size=3, max_size=3), st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_turning_keeps_speed(angles, velocity):
    turned = [sum(a * b for a, b in zip(row, velocity, strict=True)) for row in rotation(angles)]
    assert math.hypot(*turned) == pytest.approx(math.hypot(*velocity), abs=1e-9)


def test_a_click_must_last_and_must_end_before_the_next():
    trigger = Trigger(Action("click", "toggle", "thumb", on=0.8, off=0.5, dwell_s=0.1))
    script = [0.0, *[0.9] * 4, 0.6, *[0.9] * 4, 0.7, 0.4, *[0.9] * 10]
    happened = [i for i, p in enumerate(script) if trigger.step(intent(click=p), 0.04 * i)]
    assert happened == [4, 15]


def test_a_click_that_is_high_when_motion_begins_must_fall_first():
    trigger = Trigger(Action("click", "toggle", "thumb", dwell_s=0.0))
    assert not any(trigger.step(intent(click=1.0), 0.02 * i) for i in range(100))
    trigger.step(intent(click=0.0), 3.0)
    assert trigger.step(intent(click=1.0), 3.1)


@given(st.lists(st.floats(0, 1), max_size=100))
def test_hysteresis_never_triggers_twice_without_a_fall_between(probabilities):
    trigger = Trigger(Action("click", "toggle", "thumb", on=0.8, off=0.5, dwell_s=0.0))
    has_fallen = False
    for i, p in enumerate(probabilities):
        has_fallen |= p < 0.5
        if trigger.step(intent(click=p), float(i)):
            assert has_fallen
            has_fallen = False


def test_clicks_close_and_open_a_hand_in_turn():
    action = {"intent": "n_clicks", "does": "toggle", "axis": "thumb", "speed": 0.5}
    mapping = IntentMap(OUTPUTS, AXES, {"actions": [action]})
    speeds = []
    for n in (7, 7, 8, 8, 9, 9):  # what was counted before is history
        mapping.take(intent(n_clicks=n), 0.0)
        speeds.append(mapping.velocities(intent())[3])
    assert speeds == [0.0, 0.0, 0.25, 0.25, -0.25, -0.25]
    mapping.rest()
    assert mapping.velocities(intent())[3] == 0.0


def test_a_discrete_intent_may_ask_for_a_stop():
    mapping = IntentMap(OUTPUTS, AXES, {"actions": [{"intent": "click", "does": "stop", "dwell_s": 0.0}]})
    assert mapping.take(intent(click=0.1), 0.0) == ""
    assert mapping.take(intent(click=0.9), 0.1) == "stop"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"maps": [{"intent": "vx", "axis": "wrist", "gain": 1.0}]}, "no axis wrist; it has x, y, z, thumb, index"),
        ({"maps": [{"intent": "roll", "axis": "x", "gain": 1.0}]}, "no output roll"),
        ({"maps": STRAIGHT, "frame": {"intents": ["vx", "vx", "vz"], "rotation_deg": [0, 0, 0]}}, "frame turns"),
        ({"actions": [{"intent": "click", "does": "toggle", "axis": "wrist"}]}, "no axis wrist"),
        ({"actions": [{"intent": "click", "does": "stop", "on": 0.2, "off": 0.6}]}, "contradicts itself"),
    ],
)
def test_what_contradicts_the_device_is_refused_in_words(section, words):
    with pytest.raises(DeviceError, match=words):
        IntentMap(OUTPUTS, AXES, section)
