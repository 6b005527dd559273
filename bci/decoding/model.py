"""The model of a participant: fitted, saved, loaded, and checked before anything is armed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import ModelError
from bci.profile import Decoder
from bci.types import Array

SCHEMA_VERSION = 2
KIND = "velocity encoding"
ARRAYS = ("C", "Q", "R")
SHAPING = ("tau_ms", "beta")


@dataclass(frozen=True)
class Model:
    """How features follow intended velocity: y = C [v_int; 1] + N(0, Q).

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
        Shape (n, k + 1); the last column is the baseline.
    Q : Array
        Shape (n, n), symmetric positive definite.
    R : Array
        Shape (k + 1, k + 1): weighted sum of [v_int; 1][v_int; 1]ᵀ, the seed of adaptation.
    n_effective : float
        Sum of weights behind C and Q.
    nis_gate : float
        Bins with a larger NIS per feature are not believed.
    fast_effort : float
        Decoded effort that two thirds of the training bins do not reach.
    provenance : dict
        What it was fitted on, and how well it fits.
    shaping : dict
        Smoothing `tau_ms` and gain `beta` that were tuned with it; empty: those of the profile.
    statistics : dict
        What was normal of each feature when it was fitted, as `Extractor.statistics` gives it; empty: not known.
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
    provenance: dict[str, Any] = field(default_factory=dict)
    shaping: dict[str, float] = field(default_factory=dict)
    statistics: dict[str, list[float]] = field(default_factory=dict)

    def tuned(self, settings: Decoder) -> Decoder:
        """The profile's settings, with the smoothing and the gain that were tuned with this model."""
        return settings.model_copy(update=self.shaping)


def save_model(path: Path, model: Model) -> None:
    """Write a model as NPZ with its description as JSON inside: the same model gives the same bytes.

    The file appears whole or not at all.
    """
    meta = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
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
    text = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8)
    temporary = path.with_suffix(path.suffix + ".part")
    with temporary.open("wb") as file:
        C, Q, R = (np.ascontiguousarray(getattr(model, name)) for name in ARRAYS)
        np.savez(file, meta=text, C=C, Q=Q, R=R)
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
            arrays = {name: np.ascontiguousarray(archive[name], dtype=np.float64) for name in ARRAYS}
    except FileNotFoundError as error:
        raise ModelError(f"Model {path} does not exist.", "Fit one with `bci fit`.") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"Model {path} is damaged or no model: {error}.", remedy) from error
    if meta.get("schema_version") != SCHEMA_VERSION or meta.get("kind") != KIND:
        raise ModelError(f"Model {path} is of another version or kind: {meta.get('kind')}.", remedy)
    try:
        model = Model(
            outputs=tuple(meta["outputs"]),
            feature_labels=tuple(meta["feature_labels"]),
            features_hash=meta["features_hash"],
            bin_s=float(meta["bin_s"]),
            n_effective=float(meta["n_effective"]),
            nis_gate=float(meta["nis_gate"]),
            fast_effort=float(meta["fast_effort"]),
            provenance=dict(meta["provenance"]),
            shaping={name: float(meta.get("shaping", {})[name]) for name in meta.get("shaping", {})},
            statistics=dict(meta.get("statistics", {})),
            **arrays,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"Model {path} has a wrong description: {error}.", remedy) from error
    problem = _defect(model)
    if problem:
        raise ModelError(f"Model {path} is not usable: {problem}.", remedy)
    return model


def _defect(model: Model) -> str:
    n, k = len(model.feature_labels), len(model.outputs)
    shapes = {"C": (n, k + 1), "Q": (n, n), "R": (k + 1, k + 1)}
    for name, shape in shapes.items():
        value = getattr(model, name)
        if value.shape != shape:
            return f"{name} has shape {value.shape}, not {shape}"
        if not np.isfinite(value).all():
            return f"{name} holds values that are not finite"
    for name in ("Q", "R"):
        value = getattr(model, name)
        if not np.allclose(value, value.T, rtol=1e-9):
            return f"{name} is not symmetric"
        if np.linalg.eigvalsh(value)[0] <= 0:
            return f"{name} is not positive definite"
    if not min(model.bin_s, model.nis_gate, model.n_effective, model.fast_effort) > 0:
        return "bin_s, nis_gate, n_effective and fast_effort must be positive"
    if not set(model.shaping) <= set(SHAPING) or not all(0 < value < np.inf for value in model.shaping.values()):
        return f"shaping may hold {' and '.join(SHAPING)}, positive"
    if any(len(values) not in (1, n) or not np.isfinite(values).all() for values in model.statistics.values()):
        return "statistics do not fit the features"
    return ""


def check_model(
    model: Model, outputs: Sequence[str], feature_labels: Sequence[str], features_hash: str, bin_s: float
) -> None:
    """Refuse a model that was fitted for something else.

    Raises
    ------
    ModelError
        Naming everything that differs: outputs, features (which are missing, which are new, whether only the order
        differs), feature settings, bin width.
    """
    problems = []
    if tuple(outputs) != model.outputs:
        problems.append(f"it decodes {', '.join(model.outputs)}, the profile wants {', '.join(outputs)}")
    problems += _label_problems(model.feature_labels, tuple(feature_labels))
    if abs(bin_s - model.bin_s) > 1e-9:
        problems.append(f"its bins are {1e3 * model.bin_s:g} ms, the profile's {1e3 * bin_s:g} ms")
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
