"""`bci simulate`: a participant and an amplifier that are not there, as LSL peers for any session on this machine."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import numpy as np

from bci.configs import find_profile
from bci.console.screen import Screen
from bci.errors import ProfileError, StreamError
from bci.process import StopFlag
from bci.profile import load_profile
from bci.simulation.amplifier import Amplifier, amplify
from bci.simulation.drift import Drift
from bci.simulation.participant import PERIOD_S, participate
from bci.simulation.source import Encoder, encoder_of
from bci.simulation.user import User
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from calibration.user_model import UserModel

EFFORT_ID = "simulated-effort"
WORLD_GONE_S = 3.0
Settings = TypeVar("Settings", Drift, UserModel)


def simulate_participant(
    world_id: str, tau_ms: float, beta: float, habits: str, pause_share: float, seconds: float | None, network: bool
) -> None:
    """Watch the first world that appears, and the next when it ends, until Ctrl-C or its time is up."""
    console, is_over, model = Screen(), _end(seconds), settings_of(UserModel, habits, "--habits")
    configure("link" if network else "machine")
    random = np.random.default_rng(0)
    while not is_over():
        with closing(LatestSamples(world_id, name="bci.world")) as world:
            with console.status("waiting for a session that shows a cursor and a target (stream 'bci.world')"):
                while not world.is_open:
                    if is_over():
                        return
                    time.sleep(PERIOD_S)
            outputs = outputs_of(world)
            console.print(f"Watching '{world.source_id}', meaning {', '.join(outputs)}. Ctrl-C ends it.")
            user = User(
                len(outputs), PERIOD_S, model=model, tau_s=tau_ms / 1e3, beta=beta, pause_share=pause_share,
                random=random,
            )  # fmt: skip
            participate(user, outputs, world, EFFORT_ID, is_over, WORLD_GONE_S)


def simulate_amplifier(
    profile: str, encoder: Encoder | None, clarity: float, drift: str, mains_hz: float, seed: int,
    seconds: float | None, network: bool,
) -> None:  # fmt: skip
    """Publish the stream of a profile, driven by a participant's effort where there is one, until Ctrl-C."""
    console, is_over, changes = Screen(), _end(seconds), settings_of(Drift, drift, "--drift")
    configure("link" if network else "machine")
    described = load_profile(find_profile(profile))
    stream = described.stream
    amplifier = Amplifier(described, encoder, drift=changes, clarity=clarity, mains_hz=mains_hz, seed=seed)
    console.print(
        f"'{stream.name}': {encoder or encoder_of(described)}, {stream.n_channels} channels at {stream.rate_hz:g} Hz. "
        "At rest until there is a participant (bci simulate participant). Ctrl-C ends it."
    )
    with closing(LatestSamples(name="bci.effort")) as efforts:
        amplify(described, amplifier, efforts, is_over, dropouts_per_min=changes.dropouts_per_min, seed=seed)


def settings_of(kind: type[Settings], text: str, option: str) -> Settings:
    """Settings from ``name=number,name=number``.

    Raises
    ------
    ProfileError
        When a name is unknown or a value is no number from 0 up; the message names those that there are.
    """
    names, values = [field.name for field in dataclasses.fields(kind)], dict[str, float]()
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name not in names or not 0.0 <= value < math.inf:
            raise ProfileError(
                f"{option}: '{part}' is not understood.",
                f"Write name=number, from 0 up, with commas between; names are {', '.join(names)}.",
            )
        values[name] = value
    return kind(**values)


def outputs_of(world: LatestSamples) -> tuple[str, ...]:
    """What a world's targets are called.

    Raises
    ------
    StreamError
        When the stream is laid out in another way.
    """
    k = sum(label.startswith("target_") for label in world.labels)
    outputs = world.labels[:k]
    wanted = (*outputs, *(f"target_{output}" for output in outputs), "active")
    if not k or world.labels[: len(wanted)] != wanted:
        raise StreamError(
            f"Stream '{world.source_id}' shows no positions and targets: its channels are {', '.join(world.labels)}.",
            "Publish positions, as many channels target_…, and then active; or choose another with --world.",
        )
    return outputs


def _end(seconds: float | None) -> Callable[[], bool]:
    stop, start_s = StopFlag(), time.monotonic()
    return lambda: bool(stop) or (seconds is not None and time.monotonic() - start_s >= seconds)
