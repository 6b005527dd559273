"""The simulated participant of a rehearsal, in a process of its own.

At life's pace it publishes like any amplifier. Faster, it waits for each bin until the world of that bin has been
shown: so the rehearsal goes as fast as the computer can, and its result does not depend on how fast that is.
"""

from __future__ import annotations

import time

import numpy as np
from pylsl import local_clock

from bci.errors import SessionError
from bci.plan import Plan
from bci.process import StopFlag, run_in_session
from bci.simulation.rehearsal import Rehearsal
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from bci.streams.outlet import open_outlet
from bci.types import Array

AHEAD_S = 60.0  # a clock that can wait must not look old
WAIT_S = 10.0  # longest wait for the world of a bin
NAP_S = 0.0002
CENTRE = 0.5


def run(plan: Plan, stop: StopFlag) -> None:
    """Publish until told to stop."""
    if plan.calibration is None or plan.calibration.rehearsed is None:
        raise SessionError("This session has no simulated participant.", "Start it with `bci calibrate --rehearse`.")
    configure(plan.lsl_scope, plan.lsl_session_id)
    rehearsed, stream = plan.calibration.rehearsed, plan.profile.stream
    participant = Rehearsal(plan.profile, rehearsed.quality, rehearsed.seed)
    units = [stream.unit] * stream.n_channels
    outlet = open_outlet(stream.name, stream.type, participant.labels, units, stream.source_id, rate_hz=stream.rate_hz)
    world = LatestSamples(f"bci-{plan.session_id}-world")
    k = len(plan.profile.decoder.outputs)
    shown: Array = np.concatenate([np.full(2 * k, CENTRE), [0.0, 0.0]])
    is_lockstep = rehearsed.pace > 1.0
    period_s = plan.profile.bin_samples / stream.rate_hz
    stamp_s = local_clock() + (AHEAD_S if is_lockstep else 0.0)
    due_s, seen_s = local_clock(), -np.inf
    plan.ready_file("participant").touch()
    while not stop:
        is_followed = world.is_open and seen_s > -np.inf
        deadline_s = local_clock() + (WAIT_S if is_lockstep and is_followed else 0.0)
        while True:
            for at_s, sample in world.pull():
                shown, seen_s = np.asarray(sample), at_s
            if stop or seen_s >= stamp_s - period_s / 2 or local_clock() >= deadline_s:
                break
            time.sleep(NAP_S)
        samples = participant.samples(shown[:k], shown[k : 2 * k], float(shown[2 * k]))
        stamp_s += period_s
        outlet.push_chunk(samples, stamp_s)  # of the last of them
        due_s = max(due_s + period_s / (rehearsed.pace if is_followed else 1.0), local_clock() - 1.0)
        time.sleep(max(0.0, due_s - local_clock()))
    world.close()


if __name__ == "__main__":
    run_in_session(run)
