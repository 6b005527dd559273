"""The model of a participant: fitted, saved, loaded, and checked before anything is armed."""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoding.kinds import SavedReadout, make_readout
from bci.errors import ModelError
from bci.profile import Decoder
from bci.types import Array

SCHEMA_VERSION = 3
KIND = "velocity encoding"
STATES = ("idle", "move", "click", "hold")
ARRAYS = ("C", "Q", "R")
READOUT = "readout."  # before the names of its arrays
SHAPING = ("tau_ms", "beta")
STATISTICS = ("mean", "variance", "n_seen")
STATE_ARRAYS = ("means", "covariance")
LEAST_STATES = 2
DAMAGES = (  # what NumPy and zipfile raise on bytes that are no model
    OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class StateModel:
    """How features look in each discrete state: Gaussian, with one covariance for all.

    Attributes
    ----------
    states : tuple of str
        Some of idle, move, click, hold.
    means : Array
        Shape (n_states, n).
    covariance : Array
        Shape (n, n), or (n,) where it is diagonal.
    trust : float
        Power of a bin's likelihood, 0 to 1: neighbouring bins err together, and say less than they seem to.
    click_probability : float
        From which on a click counts, where the profile does not say.
    """

    states: tuple[str, ...]
    means: Array
    covariance: Array
    trust: float = 1.0
    click_probability: float = 0.9


@dataclass(frozen=True)
class Model:
    """How features follow intended velocity: y = C [v_int; p; 1] + N(0, Q), with or without the position p.

    Attributes
    ----------
    outputs : tuple of str
        Names of the k decoded velocities.
    feature_labels : tuple of str
        Names of the n features, in order.
    features_hash : str
        Digest of the feature settings that made them.
    bin_s : float
        Bin width.
    C : Array
        Shape (n, k + 1), or (n, 2k + 1) with position; the last column is the baseline.
    Q : Array
        Shape (n, n), symmetric positive definite; (n,) where it is diagonal.
    R : Array
        Shape (k + 1, k + 1) or (2k + 1, 2k + 1): weighted sum of xxᵀ, x = [v_int; p; 1], the seed of adaptation.
    n_effective : float
        Sum of weights behind C and Q.
    nis_gate : float
        Bins with a larger NIS per feature are not believed.
    fast_effort : float
        Decoded effort that two thirds of the training bins do not reach.
    discrete : StateModel or None
        For discrete intents, where the profile wants them.
    provenance : dict
        What it was fitted on, and how well it fits.
    shaping : dict
        Smoothing `tau_ms` and gain `beta` that were tuned with it; empty: those of the profile.
    statistics : dict
        What was normal of each feature when it was fitted, as `Extractor.statistics` gives it; empty: not known.
    spatial : Array or None
        Shape (n_bands, n_components, n_channels): learned spatial filters that make the features; None without any.
    readout : SavedReadout or None
        Another kind of decoder that reads the velocity, while C and Q judge the bins; None: C and Q read it too.
    """

    outputs: tuple[str, ...]
    feature_labels: tuple[str, ...]
    features_hash: str
    bin_s: float
    C: Array
    Q: Array
    R: Array
    n_effective: float
    nis_gate: float
    fast_effort: float = 1.0
    discrete: StateModel | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    shaping: dict[str, float] = field(default_factory=dict)
    statistics: dict[str, list[float]] = field(default_factory=dict)
    spatial: Array | None = None
    readout: SavedReadout | None = None

    def tuned(self, settings: Decoder) -> Decoder:
        """The profile's settings, with the smoothing and the gain that were tuned with this model."""
        return settings.model_copy(update=self.shaping)

    @property
    def has_position(self) -> bool:
        """Whether features follow position as well."""
        return bool(self.C.shape[1] > len(self.outputs) + 1)


def save_model(path: Path, model: Model) -> None:
    """Write a model as NPZ with its description as JSON inside: the same model gives the same bytes.

    The file appears whole or not at all.
    """
    meta = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND if model.readout is None else model.readout.kind,
        "outputs": model.outputs,
        "feature_labels": model.feature_labels,
        "features_hash": model.features_hash,
        "bin_s": model.bin_s,
        "n_effective": model.n_effective,
        "nis_gate": model.nis_gate,
        "fast_effort": model.fast_effort,
        "provenance": model.provenance,
        "shaping": model.shaping,
        "statistics": model.statistics,
    }
    arrays = {name: np.ascontiguousarray(getattr(model, name)) for name in ARRAYS}
    if model.discrete is not None:
        meta["discrete"] = {
            "states": model.discrete.states,
            "trust": model.discrete.trust,
            "click_probability": model.discrete.click_probability,
        }
        arrays |= {name: np.ascontiguousarray(getattr(model.discrete, name)) for name in STATE_ARRAYS}
    if model.spatial is not None:
        arrays["spatial"] = np.ascontiguousarray(model.spatial)
    if model.readout is not None:
        meta["readout"] = {"gain": model.readout.gain, "provenance": model.readout.provenance}
        arrays |= {READOUT + name: np.asarray(value) for name, value in model.readout.arrays.items()}
    text = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8)
    temporary = path.with_suffix(path.suffix + ".part")
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, meta=text, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_model(path: Path) -> Model:
    """Read a model and check that it is whole: shapes, finite values, positive definite noise.

    Raises
    ------
    ModelError
        Saying what is wrong with the file.
    """
    remedy = "Fit it again with `bci fit`."
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(bytes(archive["meta"]).decode())
            theirs = {name.removeprefix(READOUT): archive[name] for name in archive if name.startswith(READOUT)}
            ours = [name for name in archive if name != "meta" and not name.startswith(READOUT)]
            arrays = {name: np.ascontiguousarray(archive[name], dtype=np.float64) for name in ours}
    except FileNotFoundError as error:
        raise ModelError(f"Model {path} does not exist.", "Fit one with `bci fit`.") from error
    except DAMAGES as error:
        raise ModelError(f"Model {path} is damaged or no model: {error}.", remedy) from error
    if not isinstance(meta, dict):
        raise ModelError(f"Model {path} has a wrong description: it is no table.", remedy)
    kind = meta.get("kind")
    if not isinstance(kind, str) or meta.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(
            f"Model {path} is of another kind or version: '{kind}', version {meta.get('schema_version')}; "
            f"this program reads version {SCHEMA_VERSION}.",
            remedy,
        )
    try:
        readout = None
        if kind != KIND:
            told = meta.get("readout", {})
            readout = SavedReadout(kind, float(told.get("gain", 0.0)), theirs, dict(told.get("provenance", {})))
        discrete = meta.get("discrete")
        if discrete is not None:
            discrete = StateModel(
                states=tuple(map(str, discrete["states"])),
                means=arrays["means"],
                covariance=arrays["covariance"],
                trust=float(discrete["trust"]),
                click_probability=float(discrete["click_probability"]),
            )
        model = Model(
            outputs=tuple(meta["outputs"]),
            feature_labels=tuple(meta["feature_labels"]),
            features_hash=meta["features_hash"],
            bin_s=float(meta["bin_s"]),
            n_effective=float(meta["n_effective"]),
            nis_gate=float(meta["nis_gate"]),
            fast_effort=float(meta["fast_effort"]),
            provenance=dict(meta["provenance"]),
            shaping={name: float(value) for name, value in meta.get("shaping", {}).items()},
            statistics=dict(meta.get("statistics", {})),
            discrete=discrete,
            spatial=arrays.get("spatial"),
            readout=readout,
            **{name: arrays[name] for name in ARRAYS},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"Model {path} has a wrong description: {error}.", remedy) from error
    problem = _defect(model)
    if problem:
        raise ModelError(f"Model {path} is not usable: {problem}.", remedy)
    if model.readout is not None:
        make_readout(model.readout, len(model.feature_labels), len(model.outputs))
    return model


def _defect(model: Model) -> str:
    n, k = len(model.feature_labels), len(model.outputs)
    d = 2 * k + 1 if model.C.shape == (n, 2 * k + 1) else k + 1
    problem = _shape_defect("C", model.C, (n, d)) or _matrix_defect("Q", model.Q, n) or _matrix_defect("R", model.R, d)
    if problem:
        return problem
    scalars = (model.bin_s, model.nis_gate, model.n_effective, model.fast_effort)
    if not all(0.0 < value < math.inf for value in scalars):
        return "bin_s, nis_gate, n_effective and fast_effort must be positive and finite"
    if model.readout is not None:
        problem = _readout_defect(model.readout)
        if problem:
            return problem
    if model.spatial is not None and not (model.spatial.ndim == 3 and np.isfinite(model.spatial).all()):
        return "its spatial filters are not three-dimensional and finite"
    if model.discrete is None:
        return ""
    states = model.discrete.states
    if len(states) < LEAST_STATES or len(set(states)) < len(states) or not set(states) <= set(STATES):
        return f"its discrete states are {', '.join(states) or 'none'}"
    if not (0.0 < model.discrete.trust <= 1.0 and 0.0 < model.discrete.click_probability <= 1.0):
        return "trust and click_probability must be above 0 and at most 1"
    return _shape_defect("means", model.discrete.means, (len(states), n)) or _matrix_defect(
        "covariance", model.discrete.covariance, n
    )


def _readout_defect(readout: SavedReadout) -> str:
    if not 0.0 < readout.gain < math.inf:
        return f"the gain of its decoder '{readout.kind}' must be positive and finite"
    for name, value in readout.arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return f"{READOUT}{name} holds values that are not finite"
    return ""


def _shape_defect(name: str, value: Array, shape: tuple[int, ...]) -> str:
    if value.shape != shape:
        return f"{name} has shape {value.shape}, not {shape}"
    return "" if np.isfinite(value).all() else f"{name} holds values that are not finite"


def _matrix_defect(name: str, value: Array, n: int) -> str:
    """What is wrong with a covariance, (n, n), or (n,) if it is diagonal."""
    if value.ndim == 1 and name != "R":
        return _shape_defect(name, value, (n,)) or ("" if value.min() > 0 else f"{name} is not positive definite")
    problem = _shape_defect(name, value, (n, n))
    if problem:
        return problem
    if not np.allclose(value, value.T, rtol=1e-9):
        return f"{name} is not symmetric"
    return "" if np.linalg.eigvalsh(value)[0] > 0 else f"{name} is not positive definite"


def check_model(
    model: Model,
    outputs: Sequence[str],
    feature_labels: Sequence[str],
    features_hash: str,
    bin_s: float,
    *,
    has_position: bool,
    has_discrete: bool,
) -> None:
    """Refuse a model that was fitted for something else.

    Raises
    ------
    ModelError
        Naming everything that differs: outputs, features (which are missing, which are new, whether only the order
        differs), feature settings, bin width, position, discrete intents.
    """
    problems = []
    if tuple(outputs) != model.outputs:
        problems.append(f"it decodes {', '.join(model.outputs)}, the profile wants {', '.join(outputs)}")
    problems += _label_problems(model.feature_labels, tuple(feature_labels))
    if abs(bin_s - model.bin_s) > 1e-9:
        problems.append(f"its bins are {1e3 * model.bin_s:g} ms, the profile's {1e3 * bin_s:g} ms")
    if has_position != model.has_position:
        problems.append(f"it was fitted {'with' if model.has_position else 'without'} position, unlike decoder.state")
    if has_discrete and model.discrete is None:
        problems.append("it knows no discrete intents, which the profile wants")
    if features_hash != model.features_hash and not problems:
        problems.append("the feature settings of the profile have changed since it was fitted")
    if problems:
        raise ModelError(
            f"The model does not fit: {'; '.join(problems)}.",
            "Use the profile and montage that it was fitted with, or fit a new one with `bci fit`.",
        )


def _label_problems(fitted: tuple[str, ...], given: tuple[str, ...]) -> list[str]:
    if fitted == given:
        return []
    missing = [label for label in fitted if label not in given]
    new = [label for label in given if label not in fitted]
    if not missing and not new:
        return [f"the channels are in another order (it expects {', '.join(fitted[:4])}, …)"]
    problems = []
    if missing:
        problems.append(f"{len(missing)} features are missing ({', '.join(missing[:4])}{', …' if missing[4:] else ''})")
    if new:
        problems.append(f"{len(new)} are unknown to it ({', '.join(new[:4])}{', …' if new[4:] else ''})")
    return problems
