"""Runs the blocks of a calibration, bin by bin: samples in, what the participant sees out.

Pure like the pipeline that it holds: its time is counted in bins of the signal, so the same samples give the same
calibration, live or simulated, at any pace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bci.pipeline import Pipeline, Step, make_pipeline
from bci.profile import Profile
from bci.types import Array, Chunk, Label, Position
from calibration.intention import REACTION_S, intended_velocity
from calibration.paradigms import CENTRE, MOVE, REST, Block, RestBlock, Shown, assisted
from calibration.program import Paradigm

QUALITY_S = 5.0
RECENT_S = 10.0  # over which the shown direction error is averaged
CLEAR_EFFORT = 0.9  # only near full effort is the angle that of the decoder: less of it drowns in the same noise
PUSH = 0.5  # of the gain: speed of the help that pushes


@dataclass(frozen=True)
class Trace:
    """One block, bin by bin; arrays have the bins first.

    Attributes
    ----------
    time_s : Array
        Since the block began.
    stamp_s : Array
        Stamp of the bin's last sample.
    position, target, v_int, raw : Array
        Shape (n, k): hand, target, intention, and the decoder's unsmoothed read-out (NaN without decoder).
    velocity : Array
        Shape (n, k): decoded, with gain.
    mode, assist, weight : Array
        What was asked for, the help, and how much could be learned from the bin.
    is_missing : Array
        Bins without samples.
    click, gate : Array
        Probability of a click, and the idle gate.
    n_clicks : Array
        Clicks detected so far.
    trial : Array
        How many trials were finished before.
    features : Array
        Shape (n, n_features).
    """

    time_s: Array
    stamp_s: Array
    position: Array
    target: Array
    v_int: Array
    raw: Array
    velocity: Array
    mode: Array
    assist: Array
    weight: Array
    is_missing: Array
    click: Array
    gate: Array
    n_clicks: Array
    trial: Array
    features: Array


@dataclass
class _Rows:
    """A trace while it grows."""

    rows: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in Trace.__annotations__})

    def add(self, **values: object) -> None:
        for name, value in values.items():
            self.rows[name].append(value)

    def trace(self) -> Trace:
        return Trace(**{name: np.array(values) for name, values in self.rows.items()})


class Conductor:
    """One participant's pipeline, and the block that runs on it.

    Parameters
    ----------
    profile : Profile
        What is decoded, and how.
    labels : tuple of str
        Of the stream's channels.
    paradigm : {"movement", "imagery"}
        With imagery the help pushes, and reactions take longer.
    show : callable
        Gets the stamp of each bin and what to show from then on.
    cue : callable
        Gets the stamp and the text of each event.
    extra_labels : sequence of tuple of str
        Channels of each of the profile's further streams.

    Attributes
    ----------
    is_paused : bool
        Rest is shown, time stands still, nothing is learned.
    elapsed_s : float
        Of the block.
    on_step : callable
        Gets every bin, also between blocks.
    recent : deque of Array
        Features of the last five seconds.
    """

    def __init__(
        self,
        profile: Profile,
        labels: tuple[str, ...],
        paradigm: Paradigm,
        show: Callable[[float, Shown], None],
        cue: Callable[[float, str], None],
        extra_labels: Sequence[tuple[str, ...]] = (),
    ) -> None:
        self.profile = profile
        self.pipeline: Pipeline = make_pipeline(profile, labels, None, extra_labels)
        self.bin_s = self.pipeline.extractor.bin_s
        self.is_paused = False
        self.elapsed_s = 0.0
        self.position: Array = np.full(len(profile.decoder.outputs), CENTRE)
        self.shown = Shown(self.position, self.position, REST)
        self._show, self._cue = show, cue
        self._reaction_s = profile.training.reaction_ms / 1e3 if paradigm == "imagery" else REACTION_S
        self.on_step: Callable[[Step], None] = lambda step: None
        self.recent: deque[Array] = deque(maxlen=round(QUALITY_S / self.bin_s))
        self._pushes = paradigm == "imagery" or len(profile.decoder.outputs) == 1
        self._block: Block | None = None
        self._rows = _Rows()
        self._learns = False
        self._effort: Array = np.zeros_like(self.position)
        self._asked: tuple[float, ...] = ()
        self._asked_s = 0.0
        self._angles_deg: deque[float] = deque(maxlen=round(RECENT_S / self.bin_s))
        self._intention = (np.zeros_like(self.position), 0.0)

    @property
    def is_running(self) -> bool:
        """Whether a block has begun and is not over."""
        return self._block is not None and not self._block.is_over(self.elapsed_s)

    @property
    def angle_error_deg(self) -> float:
        """Mean angle between read-out and intention in the last ten seconds that asked for a movement; NaN before."""
        return float(np.mean(self._angles_deg)) if self._angles_deg else float("nan")

    @property
    def n_successes(self) -> tuple[int, int]:
        """Trials of the block that succeeded, and all."""
        trials = [] if self._block is None else self._block.trials
        return sum(trial.is_success for trial in trials), len(trials)

    def begin(self, block: Block, *, learns: bool) -> None:
        """Begin a block; with `learns` the decoder learns from it while it decodes."""
        self._block, self._rows, self._learns = block, _Rows(), learns
        self.elapsed_s = 0.0
        self.position = np.full_like(self.position, CENTRE)
        self._asked = ()

    def end(self) -> Trace:
        """End the block and return what happened."""
        self._block = None
        self._learns = False
        return self._rows.trace()

    def push(self, chunk: Chunk, stream: int = 0) -> None:
        """Take in samples of the main stream (0) or a further one; a chunk may complete several bins."""
        self.pipeline.push(chunk, self._take, stream)

    def _take(self, step: Step) -> None:
        frame = step.frame
        self.on_step(step)
        if not frame.is_missing:
            self.recent.append(frame.features)
        if self.is_paused or not self.is_running:
            self._present(frame.stamp_s, RestBlock(0.0).update(0.0, self.position))
            return
        assert self._block is not None
        self.elapsed_s += self.bin_s
        velocity = self._decoded(step)
        raw = self._raw()
        intention, weight = self._intention
        self._judge(intention, weight, raw)
        moved = self.position + self.bin_s * assisted(
            velocity, self.position, self.shown.target, self.shown.assist, self._push_speed()
        )
        shown = self._block.update(self.elapsed_s, np.clip(moved, 0.0, 1.0))
        for text in self._block.take_cues():
            self._cue(frame.stamp_s, text)
        intent = step.intent
        self._rows.add(
            time_s=self.elapsed_s, stamp_s=frame.stamp_s, position=self.position, target=self.shown.target,
            v_int=intention, raw=raw, velocity=velocity, mode=self.shown.mode, assist=self.shown.assist,
            weight=weight, is_missing=frame.is_missing, trial=len(self._block.trials), features=frame.features,
            click=0.0 if intent is None else intent.click, gate=1.0 if intent is None else intent.gate,
            n_clicks=0 if intent is None else intent.n_clicks,
        )  # fmt: skip
        self._present(frame.stamp_s, shown)

    def _present(self, stamp_s: float, shown: Shown) -> None:
        """Show it, and tell the pipeline what is meant from now on."""
        self.position, self.shown = shown.position, shown
        asked = (shown.mode, *shown.target.tolist())
        if asked != self._asked:
            self._asked, self._asked_s = asked, stamp_s
        has_reacted = stamp_s - self._asked_s >= self._reaction_s
        v_int = intended_velocity(shown.position, shown.target, shown.mode == MOVE)
        is_plain = shown.mode in (REST, MOVE)
        weight = (1.0 - shown.assist / 2) * float(has_reacted and is_plain)
        if self.pipeline.decoder is None:
            weight = float(has_reacted and is_plain)
        self._intention = (v_int, weight)
        learned = weight if self._learns and self.is_running and not self.is_paused else 0.0
        self.pipeline.teach(Label(stamp_s, tuple(v_int.tolist()), learned))
        self.pipeline.show(Position(stamp_s, tuple(shown.position.tolist())))
        self._show(stamp_s, shown)

    def _decoded(self, step: Step) -> Array:
        return np.zeros_like(self.position) if step.intent is None else np.array(step.intent.velocity)

    def _raw(self) -> Array:
        """The unsmoothed read-out, from two smoothed efforts: e ← αe + (1 - α)u."""
        decoder = self.pipeline.decoder
        if decoder is None:
            return np.full_like(self.position, np.nan)
        raw: Array = (decoder.effort - decoder.alpha * self._effort) / (1.0 - decoder.alpha)
        self._effort = decoder.effort.copy()
        return raw

    def _judge(self, intention: Array, weight: float, raw: Array) -> None:
        if weight > 0.0 and np.linalg.norm(intention) > CLEAR_EFFORT and np.isfinite(raw).all():
            self._angles_deg.append(float(angles_deg(raw[None], intention[None])[0]))

    def _push_speed(self) -> float:
        return PUSH * self.profile.decoder.beta if self._pushes else 0.0


def angles_deg(a: Array, b: Array) -> Array:
    """Angle between rows of `a` and `b`, shape (n,)."""
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.sum(a * b, axis=1) / np.maximum(length, 1e-12)
    angles: Array = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return angles
