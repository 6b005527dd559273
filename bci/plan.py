"""The plan of one session: written once into its folder, read by each of its processes, changed by nobody."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from bci import __version__
from bci.errors import SessionError
from bci.profile import Profile, Section

PLAN_FILE = "session.json"
LONGEST_ROOT = 60  # bytes: an address of a Unix socket holds 103 or 107, with our folder and the socket's name


class Demonstration(Section):
    """A session with a simulated participant and a task; absent when real signals are decoded."""

    task: str = "cup"
    seed: int
    observation_s: float
    closed_loop_s: float


class Rehearsed(Section):
    """A simulated participant for a calibration: how clear the signals are, and how much faster than life."""

    quality: Literal["good", "median", "poor"]
    seed: int
    pace: float


class Calibration(Section):
    """A session that calibrates; no device takes part in it.

    `folder` holds the state and the blocks and outlives the session; `prior` is a model to begin with.
    """

    participant: str
    folder: Path
    prior: Path | None
    paradigm: Literal["movement", "imagery"]
    is_quick: bool
    is_attended: bool
    seed: int
    language: str
    rehearsed: Rehearsed | None


class Display(Section):
    """The participant's page: where it is served, and in which language."""

    address: str = "127.0.0.1"
    port: int = 0
    language: str = "en"


class Plan(Section):
    """Everything that the processes of one session must agree on."""

    session_id: str
    version: str
    created_utc: str
    folder: Path
    runtime: Path
    profile: Profile
    profile_hash: str
    model: Path | None
    lsl_scope: str
    lsl_session_id: str
    demonstration: Demonstration | None
    is_recorded: bool
    calibration: Calibration | None = None
    display: Display | None = None

    def path(self, name: str) -> Path:
        """Where a file of the session lives."""
        return self.folder / name

    def ready_file(self, process: str) -> Path:
        """Appears when that process is ready."""
        return self.runtime / f"{process}.ready"


def create_plan(
    root: Path,
    profile: Profile,
    *,
    model: Path | None = None,
    lsl_scope: str = "machine",
    lsl_session_id: str = "",
    demonstration: Demonstration | None = None,
    is_recorded: bool = True,
    calibration: Calibration | None = None,
    display: Display | None = None,
) -> Plan:
    """Make the session's folder (mode 0700) and write its plan.

    Sockets and ready files live in a private folder (mode 0700) with a short path: only the operator's account may
    speak to the guardian, and the address of a Unix socket has room for about 100 characters.
    """
    now = time.time()
    session_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}"
    folder = (root / f"{session_id}-{profile.name}").absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)  # what is in it is about a person
    except OSError as error:
        raise SessionError(
            f"The session folder {folder} cannot be made: {error.strerror}.", "Choose another with --sessions."
        ) from error
    runtime = make_runtime()
    plan = Plan(
        session_id=session_id,
        version=__version__,
        created_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        folder=folder,
        runtime=runtime,
        profile=profile,
        profile_hash=profile.hash,
        model=model,
        lsl_scope=lsl_scope,
        lsl_session_id=lsl_session_id,
        demonstration=demonstration,
        is_recorded=is_recorded,
        calibration=calibration,
        display=display,
    )
    plan.path(PLAN_FILE).write_text(plan.model_dump_json(indent=2), encoding="utf-8")
    return plan


def make_runtime() -> Path:
    """A private folder whose path leaves room for the names of sockets, also where TMPDIR is long.

    Raises
    ------
    SessionError
        When there is none.
    """
    roots = [tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/dev/shm"]
    for root in roots:
        if root and len(os.fsencode(root)) <= LONGEST_ROOT and Path(root).is_dir():
            with contextlib.suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="bci-", dir=root))
    raise SessionError(
        f"No folder for the sockets of a session: {roots[0]} is full, or its path longer than {LONGEST_ROOT} bytes.",
        "Set TMPDIR to a short path that can be written to.",
    )


def read_plan(folder: Path) -> Plan:
    """Read the plan of a session from its folder."""
    return Plan.model_validate_json((folder / PLAN_FILE).read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
