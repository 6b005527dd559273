"""A participant, a cursor and a task in closed loop with the project's own decoder, in one process.

Nothing waits for a clock: with a fitted decoder that is left alone (`run_compiled`) thousands of times faster than real
time, through the whole pipeline with normalisation and learning (`run_pipeline`) some hundred times. Both call the same
kernels bin by bin, and the same seed gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bci.decoding.readout import decode
from bci.decoding.velocity import VelocityDecoder
from bci.pipeline import Pipeline, Step
from bci.simulation.drift import Electrodes, sound_electrodes
from bci.simulation.encoding import Draws, Population, encode
from bci.simulation.world import Plant, State, Targets, World, advance, make_plant, make_state
from bci.types import Array, Chunk, Label
from calibration.intention import REACTION_S, intended_velocity
from calibration.metrics import Trial
from calibration.user_model import Mind, Policy, UserModel, make_mind, make_policy

BLOCK_BINS = 250


@dataclass(frozen=True)
class Trace:
    """What happened, bin by bin.

    Attributes
    ----------
    position, effort, velocity : Array
        Shape (n_bins, k): of the cursor, meant, and decoded.
    nis : Array
        Shape (n_bins,): of the decoder, infinite for a bin that it did not believe.
    trial : Array
        Integer, shape (n_bins,).
    trials : tuple of Trial
        Those that have ended.
    """

    position: Array
    effort: Array
    velocity: Array
    nis: Array
    trial: Array
    trials: tuple[Trial, ...]


class _Log(NamedTuple):
    """The arrays of a trace while it is written."""

    position: Array
    effort: Array
    velocity: Array
    nis: Array
    trial: Array


class ClosedLoop:
    """One participant before one screen; runs go on where the last one has stopped.

    Parameters
    ----------
    population : Population
        How features follow the effort. Its arrays, and those of `electrodes`, may be changed between runs.
    targets : Targets
        The task.
    tau_s, beta : float
        Smoothing and gain of the decoder, as the user has come to know them.
    user : UserModel
        Habits.
    world : World
        A cursor, or an arm.
    seed : int
        Of the noise.
    """

    def __init__(
        self,
        population: Population,
        targets: Targets,
        tau_s: float,
        beta: float,
        *,
        user: UserModel | None = None,
        world: World | None = None,
        seed: int = 0,
    ) -> None:
        bin_s, (k, n), n_trials = population.bin_s, population.weights.shape, len(targets.places)
        user, world = user or UserModel(), world or World()
        self.population, self.targets = population, targets
        self.electrodes: Electrodes = sound_electrodes(n)
        self._draws = Draws(population, seed)
        self._random = np.random.default_rng(seed)
        self.n_bins = 0
        start = np.full(k, 0.5)
        self._plant = make_plant(targets, world, bin_s)
        self._policy: Policy = make_policy(user, bin_s, tau_s, beta)
        self._mind: Mind = make_mind(user, bin_s, start)
        self._state = make_state(n, n_trials, start)

    def run_compiled(self, decoder: VelocityDecoder, seconds: float, bursts: Array | None = None) -> Trace:
        """Run with a decoder that does not learn, on features as they are; `bursts` (n_bins,) as in `drift.bursts`."""
        n = self._n_bins_of(seconds)
        height = np.zeros(n) if bursts is None else bursts
        log = _empty_log(n, len(self._state.effort))
        begin, decoding, gate = len(self._finished()), decoder.compiled, decoder.model.nis_gate
        for first in range(0, n, BLOCK_BINS):
            block = slice(first, min(first + BLOCK_BINS, n))
            views, done = _Log(*(values[block] for values in log)), 0
            draws = self._draws.take(block.stop - first)
            while done < block.stop - first:
                before = done
                done = _live(
                    self._policy, self._mind, self._plant, self._state, self.population, self.electrodes, draws,
                    height[block], done, decoder.velocity, decoding, gate, views,
                )  # fmt: skip
                is_believed = views.nis[done - 1] <= gate
                if is_believed or done - before > 1:
                    decoder.n_coasted = 0
                if not is_believed:
                    decoder.step(self._state.y)  # says again that it does not believe this bin, and coasts
        return self._trace(log, begin, n)

    def run_pipeline(
        self,
        pipeline: Pipeline,
        seconds: float,
        *,
        bursts: Array | None = None,
        label: Callable[[Array, Array, float], Label | None] | None = None,
    ) -> Trace:
        """Run through the pipeline, one bin a chunk.

        Parameters
        ----------
        pipeline : Pipeline
            Of a profile whose stream has one sample a bin; with a decoder, or none yet.
        seconds : float
            How long.
        bursts : Array, optional
            As in `drift.bursts`.
        label : callable, optional
            From position, target and seconds since the target appeared to what is taught; None: nothing is.
        """
        n = self._n_bins_of(seconds)
        height = np.zeros(n) if bursts is None else bursts
        log, state, bin_s = _empty_log(n, len(self._state.effort)), self._state, self.population.bin_s
        begin, velocity, steps = len(self._finished()), np.zeros(len(state.effort)), list[Step]()
        if pipeline.decoder is not None:
            velocity[:] = pipeline.decoder.velocity
        own, shared = self._draws.take(n)
        for i in range(n):
            advance(
                self._policy, self._mind, self._plant, state, self.population, self.electrodes, own[i], shared[i],
                height[i], velocity,
            )  # fmt: skip
            stamp_s = (self.n_bins + i + 1) * bin_s
            trial = min(int(state.counters[0]), len(self._plant.places) - 1)
            if label is not None:
                taught = label(state.position, self._plant.places[trial], state.counters[2] * bin_s)
                if taught is not None:
                    pipeline.teach(Label(stamp_s, taught.v_int, taught.weight))
            steps.clear()
            pipeline.push(Chunk(state.y[None].copy(), np.array([stamp_s])), steps.append)
            intent = steps[0].intent
            velocity[:] = 0.0 if intent is None else intent.velocity
            log.position[i], log.effort[i], log.velocity[i] = state.position, state.effort, velocity
            log.trial[i] = trial
            log.nis[i] = np.nan if intent is None else intent.nis
        return self._trace(log, begin, n)

    def observe(self, n_bins: int) -> tuple[Array, Array]:
        """Features (n_bins, n) and efforts (n_bins, k) while the participant only imagines, in all directions."""
        k = len(self._state.effort)
        turns = self._random.normal(size=(n_bins // 25 + 1, k))
        lengths = self._random.uniform(size=(len(turns), 1))
        efforts = np.repeat(lengths * turns / np.linalg.norm(turns, axis=1, keepdims=True), 25, axis=0)[:n_bins]
        features = np.empty((n_bins, len(self._state.y)))
        for effort, own, shared, row in zip(efforts, *self._draws.take(n_bins), features, strict=True):
            encode(self.population, own, shared, effort, row)
            row *= self.electrodes.gain
            row += self.electrodes.offset * self.population.spread
        return features, efforts

    def _n_bins_of(self, seconds: float) -> int:
        return round(seconds / self.population.bin_s)

    def _finished(self) -> range:
        return range(min(int(self._state.counters[0]), len(self._plant.places)))

    def _trace(self, log: _Log, begin: int, n: int) -> Trace:
        self.n_bins += n
        state, places, bin_s = self._state, self._plant.places, self.population.bin_s
        trials = []
        for i in self._finished()[begin:]:
            start_s = state.ends[i - 1] * bin_s if i else 0.0
            distance = float(np.linalg.norm(places[i] - state.begins[i]))
            trials.append(
                Trial(f"target {i + 1}", start_s, state.ends[i] * bin_s, bool(state.is_hit[i]), distance,
                      self.targets.radius, self.targets.dwell_s)
            )  # fmt: skip
        return Trace(*log, tuple(trials))


def steering_label(position: Array, target: Array, since_s: float) -> Label:
    """What the live session teaches: straight to the target, once there has been time to react."""
    v_int = intended_velocity(position, target, True)
    return Label(0.0, tuple(v_int.tolist()), 1.0 if since_s >= REACTION_S else 0.0)


def _empty_log(n: int, k: int) -> _Log:
    return _Log(np.empty((n, k)), np.empty((n, k)), np.empty((n, k)), np.empty(n), np.empty(n, np.int64))


@njit(cache=True, nogil=True)
def _live(
    policy: Policy, mind: Mind, plant: Plant, state: State, population: Population, electrodes: Electrodes,
    draws: tuple[Array, Array], bursts: Array, begin: int, velocity: Array, decoding: tuple[Any, ...], gate: float,
    log: _Log,
) -> int:  # fmt: skip
    """Bins until the end, or until one that the decoder does not believe: how many are done."""
    for t in range(begin, len(bursts)):
        advance(policy, mind, plant, state, population, electrodes, draws[0][t], draws[1][t], bursts[t], velocity)
        log.nis[t] = decode(state.y, *decoding)
        log.position[t], log.effort[t], log.velocity[t] = state.position, state.effort, velocity
        log.trial[t] = min(state.counters[0], len(plant.places) - 1)
        if not log.nis[t] <= gate:
            return t + 1
    return len(bursts)
