"""The process that calibrates: samples in, the participant's world out, step after step. It knows of no device.

It reads the operator's wishes from the session's control socket, and tells how it goes on the stream `bci.wizard`.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from pylsl import local_clock

from bci.decoding.model import load_model
from bci.errors import SessionError
from bci.live.control import Control
from bci.live.publisher import Publisher
from bci.live.realtime import enter_real_time
from bci.live.trouble import tell_trouble
from bci.live.warmup import warm_up
from bci.pipeline import Step
from bci.plan import Calibration, Plan
from bci.process import StopFlag, run_in_session
from bci.streams.inlet import Inlet
from bci.streams.network import configure, unread_sentence
from bci.streams.outlet import open_marker_outlet, open_outlet
from bci.types import Event
from calibration.catalogue import Catalogue
from calibration.conductor import Conductor
from calibration.fit import check_fits
from calibration.gain import tune_participant
from calibration.measures import signal_quality
from calibration.paradigms import REST, SQUEEZE, Shown, radius_of
from calibration.procedure import Procedure
from calibration.program import Phase, make_program
from calibration.tuning import Noise
from calibration.wizard import load_state, plain

FIND_STREAM_S = 20.0
PULL_TIMEOUT_S = 0.02
READERS_S = 10.0
LEAD_IN_S = 3.0  # of rest before each block
TELL_EVERY_S = 0.2
LOST_S = 1.0  # without a sample


class Calibrator:
    """The streams of a calibration, and what the operator wants.

    Parameters
    ----------
    plan : Plan
        Of a session that calibrates.
    inlets : sequence of Inlet
        The participant's signals: the main stream, then the others in the profile's order.
    control : Control
        The operator's wishes.
    stop : StopFlag
        Somebody ends the process.
    """

    def __init__(self, plan: Plan, inlets: Sequence[Inlet], control: Control, stop: StopFlag) -> None:
        if plan.calibration is None:
            raise SessionError("This session calibrates nobody.", "Start it with `bci calibrate`.")
        asked: Calibration = plan.calibration
        self.inlets, self.control, self._stop = inlets, control, stop
        self.is_leaving = False
        self.is_waiting = False
        self._texts = Catalogue(asked.language)
        outputs = plan.profile.decoder.outputs
        labels = [*outputs, *(f"target_{output}" for output in outputs), "active", "assist", "radius"]
        self._radius = radius_of(len(outputs))
        self._world = open_outlet("bci.world", "World", labels, ["1"] * len(labels), f"bci-{plan.session_id}-world")
        self._cues = open_marker_outlet("bci.cues", f"bci-{plan.session_id}-cues")
        self._wizard = open_marker_outlet("bci.wizard", f"bci-{plan.session_id}-wizard")
        main, *extras = (inlet.labels for inlet in inlets)
        self.conductor = Conductor(plan.profile, main, asked.paradigm, self.show, self.cue, extras)
        extractor = self.conductor.pipeline.extractor
        self.publisher = Publisher(plan, extractor.labels, extractor.bin_s, ())
        self.conductor.on_step = self._publish
        program = make_program(plan.profile, asked.paradigm, len(extractor.labels), is_quick=asked.is_quick)
        state = load_state(asked.folder)
        prior = None if asked.prior is None else load_model(asked.prior)
        if prior is not None:
            check_fits(prior, plan.profile, extractor.labels, extractor.bin_s)
        self.procedure = Procedure(asked.folder, state, program, self.conductor, asked.seed, prior)
        self._is_attended = asked.is_attended
        self._phase: Phase | None = None
        self._told_s = -math.inf
        self._heard_s = time.monotonic()
        self._stamp_s = 0.0
        self._busy_ms: list[float] = []
        self._said = ""

    @property
    def has_readers(self) -> bool:
        """Whether the world and the cues are read by somebody."""
        outlets = (self._world, self._cues, self._wizard)
        return self.publisher.has_readers and all(outlet.have_consumers() for outlet in outlets)

    def show(self, stamp_s: float, shown: Shown) -> None:
        """Publish the world of one bin."""
        self._stamp_s = stamp_s
        row = np.concatenate([shown.position, shown.target, [shown.mode, shown.assist, self._radius]])
        self._world.push_sample(row, stamp_s)

    def cue(self, stamp_s: float, text: str) -> None:
        """Publish a cue; what the participant is to read goes with it."""
        self._cues.push_sample([text], stamp_s)
        if text in ("move", "squeeze", "relax"):
            self.say(self._texts[f"cue.{text}"])

    def say(self, text: str) -> None:
        """Publish what the participant is to read, in their language."""
        if text != self._said:
            self._said = text
            self._cues.push_sample([f"say {text}"], self._stamp_s)

    def thank(self) -> None:
        """End the participant's part."""
        self.cue(self._stamp_s, "end")
        self.say(self._texts["cue.thanks"])
        self.tell()

    def perform(self, phase: Phase) -> None:
        """One step: a moment of rest, the block, the verdict."""
        self._phase = phase
        self.say(self._texts["cue.ready"])
        if phase.seconds > 0 and not self._idle(LEAD_IN_S):
            return
        self.cue(self._stamp_s, f"block {phase.name}")
        self.say(self._texts[f"phase.{phase.name}.participant"])
        self._busy_ms.clear()
        self.procedure.begin(phase)
        if not self._work(lambda: not self.conductor.is_running):
            return
        is_timed = phase.name == "evaluation" and self._busy_ms
        self.procedure.extra = {"loop_p99_ms": float(np.percentile(self._busy_ms, 99))} if is_timed else {}
        attempt = self.procedure.finish()
        verdict = "passed" if attempt.is_passed else "failed"
        self.say(self._texts["cue.well_done" if attempt.is_passed else "cue.rest"])
        self.cue(self._stamp_s, f"{verdict} {phase.name}")
        self.publisher.event(Event(local_clock(), "wizard", verdict, f"{phase.name}, attempt {attempt.number}"))
        self.tell()
        if not attempt.is_passed and self._is_attended and self.procedure.next()[0] is not None:
            self.is_waiting = True
            self._work(lambda: not self.is_waiting)

    def tell(self) -> None:
        """Publish how it goes."""
        self._told_s = time.monotonic()
        conductor, phase = self.conductor, self._phase
        good, n = conductor.n_successes
        status = {
            "phase": "" if phase is None else phase.name,
            "number": self.procedure.number,
            "elapsed_s": round(conductor.elapsed_s, 2) if conductor.is_running else 0.0,
            "seconds": 0.0 if phase is None else phase.seconds,
            "is_running": conductor.is_running,
            "is_paused": conductor.is_paused,
            "is_waiting": self.is_waiting,
            "is_lost": time.monotonic() - self._heard_s > LOST_S,
            "trouble": self.inlets[0].trouble,
            "angle_error_deg": conductor.angle_error_deg,
            "assist": conductor.shown.assist,
            "is_squeeze": conductor.shown.mode == SQUEEZE,
            "is_rest": conductor.shown.mode == REST,
            "position": conductor.shown.position.tolist(),
            "target": conductor.shown.target.tolist(),
            "n_successes": good,
            "n_trials": n,
            "channels": "".join(map(str, signal_quality(np.array(conductor.recent)).astype(int).tolist())),
        }
        self._wizard.push_sample([json.dumps(plain(status))], local_clock())

    def tick(self) -> None:
        """Take in samples and wishes."""
        main, *extras = self.inlets
        chunks = main.pull(PULL_TIMEOUT_S)
        began_s = time.perf_counter()
        for i, extra in enumerate(extras):  # first, so that the main stream's bins find them
            for chunk in extra.pull(0.0):
                self.conductor.push(chunk, i + 1)
        for chunk in chunks:
            self.conductor.push(chunk)
        if chunks:
            self._heard_s = time.monotonic()
            self._busy_ms.append(1e3 * (time.perf_counter() - began_s))
        for inlet in self.inlets:
            for event in inlet.events():
                self.publisher.event(event)
        for event in self.conductor.pipeline.extractor.take_events():
            self.publisher.event(event)
        for word in self.control.poll():
            self._obey(word)
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self.tell()

    def _obey(self, word: str) -> None:
        match word:
            case "pause":
                self.conductor.is_paused = not self.conductor.is_paused
                self.say(self._texts["cue.pause"] if self.conductor.is_paused else self._prompt())
            case "continue":
                self.is_waiting = self.conductor.is_paused = False
            case "leave":
                self.is_leaving = True

    def _prompt(self) -> str:
        return "" if self._phase is None else self._texts[f"phase.{self._phase.name}.participant"]

    def _idle(self, seconds: float) -> bool:
        """Rest for so long in the signal's time."""
        until_s = self._stamp_s + seconds
        return self._work(lambda: self._stamp_s >= until_s and not self.conductor.is_paused)

    def _work(self, is_done: Callable[[], bool]) -> bool:
        """Tick until it is done; false when somebody wants to leave before."""
        while not is_done():
            if self._stop or self.is_leaving:
                return False
            self.tick()
        return True

    def _publish(self, step: Step) -> None:
        self.publisher.frame(step.frame)
        if step.intent is not None:
            self.publisher.intent(step.intent, local_clock() - step.intent.stamp_s)


def run(plan: Plan, stop: StopFlag) -> None:
    """Open, check, warm up, and go from step to step until the end, or until somebody wants to leave."""
    configure(plan.lsl_scope, plan.lsl_session_id)
    with contextlib.ExitStack() as stack:
        streams = (plan.profile.stream, *plan.profile.extra_streams)
        rehearsed = None if plan.calibration is None else plan.calibration.rehearsed
        is_ahead = rehearsed is not None and rehearsed.pace > 1.0
        inlets = [stack.enter_context(Inlet(stream, FIND_STREAM_S, is_ahead=is_ahead)) for stream in streams]
        control = stack.enter_context(contextlib.closing(Control(plan.runtime)))
        warm_up(plan.profile, inlets[0].labels, [extra.labels for extra in inlets[1:]])
        tune_participant(Noise(0.5, 0.0), len(plan.profile.decoder.outputs), 0.02, 0.0)  # compiles
        calibrator = Calibrator(plan, inlets, control, stop)
        plan.ready_file("calibrator").touch()
        deadline_s = local_clock() + READERS_S
        while plan.is_recorded and not stop and not calibrator.has_readers and local_clock() < deadline_s:
            calibrator.tick()
        if plan.is_recorded and not stop and not calibrator.has_readers:
            tell_trouble(plan, "recording", unread_sentence(calibrator.publisher.unread or ("bci.wizard",)))
        enter_real_time()
        while not stop and not calibrator.is_leaving:
            phase, _ = calibrator.procedure.next()
            if phase is None:
                break
            calibrator.perform(phase)
        calibrator.thank()


if __name__ == "__main__":
    run_in_session(run)
