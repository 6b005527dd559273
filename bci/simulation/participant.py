"""A simulated participant in a process of its own: watches `bci.world`, and publishes the counts of its neurons."""

from __future__ import annotations

import time

import numpy as np
from pylsl import local_clock

from bci.errors import SessionError
from bci.plan import Plan
from bci.process import StopFlag, run_in_session
from bci.simulation.neurons import Neurons
from bci.simulation.user import User
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from bci.streams.outlet import open_outlet
from bci.types import Array

TIME_LAPSE = 5000.0  # a minute of the demo turns the neurons' tuning as three and a half days do


def run(plan: Plan, stop: StopFlag) -> None:
    """Publish counts at the profile's rate until told to stop."""
    if plan.demonstration is None:
        raise SessionError("This session has no simulated participant.", "Start it with `bci demo`.")
    configure(plan.lsl_scope, plan.lsl_session_id)
    stream, k = plan.profile.stream, len(plan.profile.decoder.outputs)
    random = np.random.default_rng(plan.demonstration.seed)
    neurons = Neurons(stream.n_channels, k, random, TIME_LAPSE)
    labels = [f"neuron{i + 1}" for i in range(stream.n_channels)]
    outlet = open_outlet(
        stream.name, stream.type, labels, [stream.unit] * len(labels), stream.source_id, rate_hz=stream.rate_hz
    )
    period_s = 1.0 / stream.rate_hz
    user = User(k, period_s, tau_s=plan.profile.decoder.tau_ms / 1e3, beta=plan.profile.decoder.beta)
    world = LatestSamples(f"bci-{plan.session_id}-world")
    shown: Array = np.zeros(2 * k + 2)
    next_s = local_clock()
    plan.ready_file("participant").touch()
    while not stop:
        for _, sample in world.pull():
            shown = np.asarray(sample)
        effort = user.effort(shown[:k], shown[k : 2 * k], bool(shown[2 * k] > 0.5))
        outlet.push_sample(neurons.counts(effort, period_s), next_s)
        next_s += period_s
        time.sleep(max(0.0, next_s - local_clock()))
    world.close()


if __name__ == "__main__":
    run_in_session(run)
