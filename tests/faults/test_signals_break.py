"""The signals end, jump, or turn into nonsense on their way through the live session."""

import time

import numpy as np
import pylsl
import pytest
from live import FULL_SPEED, Live, N, model_of, profile_of

from bci.decoding.velocity import VelocityDecoder
from bci.pipeline import make_pipeline
from bci.streams.latest import LatestSamples
from bci.types import Chunk, Label

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MOST_ACCELERATION = 12.0  # m/s², of the twin's axes
STALE_S = 0.15


@pytest.fixture
def live(bench, tmp_path):
    live = Live(bench, tmp_path)
    live.start_loop()
    yield live
    live.close()


class Outage:
    """A network that holds samples back for a while and then delivers them at once.

    What it delivers too late means the other direction, so that whoever replays it moves backwards.
    """

    def __init__(self, source, seconds):
        self._source, self._kept = source, []
        self._back_s = pylsl.local_clock() + seconds

    def __call__(self, sample, stamp_s):
        if stamp_s < self._back_s:
            is_stale = stamp_s < self._back_s - STALE_S - 0.02
            self._kept.append((self._source.encode(-self._source.effort) if is_stale else sample, stamp_s))
            return []
        self._source.heal()
        return [*self._kept, (sample, stamp_s)]


@pytest.mark.fault("F6")
def test_a_network_that_is_down_holds_the_device_and_what_it_kept_is_not_replayed(live, judge):
    times = []
    for _ in range(17):

        def go_down():
            live.source.distort = Outage(live.source, 0.35)

        times.append(live.harm(go_down, 0.55))
        _, speeds = live.speeds(time.monotonic() - 0.55)
        side = np.sign(live.source.effort[0])
        assert (side * speeds).min() > -1e-3, "moved backwards: a backlog was replayed"
        assert np.abs(speeds).max() < 1.2 * FULL_SPEED
    for _ in range(3):
        times.append(live.harm(live.source.end, 0.5))
        live.bench.wait_logged("DISARMED")
        stood_s = time.monotonic()
        live.source.open()
        time.sleep(2.0)
        assert live.bench.last_motion_s() < stood_s, "moved again without being armed"
    judge(times)


def jump(seconds):
    return lambda sample, stamp_s: [(sample, stamp_s + seconds)]


def twice(sample, stamp_s):
    return [(sample, stamp_s), (sample, stamp_s)]


def late(sample, stamp_s):
    return [(sample, stamp_s), (sample, stamp_s - 0.1)]


def once(distort):
    """Distort one sample only."""
    waiting = [distort]
    return lambda sample, stamp_s: waiting.pop()(sample, stamp_s) if waiting else [(sample, stamp_s)]


@pytest.mark.fault("F7")
def test_jumps_of_the_clock_and_samples_twice_or_late_make_no_step_of_velocity(live):
    distortions = {
        "+10 s": jump(10.0),
        "-10 s": jump(-10.0),
        "one sample at +10 s": once(jump(10.0)),
        "one sample at -10 s": once(jump(-10.0)),
        "twice": twice,
        "late": late,
    }
    for name, distort in distortions.items():
        live.get_moving(effort=0.7)
        live.bench.look()
        n_before, begun_s = len(live.bench.statuses), time.monotonic()
        live.source.distort = distort
        while time.monotonic() < begun_s + 0.6:
            live.bench.look()
            time.sleep(0.002)
            if time.monotonic() > begun_s + 0.3:
                live.source.heal()
        live.source.effort[:] = 0.0
        _, speeds = live.speeds(begun_s)
        assert np.abs(speeds).max() < 0.7 * FULL_SPEED * 1.3, name
        statuses = live.bench.statuses[n_before:]
        stamps = np.array([status.stamp_s for status in statuses])
        commands = np.array([status.command[0] for status in statuses])
        steps = np.abs(np.diff(commands))
        is_end = commands[1:] == 0.0  # a hold ends motion at the device's own deceleration
        assert np.all(is_end | (steps <= MOST_ACCELERATION * np.diff(stamps) + 1e-9)), name
    live.get_moving()


KINDS = {
    "NaN": lambda sample: np.full(N, np.nan),
    "infinity": lambda sample: np.full(N, np.inf),
    "-infinity": lambda sample: np.full(N, -np.inf),
    "1e308": lambda sample: np.full(N, 1e308),
    "denormal": lambda sample: np.full(N, 5e-324),
    "saturated": lambda sample: np.full(N, 32767.0),
    "constant": lambda sample: sample,
}
HELD = ("NaN", "infinity", "-infinity", "1e308", "denormal", "saturated")


class Nonsense:
    """Puts a kind of nonsense on one channel, or on all, from now on."""

    def __init__(self, kind, channels):
        self._kind, self._channels = KINDS[kind], channels
        self._first = None
        self.begun_s = None

    def __call__(self, sample, stamp_s):
        if self._first is None:
            self._first, self.begun_s = sample.copy(), stamp_s
        sample = sample.copy()
        sample[self._channels] = self._kind(self._first)[self._channels]
        return [(sample, stamp_s)]


@pytest.fixture
def told(live):
    """Rows of `bci.intents` and of `bci.latency`, as anybody may read them."""
    streams = [LatestSamples(f"bci-{live.plan.session_id}-{name}") for name in ("intents", "latency")]
    deadline_s = time.monotonic() + 10.0
    while not all(stream.is_open for stream in streams):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    yield lambda: [stream.pull() for stream in streams]
    for stream in streams:
        stream.close()


@pytest.mark.fault("F8")
def test_nonsense_never_leaves_the_decoder_and_the_device_is_held(live, told, judge):
    times = []
    for channels in (slice(0, 1), slice(0, 5), slice(None)):
        for kind in KINDS:
            live.get_moving()
            begun_s = time.monotonic()
            live.source.distort = nonsense = Nonsense(kind, channels)
            told()
            time.sleep(0.4)
            live.source.heal()
            intents, latencies = told()
            velocities = np.array([values[:4] for _, values in intents])
            assert len(velocities) > 10
            assert np.isfinite(velocities).all(), (kind, channels)
            assert np.abs(velocities).max() < 1.3 * FULL_SPEED / 0.4, (kind, channels)
            first = min((abs(stamp_s - nonsense.begun_s), age[0]) for stamp_s, age in latencies if np.isfinite(age[0]))
            assert first[0] < 0.01
            times.append(1e3 * first[1])
            if channels == slice(None) and kind in HELD:
                held = [e for e in live.bench.log() if e["monotonic_s"] > begun_s and e["to"] == "HOLD"]
                assert held, (kind, live.bench.story())
                assert held[0]["monotonic_s"] - nonsense.begun_s < 5 * 0.02 + 0.05, kind
            _, speeds = live.speeds(begun_s)
            assert np.abs(speeds).max() < 1.3 * FULL_SPEED, (kind, channels)
    judge(times)


@pytest.mark.fault("F8")
@pytest.mark.parametrize("kind", HELD)
def test_nothing_is_learned_from_nonsense(kind):
    """Labels go on, as in a lesson; the pipeline that learns is the one of the live loop."""
    profile, random = profile_of(), np.random.default_rng(5)
    decoder = VelocityDecoder(model_of(profile), profile.decoder)
    pipeline = make_pipeline(profile, model_of(profile).feature_labels, decoder)
    C = model_of(profile).C
    pipeline.teach(Label(0.0, (1.0, 0.0, 0.0, 0.0)))
    samples = C[:, 0] + C[:, 4] + 0.3 * random.normal(size=(200, N))
    samples[100:] = [KINDS[kind](sample) for sample in samples[100:]]
    learned, steps = [], []
    for i, sample in enumerate(samples):
        pipeline.push(Chunk(sample[None, :], np.array([i / 50])), steps.append)
        learned.append(decoder.n_learned)
    assert learned[99] > 90
    assert learned[-1] == learned[99]
    assert np.isfinite(decoder.to_model().C).all()
    assert np.isfinite([step.intent.velocity for step in steps]).all()


def waveform(sample, stamp_s):
    return np.sin(20.0 * stamp_s) + np.arange(N)


SAME = {
    "zeros": lambda sample, stamp_s: np.zeros(N),
    "the last sample": lambda sample, stamp_s: sample,
    "one value on all": lambda sample, stamp_s: np.full(N, round(50.0 * stamp_s) % 2),
    "one waveform": waveform,
    "a counter": lambda sample, stamp_s: np.full(N, round(50.0 * stamp_s)),
}


class Same:
    """From now on the source tells nothing, in one of the ways above, and keeps sending."""

    def __init__(self, kind):
        self._kind, self._first = SAME[kind], None

    def __call__(self, sample, stamp_s):
        self._first = sample.copy() if self._first is None else self._first
        return [(self._kind(self._first, stamp_s), stamp_s)]


@pytest.mark.fault("F31")
def test_a_source_that_keeps_sending_the_same_holds_the_device_at_once_and_it_says_so(live, judge):
    events = LatestSamples(f"bci-{live.plan.session_id}-events")
    times, said = [], ""
    for kind in SAME:
        for _ in range(4):

            def tell_nothing(kind=kind):
                live.source.distort = Same(kind)

            live.get_moving()
            begun_s = time.monotonic()
            times.append(live.harm(tell_nothing, 0.4))
            held = [e for e in live.bench.log() if e["monotonic_s"] > begun_s and e["to"] == "HOLD"]
            assert held, (kind, live.bench.story())
            live.source.heal()
            said += " ".join(text for _, (text,) in events.pull())
    events.close()
    assert "no signal" in said
    judge(times)


CHANGES = {
    "with 17 channels": {"n": 17},
    "with text": {"is_text": True},
    "at 25 Hz, declared were 50": {"rate_hz": 25.0},
    "at 100 Hz, declared were 50": {"rate_hz": 100.0},
}


@pytest.mark.fault("F9")
@pytest.mark.parametrize("words", CHANGES)
def test_a_stream_that_comes_back_in_another_shape_moves_nothing_and_the_session_says_why(live, words):
    """While it is being asked to arm all the time."""
    events = LatestSamples(f"bci-{live.plan.session_id}-events")
    live.harm(live.source.end, 0.3)
    said, changed_s = "", time.monotonic()
    live.source.open(**CHANGES[words])
    while words not in said or time.monotonic() < changed_s + 4.0:
        assert time.monotonic() < changed_s + 20.0, said
        live.bench.client.request("arm", "caregiver")
        live.bench.look()
        time.sleep(0.1)
        said += " ".join(text for _, (text,) in events.pull())
    events.close()
    assert live.bench.last_motion_s() < changed_s
