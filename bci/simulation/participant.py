"""A simulated participant in a process of its own: watches `bci.world`, and publishes what it means as `bci.effort`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from pylsl import local_clock

from bci.errors import SessionError
from bci.plan import Plan
from bci.process import StopFlag, run_in_session
from bci.simulation.user import User
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from bci.streams.outlet import open_outlet

PERIOD_S = 0.02  # between two looks
GONE_S = 0.5  # a world as old as this is not looked at any more
MOVE, SQUEEZE = 1.0, 2.0  # what the world's `active` asks for; 0 is rest


def participate(
    user: User,
    outputs: Sequence[str],
    world: LatestSamples,
    source_id: str,
    is_over: Callable[[], bool],
    patience_s: float = math.inf,
) -> None:
    """Publish the effort at each moment until it is over: one value per output, and the squeeze of the hand.

    A world that has shown something, and then nothing for `patience_s`, ends it too.
    """
    k = len(outputs)
    labels = [*outputs, "squeeze"]
    outlet = open_outlet("bci.effort", "Effort", labels, ["1"] * len(labels), source_id)
    shown, shown_s = np.zeros(2 * k + 2), -np.inf
    next_s = local_clock()
    while not is_over():
        for at_s, values in world.pull():
            shown, shown_s = np.asarray(values, dtype=np.float64), at_s
        if -math.inf < shown_s < local_clock() - patience_s:
            return
        asked = shown[2 * k] if local_clock() - shown_s < GONE_S else 0.0
        effort = np.zeros(k + 1)
        if shown_s > -np.inf:
            effort[:k] = user.effort(shown[:k], shown[k : 2 * k], asked == MOVE)
        effort[k] = asked == SQUEEZE
        outlet.push_sample(effort, local_clock())
        next_s += PERIOD_S
        time.sleep(max(0.0, next_s - local_clock()))


def run(plan: Plan, stop: StopFlag) -> None:
    """Take part in a session until told to stop."""
    if plan.demonstration is None:
        raise SessionError("This session has no simulated participant.", "Start it with `bci demo`.")
    configure(plan.lsl_scope, plan.lsl_session_id)
    decoder = plan.profile.decoder
    user = User(len(decoder.outputs), PERIOD_S, tau_s=decoder.tau_ms / 1e3, beta=decoder.beta)
    world = LatestSamples(f"bci-{plan.session_id}-world")
    plan.ready_file("participant").touch()
    participate(user, decoder.outputs, world, f"bci-{plan.session_id}-effort", stop.__bool__)
    world.close()


if __name__ == "__main__":
    run_in_session(run)
