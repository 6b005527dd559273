"""`bci demo`: the whole path with a simulated participant, shown live, summed up at the end."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

from bci.configs import find_profile
from bci.console.operator import Operator
from bci.console.screen import Screen
from bci.console.summary import print_summary
from bci.console.watch import Watch, ends_on_sigterm, show, start
from bci.live.session import Session
from bci.live.stage import TRIALS_FILE
from bci.plan import Demonstration, Display, create_plan
from bci.profile import AxisMap, Device, Limits, Profile, load_profile
from bci.streams.network import configure
from calibration.metrics import Trial
from drivers.twins.avr import prepare_emulator

OBSERVATION_S = 15.0
SHORTEST_CLOSED_LOOP_S = 3.0


def run_demo(
    task: str,
    seconds: float,
    seed: int,
    sessions: Path,
    has_display: bool,
    device: str = "node",
    hand: str | None = None,
) -> int:
    """Run the demo and print its summary; the exit code is 0 when it ran to its end.

    With ``hand``, the port of a board, its hand closes with the simulated one; then nothing is armed but by key.

    Raises
    ------
    DeviceError
        When the emulated microcontroller is wanted and its tools are absent.
    """
    console = Screen()
    if device == "node-avr":
        with console.status("building the firmware (once)"):
            prepare_emulator()
    observation_s = min(OBSERVATION_S, seconds - SHORTEST_CLOSED_LOOP_S)
    profile = _with_own_source(load_profile(find_profile("simulated")))
    if hand is not None:
        profile = with_hand(profile, hand)
    plan = create_plan(
        sessions,
        profile,
        demonstration=Demonstration(
            task=task, seed=seed, observation_s=observation_s, closed_loop_s=seconds - observation_s
        ),
        display=Display() if has_display else None,
    )
    configure(plan.lsl_scope, plan.lsl_session_id)
    session = Session(plan, "node-avr" if device == "node-avr" else profile.device.port)
    operator = Operator(plan)
    with ends_on_sigterm(), operator.listening():
        start(session, operator, console, "starting (the first time on a machine compiles the kernels, half a minute)")
        with session:
            where = f": {session.display_url}" if has_display else ": a cup, picked up by thought"
            title = f"bci demo{where}" if task == "cup" else f"bci demo {task}"
            watch = Watch(session, operator, title, seconds, arms_itself=hand is None)
            try:
                show(watch, console)
            finally:
                watch.close()
                with console.status("closing the recording"):
                    session.close(sys.exception())
    trials_file = plan.path(TRIALS_FILE)
    if not trials_file.exists():
        console.print(f"Ended early. What was recorded is in {plan.folder}.")
        return 1
    result = json.loads(trials_file.read_text(encoding="utf-8"))
    print_summary(console, plan, [Trial(**trial) for trial in result["trials"]], result["figures"])
    return 0


def with_hand(profile: Profile, port: str) -> Profile:
    """Add a hand of the operator's own (docs/build-a-device.md), at half its speed, its stop button tried first."""
    follows = AxisMap(intent="grasp", axis="hand", gain=1.0)
    limits = Limits(speed_fraction=0.5, acceleration_fraction=0.5)
    hand = Device(name="hand", driver="node", port=port, maps=(follows,), stop_button=True, limits=limits)
    return profile.model_copy(update={"devices": (hand,)})


def _with_own_source(profile: Profile) -> Profile:
    """Give the simulated participant a source id of its own: two demos at once do not meet."""
    stream = profile.stream.model_copy(update={"source_id": f"{profile.stream.source_id}-{secrets.token_hex(4)}"})
    return profile.model_copy(update={"stream": stream})
