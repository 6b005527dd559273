"""The stage: what a participant is asked to do, in a process of its own.

First an observation block, in which the shown hand moves by itself and nothing physical moves; then, as soon as the
guardian has armed the device, the task in closed loop on the positions that the device reports.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import Any

import numpy as np
from pylsl import local_clock

from bci.errors import SessionError
from bci.live.workspace import Workspace
from bci.plan import Plan, write_json
from bci.process import StopFlag, run_in_session
from bci.simulation.targets import CENTRE, TASKS, Task
from bci.streams.network import configure
from bci.streams.outlet import open_marker_outlet, open_outlet
from bci.types import Array
from calibration.metrics import Trial
from calibration.paradigms import ObservationBlock
from drivers.guardian.link import GuardianClient

PERIOD_S = 0.02
LEAD_IN_S = 2.0  # before the observation block, for the readers of the stream to find it
LAST_WORDS_S = 0.5  # an outlet that is closed takes with it what is still on its way
READERS_S = 30.0  # longest wait for them
POWERED = ("ARMED", "ACTIVE", "HOLD")
TRIALS_FILE = "trials.json"


class Stage:
    """The streams `bci.world` and `bci.cues`, and the device's position.

    Parameters
    ----------
    plan : Plan
        Of a session with a demonstration.
    guardian : GuardianClient
        Reports the device.
    """

    def __init__(self, plan: Plan, guardian: GuardianClient) -> None:
        outputs = plan.profile.decoder.outputs
        labels = [*outputs, *(f"target_{output}" for output in outputs), "active", "assist"]
        self._world = open_outlet("bci.world", "World", labels, ["1"] * len(labels), f"bci-{plan.session_id}-world")
        self._cues = open_marker_outlet("bci.cues", f"bci-{plan.session_id}-cues")
        self._guardian = guardian
        self._workspace = Workspace(plan.profile)
        self.where: Array = np.full(len(outputs), 0.5)
        self.state = "DISARMED"

    def look(self) -> None:
        """Take in what the guardian reports."""
        for status in self._guardian.poll():
            self.state = status.state
            if len(status.position) == len(status.axes) > 0:
                self.where = self._workspace.position(status.axes, status.position)

    def show(self, position: Array, target: Any, *, is_active: bool, is_assisted: bool = False) -> None:
        """Publish the world of this moment."""
        self._world.push_sample(np.concatenate([position, target, [is_active, is_assisted]]), local_clock())

    @property
    def has_readers(self) -> bool:
        """Whether both streams are read by somebody."""
        return bool(self._world.have_consumers() and self._cues.have_consumers())

    def cue(self, text: str) -> None:
        """Publish a cue."""
        self._cues.push_sample([text], local_clock())


def observe(stage: Stage, block: ObservationBlock, stop: StopFlag) -> None:
    """Show the hand moving by itself."""
    stage.cue("block observation")
    start_s = time.monotonic()
    while not stop and (elapsed_s := time.monotonic() - start_s) < block.seconds:
        position, target, is_active = block.at(elapsed_s)
        stage.show(position, target, is_active=is_active, is_assisted=True)
        time.sleep(PERIOD_S)


def rest(stage: Stage, stop: StopFlag, seconds: float = float("inf")) -> None:
    """Show rest until the device has power, or for some time."""
    start_s = time.monotonic()
    while not stop and stage.state not in POWERED and time.monotonic() - start_s < seconds:
        stage.look()
        stage.show(stage.where, stage.where, is_active=False)
        time.sleep(PERIOD_S)


def perform(stage: Stage, task: Task, seconds: float, stop: StopFlag) -> None:
    """Run the task in closed loop; what it does not ask for stays in the middle."""
    stage.cue("block closed_loop")
    start_s = time.monotonic()
    while not stop and (now_s := time.monotonic()) - start_s < seconds:
        stage.look()
        asked = task.update(stage.where.tolist(), now_s)
        target = np.append(asked, np.full(len(stage.where) - len(asked), CENTRE))
        for cue in task.take_cues():
            stage.cue(cue)
        stage.show(stage.where, target, is_active=True)
        time.sleep(PERIOD_S)


def run(plan: Plan, stop: StopFlag) -> None:
    """Observation, rest until armed, closed loop; the trials are kept in the session's folder."""
    if plan.demonstration is None:
        raise SessionError("This session has no task.", "Start it with `bci demo`.")
    configure(plan.lsl_scope, plan.lsl_session_id)
    random = np.random.default_rng(plan.demonstration.seed + 1)
    task = TASKS[plan.demonstration.task](random, len(plan.profile.decoder.outputs))
    with contextlib.closing(GuardianClient(plan.runtime, "stage")) as guardian:
        stage = Stage(plan, guardian)
        begun_s = local_clock()
        rest(stage, stop, LEAD_IN_S)
        while not stop and not stage.has_readers and local_clock() - begun_s < READERS_S:
            rest(stage, stop, PERIOD_S)
        if not (stop or stage.has_readers):
            raise SessionError(
                "The session's own processes do not find the stream bci.world on the Lab Streaming Layer.",
                "Start again; `bci streams` shows what can be seen on this machine.",
            )
        observe(stage, ObservationBlock(len(stage.where), plan.demonstration.observation_s, random), stop)
        rest(stage, stop)
        perform(stage, task, plan.demonstration.closed_loop_s, stop)
        save_trials(plan, task.trials, task.figures)
        stage.cue("end")
        stage.show(stage.where, stage.where, is_active=False)
        time.sleep(LAST_WORDS_S)


def save_trials(plan: Plan, trials: list[Trial], figures: dict[str, float]) -> None:
    """Write what was asked and achieved."""
    rows = [dataclasses.asdict(trial) for trial in trials]
    write_json(plan.path(TRIALS_FILE), {"figures": figures, "trials": rows})


if __name__ == "__main__":
    run_in_session(run)
