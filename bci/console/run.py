"""`bci run`: decode a live stream and drive the device."""

from __future__ import annotations

import sys
from pathlib import Path

from bci.configs import find_profile
from bci.console.operator import Operator
from bci.console.screen import Screen
from bci.console.summary import print_summary
from bci.console.switch import Switch
from bci.console.watch import Watch, ends_on_sigterm, show, start
from bci.decoding.model import load_model
from bci.errors import ModelError
from bci.live.session import Session
from bci.plan import create_plan
from bci.profile import Profile, load_profile
from bci.streams.network import configure


def run_profile(
    name: str, model: Path | None, seconds: float | None, port: str | None, sessions: Path, network: bool, records: bool
) -> int:
    """Run a session until its time is up, q, or Ctrl-C; print its latencies."""
    console = Screen()
    path = find_profile(name)
    profile = load_profile(path)
    model_path = _find_model(profile, path, model)
    fitted = load_model(model_path)  # a damaged model is refused before any process starts
    if fitted.shaping:
        settings = fitted.tuned(profile.decoder)
        console.print(f"as tuned with this model: smoothing {settings.tau_ms:.0f} ms, gain {settings.beta:.2f}")
    switch = Switch(profile.stop_key) if profile.stop_key else None  # absent, it is refused before any process starts
    scope = "link" if network else "machine"
    plan = create_plan(sessions, profile, model=model_path, lsl_scope=scope, is_recorded=records)
    configure(plan.lsl_scope, plan.lsl_session_id)
    port = port or profile.device.port
    session = Session(plan, port)
    operator = Operator(plan, switch)
    with ends_on_sigterm(), operator.listening():
        start(session, operator, console, f"waiting for stream '{profile.stream.name}'")
        with session:
            watch = Watch(session, operator, f"bci run {profile.name} → {port}", seconds)
            try:
                show(watch, console)
            finally:
                watch.close()
                with console.status("closing the recording"):
                    session.close(sys.exception())
    print_summary(console, plan, None)
    return 0


def _find_model(profile: Profile, path: Path, model: Path | None) -> Path:
    if model is not None:
        return model.absolute()
    if profile.model:
        return (path.parent / profile.model).absolute()
    raise ModelError(
        f"Profile '{profile.name}' names no model.",
        f"Fit one (bci fit FILE --profile {profile.name} --model model.npz) and give it with --model.",
    )
