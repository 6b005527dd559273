"""The world of a closed loop: targets, what is moved, and one bin of everything between two decoded velocities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from bci.simulation.drift import Electrodes
from bci.simulation.encoding import Population, encode
from bci.types import Array
from calibration.user_model import Mind, Policy, act


@dataclass(frozen=True)
class Targets:
    """Places to go to, one after the other, for as long as there are any.

    Attributes
    ----------
    places : Array
        Shape (n_trials, k), workspaces.
    radius : float
        Workspaces.
    dwell_s, timeout_s : float
        How long to stay, and to try.
    waits_s : Array or None
        Shape (n_trials,): reaction and pause before each movement begins; None: none.
    """

    places: Array
    radius: float = 0.075
    dwell_s: float = 0.5
    timeout_s: float = 10.0
    waits_s: Array | None = None


@dataclass(frozen=True)
class World:
    """What is moved: a unit workspace, a cursor unless something limits it.

    Attributes
    ----------
    most_speed, most_acceleration : float
        Per axis, workspaces per second and per second squared.
    """

    most_speed: float = np.inf
    most_acceleration: float = np.inf


ARM = World(most_speed=1.0, most_acceleration=8.0)


class Plant(NamedTuple):
    """Task and world as `advance` takes them; times in bins."""

    places: Array
    waits: Array
    radius: float
    n_dwell: int
    n_timeout: int
    bin_s: float
    most_speed: float
    most_change: float


class State(NamedTuple):
    """Everything that moves; arrays, written in place.

    Attributes
    ----------
    position, velocity, effort : Array
        Shape (k,): of what is moved, and of the user.
    y : Array
        Shape (n,): features of this bin.
    counters : Array
        Integer, shape (3,): trial, bins inside its target, bins since it appeared.
    ends : Array
        Integer, shape (n_trials,): bin in which each trial has ended.
    is_hit : Array
        Boolean, shape (n_trials,).
    begins : Array
        Shape (n_trials, k): where each trial has begun.
    """

    position: Array
    velocity: Array
    effort: Array
    y: Array
    counters: Array
    ends: Array
    is_hit: Array
    begins: Array


def make_plant(targets: Targets, world: World, bin_s: float) -> Plant:
    """Task and world in bins."""
    places = np.ascontiguousarray(targets.places)
    waits = np.zeros(len(places)) if targets.waits_s is None else targets.waits_s
    return Plant(
        places, np.round(waits / bin_s).astype(np.int64), targets.radius, round(targets.dwell_s / bin_s),
        round(targets.timeout_s / bin_s), bin_s, world.most_speed, world.most_acceleration * bin_s,
    )  # fmt: skip


def make_state(n: int, n_trials: int, start: Array) -> State:
    """At rest at `start` (k,), before the first trial."""
    k = len(start)
    return State(
        start.copy(), np.zeros(k), np.zeros(k), np.zeros(n), np.zeros(3, np.int64), np.zeros(n_trials, np.int64),
        np.zeros(n_trials, np.bool_), np.tile(start, (n_trials, 1)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def advance(
    policy: Policy, mind: Mind, plant: Plant, state: State, population: Population, electrodes: Electrodes,
    own: Array, shared: Array, burst: float, velocity: Array,
) -> None:  # fmt: skip
    """One bin of the world, the task, the user and the neurons: from a decoded velocity to the next features."""
    k, off = len(velocity), 0.0
    trial = min(state.counters[0], len(plant.places) - 1)
    target = plant.places[trial]
    for i in range(k):
        wanted = min(max(velocity[i], -plant.most_speed), plant.most_speed)
        change = min(max(wanted - state.velocity[i], -plant.most_change), plant.most_change)
        state.velocity[i] += change
        state.position[i] = min(max(state.position[i] + plant.bin_s * state.velocity[i], 0.0), 1.0)
        off += (state.position[i] - target[i]) ** 2
    if state.counters[0] < len(plant.places):
        state.counters[2] += 1
        state.counters[1] = state.counters[1] + 1 if off <= plant.radius * plant.radius else 0
        is_hit = state.counters[1] >= plant.n_dwell and state.counters[2] > plant.waits[trial]
        if is_hit or state.counters[2] >= plant.n_timeout:
            state.is_hit[trial] = is_hit
            state.ends[trial] = mind.clock[0]
            state.counters[0] += 1
            state.counters[1], state.counters[2] = 0, 0
            trial = min(state.counters[0], len(plant.places) - 1)
            state.begins[trial] = state.position
    wants = state.counters[0] < len(plant.places) and state.counters[2] >= plant.waits[trial]
    act(policy, mind, state.position, state.velocity, plant.places[trial], wants, state.effort)
    encode(population, own, shared, state.effort, state.y)
    for i in range(len(state.y)):
        height = (electrodes.offset[i] + burst) * population.spread[i]
        state.y[i] = electrodes.gain[i] * state.y[i] + height
