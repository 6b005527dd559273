"""From chunks of samples to intents: one pure object that the live loop, replay and the tests all call.

It touches no clock, file, socket or random number. The same samples and labels, cut into other chunks, give the
same bits: so a recorded session is replayed to the identical intents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bci.decoding.robust import LEAST_USED
from bci.decoding.velocity import VelocityDecoder
from bci.profile import Adaptation, Profile
from bci.signals.features import BinFeatures, Extractor
from bci.signals.merging import Follower, Merger
from bci.types import Array, Chunk, Frame, Intent, Label, Position


@dataclass(frozen=True, slots=True)
class Step:
    """One bin: its features, what was meant and shown (if known), and what was decoded (if there is a decoder)."""

    frame: Frame
    label: Label | None
    intent: Intent | None
    position: Position | None = None


class Pipeline:
    """Features, decoding and adaptation of one stream, or of several on one bin grid.

    Parameters
    ----------
    extractor : Merger
        From chunks to frames.
    decoder : VelocityDecoder or None
        None while nothing has been fitted: frames come out, intents do not. May be set between two pushes.
    adaptation : Adaptation
        Half-lives of learning from labelled bins.
    """

    def __init__(self, extractor: Merger, decoder: VelocityDecoder | None, adaptation: Adaptation) -> None:
        self.extractor = extractor
        self.decoder = decoder
        self.adaptation = adaptation
        self._labels: deque[Label] = deque()
        self._label: Label | None = None
        self._positions: deque[Position] = deque()
        self._position: Position | None = None
        self._labelled_s = 0.0
        self._told: VelocityDecoder | None = None
        self._is_finite: Array = np.ones(extractor.n_features, dtype=np.bool_)
        self._is_used: Array = np.ones(extractor.n_features, dtype=np.bool_)

    def teach(self, label: Label) -> None:
        """Tell what the participant means from `label.stamp_s` on; labels come in the order of their stamps."""
        self._labels.append(label)

    def show(self, position: Position) -> None:
        """Tell where the participant sees the hand from `position.stamp_s` on; in the order of their stamps."""
        self._positions.append(position)

    def push(self, chunk: Chunk, emit: Callable[[Step], None], stream: int = 0) -> None:
        """Process one chunk and hand every bin that it completes to `emit`, in order.

        Parameters
        ----------
        chunk : Chunk
            Of the main stream, or of one of `profile.extra_streams`.
        emit : callable
            Called with each step.
        stream : int
            0 for the main stream; 1, 2, … for the others in the profile's order.
        """
        for frame in self.extractor.push(chunk, stream):
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
            decoder.n_coasted = max(decoder.n_coasted, frame.n_before)
            decoder.coast()
            nis = 0.0
        else:
            self._show_hidden(decoder, frame.features)
            nis = decoder.step(frame.features)
            if label is not None and label.weight > 0.0 and decoder.n_coasted == 0:
                decoder.learn(frame.features, label.v_int, label.weight, self._half_life_s())
                self._labelled_s += self.extractor.bin_s
        d = decoder.discrete
        discrete = () if d is None else (d.click, d.hold, d.gate, d.n_clicks)
        velocity = tuple(decoder.velocity.tolist())
        return Intent(frame.index, frame.stamp_s, velocity, nis, decoder.is_confident, *discrete)

    def _show_hidden(self, decoder: VelocityDecoder, features: Array) -> None:
        """Tell the decoder which features are hidden whenever that changes, so that its read-out is that of the others.

        Where hardly any are left, the decoder does not believe the bin anyway, and nothing is told.
        """
        np.isfinite(features, out=self._is_finite)
        if decoder is self._told and np.array_equal(self._is_finite, self._is_used):
            return
        if np.count_nonzero(self._is_finite) >= LEAST_USED * len(features):
            self._told = decoder
            self._is_used[:] = self._is_finite
            decoder.use_features(self._is_used)

    def _half_life_s(self) -> float:
        """Short at first, then annealed linearly: fast learning early, steady control later."""
        plan = self.adaptation
        progress = min(1.0, self._labelled_s / plan.anneal_s)
        return plan.half_life_start_s + progress * (plan.half_life_s - plan.half_life_start_s)


def make_pipeline(
    profile: Profile,
    labels: tuple[str, ...],
    decoder: VelocityDecoder | None,
    extra_labels: Sequence[tuple[str, ...]] = (),
    spatial: Array | None = None,
) -> Pipeline:
    """Build the pipeline that a profile describes.

    Parameters
    ----------
    profile : Profile
        Streams, features, adaptation.
    labels : tuple of str
        Channels of the main stream.
    decoder : VelocityDecoder or None
        None while nothing has been fitted.
    extra_labels : sequence of tuple of str
        Channels of each of `profile.extra_streams`.
    spatial : Array, optional
        The model's spatial filters, where the features want some.
    """
    followers = [
        Follower(BinFeatures(extra.features, channels, extra.rate_hz), extra.rate_hz, extra.wait_ms / 1e3)
        for extra, channels in zip(profile.extra_streams, extra_labels, strict=True)
    ]
    main = Extractor(profile.features, labels, profile.stream.rate_hz, spatial)
    merger = Merger(main, followers, [extra.name for extra in profile.extra_streams])
    return Pipeline(merger, decoder, profile.adaptation)
