"""Finding streams: what is there, and exactly the one that a profile names."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pylsl

from bci.errors import StreamError
from bci.profile import Stream

NAMED_BY = ("source_id", "host", "type")  # fields of a profile that tell streams of one name apart, best first
SETTLE_S = 1.2  # the first round of asking hears one source only; the second, after half a second, hears all


@dataclass(frozen=True)
class Found:
    """A stream that answered; `info` is liblsl's own handle, for opening it."""

    name: str
    type: str
    n_channels: int
    rate_hz: float
    host: str
    source_id: str
    info: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        rate = f"{self.rate_hz:g} Hz" if self.rate_hz else "irregular"
        return f"'{self.name}' ({self.type}, {self.n_channels} channels, {rate}, on {self.host}, id '{self.source_id}')"


def find_all(seconds: float) -> list[Found]:
    """Every stream that answers within `seconds`, by name."""
    found = map(_found, pylsl.resolve_streams(seconds))
    return sorted(found, key=lambda stream: (stream.name, stream.source_id))


class Lookout:
    """Streams as they come and go, without waiting: liblsl keeps asking in the background.

    Parameters
    ----------
    source_id, name : str
        Only the one with this id, or those with this name; both empty: all.
    """

    def __init__(self, source_id: str = "", name: str = "") -> None:
        wanted = ("source_id", source_id) if source_id else ("name", name) if name else ()
        self._resolver = pylsl.ContinuousResolver(*wanted)

    def results(self) -> list[Found]:
        """What is there now."""
        return [_found(info) for info in self._resolver.results()]


def _found(info: Any) -> Found:
    return Found(
        name=info.name(),
        type=info.type(),
        n_channels=info.channel_count(),
        rate_hz=info.nominal_srate(),
        host=info.hostname(),
        source_id=info.source_id(),
        info=info,
    )


def matches(found: Found, wanted: Stream) -> bool:
    """Whether a stream is the one that a profile names; empty fields of the profile match anything."""
    pairs = (
        (wanted.name, found.name),
        (wanted.type, found.type),
        (wanted.source_id, found.source_id),
        (wanted.host, found.host),
    )
    return all(want in ("", have) for want, have in pairs)


def find_one(wanted: Stream, wait_s: float) -> Found:
    """Wait for the one stream that a profile names.

    Raises
    ------
    StreamError
        When none appeared in time (the message names what is there instead), or when several match.
    """
    deadline = time.monotonic() + wait_s
    seen: Sequence[Found] = ()
    while True:
        seen = find_all(SETTLE_S)
        fitting = [stream for stream in seen if matches(stream, wanted)]
        if len(fitting) == 1:
            return fitting[0]
        if len(fitting) > 1:
            raise StreamError(
                f"{len(fitting)} streams match {_wish(wanted)}: {'; '.join(map(str, fitting))}.", how_to_choose(fitting)
            )
        if time.monotonic() >= deadline:
            break
    there = "; ".join(map(str, seen)) or "no stream at all"
    raise StreamError(
        f"No stream {_wish(wanted)} appeared within {wait_s:g} s; there is {there}.",
        "Start the source, or correct [stream] in the profile; `bci streams --network` looks beyond this machine.",
    )


def how_to_choose(fitting: Sequence[Found]) -> str:
    """What tells streams apart that match the same profile, as lines that may be written into it; or what to do else.

    Parameters
    ----------
    fitting : sequence of Found
        Two or more.
    """
    lines = []
    for stream in fitting:
        for name in NAMED_BY:
            value = getattr(stream, name)
            if value and sum(getattr(other, name) == value for other in fitting) == 1:
                lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
                break
    end = "end all but one of them (a source may have been started twice), or give each source an id of its own"
    if not lines:
        return f"No name, type, source id or host tells them apart: {end}."
    rest = "" if len(lines) == len(fitting) else f"; for another of them, {end}"
    return f"Write below [stream] in the profile: {', or '.join(lines)}{rest}."


def _wish(wanted: Stream) -> str:
    fields = {"type": wanted.type, "source_id": wanted.source_id, "host": wanted.host}
    return " ".join([f"'{wanted.name}'"] + [f"with {name} '{value}'" for name, value in fields.items() if value])
