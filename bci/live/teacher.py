"""The loop's view of the task: what the participant means now, and the block that the first decoder is fitted on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bci.decoding.model import Model, load_model, save_model
from bci.pipeline import Pipeline, Step
from bci.plan import Plan
from bci.streams.latest import LatestSamples
from bci.types import Array, Label, Position
from calibration.fit import fit_model
from calibration.intention import REACTION_S, intended_velocity


class Labeller:
    """What a shown world tells the pipeline: a label and a position a sample. No LSL: a recorded world tells the same.

    Parameters
    ----------
    k : int
        Decoder outputs.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._target: Array = np.full(k, np.nan)
        self._changed_s = 0.0

    def tell(self, pipeline: Pipeline, stamp_s: float, sample: Sequence[float]) -> None:
        """Hand on what one sample of `bci.world` shows: where the hand is, and where the participant wants it."""
        pipeline.teach(self._label(stamp_s, np.asarray(sample)))
        pipeline.show(Position(stamp_s, tuple(float(value) for value in sample[: self._k])))

    def _label(self, stamp_s: float, sample: Array) -> Label:
        """Straight to the target; nothing is learned while the participant has not yet reacted to a new one."""
        k = self._k
        position, target, is_active = sample[:k], sample[k : 2 * k], bool(sample[2 * k] > 0.5)
        if not np.array_equal(target, self._target):
            self._target = target.copy()
            self._changed_s = stamp_s
        has_reacted = stamp_s - self._changed_s >= REACTION_S
        v_int = intended_velocity(position, target, is_active)
        return Label(stamp_s, tuple(v_int.tolist()), 1.0 if has_reacted else 0.0)


class Teacher:
    """Labels from the stream `bci.world`.

    While the hand moves by itself (`assist`), labelled frames are collected; when that ends, the block is finished
    and a decoder can be fitted on it. Afterwards each label goes to the pipeline, which learns from it.

    Parameters
    ----------
    plan : Plan
        Names the session, and what is decoded.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._labeller = Labeller(len(plan.profile.decoder.outputs))
        self.has_finished_observing = False
        self._world = LatestSamples(f"bci-{plan.session_id}-world")
        self._is_observing = False
        self._features: list[Array] = []
        self._v_int: list[tuple[float, ...]] = []
        self._where: list[tuple[float, ...]] = []

    @property
    def n_bins(self) -> int:
        """Labelled bins collected so far."""
        return len(self._features)

    def listen(self, pipeline: Pipeline) -> list[float]:
        """Take in what the world shows since the last call, as labels for the pipeline; return the stamps of it."""
        shown = self._world.pull()
        for stamp_s, sample in shown:
            self._labeller.tell(pipeline, stamp_s, sample)
            is_assisted = sample[-1] > 0.5
            self.has_finished_observing |= self._is_observing and not is_assisted
            self._is_observing = is_assisted
        return [stamp_s for stamp_s, _ in shown]

    def observe(self, step: Step) -> None:
        """Collect one bin of the observation block."""
        label = step.label
        if self._is_observing and label is not None and label.weight > 0.0 and not step.frame.is_missing:
            self._features.append(step.frame.features)
            self._v_int.append(label.v_int)
            self._where.append(label.v_int if step.position is None else step.position.values)

    def fit(self, feature_labels: tuple[str, ...], bin_s: float, statistics: dict[str, list[float]]) -> Model:
        """Fit the first decoder on the block, and keep it in the session's folder with what is normal of features."""
        model = fit_model(
            np.array(self._features),
            np.array(self._v_int),
            np.ones(self.n_bins),
            self.plan.profile,
            feature_labels,
            bin_s,
            {"recording": self.plan.session_id, "block": "observation"},
            position=np.array(self._where),
        )
        model = dataclasses.replace(model, statistics=statistics)
        kept = self.plan.path("model_first.npz")
        save_model(kept, model)
        return load_model(kept)  # to the bit what a later verification decodes with

    def close(self) -> None:
        """Stop listening."""
        self._world.close()
