"""`bci fit` and `bci evaluate`: from a recording to a decoder, and how well it decodes what it has not seen."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from bci.configs import find_profile
from bci.console.screen import Screen
from bci.decoding.kinds import VELOCITY, SavedReadout, find_kind
from bci.decoding.model import save_model
from bci.errors import BciError, ModelError, RecordingError
from bci.plan import write_json
from bci.profile import Profile, load_profile
from bci.recording.joining import join_recordings
from bci.recording.reader import find_recording, read_recording
from bci.types import Recording
from calibration import offline
from calibration.evaluation import as_json, evaluate_plain, evaluate_profile


def fit_recordings(
    files: Sequence[Path], profile_name: str | None, model_path: Path, stream: str, kind: str | None
) -> int:
    """Fit a decoder on recordings, print what it rests on, and write the model; return the exit code."""
    if not model_path.parent.is_dir() or not os.access(model_path.parent, os.W_OK):
        raise ModelError(
            f"No model can be written to {model_path}: its folder is absent or closed.", "Make the folder."
        )
    try:
        return _fit_recordings(Screen(), files, with_kind(_profile(profile_name, files[0]), kind), model_path, stream)
    except BciError as error:
        raise type(error)(error.problem, f"{error.remedy} No model was written to {model_path}.") from error


def _fit_recordings(screen: Screen, files: Sequence[Path], profile: Profile, model_path: Path, stream: str) -> int:
    with screen.status(f"reading {', '.join(file.name for file in files)}"):
        recording = join_recordings([read_recording(file, stream, profile) for file in files])
    code = screen.tell_notes(recording)
    with screen.status("fitting"):
        digests = [_digest(find_recording(file)[0]) for file in files]
        provenance = {"recording": ", ".join(file.name for file in files), "recording_sha256": ", ".join(digests),
                      "profile": profile.name}  # fmt: skip
        model, frames = offline.fit_recording(recording, profile, provenance)
        save_model(model_path, model)
    with screen.status("judging it on the last fifth, from the rest"):
        judgement = _judgement(recording, profile)
    used_s = model.n_effective * model.bin_s
    table = Table.grid(padding=(0, 2))
    names = ", ".join(file.name for file in files)
    table.add_row("recording", f"{names}, {len(recording.signal.samples) / recording.signal.rate_hz:.0f} s")
    table.add_row("features", f"{len(model.feature_labels)}, bins of {1e3 * model.bin_s:g} ms")
    table.add_row("learned from", f"{used_s:.0f} s with known intention, of {len(frames.features) * model.bin_s:.0f} s")
    table.add_row("decodes", ", ".join(model.outputs))
    table.add_row("decoder", _describe_kind(model.readout))
    table.add_row("full effort", f"{model.provenance['full_effort_speed']:.3g} of the recording's units per second")
    if model.discrete is not None:
        table.add_row("discrete intents", _describe(model.provenance["discrete"]))
    table.add_row("model", str(model_path))
    screen.print(table)
    screen.print(judgement)
    return code


def _judgement(recording: Recording, profile: Profile) -> str:
    try:
        return evaluate_profile(recording, profile).judgement
    except BciError:
        return "Too short to say how good it is: four fifths of it do not suffice for a fit."


def with_kind(profile: Profile, kind: str | None) -> Profile:
    """The profile with another kind of decoder, refused at once where it is not installed; None: its own."""
    decoder = profile.decoder if kind is None else profile.decoder.model_copy(update={"kind": kind})
    if decoder.kind != VELOCITY:
        find_kind(decoder.kind)
    return profile.model_copy(update={"decoder": decoder})


def _describe_kind(readout: SavedReadout | None) -> str:
    if readout is None:
        return VELOCITY
    values = readout.provenance.items()
    told = ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in values)
    return f"{readout.kind} ({told})" if told else readout.kind


def _profile(name: str | None, file: Path) -> Profile:
    """The profile of that name or, of a session, the one that it ran with."""
    if name is not None:
        return load_profile(find_profile(name))
    own = find_recording(file)[1]
    if own is None:
        raise RecordingError(f"{file} does not tell its profile.", "Give one with --profile.")
    return own


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def evaluate_recording(
    file: Path,
    profile_name: str | None,
    test: Path | None,
    train_fraction: float,
    stream: str,
    json: Path | None,
    kind: str | None = None,
) -> int:
    """Print correlation and R² per axis on held-out bins, and write them as JSON when wanted; return the exit code."""
    screen = Screen()
    profile = find_recording(file)[1] if profile_name is None else load_profile(find_profile(profile_name))
    if profile is not None:
        profile = with_kind(profile, kind)
    with screen.status("reading"):
        recording = read_recording(file, stream, profile)
        held_out = None if test is None else read_recording(test, stream, profile)
    code = screen.tell_notes(recording, *([] if held_out is None else [held_out]))
    with screen.status("fitting and decoding"):
        if profile is None:
            evaluation = evaluate_plain(recording, held_out, train_fraction)
        else:
            evaluation = evaluate_profile(recording, profile, held_out, train_fraction)
    where = f"the last {100 * (1 - train_fraction):.0f} % of {file.name}" if test is None else test.name
    screen.print(f"{evaluation.method}; {evaluation.n_train} bins to fit, {evaluation.n_test} held out ({where})")
    table = Table(box=None, pad_edge=False)
    for heading in ("axis", "CC", "R²", "MSE"):
        table.add_column(heading, justify="left" if heading == "axis" else "right")
    for score in evaluation.scores:
        table.add_row(score.axis, f"{score.cc:.3f}", f"{score.r2:.3f}", f"{score.mse:.4g}")
    screen.print(table)
    if evaluation.discrete is not None:
        screen.print(f"discrete intents: {_describe(dataclasses.asdict(evaluation.discrete))}")
    if evaluation.position_mse is not None:
        screen.print(f"position MSE {evaluation.position_mse:.2f} squared units")
    if evaluation.judgement:
        screen.print(evaluation.judgement)
    if json is not None:
        write_json(json, {"file": file.name, "test": None if test is None else test.name,
                          "train_fraction": train_fraction, **as_json(evaluation)})  # fmt: skip
        screen.print(f"written to {json}")
    return code


def _describe(score: dict[str, Any]) -> str:
    """How well discrete intents are told apart; what was not cued is left out."""
    parts = []
    if score["n_clicks"]:
        parts.append(f"{score['n_detected']} of {score['n_clicks']} clicks")
        if score["n_detected"]:
            parts.append(f"after {score['latency_s']:.2f} s")
        parts.append(f"{score['false_per_min']:.1f} false a minute")
    if "open_at_rest" in score and score["open_at_rest"] == score["open_at_rest"]:
        parts.append(f"gate open {100 * score['open_at_rest']:.0f} % of rest")
    if "open_when_active" in score and score["open_when_active"] == score["open_when_active"]:
        parts.append(f"{100 * score['open_when_active']:.0f} % of activity")
    return ", ".join(parts) + " (blocks held out)"
