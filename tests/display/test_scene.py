from __future__ import annotations

import json

import pytest

from bci.display.scene import NO_RADIUS, Storyteller
from bci.display.texts import languages, texts_in
from bci.errors import SessionError

LABELS = ("vx", "vy", "target_vx", "target_vy", "active", "assist")
TEXTS = texts_in("en")


@pytest.fixture
def story():
    return Storyteller(2, TEXTS)


def show(story, stamp_s, *, active=1.0, assist=0.0):
    story.world(stamp_s, [0.2, 0.3, 0.8, 0.7, active, assist], LABELS)


def test_before_anything_is_known_the_participant_waits(story):
    assert story.tell(0.0).phase == "wait"
    assert story.tell(0.0).text == TEXTS["wait"]


def test_the_world_is_shown_as_it_was_published(story):
    show(story, 1.0)
    story.intent(1.0)
    scene = json.loads(story.tell(1.01).to_json())
    assert (scene["position"], scene["target"]) == ([0.2, 0.3], [0.8, 0.7])
    assert (scene["phase"], scene["radius"]) == ("task", NO_RADIUS)


def test_a_world_that_tells_its_radius_is_believed(story):
    story.world(1.0, [0.2, 0.3, 0.8, 0.7, 1.0, 0.0, 0.05], (*LABELS, "radius"))
    assert story.tell(1.0).radius == 0.05


@pytest.mark.parametrize(("active", "assist", "phase"), [(0.0, 0.0, "rest"), (1.0, 1.0, "watch"), (1.0, 0.5, "task")])
def test_rest_observation_and_task_are_told_apart(story, active, assist, phase):
    show(story, 1.0, active=active, assist=assist)
    story.intent(1.0)
    assert story.tell(1.0).phase == phase


def test_silence_of_the_world_is_a_lost_signal_until_it_speaks_again(story):
    show(story, 1.0, active=0.0)
    assert story.tell(1.2).phase == "rest"
    assert story.tell(1.4).text == TEXTS["lost"]
    show(story, 1.5, active=0.0)
    assert story.tell(1.5).phase == "rest"


def test_silence_of_the_decoder_is_a_lost_signal_in_the_task_and_does_not_flicker(story):
    story.intent(1.0)
    phases = []
    for i in range(50):
        show(story, 1.0 + 0.02 * i)
        phases.append(story.tell(1.0 + 0.02 * i + 0.001).phase)
    assert phases == ["task"] * phases.count("task") + ["lost"] * phases.count("lost")
    assert phases[-1] == "lost"


def test_what_is_said_to_the_participant_stands_until_it_is_taken_back_or_a_block_begins(story):
    show(story, 1.0, active=0.0)
    story.cue("say Think of closing your hand")
    assert story.tell(1.0).text == "Think of closing your hand"
    story.cue("say")
    assert story.tell(1.0).text == TEXTS["rest"]
    story.cue("say Again")
    story.cue("block closed_loop")
    assert story.tell(1.0).text == TEXTS["rest"]


def test_successes_are_counted_and_timeouts_only_as_trials(story):
    show(story, 1.0)
    for cue in ("trial 1 reach", "success 1 reach", "trial 2 close", "timeout 2 close"):
        story.cue(cue)
    scene = story.tell(1.0)
    assert (scene.n_successes, scene.n_trials) == (1, 2)


def test_after_the_end_silence_is_no_loss(story):
    show(story, 1.0, active=0.0)
    story.cue("end")
    assert story.tell(100.0).phase == "end"


def test_a_scene_is_new_only_when_something_that_can_be_seen_is(story):
    show(story, 1.0, active=0.0)
    first = story.tell(1.0).seq
    show(story, 1.02, active=0.0)
    assert story.tell(1.02).seq == first
    story.world(1.04, [0.3, 0.3, 0.8, 0.7, 0.0, 0.0], LABELS)
    assert story.tell(1.04).seq == first + 1


def test_every_language_has_every_text():
    keys = {language: set(texts) for language, texts in languages().items()}
    assert {"en", "fr"} <= set(keys)
    assert len({frozenset(texts) for texts in keys.values()}) == 1


def test_a_language_without_texts_is_refused_with_those_there_are():
    with pytest.raises(SessionError, match="Choose one of en, fr"):
        texts_in("tlh")
