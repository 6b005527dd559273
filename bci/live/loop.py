"""The real-time loop: samples in, intents out, in a process of its own. Read it from `run` downwards.

On the normal path of a tick nothing is logged, locked or raised. What a tick publishes goes to LSL outlets, whose
pushes never wait for a reader. When the source falls silent the loop simply sends no intents: the guardian's lease
runs out and the device holds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence

from pylsl import local_clock
from threadpoolctl import threadpool_limits

from bci.decoding.model import Model, load_model, save_model
from bci.decoding.velocity import VelocityDecoder
from bci.errors import SessionError
from bci.live.latency import LatencyLog
from bci.live.publisher import MODEL, STATUS, WORLD, Publisher
from bci.live.realtime import enter_real_time
from bci.live.sinks import open_sinks
from bci.live.teacher import Teacher
from bci.live.trouble import tell_trouble
from bci.live.warmup import warm_up
from bci.live.workspace import Workspace
from bci.pipeline import Pipeline, Step, make_pipeline
from bci.plan import Plan, write_json
from bci.process import StopFlag, run_in_session
from bci.streams.inlet import Inlet, Taken
from bci.streams.network import configure, unread_sentence
from bci.types import Array, Event, Position
from calibration.fit import check_fits
from drivers.guardian.link import GuardianClient, Status

PULL_TIMEOUT_S = 0.02
WAITING_S = 0.002  # while a bin waits for another stream
LATENCY_BINS = 360_000  # two hours at 50 Hz; older bins are overwritten
FIND_STREAM_S = 20.0
READERS_S = 10.0
GUARDIAN_S = 5.0


class Loop:
    """What one tick needs, all of it made before the first tick."""

    def __init__(
        self, plan: Plan, inlet: Inlet, extras: Sequence[Inlet], guardian: GuardianClient, spatial: Array | None
    ) -> None:
        self.plan = plan
        self.inlet = inlet
        self.extras = extras
        self.guardian = guardian
        self.pipeline: Pipeline = make_pipeline(
            plan.profile, inlet.labels, None, [extra.labels for extra in extras], spatial
        )
        extractor = self.pipeline.extractor
        self.publisher = Publisher(plan, extractor.labels, extractor.bin_s, axes_of(guardian))
        self.workspace = Workspace(plan.profile)
        self.sinks = open_sinks(plan.profile)
        self.teacher = Teacher(plan) if plan.demonstration else None
        self.latency = LatencyLog(LATENCY_BINS)
        self.arrival_s = 0.0
        self._told_trouble = ""
        self._is_announced = True

    def tick(self) -> None:
        """Wait for samples at most one pull, turn them into intents, and take in what the guardian reports."""
        shown_s = [] if self.teacher is None else self.teacher.listen(self.pipeline)
        chunks = self.inlet.pull(WAITING_S if self.pipeline.extractor.is_waiting else PULL_TIMEOUT_S)
        self.arrival_s = local_clock()
        for i, extra in enumerate(self.extras):  # first, so that the main stream's bins find them
            for chunk in extra.pull(0.0):
                self.pipeline.push(chunk, self.act, i + 1)
        for chunk in chunks:
            self.pipeline.push(chunk, self.act)
        self.tell_taken(shown_s)
        for status in self.guardian.poll():
            self.see(status)
            self.latency.actuated(status.intent_index, status.sent_s, status.acknowledged_s)
            self.publisher.status(status)
        if self.inlet.trouble is not self._told_trouble:
            self._told_trouble = self.inlet.trouble
            tell_trouble(self.plan, "signal", self._told_trouble)
        if not self._is_announced and self.inlet.has_right_rate:  # nobody arms on a stream of unknown rate
            self._is_announced = True
            self.plan.ready_file("decoder").touch()
        for inlet in (self.inlet, *self.extras):
            for event in inlet.events():
                self.publisher.event(event)
        for event in self.pipeline.extractor.take_events():
            self.publisher.event(event)

    def tell_taken(self, shown_s: list[float]) -> None:
        """Publish what this tick took in, in the order in which it did."""
        if shown_s:
            self.publisher.taken(WORLD, shown_s[-1], len(shown_s))
        for i in range(1, len(self.extras) + 1):
            self._tell_pull(i, self.extras[i - 1].taken)
        self._tell_pull(0, self.inlet.taken)

    def see(self, status: Status) -> None:
        """Tell the pipeline where the device stands, for features that follow position; a stage tells it itself."""
        if self.teacher is None and len(status.position) == len(status.axes) > 0:
            where = self.workspace.position(status.axes, status.position)
            self.pipeline.show(Position(status.stamp_s, tuple(where.tolist())))
            self.publisher.taken(STATUS, status.stamp_s, 1)

    def act(self, step: Step) -> None:
        """Send the intent of one bin to the guardian first, then tell everyone else."""
        intent = step.intent
        if intent is not None:
            self.guardian.send_intent(intent)
            intent_s = local_clock()
            self.latency.decoded(intent.index, intent.stamp_s, self.arrival_s, intent_s)
            self.publisher.intent(intent, intent_s - intent.stamp_s)
            for sink in self.sinks:
                sink.send(intent)
        elif self.teacher is not None:
            self.teacher.observe(step)
        self.publisher.frame(step.frame)

    def use(self, model: Model) -> None:
        """Decode with a model from the next bin on."""
        self.pipeline.decoder = VelocityDecoder(model, model.tuned(self.plan.profile.decoder))
        self._is_announced = False

    def calibrate_once(self) -> None:
        """Fit the first decoder when the observation block is over; the device is not armed yet."""
        if self.teacher is None or self.pipeline.decoder is not None or not self.teacher.has_finished_observing:
            return
        extractor = self.pipeline.extractor
        self.use(self.teacher.fit(extractor.labels, extractor.bin_s, extractor.statistics()))
        self.publisher.taken(MODEL, 0.0, 1)
        self.publisher.event(Event(local_clock(), "loop", "fitted", f"First decoder from {self.teacher.n_bins} bins."))

    def save(self) -> None:
        """Keep what was learned and measured, however the loop ends."""
        self.latency.save(self.plan.path("latency.npz"))
        if self.pipeline.decoder is not None:
            statistics = self.pipeline.extractor.statistics()
            model = dataclasses.replace(self.pipeline.decoder.to_model(), statistics=statistics)
            save_model(self.plan.path("model_last.npz"), model)
        if self.teacher is not None:
            self.teacher.close()
        for sink in self.sinks:
            sink.close()

    def _tell_pull(self, source: int, pull: Taken | None) -> None:
        if pull is not None:
            self.publisher.taken(source, pull.last_stamp_s, pull.n_samples, pull.correction_s, pull.now_s)


def axes_of(guardian: GuardianClient) -> tuple[str, ...]:
    """Names of the device's axes, as the guardian reports them.

    Raises
    ------
    SessionError
        When there is no guardian.
    """
    deadline_s = local_clock() + GUARDIAN_S
    while local_clock() < deadline_s:
        for status in guardian.poll():
            return status.axes
        time.sleep(0.005)
    raise SessionError("The guardian does not report.", "Look into guardian.log of the session.")


def wait_for_readers(plan: Plan, publisher: Publisher, stop: StopFlag) -> None:
    """Wait until somebody reads every stream, so that the recording holds each of them from its first sample.

    What nobody has found by then is said: it will be missing in the recording.
    """
    deadline_s = local_clock() + READERS_S
    while not stop and not publisher.has_readers and local_clock() < deadline_s:
        time.sleep(0.02)
    if not stop and not publisher.has_readers:
        tell_trouble(plan, "recording", unread_sentence(publisher.unread))


def run(plan: Plan, stop: StopFlag) -> None:
    """Open, check, warm up, loop, close."""
    configure(plan.lsl_scope, plan.lsl_session_id)
    profile = plan.profile
    with contextlib.ExitStack() as stack:
        stack.enter_context(threadpool_limits(1, "blas"))  # the same bits in every process, and no threads that compete
        inlet = stack.enter_context(Inlet(profile.stream, wait_s=FIND_STREAM_S))
        extras = [stack.enter_context(Inlet(extra, wait_s=FIND_STREAM_S)) for extra in profile.extra_streams]
        guardian = stack.enter_context(contextlib.closing(GuardianClient(plan.runtime, "loop")))
        model = None if plan.model is None else load_model(plan.model)
        spatial = None if model is None else model.spatial
        loop = Loop(plan, inlet, extras, guardian, spatial)
        extractor = loop.pipeline.extractor
        if model is not None:
            check_fits(model, profile, extractor.labels, extractor.bin_s)
            save_model(plan.path("model_first.npz"), model)
        warm_up(profile, inlet.labels, [extra.labels for extra in extras], spatial)
        if plan.is_recorded:
            wait_for_readers(plan, loop.publisher, stop)
        stack.callback(loop.save)
        write_json(plan.path("realtime.json"), dataclasses.asdict(enter_real_time()))
        if model is not None:
            extractor.restore(model.statistics)
            loop.use(model)
        plan.ready_file("loop").touch()
        while not stop:
            loop.tick()
            loop.calibrate_once()


if __name__ == "__main__":
    run_in_session(run)
