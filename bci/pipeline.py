"""From chunks of samples to intents: one pure object that the live loop, replay and the tests all call.

It touches no clock, file, socket or random number. The same samples and labels, cut into other chunks, give the
same bits: so a recorded session is replayed to the identical intents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bci.decoding.velocity import VelocityDecoder
from bci.profile import Adaptation, Profile
from bci.signals.features import Extractor
from bci.types import Chunk, Frame, Intent, Label, Position


@dataclass(frozen=True, slots=True)
class Step:
    """One bin: its features, what was meant and shown (if known), and what was decoded (if there is a decoder)."""

    frame: Frame
    label: Label | None
    intent: Intent | None
    position: Position | None = None


class Pipeline:
    """Features, decoding and adaptation of one stream.

    Parameters
    ----------
    extractor : Extractor
        From chunks to frames.
    decoder : VelocityDecoder or None
        None while nothing has been fitted: frames come out, intents do not. May be set between two pushes.
    adaptation : Adaptation
        Half-lives of learning from labelled bins.
    """

    def __init__(self, extractor: Extractor, decoder: VelocityDecoder | None, adaptation: Adaptation) -> None:
        self.extractor = extractor
        self.decoder = decoder
        self.adaptation = adaptation
        self._labels: deque[Label] = deque()
        self._label: Label | None = None
        self._positions: deque[Position] = deque()
        self._position: Position | None = None
        self._labelled_s = 0.0

    def teach(self, label: Label) -> None:
        """Tell what the participant means from `label.stamp_s` on; labels come in the order of their stamps."""
        self._labels.append(label)

    def show(self, position: Position) -> None:
        """Tell where the participant sees the hand from `position.stamp_s` on; in the order of their stamps."""
        self._positions.append(position)

    def push(self, chunk: Chunk, emit: Callable[[Step], None]) -> None:
        """Process one chunk and hand every bin that it completes to `emit`, in order."""
        for frame in self.extractor.push(chunk):
            label = self._label_at(frame.stamp_s)
            self._look(frame.stamp_s)
            intent = None if self.decoder is None else self._decode(self.decoder, frame, label)
            emit(Step(frame, label, intent, self._position))

    def _label_at(self, stamp_s: float) -> Label | None:
        while self._labels and self._labels[0].stamp_s <= stamp_s:
            self._label = self._labels.popleft()
        return self._label

    def _look(self, stamp_s: float) -> None:
        """Take in what was shown until a moment."""
        while self._positions and self._positions[0].stamp_s <= stamp_s:
            self._position = self._positions.popleft()

    def _decode(self, decoder: VelocityDecoder, frame: Frame, label: Label | None) -> Intent:
        if self._position is not None:
            decoder.show(self._position.values)
        if frame.is_missing:
            decoder.coast()
            nis = 0.0
        else:
            nis = decoder.step(frame.features)
            if label is not None and label.weight > 0.0 and decoder.n_coasted == 0:
                decoder.learn(frame.features, label.v_int, label.weight, self._half_life_s())
                self._labelled_s += self.extractor.bin_s
        d = decoder.discrete
        discrete = () if d is None else (d.click, d.hold, d.gate, d.n_clicks)
        velocity = tuple(decoder.velocity.tolist())
        return Intent(frame.index, frame.stamp_s, velocity, nis, decoder.is_confident, *discrete)

    def _half_life_s(self) -> float:
        """Short at first, then annealed linearly: fast learning early, steady control later."""
        plan = self.adaptation
        progress = min(1.0, self._labelled_s / plan.anneal_s)
        return plan.half_life_start_s + progress * (plan.half_life_s - plan.half_life_start_s)


def make_pipeline(profile: Profile, labels: tuple[str, ...], decoder: VelocityDecoder | None) -> Pipeline:
    """Build the pipeline that a profile describes, for a stream with these channel labels."""
    return Pipeline(Extractor(profile.features, labels, profile.stream.rate_hz), decoder, profile.adaptation)
