"""How the rest of a session speaks with the guardian: datagrams on Unix sockets in a folder of mode 0700.

Only the operator's account can reach the folder. Nothing here comes from LSL or a network. A datagram is one letter
for what it is, then MessagePack, which unlike JSON has words for infinity and what is no number.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bci.types import Intent
from drivers.base import Check

GUARDIAN_SOCKET = "guardian.sock"
REQUESTS_SOCKET = "requests.sock"  # of their own: a full queue of intents takes no stop with it
FOLLOW_EVERY_S = 0.5
FORGET_AFTER_S = 3.0
MAX_DATAGRAM = 65536
BEAT_EVERY_S = 0.1
DECODER_GONE_S = 1.0  # without an intent, before another may send them
FOLLOW, BEAT, INTENT, REQUEST, STATUS, CHECKS, REFUSED = b"f", b"b", b"i", b"r", b"s", b"c", b"x"
MOST_AT_ONCE = 64  # so that nobody who talks much keeps the guardian from its devices


@dataclass(frozen=True, slots=True)
class Status:
    """What the guardian reports, about 50 times a second, and at once when its state changes.

    Attributes
    ----------
    stamp_s : float
        When.
    state : str
        DISARMED, CHECKING, ARMED, ACTIVE, HOLD, FAULT or STOP.
    reason : str
        Why it is in that state, for people.
    axes : tuple of str
        Names of the device's axes.
    position, velocity, command : tuple of float
        Per axis: reported position and velocity, and the velocity last given.
    intent_index : int
        Bin of the intent that the last set-point rests on; -1 for none.
    sent_s, acknowledged_s : float
        When that set-point's bytes were handed to the port, and when the device confirmed it; NaN before.
    n_bad_replies : int
        Answers of the devices that were not understood or not believed.
    note : str
        What else the devices say, for example ``object held``.
    answer : str
        What came of the last request.
    answer_to : int
        Number of that request.
    """

    stamp_s: float
    state: str
    reason: str
    axes: tuple[str, ...] = ()
    position: tuple[float, ...] = ()
    velocity: tuple[float, ...] = ()
    command: tuple[float, ...] = ()
    intent_index: int = -1
    sent_s: float = math.nan
    acknowledged_s: float = math.nan
    n_bad_replies: int = 0
    note: str = ""
    answer: str = ""
    answer_to: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants something: verb is arm, disarm, stop, acknowledge or reset_stop; role as in `machine.ROLES`.

    ``origin`` says by which key, terminal or cause; ``number`` is another for each request, and the same when one is
    repeated: it is answered and logged once.
    """

    verb: str
    role: str
    origin: str = ""
    number: int = field(default=0, compare=False)


_encode = msgspec.msgpack.Encoder(enc_hook=lambda scalar: scalar.item()).encode  # NumPy's scalars
_said: dict[bytes, msgspec.msgpack.Decoder[Any]] = {
    BEAT: msgspec.msgpack.Decoder(float),
    INTENT: msgspec.msgpack.Decoder(Intent),
    REQUEST: msgspec.msgpack.Decoder(Request),
}
_status, _checks = msgspec.msgpack.Decoder(Status), msgspec.msgpack.Decoder(tuple[Check, ...])


class GuardianClient:
    """One who asks. Works before the guardian exists: intents and wishes of then are lost, as they should be.

    A stop is never lost: each `poll` repeats it until the guardian has reported STOP, also to one that starts later.

    Parameters
    ----------
    directory : Path
        The session's private folder.
    name : str
        Unique among the guardian's clients.

    Attributes
    ----------
    checks : tuple of Check
        What was checked at the last attempt to arm, as far as it is known.
    is_refused : bool
        Whether the guardian has refused its intents, because another sends them.
    stop_asked_s : float or None
        Since when a stop is asked for that the guardian has not reported yet, `time.monotonic`.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / f"{name}.sock"
        self._path.unlink(missing_ok=True)  # of one that was killed
        self._guardian = str(directory / GUARDIAN_SOCKET)
        self._requests = str(directory / REQUESTS_SOCKET)
        self._unsaid: list[Request] = []
        self._stop = Request("stop", "")
        self.stop_asked_s: float | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._path))
        self._followed_s = self._beaten_s = -math.inf
        self.checks: tuple[Check, ...] = ()
        self.is_refused = False

    def send_intent(self, intent: Intent) -> None:
        """Hand over the intent of one bin."""
        self._say(INTENT + _encode(intent))

    def beat(self) -> None:
        """Say that the operator's console is alive; call it from the loop that draws, as often as it turns."""
        now_s = time.monotonic()
        if now_s - self._beaten_s >= BEAT_EVERY_S:
            self._beaten_s = now_s
            self._say(BEAT + _encode(now_s))

    def request(self, verb: str, role: str, origin: str = "") -> int:
        """Ask for arm, disarm, stop, acknowledge or reset_stop, and say by what; return the request's number.

        What finds the guardian's queue full is said again by the next `poll`, in order.
        """
        number = time.monotonic_ns()
        self._unsaid.append(Request(verb, role, origin, number))
        if verb == "stop":
            self._stop = self._unsaid[-1]
            self.stop_asked_s = time.monotonic()
        elif verb == "reset_stop":
            self.stop_asked_s = None  # whoever resets it repeats it no more; it goes before, in the same queue
        self._ask()
        return number

    def poll(self) -> list[Status]:
        """Return what the guardian reported since the last call, oldest first; never waits."""
        now_s = time.monotonic()
        if now_s - self._followed_s > FOLLOW_EVERY_S:
            self._say(FOLLOW)
            self._followed_s = now_s
        reports = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self._socket.recv(MAX_DATAGRAM)
                if data[:1] == CHECKS:
                    self.checks = _checks.decode(data[1:])
                elif data[:1] == REFUSED:
                    self.is_refused = True
                else:
                    reports.append(_status.decode(data[1:]))
                    self._note_stop(reports[-1])
        if self.stop_asked_s is not None and not self._unsaid:
            self._unsaid.append(self._stop)
        self._ask()
        return reports

    def close(self) -> None:
        """Take the socket away."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _ask(self) -> None:
        while self._unsaid:
            try:
                self._socket.sendto(REQUEST + _encode(self._unsaid[0]), self._requests)
            except BlockingIOError:
                return
            except OSError:
                self._unsaid.clear()  # no guardian; a stop is said again to the next
                return
            del self._unsaid[0]

    def _note_stop(self, status: Status) -> None:
        if status.state == "STOP" and self.stop_asked_s is not None and status.stamp_s >= self.stop_asked_s:
            self.stop_asked_s = None

    def _say(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # no guardian, or its queue is full: an intent too late is no intent
            self._socket.sendto(data, self._guardian)


class GuardianSocket:
    """The guardian's end: intents and requests in, each through a socket of its own, reports out.

    Intents are those of one sender, in the order of their index: another is refused and told, until the first has been
    silent for a second.

    Attributes
    ----------
    n_refused : int
        Intents of another sender than the first.
    requests : socket.socket
        Readable when somebody asks for something; for `select`, read by `asked`.
    beat_s : float
        When the operator's console last said that it was alive, by its own stamp: what waited in a queue is old.
    """

    def __init__(self, directory: Path) -> None:
        self._path, self._requests_path = directory / GUARDIAN_SOCKET, directory / REQUESTS_SOCKET
        self._socket, self.requests = _bound(self._path), _bound(self._requests_path)
        self._clients: dict[str, float] = {}
        self._checks = b""
        self.beat_s = -math.inf
        self._decoder, self._decoded_s, self._index = "", -math.inf, -1
        self.n_refused = 0

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def asked(self) -> list[Request]:
        """Requests that have arrived, in order; what cannot be read is dropped."""
        requests = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(MOST_AT_ONCE):
                message = _parse(self.requests.recv(MAX_DATAGRAM))
                if isinstance(message, Request):
                    requests.append(message)
        return requests

    def receive(self) -> list[Intent]:
        """Intents that have arrived, in order; what cannot be read is dropped."""
        messages = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(MOST_AT_ONCE):
                data, sender = self._socket.recvfrom(MAX_DATAGRAM)
                if sender:
                    self._clients[sender] = time.monotonic()
                    if self._checks and data == FOLLOW:
                        self._send(self._checks, sender)
                message = _parse(data)
                if isinstance(message, Intent) and self._is_next(message, sender or ""):
                    messages.append(message)
                elif isinstance(message, float) and message > self.beat_s:
                    self.beat_s = message
        return messages

    def _is_next(self, intent: Intent, sender: str) -> bool:
        now_s = time.monotonic()
        if now_s - self._decoded_s > DECODER_GONE_S:
            self._decoder, self._index = sender, -1
        if sender != self._decoder:
            self.n_refused += 1
            self._send(REFUSED, sender)
            return False
        if intent.index <= self._index:
            return False
        self._decoded_s, self._index = now_s, intent.index
        return True

    def report(self, status: Status) -> None:
        """Send a report to everyone who has spoken lately; nobody is waited for."""
        data = STATUS + _encode(status)
        for client, heard_s in list(self._clients.items()):
            if self._send(data, client) and status.stamp_s - heard_s > FORGET_AFTER_S:
                self._clients.pop(client)

    def show(self, checks: Sequence[Check]) -> None:
        """Tell everyone, now and when they follow, what was checked."""
        self._checks = CHECKS + _encode(checks)
        for client in list(self._clients):
            self._send(self._checks, client)

    def close(self) -> None:
        """Take the socket away."""
        for end, path in ((self._socket, self._path), (self.requests, self._requests_path)):
            end.close()
            path.unlink(missing_ok=True)

    def _send(self, data: bytes, client: str) -> bool:
        """Whether a client took it; one that has gone is forgotten, a slow one only misses it."""
        try:
            self._socket.sendto(data, client)
        except BlockingIOError:
            return False
        except OSError:
            self._clients.pop(client, None)
            return False
        return True


def _bound(path: Path) -> socket.socket:
    """A socket at this path that never waits and that only this account can reach."""
    path.unlink(missing_ok=True)
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.bind(str(path))
    os.chmod(path, 0o600)  # noqa: PTH101
    return end


def _parse(data: bytes) -> Intent | Request | float | None:
    decoder = _said.get(data[:1])
    if decoder is None:
        return None
    try:
        message: Intent | Request | float = decoder.decode(data[1:])
    except (msgspec.DecodeError, RecursionError):  # the second: it is nested without end
        return None
    return message
