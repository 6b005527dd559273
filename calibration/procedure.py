"""A calibration as it is carried out: blocks for the participant, fits in between, everything kept after each step."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoding.model import Model, load_model, save_model
from bci.decoding.velocity import VelocityDecoder
from bci.errors import ModelError
from bci.profile import BandPower, Decoder, Profile
from bci.settings import Discrete
from calibration import measures as measure
from calibration.conductor import Conductor, Trace
from calibration.fit import fit_model
from calibration.gain import calm_gain, tune_participant
from calibration.imagery import ImageryBlock
from calibration.paradigms import (
    Block,
    ObservationBlock,
    ReachBlock,
    RestBlock,
    SqueezeBlock,
    radius_of,
)
from calibration.program import Phase
from calibration.states import fit_states
from calibration.tuning import Noise
from calibration.wizard import Attempt, Outcome, State, judge, next_phase, save_state, with_attempt

LEARNING = ("assisted", "line", "plane", "unassisted", "recalibration")  # steps in which the decoder learns
FIRST_ASSIST, QUICK_ASSIST = 0.9, 0.5
ASSISTED_TIMEOUT_S = 6.0
IDLE_S = 15.0
IDLE_SHARE = 0.25  # of a shortened evaluation
LEARN_IDLE_SHARE = 0.2  # of the block without help: the decoder learns what rest is
SECONDS_PER_IMAGERY = 8.0
MODEL_FILE = "model.npz"
CAREFUL = 0.1  # workspaces over the lag: a first gain with which nobody overshoots for ever


class Procedure:
    """Carries out the program of one calibration.

    Parameters
    ----------
    folder : Path
        Of this calibration; the state and the blocks are kept in it.
    state : State
        What has been done already.
    program : tuple of Phase
        What is to be done.
    conductor : Conductor
        Runs the blocks.
    seed : int
        Places targets and orders trials.
    prior : Model or None
        The participant's last model, from which a quick recalibration begins.
    """

    def __init__(
        self,
        folder: Path,
        state: State,
        program: tuple[Phase, ...],
        conductor: Conductor,
        seed: int,
        prior: Model | None = None,
    ) -> None:
        self.folder = folder
        self.state = state
        self.program = program
        self.conductor = conductor
        self.extra: dict[str, float] = {}
        self._seed, self._prior = seed, prior
        self._k = len(conductor.profile.decoder.outputs)
        self._phase: Phase | None = None
        self._block: Block | None = None
        self._normal: dict[str, list[float]] = {}
        self._restore()

    @property
    def outcome(self) -> Outcome:
        """Open, accepted or rejected."""
        return self.next()[1]

    @property
    def number(self) -> int:
        """Of the attempt that is under way, from 1."""
        return max((attempt.number for attempt in self.state.attempts), default=0) + 1

    def next(self) -> tuple[Phase | None, Outcome]:
        """What comes next."""
        return next_phase(self.program, self.state.attempts)

    def begin(self, phase: Phase) -> None:
        """Begin a step."""
        conductor = self.conductor
        self._phase = phase
        self._block = self._make_block(phase)
        if phase.name in ("observation", "imagery"):
            conductor.pipeline.decoder = None
        elif phase.name in (*LEARNING, "evaluation"):
            conductor.pipeline.decoder = VelocityDecoder(self.model(), self.settings())
        self._normal = conductor.pipeline.extractor.statistics()
        if self._block is not None:
            conductor.begin(self._block, learns=phase.name in LEARNING)

    def finish(self) -> Attempt:
        """Measure what the step has shown, fit or tune what follows from it, keep everything, and judge."""
        phase = self._phase
        assert phase is not None
        trace = self.conductor.end() if self._block is not None else None
        if phase.name == "discrete":  # squeezing says nothing about what is normal in movement
            self.conductor.pipeline.extractor.restore(self._normal)
        found = self._conclude(phase, trace)
        found |= self.extra
        seconds = float(trace.time_s[-1]) if trace is not None and len(trace.time_s) else 0.0
        attempt = judge(phase, found, self.number, seconds, time.time())
        if trace is not None:
            self._keep(trace)
        self.state = with_attempt(self.state, attempt)
        if self.outcome is Outcome.ACCEPTED:
            save_model(self.folder / MODEL_FILE, self.accepted_model())
        save_state(self.folder, self.state)
        self._phase = self._block = None
        return attempt

    def model(self) -> Model:
        """The newest model of this calibration, or the one that it begins with.

        Raises
        ------
        ModelError
            When there is none yet.
        """
        for number in range(self.number, 0, -1):
            path = self.path(number, "model.npz")
            if path.exists():
                return load_model(path)
        if self._prior is None:
            raise ModelError("There is no model yet.", "Calibrate without --quick.")
        return self._prior

    def settings(self) -> Decoder:
        """The decoder's settings, with smoothing and gain as tuned last."""
        settings = self.conductor.profile.decoder
        tuning = self.state.last("tuning")
        if tuning is None and self._prior is not None:
            return self._prior.tuned(settings)
        if tuning is None or "tau_ms" not in tuning.measures:
            careful = CAREFUL / (settings.tau_ms / 1e3 + lag_s(self.conductor.profile))
            is_free = self.state.paradigm == "movement"
            return settings.model_copy(update={"beta": min(settings.beta, careful)}) if is_free else settings
        found = {name: tuning.measures[name] for name in ("tau_ms", "beta")}
        return settings.model_copy(update=found)

    def accepted_model(self) -> Model:
        """The model to use from now on: what was learned, how it is to be shaped, and what is normal."""
        model, settings = self.model(), self.settings()
        shaping = {"tau_ms": settings.tau_ms, "beta": settings.beta}
        provenance = {
            **model.provenance,
            "participant": self.state.participant,
            "calibration": self.folder.name,
        }
        statistics = self.conductor.pipeline.extractor.statistics()
        return dataclasses.replace(model, shaping=shaping, statistics=statistics, provenance=provenance)

    def path(self, number: int, name: str) -> Path:
        """Where a file of an attempt is."""
        return self.folder / f"{number:02d}_{name}"

    def _make_block(self, phase: Phase) -> Block | None:
        k, seconds = self._k, phase.seconds
        random = np.random.default_rng([self._seed, self.number])
        match phase.name:
            case "signals" | "rest":
                return RestBlock(seconds)
            case "observation":
                return ObservationBlock(k, seconds, random)
            case "discrete":
                return SqueezeBlock(k, seconds, random)
            case "assisted":
                return ReachBlock(k, seconds, random, assist=FIRST_ASSIST, timeout_s=ASSISTED_TIMEOUT_S)
            case "unassisted":
                return ReachBlock(k, seconds, random, idle_s=LEARN_IDLE_SHARE * seconds)
            case "imagery" | "line" | "plane":
                return self._imagery(seconds, random, phase.name)
            case "recalibration" | "evaluation" if self.state.paradigm == "imagery":
                return self._imagery(seconds, random, phase.name)
            case "recalibration":
                return ReachBlock(k, seconds, random, assist=QUICK_ASSIST)
            case "evaluation":
                idle_s = min(IDLE_S, IDLE_SHARE * seconds)
                return ReachBlock(k, seconds, random, is_centre_out=True, idle_s=idle_s)
        return None

    def _imagery(self, seconds: float, random: np.random.Generator, name: str) -> ImageryBlock:
        """Both ways along each output; on the line along the first."""
        axes = np.eye(self._k)[: 1 if name == "line" else self._k]
        directions = np.vstack([axes, -axes])
        n_per_class = max(3, round(seconds / SECONDS_PER_IMAGERY / len(directions)))
        has_feedback = name != "imagery"
        assist = {"line": FIRST_ASSIST, "plane": FIRST_ASSIST, "recalibration": QUICK_ASSIST}.get(name, 0.0)
        return ImageryBlock(self._k, directions, n_per_class, random, has_feedback=has_feedback, assist=assist)

    def _conclude(self, phase: Phase, trace: Trace | None) -> dict[str, float]:
        """Measures of a step; what it teaches is written beside."""
        if phase.name == "tuning":
            return self._tune_noise()
        assert trace is not None
        assert self._block is not None
        match phase.name:
            case "signals" | "rest":
                return measure.signal_measures(trace)
            case "observation":
                return measure.direction_measures(trace) | self._fit([trace])
            case "imagery":
                return self._imagined(trace)
            case "discrete":
                return self._squeezed(trace)
        if self.conductor.pipeline.decoder is not None and phase.name != "evaluation":
            save_model(self.path(self.number, "model.npz"), self.conductor.pipeline.decoder.to_model())
        if self.state.paradigm == "imagery":
            return measure.imagery_measures(trace, self._block.trials, self.settings().beta)
        found = measure.reach_measures(trace, self._block.trials)
        if phase.name in ("unassisted", "evaluation"):
            found["idle_drift"] = measure.idle_drift(trace)
        decoder = self.conductor.pipeline.decoder
        if phase.name == "evaluation" and decoder is not None and decoder.discrete is not None:
            found["false_clicks_per_min"] = measure.click_rate(trace)
        return found

    def _imagined(self, trace: Trace) -> dict[str, float]:
        """All imagery of this calibration together: the classes, and the first decoder."""
        assert isinstance(self._block, ImageryBlock)
        epochs, classes = measure.imagery_epochs(trace, self._block.labels)
        np.savez(self.path(self.number, "epochs.npz"), epochs=epochs, classes=classes)
        traces = [trace]
        for attempt in self.state.attempts:
            if attempt.phase == "imagery":
                with np.load(self.path(attempt.number, "epochs.npz")) as kept:
                    epochs, classes = np.vstack([kept["epochs"], epochs]), np.append(kept["classes"], classes)
                traces.append(load_trace(self.path(attempt.number, "trace.npz")))
        found = measure.classify(epochs, classes, int(max(self._block.labels)) + 1)
        np.savez(self.path(self.number, "confusion.npz"), confusion=found.confusion)
        figures = {"cv_accuracy": found.accuracy, "cv_auc": found.auc, "n_trials": float(len(classes))}
        found_none = self._fit(traces)
        return figures | (found_none or self._fit_states(traces, measure.IMAGERY_STATES))

    def _squeezed(self, trace: Trace) -> dict[str, float]:
        """Click and idle, on blocks held out; the model of the states joins that of the velocity.

        What moving looks like in closed loop, with little effort near the target, is known from the block without help.
        """
        np.savez(self.path(self.number, "confusion.npz"), confusion=measure.confusion_of_states(trace))
        alone = self.state.last("unassisted")
        traces = [] if alone is None else [load_trace(self.path(alone.number, "trace.npz"))]
        return self._fit_states([*traces, trace], measure.DISCRETE_STATES)

    def _fit_states(self, traces: list[Trace], names: dict[float, str]) -> dict[str, float]:
        """Add discrete states to the newest model; what cannot be fitted fails its gates."""
        features = np.concatenate([trace.features for trace in traces])
        states = np.concatenate([measure.states_of(trace, names) for trace in traces])
        settings = self.conductor.profile.decoder.discrete or Discrete()
        try:
            fitted, score = fit_states(features, states, settings, self.conductor.bin_s)
        except ModelError:
            return {"click_accuracy": np.nan, "idle_accuracy": np.nan} if len(names) > 2 else {}
        save_model(self.path(self.number, "model.npz"), dataclasses.replace(self.model(), discrete=fitted))
        found = {"idle_accuracy": 1.0 - score.open_at_rest, "active_accuracy": score.open_when_active}
        if len(names) > 2:
            found["click_accuracy"] = score.n_detected / max(score.n_clicks, 1)
            found |= {"click_latency_s": score.latency_s, "cued_false_clicks_per_min": score.false_per_min}
        return found

    def _fit(self, traces: list[Trace]) -> dict[str, float]:
        """Write a first model; where the data allow none, the gates of the step are not met."""
        features, v_int, weight = (
            np.concatenate([getattr(trace, name)[~trace.is_missing] for trace in traces])
            for name in ("features", "v_int", "weight")
        )
        conductor = self.conductor
        provenance = {"block": self._phase.name if self._phase else "", "recording": self.folder.name}
        try:
            model = fit_model(
                np.ascontiguousarray(features), v_int, weight, conductor.profile, conductor.pipeline.extractor.labels,
                conductor.bin_s, provenance,
            )  # fmt: skip
        except (ModelError, np.linalg.LinAlgError):
            assert self._phase is not None
            return {gate.measure: np.nan for gate in self._phase.gates}
        save_model(self.path(self.number, "model.npz"), model)
        return {}

    def _tune_noise(self) -> dict[str, float]:
        """Smoothing and gain for the noise that the last block without help, or with the least, has shown."""
        for attempt in reversed(self.state.attempts):
            if np.isfinite(attempt.measures.get("noise", np.nan)):
                break
        else:
            return {"predicted_time_s": np.inf}
        noise = Noise(attempt.measures["noise"], attempt.measures["noise_correlation"])
        profile, bin_s, began_s = self.conductor.profile, self.conductor.bin_s, time.perf_counter()
        most = np.inf  # the idle gate holds the hand, where the profile has one
        if profile.decoder.discrete is None:
            most = calm_gain(noise, bin_s, attempt.measures.get("idle_drift", np.nan), self.settings().beta)
        tuning = tune_participant(noise, self._k, bin_s, lag_s(profile), most)
        seconds = time.perf_counter() - began_s
        np.savez(
            self.path(self.number, "tuning.npz"),
            taus_ms=tuning.taus_ms,
            betas=tuning.betas,
            times_s=tuning.time_to_target_s,
        )
        return {
            "noise": noise.sigma,
            "noise_correlation": noise.correlation,
            "tau_ms": tuning.tau_ms,
            "beta": tuning.beta,
            "predicted_time_s": tuning.best,
            "computed_s": seconds,
            "radius": radius_of(self._k),
        }

    def _keep(self, trace: Trace) -> None:
        statistics = self.conductor.pipeline.extractor.statistics()
        arrays: dict[str, Any] = {name: getattr(trace, name) for name in Trace.__annotations__}
        if self._phase is not None and self._phase.name in ("assisted", "line", "plane", "evaluation"):
            arrays["features"] = arrays["features"][:0]  # the recording has them
        arrays["features"] = arrays["features"].astype(np.float32)
        kept: dict[str, Any] = {f"statistics_{name}": np.array(values) for name, values in statistics.items()}
        path = self.path(self.number, "trace.npz")
        temporary = path.with_suffix(".part")
        with temporary.open("wb") as file:
            np.savez(file, **arrays, **kept)
        temporary.replace(path)

    def _restore(self) -> None:
        """Go on with the statistics of the features with which the last block ended, or the model's."""
        extractor = self.conductor.pipeline.extractor
        for attempt in sorted(self.state.attempts, key=lambda a: a.number, reverse=True):
            path = self.path(attempt.number, "trace.npz")
            if path.exists():
                with np.load(path) as kept:
                    names = [name for name in kept.files if name.startswith("statistics_")]
                    extractor.restore({name.removeprefix("statistics_"): kept[name].tolist() for name in names})
                return
        if self._prior is not None:
            extractor.restore(self._prior.statistics)


def lag_s(profile: Profile) -> float:
    """Time constant with which features follow an intention: that of the power's window."""
    return profile.features.window_ms / 1e3 if isinstance(profile.features, BandPower) else 0.0


def load_trace(path: Path) -> Trace:
    """Read a kept block."""
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in Trace.__annotations__}
    return Trace(**{**arrays, "features": arrays["features"].astype(np.float64)})
