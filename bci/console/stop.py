"""`bci stop`: stop running sessions from any terminal of the same account, whatever their own console does."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

import typer

from bci.errors import SessionError
from bci.live.control import Running, find_running
from drivers.guardian.link import GuardianClient

PATIENCE_S = 3.0
PLAN_FILE = "session.json"  # as `bci.plan` writes it, which takes long to load
CUT = "cut the motor supply now"


def stop_sessions(session: str | None, patience_s: float = PATIENCE_S) -> int:
    """Stop one session, or all of this account's, and wait until each has said STOP.

    Parameters
    ----------
    session : str or None
        Its folder, or how the folder's name begins; None: all of them, which is the safe thing.
    patience_s : float
        How long a guardian may take to answer.

    Returns
    -------
    int
        0 when every one has answered, else 1.

    Raises
    ------
    SessionError
        When none is running, or none of that name.
    """
    running = _all() if session is None else _named(session)
    waiting: dict[Running, GuardianClient] = {}
    asked_s = time.monotonic()
    for one in running:  # all are asked before any is waited for
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            waiting[one] = GuardianClient(one.runtime, f"stop-{os.getpid()}")
            waiting[one].request("stop", "caregiver", "another terminal")
    clients = list(waiting.values())
    while waiting and time.monotonic() < asked_s + patience_s:
        for one, client in list(waiting.items()):
            client.poll()
            if client.stop_asked_s is None:
                del waiting[one]
                typer.echo(f"STOP  {one.folder}  after {1e3 * (time.monotonic() - asked_s):.0f} ms")
        time.sleep(0.005)
    for one in waiting:
        typer.echo(f"NO ANSWER  {one.folder}  within {patience_s:g} s: {CUT}", err=True)
    for client in clients:
        client.close()
    return 1 if waiting else 0


def _all() -> list[Running]:
    folders = sorted(Path(tempfile.gettempdir()).glob("bci-*"))
    running = [one for one in map(find_running, folders) if one is not None]
    if not running:
        raise SessionError("No session of this account is running here.", f"If something moves, {CUT}.")
    return running


def _named(session: str) -> list[Running]:
    plan = Path(session) / PLAN_FILE
    if plan.exists():
        with contextlib.suppress(OSError, ValueError, KeyError):
            one = find_running(Path(json.loads(plan.read_text(encoding="utf-8"))["runtime"]))
            if one is not None:
                return [one]
    else:
        named = [one for one in _all() if one.folder.name.startswith(session)]
        if named:
            return named
    raise SessionError(f"No session '{session}' is running.", f"bci stop alone stops all; if something moves, {CUT}.")
