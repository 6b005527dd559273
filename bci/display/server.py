"""The page's server: sends the latest scene, never a queue of old ones, and hears when it was drawn.

Read-only: whatever else a page says closes its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bci.display.access import COOKIE, Door
from bci.display.scene import Scene

STATIC = Path(__file__).with_name("static")
UNDRAWN = 2  # scenes under way to a page; a slow page gets fewer, newer ones
GIVE_UP_S = 0.1  # a page that does not say what it drew, being in the background, is sent the next scene all the same
HEARTBEAT_S = 0.1  # the page says "lost" after three that stay away
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Board:
    """The latest scene, for every page to read.

    Parameters
    ----------
    texts : dict of str to str
        Sent once to every page.
    is_drawn : callable
        Told each drawn scene, and when it was sent and reported drawn, seconds of the clock; participant's page only.
    clock : callable
        Seconds.
    """

    def __init__(
        self, texts: dict[str, str], is_drawn: Callable[[Scene, float, float], None], clock: Callable[[], float]
    ) -> None:
        self.texts = texts
        self.scene = Scene(text=texts["wait"])
        self.is_drawn = is_drawn
        self.clock = clock
        self._changed = asyncio.Event()

    def show(self, scene: Scene) -> None:
        """Put up a scene."""
        if scene.seq != self.scene.seq:
            self.scene = scene
            self._changed.set()
            self._changed = asyncio.Event()

    async def newer_than(self, seq: int) -> None:
        """Wait until there is a scene that is not `seq`, or for one heartbeat."""
        changed = self._changed
        if self.scene.seq == seq:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), HEARTBEAT_S)


class Viewer:
    """One page that looks."""

    def __init__(self, socket: WebSocket, board: Board, *, is_participant: bool) -> None:
        self._socket = socket
        self._board = board
        self._is_participant = is_participant
        self._sent: dict[int, tuple[Scene, float, bool]] = {}
        self._drawn = asyncio.Event()

    async def serve(self) -> None:
        """Send and listen until the page leaves."""
        await self._socket.send_text(json.dumps({"texts": self._board.texts}))
        tasks = {asyncio.create_task(self._send()), asyncio.create_task(self._listen())}
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the page left
                task.result()

    async def _send(self) -> None:
        n, seq = 0, -1
        while True:
            await self._board.newer_than(seq)
            if len(self._sent) >= UNDRAWN:
                self._drawn.clear()
                try:
                    await asyncio.wait_for(self._drawn.wait(), GIVE_UP_S)
                except TimeoutError:
                    self._sent.clear()
            n, scene = n + 1, self._board.scene
            self._sent[n] = scene, self._board.clock(), scene.seq != seq
            seq = scene.seq
            await self._socket.send_text(f'{{"n": {n}, "scene": {scene.to_json()}}}')

    async def _listen(self) -> None:
        while True:
            n = _drawn(await self._socket.receive_text())
            if n is None:
                await self._socket.close(1008, "this page may only look")
                return
            drawn_s = self._board.clock()
            found = self._sent.pop(n, None)
            if found is not None:
                for older in [k for k in self._sent if k < n]:
                    del self._sent[older]  # never drawn: a newer one came before the screen's next refresh
                self._drawn.set()
                scene, sent_s, is_new = found
                if self._is_participant and is_new:
                    self._board.is_drawn(scene, sent_s, drawn_s)


def _drawn(text: str) -> int | None:
    """Number of the scene that a page says it drew; None for anything else."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    n = message.get("drawn") if isinstance(message, dict) and len(message) == 1 else None
    return n if isinstance(n, int) else None


def make_app(board: Board, door: Door) -> ASGIApp:
    """The participant's page at /, the spectator's at /spectator, and their socket."""

    async def page(request: Request) -> Response:
        return Response((STATIC / "page.html").read_bytes(), media_type="text/html", headers=HEADERS)

    async def look(socket: WebSocket) -> None:
        if not door.knows_origin(socket.headers.get("origin")):
            await socket.close(1008)
            return
        await socket.accept()
        await Viewer(socket, board, is_participant="spectator" not in socket.query_params).serve()

    routes = [
        Route("/", page),
        Route("/spectator", page),
        Route("/favicon.ico", lambda _: Response(status_code=204)),
        WebSocketRoute("/scenes", look),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return _Guarded(Starlette(routes=routes), door)


class _Guarded:
    """Lets in who may look."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = Request({**scope, "type": "http", "method": scope.get("method", "GET")})
        if not self._door.knows_host(request.headers.get("host", "")):
            await self._refuse(scope, receive, send, "This server goes by another address.")
        elif self._door.admits(request.cookies.get(COOKIE)):
            await self._app(scope, receive, send)
        else:
            await self._let_in(request, scope, receive, send)

    async def _let_in(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        cookie = self._door.redeem(request.query_params.get("token", ""))
        if cookie is None or scope["type"] == "websocket":
            await self._refuse(scope, receive, send, "Open the address that the operator's terminal shows.")
            return
        response = RedirectResponse(request.url.path, status_code=303, headers=HEADERS)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict")
        await response(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, reason: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await PlainTextResponse(reason, status_code=403, headers=HEADERS)(scope, receive, send)
