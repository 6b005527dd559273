"""The display as a process of a session: reads its streams, serves the page, publishes when each scene was drawn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import uvicorn
from pylsl import local_clock

from bci.display.access import Door
from bci.display.scene import Scene, Storyteller
from bci.display.server import Board, make_app
from bci.display.texts import texts_in
from bci.errors import SessionError
from bci.plan import Plan
from bci.process import StopFlag, run_in_session
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from bci.streams.outlet import open_outlet

LOOK_EVERY_S = 0.004
LATENCY_LABELS = ("scene", "world_to_sent", "sent_to_drawn")
LARGEST_MESSAGE = 256  # bytes that a page may send


class Readers:
    """The streams of a session that the display needs."""

    def __init__(self, plan: Plan) -> None:
        self._readers = {name: LatestSamples(f"bci-{plan.session_id}-{name}") for name in ("world", "cues", "intents")}

    def tell(self, story: Storyteller) -> None:
        """Hand everything new to the story."""
        for _, values in self._readers["cues"].pull():
            story.cue(values[0])
        for stamp_s, _ in self._readers["intents"].pull()[-1:]:
            story.intent(stamp_s)
        world = self._readers["world"]
        for stamp_s, values in world.pull()[-1:]:
            story.world(stamp_s, values, world.labels)

    def close(self) -> None:
        """Stop reading."""
        for reader in self._readers.values():
            reader.close()


def serve(plan: Plan, stop: StopFlag, address: str, port: int, language: str, tell: Callable[[str], None]) -> None:
    """Serve the page until told to stop.

    Parameters
    ----------
    plan : Plan
        Of the session to show.
    stop : StopFlag
        Becomes true when it is time to end.
    address, port : str, int
        Where to listen; port 0 takes a free one.
    language : str
        Of the participant's texts.
    tell : callable
        Told the address of the page, as soon as it is served.

    Raises
    ------
    SessionError
        When the address cannot be had, or there are no texts in the language.
    """
    texts = texts_in(language)
    with contextlib.closing(_listen(address, port)) as listener:
        port = listener.getsockname()[1]
        door = Door(address, port)
        configure(plan.lsl_scope, plan.lsl_session_id)
        outlet = open_outlet(
            "bci.display",
            "Display",
            LATENCY_LABELS,
            ["1", "s", "s"],
            f"bci-{plan.session_id}-display",
            description={"profile": plan.profile.name, "profile_hash": plan.profile_hash},
        )

        def is_drawn(scene: Scene, sent_s: float, drawn_s: float) -> None:
            outlet.push_sample(np.array([scene.seq, sent_s - scene.stamp_s, drawn_s - sent_s]), drawn_s)

        board = Board(texts, is_drawn, local_clock)
        story = Storyteller(len(plan.profile.decoder.outputs), texts)
        host = f"[{address}]" if ":" in address else address
        tell(f"http://{host}:{port}/" + (f"?token={door.token}" if door.token else ""))
        with contextlib.closing(Readers(plan)) as readers:
            asyncio.run(_run(listener, board, door, story, readers, stop))


async def _run(
    listener: socket.socket, board: Board, door: Door, story: Storyteller, readers: Readers, stop: StopFlag
) -> None:
    config = uvicorn.Config(
        make_app(board, door),
        log_level="error",
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=1,
        lifespan="off",
        server_header=False,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not stop and not serving.done():
        readers.tell(story)
        board.show(story.tell(local_clock()))
        await asyncio.sleep(LOOK_EVERY_S)
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """Leaves the signals to the process, which ends every part in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listen(address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        raise SessionError(
            f"The display cannot listen on {address}, port {port}: {os.strerror(error.errno or 0)}.",
            "Choose another port, or an address of this machine.",
        ) from error


def run(plan: Plan, stop: StopFlag) -> None:
    """Serve as the plan says; the ready file holds the page's address."""
    settings = plan.display
    if settings is None:
        raise SessionError("This session has no display.", "Start one with `bci display`.")
    ready = plan.ready_file("display")

    def tell(url: str) -> None:
        part = ready.with_suffix(".part")
        part.write_text(url, encoding="utf-8")
        part.replace(ready)

    serve(plan, stop, settings.address, settings.port, settings.language, tell)


if __name__ == "__main__":
    run_in_session(run)
