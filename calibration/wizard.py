"""How a calibration proceeds: pure, so that every turn can be tested without a participant.

What has been done is a list of attempts; what comes next follows from it alone. So an interrupted calibration goes on
from its last finished block, wherever it was interrupted.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bci.errors import SessionError
from calibration.program import Gate, Paradigm, Phase

MOST_TRIES = 3  # of each step
MOST_TRIES_OPTIONAL = 2
STALE_S = 1800.0  # after a longer rest signals and baseline are measured again
STATE_FILE = "state.json"
SCHEMA_VERSION = 1
FRESHENED = ("signals", "rest")


class Outcome(StrEnum):
    """How a calibration ended, or that it has not."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class GateResult:
    """One gate of one attempt; `value` is NaN where nothing was measured."""

    measure: str
    value: float
    limit: float
    is_least: bool
    is_passed: bool


@dataclass(frozen=True)
class Attempt:
    """A step that was done.

    Attributes
    ----------
    phase : str
        Which step.
    number : int
        Attempts of this calibration up to it, from 1: names its files.
    is_passed : bool
        All gates passed.
    gates : tuple of GateResult
        What was judged.
    measures : dict
        Everything that was measured.
    seconds : float
        How long the participant worked, pauses not counted.
    ended_s : float
        Unix time.
    """

    phase: str
    number: int
    is_passed: bool
    gates: tuple[GateResult, ...]
    measures: dict[str, float]
    seconds: float
    ended_s: float


@dataclass(frozen=True)
class State:
    """A calibration as it is kept on disk after each step.

    Attributes
    ----------
    participant, profile_name, profile_hash : str
        Whose, and with which settings.
    paradigm : {"movement", "imagery"}
        Which program.
    is_quick : bool
        The short program, from an earlier model.
    attempts : tuple of Attempt
        What has been done.
    """

    participant: str
    profile_name: str
    profile_hash: str
    paradigm: Paradigm
    is_quick: bool = False
    attempts: tuple[Attempt, ...] = ()

    def tries(self, phase: str) -> int:
        """How often a step was done."""
        return sum(attempt.phase == phase for attempt in self.attempts)

    def last(self, phase: str) -> Attempt | None:
        """Newest attempt of a step."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.phase == phase), None)


def judge(phase: Phase, measures: Mapping[str, float], number: int, seconds: float, ended_s: float) -> Attempt:
    """Compare what was measured with the gates of a step."""
    results = tuple(_result(gate, measures) for gate in phase.gates if gate.measure in measures or not gate.is_optional)
    kept = {name: float(value) for name, value in measures.items()}
    is_passed = all(result.is_passed for result in results)
    return Attempt(phase.name, number, is_passed, results, kept, seconds, ended_s)


def _result(gate: Gate, measures: Mapping[str, float]) -> GateResult:
    value = float(measures.get(gate.measure, math.nan))
    return GateResult(gate.measure, value, gate.limit, gate.is_least, gate.passes(measures))


def next_phase(program: Sequence[Phase], attempts: Sequence[Attempt]) -> tuple[Phase | None, Outcome]:
    """What comes next: a step, or the end.

    Signals and rest come first, also after a long break. Then a step that passes leads to the following one, and one
    that fails leads back to the step that it names, until it has been tried three times: then the calibration is
    rejected, or, where the step can be done without, goes on.
    """
    names = [phase.name for phase in program]
    tries = dict.fromkeys(names, 0)
    at = _n_fresh(program)
    for phase in program[:at]:
        own = [attempt for attempt in attempts if attempt.phase == phase.name]
        if not any(attempt.is_passed for attempt in own):
            return (None, Outcome.REJECTED) if len(own) >= MOST_TRIES else (phase, Outcome.OPEN)
    for attempt in attempts:
        if attempt.phase not in names[_n_fresh(program) :]:
            continue
        phase = program[names.index(attempt.phase)]
        tries[phase.name] += 1
        if attempt.is_passed or (not phase.is_required and tries[phase.name] >= MOST_TRIES_OPTIONAL):
            at = names.index(phase.name) + 1
        elif tries[phase.name] >= MOST_TRIES:
            return None, Outcome.REJECTED
        else:
            at = names.index(phase.back_to)
    return (None, Outcome.ACCEPTED) if at == len(program) else (program[at], Outcome.OPEN)


def _n_fresh(program: Sequence[Phase]) -> int:
    return sum(phase.name in FRESHENED for phase in program)


def failed_gates(attempt: Attempt) -> tuple[GateResult, ...]:
    """Gates of an attempt that did not pass."""
    return tuple(result for result in attempt.gates if not result.is_passed)


def freshened(state: State, now_s: float) -> State:
    """The state with which to go on after an interruption: a long one makes signals and baseline old."""
    attempts = state.attempts
    if not attempts or now_s - attempts[-1].ended_s < STALE_S:
        return state
    kept = tuple(attempt for attempt in attempts if attempt.phase not in FRESHENED)
    return _with_attempts(state, kept)


def with_attempt(state: State, attempt: Attempt) -> State:
    """The state after one more attempt."""
    return _with_attempts(state, (*state.attempts, attempt))


def _with_attempts(state: State, attempts: tuple[Attempt, ...]) -> State:
    return State(state.participant, state.profile_name, state.profile_hash, state.paradigm, state.is_quick, attempts)


def save_state(folder: Path, state: State) -> None:
    """Write the state, whole or not at all, and to the disk itself."""
    path = folder / STATE_FILE
    temporary = path.with_suffix(".part")
    text = json.dumps({"schema_version": SCHEMA_VERSION, **plain(asdict(state))}, indent=2)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def plain(value: Any) -> Any:
    """The value with null instead of numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _attempt(raw: dict[str, Any]) -> Attempt:
    gates = tuple(GateResult(**{**gate, "value": _float(gate["value"])}) for gate in raw["gates"])
    measures = {name: _float(value) for name, value in raw["measures"].items()}
    return Attempt(**{**raw, "gates": gates, "measures": measures})


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def load_state(folder: Path) -> State:
    """Read a state.

    Raises
    ------
    SessionError
        When it is absent or damaged.
    """
    path = folder / STATE_FILE
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError("another version")
        attempts = tuple(_attempt(raw) for raw in fields.pop("attempts"))
        return State(**fields, attempts=attempts)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SessionError(
            f"The state of the calibration in {path} cannot be read: {error}.", "Begin a new one with --new."
        ) from error
