"""Whole calibrations in process, with simulated participants: who is accepted, who is not, and what is kept."""

import dataclasses

import numpy as np
import pytest
from rehearsing import Laboratory, shipped

from bci.decoding.model import load_model
from bci.errors import ModelError
from bci.settings import Discrete
from bci.simulation.drift import correlation_after, turn_directions
from bci.simulation.rehearsal import Rehearsal
from calibration.conductor import Conductor
from calibration.fit import check_fits
from calibration.procedure import MODEL_FILE, Procedure
from calibration.wizard import Outcome, failed_gates, load_state

MOST_S = 8 * 60.0


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good participant of an implanted array with click and idle gate, accepted."""
    profile = shipped("intracortical_rates", discrete=Discrete())
    laboratory = Laboratory(tmp_path_factory.mktemp("good"), profile)
    laboratory.outcome = laboratory.finish()
    return laboratory


def last(laboratory, phase):
    return laboratory.procedure.state.last(phase).measures


@pytest.mark.parametrize(
    ("profile", "quality"),
    [("intracortical_rates", "median"), ("simulated", "median"), ("emg_openbci", "median")],
)
def test_a_good_and_a_median_participant_are_accepted_within_eight_minutes(tmp_path, profile, quality):
    laboratory = Laboratory(tmp_path, shipped(profile), quality)
    assert laboratory.finish() is Outcome.ACCEPTED
    assert laboratory.seconds <= MOST_S
    assert last(laboratory, "evaluation")["success_rate"] >= 0.9


@pytest.mark.parametrize("profile", ["intracortical_rates", "emg_openbci"])
def test_a_participant_with_poor_signals_is_told_what_is_not_good_enough(tmp_path, profile):
    laboratory = Laboratory(tmp_path, shipped(profile), "poor")
    assert laboratory.finish() is Outcome.REJECTED
    assert {result.measure for result in failed_gates(laboratory.procedure.state.attempts[-1])} <= {
        "cv_angle_deg",
        "tuned_channels",
    }
    assert not (tmp_path / MODEL_FILE).exists()


def test_a_good_participant_clicks_and_rests_too(good):
    assert good.outcome is Outcome.ACCEPTED
    assert good.seconds <= MOST_S
    assert last(good, "discrete")["click_accuracy"] >= 0.8
    assert last(good, "evaluation")["false_clicks_per_min"] <= 1.0
    assert last(good, "evaluation")["idle_drift"] < 0.01


def test_gain_and_smoothing_are_tuned_in_less_than_two_seconds(good):
    assert last(good, "tuning")["computed_s"] < 2.0
    tuned = good.procedure.settings()
    assert (tuned.tau_ms, tuned.beta) == (last(good, "tuning")["tau_ms"], last(good, "tuning")["beta"])


def test_the_assist_fades_and_the_decoder_learns_while_it_does(good):
    assert last(good, "assisted")["assist_left"] < 0.5
    before, after = (load_model(good.procedure.path(number, "model.npz")) for number in (3, 5))
    assert after.provenance["n_learned_bins"] > 500
    assert not np.allclose(before.C, after.C)


def test_during_the_evaluation_the_decoder_is_locked(good):
    assert good.conductor.pipeline.decoder.n_learned == 0


def test_the_accepted_model_runs_as_it_is(good):
    extractor = good.conductor.pipeline.extractor
    model = load_model(good.procedure.folder / MODEL_FILE)
    check_fits(model, good.profile, extractor.labels, extractor.bin_s)
    assert model.tuned(good.profile.decoder).beta == last(good, "tuning")["beta"]
    assert model.discrete.states == ("idle", "move", "click")
    assert model.provenance["participant"] == "P01"
    fresh = Laboratory(good.procedure.folder, good.profile).conductor.pipeline.extractor
    fresh.restore(model.statistics)
    assert fresh.statistics() == model.statistics


@pytest.mark.parametrize("n_done", [2, 3, 4, 6, 7])
def test_an_interrupted_calibration_goes_on_from_its_last_finished_step(good, tmp_path, n_done):
    """Another process, the same participant: only the files are left of what was done."""
    for path in good.procedure.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = load_state(tmp_path)
    for attempt in state.attempts[n_done:]:
        for path in tmp_path.glob(f"{attempt.number:02d}_*"):
            path.unlink()
    laboratory = Laboratory(tmp_path, good.profile, participant=good.participant)
    laboratory.procedure = Procedure(
        tmp_path, dataclasses.replace(state, attempts=state.attempts[:n_done]), laboratory.program,
        laboratory.conductor, 1,
    )  # fmt: skip
    assert laboratory.procedure.next()[0].name == state.attempts[n_done].phase
    laboratory.perform(laboratory.procedure.next()[0])
    assert laboratory.procedure.state.attempts[-1].is_passed
    assert [a.number for a in load_state(tmp_path).attempts] == list(range(1, n_done + 2))


def days_later(profile, days=3):
    """The good participant of seed 1, whose neurons have turned as they do in so many days."""
    participant = Rehearsal(profile, "good", 1)
    neurons, left = participant.source.neurons, correlation_after(days * 86400.0)
    neurons.directions = turn_directions(neurons.directions, left, np.random.default_rng(5))
    return participant


def test_a_minute_from_the_last_model_mends_what_days_have_changed(good, tmp_path):
    prior = load_model(good.procedure.folder / MODEL_FILE)
    laboratory = Laboratory(tmp_path, good.profile, participant=days_later(good.profile), is_quick=True, prior=prior)
    assert laboratory.finish() is Outcome.ACCEPTED
    assert laboratory.seconds <= 90.0
    assert last(laboratory, "recalibration")["angle_error_deg"] < 50.0
    assert (tmp_path / MODEL_FILE).exists()


def test_a_quick_recalibration_never_begins_from_nothing(tmp_path):
    laboratory = Laboratory(tmp_path, shipped("intracortical_rates"), is_quick=True)
    laboratory.finish(until="recalibration")
    with pytest.raises(ModelError, match="without --quick"):
        laboratory.perform(laboratory.procedure.next()[0])


class Muffled:
    """A participant of whom a share of the channels is dead."""

    def __init__(self, participant, share):
        self.participant, self.labels, self._share = participant, participant.labels, share

    def samples(self, *shown):
        samples = self.participant.samples(*shown)
        samples[:, : round(self._share * samples.shape[1])] = 0.0
        return samples


def test_with_two_fifths_of_the_channels_dead_the_signal_check_is_as_far_as_it_goes(tmp_path):
    profile = shipped("intracortical_rates")
    laboratory = Laboratory(tmp_path, profile, participant=Muffled(Rehearsal(profile, "good", 1), 0.4))
    assert laboratory.finish() is Outcome.REJECTED
    assert {attempt.phase for attempt in laboratory.procedure.state.attempts} == {"signals"}
    (result,) = failed_gates(laboratory.procedure.state.attempts[-1])
    assert result.measure == "usable_share"
    assert result.value == pytest.approx(0.6, abs=0.05)


def test_while_paused_the_hand_rests_time_stands_still_and_nothing_is_learned(tmp_path):
    laboratory = Laboratory(tmp_path, shipped("intracortical_rates"))
    laboratory.finish(until="assisted")
    phase, _ = laboratory.procedure.next()
    laboratory.procedure.begin(phase)
    for _ in range(100):
        laboratory.tick()
    conductor: Conductor = laboratory.conductor
    elapsed_s, n_learned = conductor.elapsed_s, conductor.pipeline.decoder.n_learned
    conductor.is_paused = True
    for _ in range(100):
        laboratory.tick()
    assert conductor.elapsed_s == elapsed_s
    assert conductor.pipeline.decoder.n_learned <= n_learned + 1  # the bin whose label was out already
    assert conductor.shown.mode == 0.0
    conductor.is_paused = False
    for _ in range(100):
        laboratory.tick()
    assert conductor.elapsed_s > elapsed_s
    assert conductor.pipeline.decoder.n_learned > n_learned + 10
