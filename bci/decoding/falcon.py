"""Our decoders as the FALCON benchmark calls them: several recordings side by side, one bin each at a time.

The calls are those of `falcon_challenge.interface.BCIDecoder` (Karpowicz et al. 2024, FALCON: few-shot algorithms for
consistent neural decoding); that package is not needed here. A submission adds it as a base class:
``class Submission(FalconDecoder, BCIDecoder)``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from bci.decoding.estimator import KalmanDecoder
from bci.errors import ArgumentError, ModelError
from bci.signals.arguments import as_numbers
from bci.types import Array

FOR_EVERY_SESSION = ""


class FalconDecoder:
    """Decode a batch of recordings, each with a decoder of its own.

    Parameters
    ----------
    decoders : KalmanDecoder or mapping of str to KalmanDecoder
        Fitted. One for all sessions, or one for each by its tag, for example after `recalibrate` on the session's few
        labelled bins; the tag ``""`` stands for every session without one.
    batch_size : int
        Recordings side by side.
    forgets_between_trials : bool
        Whether the bins of a new trial do not follow those of the trial before: then each begins at rest.

    Examples
    --------
    >>> import numpy as np
    >>> from bci.decoding import FalconDecoder, KalmanDecoder
    >>> random = np.random.default_rng(0)
    >>> velocity = random.normal(size=(500, 2))
    >>> decoder = KalmanDecoder().fit(velocity @ random.normal(size=(2, 30)), velocity)
    >>> falcon = FalconDecoder(decoder, batch_size=4)
    >>> falcon.reset(["a", "b", "c", "d"])
    >>> falcon.predict(np.zeros((4, 30))).shape
    (4, 2)
    >>> falcon.on_done(np.array([False, False, False, True]))
    """

    def __init__(
        self,
        decoders: KalmanDecoder | Mapping[str, KalmanDecoder],
        batch_size: int = 1,
        *,
        forgets_between_trials: bool = False,
    ) -> None:
        self._decoders = {FOR_EVERY_SESSION: decoders} if isinstance(decoders, KalmanDecoder) else dict(decoders)
        self._forgets_between_trials = forgets_between_trials
        self.set_batch_size(batch_size)

    def set_batch_size(self, batch_size: int) -> None:
        """Expect this many recordings from the next `reset` on."""
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ArgumentError(f"batch_size is {batch_size!r}.", "Give a whole number, 1 or more.")
        self.batch_size = int(batch_size)
        self._slots: list[KalmanDecoder] = []
        self._tags: list[str] = []

    def reset(self, dataset_tags: Sequence[str] = (FOR_EVERY_SESSION,)) -> None:
        """Begin with the sessions of these tags, one per recording; one whose tag stays as it was goes on.

        Raises
        ------
        ModelError
            When there is no decoder for a tag, or not one tag per recording.
        """
        tags = [str(tag) for tag in dataset_tags]
        if len(tags) != self.batch_size:
            raise ModelError(f"There are {len(tags)} tags for {self.batch_size} recordings.", "Give one for each.")
        slots = []
        for i, tag in enumerate(tags):
            if self._tags and self._tags[i] == tag:
                slots.append(self._slots[i])
                continue
            decoder = self._decoders.get(tag, self._decoders.get(FOR_EVERY_SESSION))
            if decoder is None:
                raise ModelError(
                    f"There is no decoder for session {tag!r}.", f"There is one for: {sorted(self._decoders)}."
                )
            slots.append(copy.copy(decoder).reset())  # what was learned is shared, the state is its own
        self._slots, self._tags = slots, tags

    def predict(self, neural_observations: Array) -> Array:
        """Decode one bin of each recording, (batch_size, n): kinematics (batch_size, d).

        Raises
        ------
        ModelError
            When `reset` was not called, or the shape does not fit.
        """
        observations = as_numbers(neural_observations, "Observations")
        if not self._slots:
            raise ModelError("No session has begun.", "Call reset with a tag for each recording first.")
        expected = (len(self._slots), self._slots[0].n_features_in_)
        if observations.shape != expected:
            raise ArgumentError(f"Observations have shape {observations.shape}.", f"Give {expected}.")
        return np.array([decoder.step(row) for decoder, row in zip(self._slots, observations, strict=True)])

    def observe(self, neural_observations: Array) -> None:
        """Take in one bin that need not be decoded."""
        self.predict(neural_observations)

    def on_done(self, dones: Array) -> None:
        """Hear in which recordings, boolean (batch_size,), a trial has ended with the bin before."""
        if np.shape(dones) != (self.batch_size,):
            raise ArgumentError(f"{np.shape(dones)} trials for {self.batch_size} recordings.", "Give one for each.")
        if self._forgets_between_trials and self._slots:
            for decoder, is_done in zip(self._slots, dones, strict=True):
                if is_done:
                    decoder.reset()
