"""A calibration with a simulated participant, in process: the conductor and the procedure without streams or clocks."""

import numpy as np

from bci.configs import find_profile
from bci.profile import load_profile
from bci.simulation.rehearsal import Rehearsal
from bci.types import Chunk
from calibration.conductor import Conductor
from calibration.procedure import Procedure
from calibration.program import make_program, paradigm_of
from calibration.wizard import State

LEAD_IN_S = 3.0


def shipped(name, **changes):
    """A shipped profile, with some of its decoder's settings changed."""
    profile = load_profile(find_profile(name))
    return profile.model_copy(update={"decoder": profile.decoder.model_copy(update=changes)})


class Laboratory:
    """One participant before a screen, and whoever calibrates; time is counted in bins."""

    def __init__(self, folder, profile, quality="good", seed=1, *, participant=None, is_quick=False, prior=None):
        self.profile, self.paradigm = profile, paradigm_of(profile)
        self.participant = participant or Rehearsal(profile, quality, seed)
        self.cues, self.stamp_s, self._shown = [], 100.0, None
        self.seconds = 0.0
        labels = self.participant.labels
        used = profile.stream.channels or labels
        self._columns = [labels.index(label) for label in used]
        self.conductor = Conductor(profile, used, self.paradigm, self._show, lambda at, text: self.cues.append(text))
        n_features = self.conductor.pipeline.extractor.n_features
        self.program = make_program(profile, self.paradigm, n_features, is_quick=is_quick)
        state = State("P01", profile.name, profile.hash, self.paradigm, is_quick)
        self.procedure = Procedure(folder, state, self.program, self.conductor, seed, prior)

    def _show(self, stamp_s, shown):
        self._shown = shown

    def tick(self):
        """One bin of life."""
        shown = self._shown or self.conductor.shown
        samples = self.participant.samples(shown.position, shown.target, shown.mode)[:, self._columns]
        stamps_s = self.stamp_s + np.arange(1, len(samples) + 1) / self.profile.stream.rate_hz
        self.stamp_s = stamps_s[-1]
        self.seconds += self.conductor.bin_s
        self.conductor.push(Chunk(np.ascontiguousarray(samples, dtype=np.float64), stamps_s))

    def perform(self, phase):
        """One step, from the moment of rest before it to its verdict."""
        for _ in range(round(LEAD_IN_S / self.conductor.bin_s)) if phase.seconds else ():
            self.tick()
        self.procedure.begin(phase)
        while self.conductor.is_running:
            self.tick()
        return self.procedure.finish()

    def finish(self, until=""):
        """Step after step to the end, or to the step of that name; the outcome."""
        while True:
            phase, outcome = self.procedure.next()
            if phase is None or phase.name == until:
                return outcome
            self.perform(phase)
