"""`bci demo`: the whole path with a simulated participant, shown live, summed up at the end."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from rich.console import Console

from bci.configs import find_profile
from bci.console.summary import print_summary
from bci.console.watch import Watch, ends_on_sigterm, show
from bci.live.session import Session
from bci.live.stage import TRIALS_FILE
from bci.plan import Demonstration, Display, create_plan
from bci.profile import Profile, load_profile
from bci.streams.network import configure
from calibration.metrics import Trial

OBSERVATION_S = 15.0
SHORTEST_CLOSED_LOOP_S = 3.0


def run_demo(task: str, seconds: float, seed: int, sessions: Path, has_display: bool) -> int:
    """Run the demo and print its summary; the exit code is 0 when it ran to its end."""
    console = Console()
    observation_s = min(OBSERVATION_S, seconds - SHORTEST_CLOSED_LOOP_S)
    profile = _with_own_source(load_profile(find_profile("simulated")))
    plan = create_plan(
        sessions,
        profile,
        demonstration=Demonstration(
            task=task, seed=seed, observation_s=observation_s, closed_loop_s=seconds - observation_s
        ),
        display=Display() if has_display else None,
    )
    configure(plan.lsl_scope, plan.lsl_session_id)
    session = Session(plan, profile.device.port)
    with ends_on_sigterm():
        with console.status("starting (the first time on a machine compiles the kernels, about half a minute)"):
            session.start()
        with session:
            where = f": {session.display_url}" if has_display else ": a cup, picked up by thought"
            watch = Watch(session, f"bci demo{where}" if task == "cup" else f"bci demo {task}", seconds, True)
            try:
                show(watch, console)
            finally:
                watch.close()
                with console.status("stopping the device, closing the recording"):
                    session.close()
    trials_file = plan.path(TRIALS_FILE)
    if not trials_file.exists():
        console.print(f"Ended early. What was recorded is in {plan.folder}.")
        return 1
    result = json.loads(trials_file.read_text(encoding="utf-8"))
    print_summary(console, plan, [Trial(**trial) for trial in result["trials"]], result["figures"])
    return 0


def _with_own_source(profile: Profile) -> Profile:
    """Give the simulated participant a source id of its own: two demos at once do not meet."""
    stream = profile.stream.model_copy(update={"source_id": f"{profile.stream.source_id}-{secrets.token_hex(4)}"})
    return profile.model_copy(update={"stream": stream})
