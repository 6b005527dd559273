"""The report of a calibration: one HTML file that needs no network, and the same as JSON."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoding.model import Model, load_model
from bci.profile import Profile
from bci.types import Array
from calibration import figures
from calibration.catalogue import Catalogue, number
from calibration.measures import signal_quality
from calibration.procedure import load_trace
from calibration.wizard import Attempt, Outcome, State, plain

HTML_FILE, JSON_FILE = "report.html", "report.json"
TEMPLATE = Path(__file__).resolve().parent / "texts" / "report.html.jinja"


def write_report(
    folder: Path, profile: Profile, state: State, outcome: Outcome, texts: Catalogue, *, is_rehearsal: bool
) -> Path:
    """Write the report of a calibration beside its state; return the path of the HTML file.

    Parameters
    ----------
    folder : Path
        Of the calibration.
    profile : Profile
        Names of the outputs.
    state : State
        What was done.
    outcome : Outcome
        How it ended, or that it has not.
    texts : Catalogue
        Language of the report.
    is_rehearsal : bool
        Whether the participant was simulated: the report then says so.
    """
    import jinja2

    material = _collect(folder, state)
    facts = {
        "participant": state.participant,
        "profile": profile.name,
        "profile_hash": state.profile_hash,
        "outcome": outcome.value,
        "is_rehearsal": is_rehearsal,
        "seconds_worked": sum(attempt.seconds for attempt in state.attempts),
        "attempts": [asdict(attempt) for attempt in state.attempts],
        **{name: np.round(value, 4).tolist() for name, value in material.items() if isinstance(value, np.ndarray)},
    }
    _write(folder / JSON_FILE, json.dumps(plain(facts), indent=1) + "\n")
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    begun_s = min((attempt.ended_s - attempt.seconds for attempt in state.attempts), default=time.time())
    html = page.render(
        texts=texts, facts=facts, verdict=_verdict(texts, outcome), is_good=outcome is Outcome.ACCEPTED,
        begun=time.strftime("%Y-%m-%d %H:%M", time.localtime(begun_s)),
        minutes=facts["seconds_worked"] / 60.0, rows=_rows(texts, state), others=_others(texts, state),
        pictures=_pictures(texts, profile, material),
    )  # fmt: skip
    _write(folder / HTML_FILE, html)
    return folder / HTML_FILE


def _verdict(texts: Catalogue, outcome: Outcome) -> str:
    key = {Outcome.ACCEPTED: "ui.accepted", Outcome.REJECTED: "ui.rejected", Outcome.OPEN: "ui.kept"}[outcome]
    return texts[key]


def _rows(texts: Catalogue, state: State) -> list[dict[str, Any]]:
    """One line of the table for each gate of each attempt."""
    rows = []
    for attempt in state.attempts:
        for gate in attempt.gates:
            rows.append(
                {
                    "phase": texts[f"phase.{attempt.phase}.title"],
                    "name": texts.name(gate.measure),
                    "value": number(gate.measure, gate.value),
                    "limit": f"{texts['ui.at_least' if gate.is_least else 'ui.at_most']} "
                    f"{number(gate.measure, gate.limit)}",
                    "is_passed": gate.is_passed,
                    "advice": "" if gate.is_passed else texts[f"gate.{gate.measure}.advice"],
                }
            )
    return rows


def _others(texts: Catalogue, state: State) -> list[tuple[str, str]]:
    last = state.last("evaluation") or state.last("recalibration")
    if last is None:
        return []
    judged = {gate.measure for gate in last.gates}
    return [(texts.name(name), number(name, v)) for name, v in last.measures.items() if name not in judged]


def _collect(folder: Path, state: State) -> dict[str, Any]:
    """What the pictures are drawn from: arrays by name, as far as there are any, and the newest model."""
    found: dict[str, Any] = {}
    times, angles, began_s = [], [], 0.0
    for attempt in state.attempts:
        traces, others = _files(folder, attempt)
        if traces.exists():
            trace = load_trace(traces)
            if attempt.phase in ("signals", "rest") and len(trace.features):
                found["quality"] = signal_quality(trace.features[~trace.is_missing])
            if attempt.phase in ("evaluation", "recalibration"):
                found["path"], found["path_target"] = trace.position, trace.target
                found["path_trial"] = trace.trial
            t, a = figures.angles_over_time(trace)
            times.append(began_s + t)
            angles.append(a)
        began_s += attempt.seconds
        if others["tuning"].exists():
            with np.load(others["tuning"]) as kept:
                found |= {f"tuning_{name}": kept[name] for name in kept.files}
            found["tuning_chosen"] = np.array([attempt.measures["tau_ms"], attempt.measures["beta"]])
        if others["confusion"].exists():
            with np.load(others["confusion"]) as kept:
                found[f"confusion_{attempt.phase}"] = kept["confusion"]
        if others["model"].exists():
            found["model"] = load_model(others["model"])
    if times:
        found["angle_time_s"], found["angle_deg"] = np.concatenate(times), np.concatenate(angles)
    model: Model | None = found.get("model")
    if model is not None:
        found["tuning_C"] = model.C
    return found


def _files(folder: Path, attempt: Attempt) -> tuple[Path, dict[str, Path]]:
    at = f"{attempt.number:02d}_"
    others = {name: folder / f"{at}{name}.npz" for name in ("tuning", "confusion", "model")}
    return folder / f"{at}trace.npz", others


def _pictures(texts: Catalogue, profile: Profile, material: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and PNG, in base64, of every picture that there is material for."""
    outputs = profile.decoder.outputs
    drawn: list[tuple[str, bytes]] = []
    if "model" in material:
        drawn.append((texts["report.tuning_map"], figures.draw_tuning(material["tuning_C"], outputs, texts)))
    if "quality" in material:
        drawn.append((texts["report.quality"], figures.draw_quality(material["quality"])))
    if "path" in material:
        path = figures.draw_paths(material["path"], material["path_target"], material["path_trial"], outputs)
        drawn.append((texts["report.trajectories"], path))
    if len(material.get("angle_deg", ())):
        picture = figures.draw_angles(material["angle_time_s"], material["angle_deg"], len(outputs), texts)
        drawn.append((texts["report.angle"], picture))
    if "tuning_times_s" in material:
        drawn.append((texts["report.sweep"], figures.draw_sweep(_tuning(material), texts)))
    if "confusion_discrete" in material:
        names = [texts[f"report.{name}"] for name in ("move", "squeeze", "idle")]
        drawn.append((texts["report.confusion"], figures.draw_confusion(material["confusion_discrete"], names)))
    if "confusion_imagery" in material:
        names = [str(i + 1) for i in range(len(material["confusion_imagery"]))]
        drawn.append((texts["report.confusion_classes"], figures.draw_confusion(material["confusion_imagery"], names)))
    return [(title, base64.b64encode(png).decode()) for title, png in drawn]


def _tuning(material: dict[str, Any]) -> dict[str, Array]:
    return {name: material[f"tuning_{name}"] for name in ("taus_ms", "betas", "times_s", "chosen")}


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
