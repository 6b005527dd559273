"""The one pure object behind the live loop, replay and these tests."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bci.configs import find_profile
from bci.decoding.velocity import VelocityDecoder
from bci.pipeline import make_pipeline
from bci.profile import load_profile
from bci.types import Chunk, Frame, Label
from calibration.fit import fit_model

PROFILE = load_profile(find_profile("simulated")).model_copy(
    update={"decoder": load_profile(find_profile("simulated")).decoder.model_copy(update={"outputs": ("vx", "vy")})}
)
LABELS = tuple(f"n{i}" for i in range(12))
N = 600


def session(seed):
    """Counts of twelve neurons that follow an intention, with its labels."""
    random = np.random.default_rng(seed)
    angle = np.repeat(random.uniform(0, 2 * np.pi, N // 30), 30)
    v_int = np.column_stack([np.cos(angle), np.sin(angle)])
    counts = random.poisson(np.maximum(0.1, 4 + v_int @ random.normal(0, 1.5, (2, 12)))).astype(float)
    return counts, v_int


def model():
    counts, v_int = session(0)
    pipeline = make_pipeline(PROFILE, LABELS, None)
    frames = []
    pipeline.push(Chunk(counts, np.arange(N) / 50), lambda step: frames.append(step.frame.features))
    return fit_model(np.array(frames), v_int, np.ones(N), PROFILE, LABELS, 0.02)


MODEL = model()


def intents_of(counts, v_int, cuts, lost_at, is_taught=True):
    pipeline = make_pipeline(PROFILE, LABELS, VelocityDecoder(MODEL, PROFILE.decoder))
    stamps = np.arange(N) / 50 + (np.arange(N) >= lost_at) * 0.1
    if is_taught:
        for i in range(0, N, 7):
            pipeline.teach(Label(float(stamps[i]), tuple(v_int[i]), 0.5 + 0.5 * (i % 2)))
    steps = []
    edges = sorted({0, N, lost_at, *cuts})
    for start, end in pairwise(edges):
        chunk = Chunk(counts[start:end], stamps[start:end], 5 if start == lost_at else 0)
        pipeline.push(chunk, steps.append)
    return [step.intent for step in steps]


@given(cuts=st.lists(st.integers(1, N - 1), max_size=15), lost_at=st.integers(50, N - 50), seed=st.integers(0, 10))
def test_cutting_the_same_session_elsewhere_gives_the_same_intents_to_the_bit(cuts, lost_at, seed):
    counts, v_int = session(seed)
    assert intents_of(counts, v_int, [], lost_at) == intents_of(counts, v_int, cuts, lost_at)


def test_a_bin_that_was_lost_is_predicted_and_its_intent_counted():
    counts, v_int = session(1)
    intents = intents_of(counts, v_int, [], 300)
    assert [intent.index for intent in intents] == list(range(N + 5))
    assert [intent.is_confident for intent in intents[300:306]] == [True] * 3 + [False] * 2 + [True]
    speeds = [np.linalg.norm(intent.velocity) for intent in intents[299:305]]
    assert all(after < before for before, after in pairwise(speeds))


def test_the_intents_point_where_the_participant_meant():
    counts, v_int = session(0)
    decoded = np.array([intent.velocity for intent in intents_of(counts, v_int, [], 300, is_taught=False)])
    assert np.corrcoef(decoded[305:, 0], v_int[300:, 0])[0, 1] > 0.8


def test_without_a_decoder_frames_come_out_and_no_intents():
    counts, _ = session(0)
    steps = []
    make_pipeline(PROFILE, LABELS, None).push(Chunk(counts, np.arange(N) / 50), steps.append)
    assert len(steps) == N
    assert all(step.intent is None for step in steps)


def test_features_that_are_hidden_leave_the_read_out_and_return_to_it():
    """Exactly as if the decoder had been told to use the others only, bin by bin."""
    features = np.array([s.frame.features for s in steps_of(session(0)[0])])
    features[100:300, 3] = np.nan
    pipeline = make_pipeline(PROFILE, LABELS, VelocityDecoder(MODEL, PROFILE.decoder))
    told = VelocityDecoder(MODEL, PROFILE.decoder)
    for i, row in enumerate(features):
        if i in (100, 300):
            told.use_features(np.arange(12) != 3 if i == 100 else np.ones(12, dtype=bool))
        intent = pipeline._decode(pipeline.decoder, Frame(i, i / 50, row), None)
        told.step(row)
        assert intent.velocity == tuple(told.velocity)


def test_with_hardly_any_feature_left_the_decoder_coasts_and_comes_back():
    features = np.array([s.frame.features for s in steps_of(session(0)[0])])
    features[100:110, 2:] = np.nan
    features[200:210] = np.nan
    pipeline = make_pipeline(PROFILE, LABELS, VelocityDecoder(MODEL, PROFILE.decoder))
    intents = [pipeline._decode(pipeline.decoder, Frame(i, i / 50, row), None) for i, row in enumerate(features)]
    speeds = np.array([np.linalg.norm(intent.velocity) for intent in intents])
    coasted = [i for i in range(1, len(speeds)) if np.isclose(speeds[i], speeds[i - 1] * pipeline.decoder.alpha)]
    assert coasted == [*range(100, 110), *range(200, 210)]
    assert [i for i, intent in enumerate(intents) if not intent.is_confident] == [*range(103, 110), *range(203, 210)]


def steps_of(counts):
    steps = []
    make_pipeline(PROFILE, LABELS, None).push(Chunk(counts, np.arange(len(counts)) / 50), steps.append)
    return steps
