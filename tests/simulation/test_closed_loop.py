"""The closed loop in one process: the same world whichever way it is run, and the same bits each time."""

import numpy as np
import pytest

from bci.decoding.velocity import VelocityDecoder
from bci.simulation.closed_loop import ClosedLoop, steering_label
from bci.simulation.drift import bursts
from bci.simulation.encoding import linear_gaussian
from bci.simulation.laboratory import calibrate, pipeline_of, profile_of
from bci.simulation.neurons import Neurons
from bci.simulation.world import ARM, Targets, World
from calibration.metrics import summarise
from calibration.user_model import UserModel

TAU_S, BETA = 0.09, 0.9


def participant(seed=0, n=48, k=2, **options):
    random = np.random.default_rng(seed)
    population = linear_gaussian(n, k, 0.5, random)
    targets = Targets(random.uniform(size=(400, k)), radius=0.1, dwell_s=0.3)
    return ClosedLoop(population, targets, TAU_S, BETA, seed=seed, **options)


def calibrated(loop):
    profile = profile_of(loop.population, 1e3 * TAU_S, BETA)
    return profile, calibrate(loop, profile)


def run_compiled(seconds=20.0, n_runs=1, height=None, **options):
    loop = participant(**options)
    profile, model = calibrated(loop)
    decoder = VelocityDecoder(model, profile.decoder)
    return [loop.run_compiled(decoder, seconds / n_runs, height) for _ in range(n_runs)]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    one, same, other = run_compiled()[0], run_compiled()[0], run_compiled(seed=1)[0]
    np.testing.assert_array_equal(one.position, same.position)
    np.testing.assert_array_equal(one.nis, same.nis)
    assert not np.array_equal(one.position, other.position)


def test_a_run_in_pieces_is_the_run_in_one_piece():
    whole, parts = run_compiled()[0], run_compiled(n_runs=4)
    np.testing.assert_array_equal(whole.position, np.vstack([part.position for part in parts]))
    assert whole.trials == sum((part.trials for part in parts), ())


def test_the_compiled_loop_and_the_pipeline_decode_the_same():
    fast = run_compiled(seconds=10.0)[0]
    loop = participant()
    profile, model = calibrated(loop)
    exact = loop.run_pipeline(pipeline_of(profile, model), 10.0)
    np.testing.assert_allclose(exact.position, fast.position, atol=1e-9)
    np.testing.assert_allclose(exact.nis, fast.nis, rtol=1e-6)


def test_also_through_bursts_that_the_decoder_does_not_believe():
    height = bursts(500, 0.02, 60.0, np.random.default_rng(0))
    fast = run_compiled(seconds=10.0, height=height)[0]
    loop = participant()
    profile, model = calibrated(loop)
    exact = loop.run_pipeline(pipeline_of(profile, model), 10.0, bursts=height)
    assert np.isinf(fast.nis).sum() > 10
    np.testing.assert_allclose(exact.position, fast.position, atol=1e-9)


def test_targets_are_acquired_and_trials_say_when_and_how_far():
    loop = participant()
    profile, model = calibrated(loop)
    trace = loop.run_compiled(VelocityDecoder(model, profile.decoder), 60.0)
    summary = summarise(trace.trials)
    assert summary.success_rate > 0.97
    assert 30 < summary.n_trials < 80
    first = trace.trials[3]
    begin, end = round(first.start_s / 0.02), round(first.end_s / 0.02)
    place = loop.targets.places[3]
    np.testing.assert_allclose(np.linalg.norm(trace.position[begin] - place), first.distance, atol=1e-12)
    held = np.linalg.norm(trace.position[end - 14 : end + 1] - place, axis=1)
    assert held.max() <= 0.1
    assert all(later.start_s == earlier.end_s for earlier, later in zip(trace.trials, trace.trials[1:], strict=False))


def test_a_target_out_of_reach_times_out():
    loop = participant(world=World(most_speed=0.001))
    profile, model = calibrated(loop)
    trials = loop.run_compiled(VelocityDecoder(model, profile.decoder), 25.0).trials
    assert [trial.is_success for trial in trials] == [False, False]
    assert trials[0].end_s - trials[0].start_s == pytest.approx(10.0, abs=0.05)


def test_an_arm_keeps_to_its_limits():
    loop = participant(k=4, world=ARM)
    profile, model = calibrated(loop)
    trace = loop.run_compiled(VelocityDecoder(model, profile.decoder), 20.0)
    speed = np.diff(trace.position, axis=0) / 0.02
    inside = ((trace.position > 0) & (trace.position < 1))[1:]
    assert np.abs(speed).max() <= ARM.most_speed + 1e-9
    both = inside[1:] & inside[:-1]
    assert np.abs(np.diff(speed, axis=0))[both].max() / 0.02 <= ARM.most_acceleration + 1e-6
    assert len(trace.trials) > 3


def test_a_participant_who_waits_before_each_movement_takes_that_much_longer():
    def mean_time(wait_s):
        random = np.random.default_rng(0)
        population = linear_gaussian(48, 2, 0.5, random)
        targets = Targets(random.uniform(size=(100, 2)), 0.1, 0.3, waits_s=np.full(100, wait_s))
        loop = ClosedLoop(population, targets, TAU_S, BETA)
        profile, model = calibrated(loop)
        return summarise(loop.run_compiled(VelocityDecoder(model, profile.decoder), 60.0).trials).time_to_target_s

    assert mean_time(1.0) - mean_time(0.0) == pytest.approx(1.0, abs=0.25)


def test_poisson_neurons_control_too():
    random = np.random.default_rng(2)
    population = Neurons(96, 2, random).population(0.02)
    loop = ClosedLoop(population, Targets(random.uniform(size=(200, 2)), 0.1, 0.3), TAU_S, 0.7)
    profile, model = calibrated(loop)
    summary = summarise(loop.run_compiled(VelocityDecoder(model, profile.decoder), 60.0).trials)
    assert summary.success_rate > 0.95


def test_nothing_is_taught_before_there_was_time_to_react():
    label = steering_label(np.array([0.2, 0.2]), np.array([0.8, 0.2]), 0.1)
    assert label.weight == 0.0
    assert steering_label(np.array([0.2, 0.2]), np.array([0.8, 0.2]), 0.4).weight == 1.0


def test_habits_change_what_happens():
    plain, tired = run_compiled()[0], run_compiled(user=UserModel(fatigue=0.8, fatigue_tau_s=5.0))[0]
    assert len(tired.trials) < len(plain.trials)
