"""Intents for other software: robot middleware, games. Readers have no right to move a device of ours, nor to slow us.

Sinks are fed by the live loop, beside the guardian and never through it: the guardian imports no LSL and trusts no
network, and what leaves here is a request that nobody has limited. So no sink is a device driver.

The datagram, little endian: ``bciI``, version u8 (= 1), flags u8 (bit 0: confident), number of outputs n u16, bin
index i64, stamp f64 (seconds, `time.monotonic` of this machine), click, hold and gate f64, clicks so far u32, then n
velocities f64 in the order of ``decoder.outputs``, in output units per second.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any, Protocol

import numpy as np

from bci.profile import LslSink, Profile, UdpSink
from bci.streams.outlet import open_outlet
from bci.types import Intent

MAGIC, VERSION = b"bciI", 1
HEAD = struct.Struct("<4sBBHqddddI")
EXTRAS = ("click", "hold", "gate", "n_clicks", "is_confident", "index")


class Sink(Protocol):
    """Takes intents; never waits, never raises."""

    def send(self, intent: Intent) -> None:
        """Pass one intent on."""
        ...

    def close(self) -> None:
        """End."""
        ...


class UdpSender:
    """One datagram per intent, to one address."""

    def __init__(self, settings: UdpSink, n_outputs: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = (settings.host, settings.port)
        self._velocities = struct.Struct(f"<{n_outputs}d")
        self._datagram = bytearray(HEAD.size + self._velocities.size)

    def send(self, intent: Intent) -> None:
        """Send and forget: nobody may be there."""
        i, n = intent, len(intent.velocity)
        HEAD.pack_into(
            self._datagram, 0, MAGIC, VERSION, i.is_confident, n, i.index, i.stamp_s, i.click, i.hold, i.gate,
            i.n_clicks & 0xFFFFFFFF,
        )  # fmt: skip
        self._velocities.pack_into(self._datagram, HEAD.size, *i.velocity)
        with contextlib.suppress(OSError):
            self._socket.sendto(self._datagram, self._address)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


class LslSender:
    """One sample per intent, on a stream whose name and source id are the same in every session."""

    def __init__(self, settings: LslSink, profile: Profile) -> None:
        outputs = profile.decoder.outputs
        labels = (*outputs, *EXTRAS)
        units = [*["1/s"] * len(outputs), "1", "1", "1", "count", "bool", "bin"]
        source_id = f"bci-{profile.name}-{settings.name}"
        self._outlet: Any = open_outlet(settings.name, "Intents", labels, units, source_id)
        self._row = np.zeros(len(labels))

    def send(self, intent: Intent) -> None:
        """Push one sample, stamped with the signals that it rests on."""
        i, row = intent, self._row
        row[: -len(EXTRAS)] = i.velocity
        row[-len(EXTRAS) :] = i.click, i.hold, i.gate, i.n_clicks, i.is_confident, i.index
        self._outlet.push_sample(row, i.stamp_s)

    def close(self) -> None:
        """Take the stream away."""
        self._outlet = None


def open_sinks(profile: Profile) -> tuple[Sink, ...]:
    """Open every sink that the profile names."""
    sinks: list[Sink] = []
    for settings in profile.sinks:
        if isinstance(settings, UdpSink):
            sinks.append(UdpSender(settings, len(profile.decoder.outputs)))
        else:
            sinks.append(LslSender(settings, profile))
    return tuple(sinks)


def read_datagram(data: bytes) -> Intent | None:
    """What a reader does; None when it is no datagram of ours."""
    if len(data) < HEAD.size or data[:4] != MAGIC:
        return None
    _, version, flags, n, index, stamp_s, click, hold, gate, n_clicks = HEAD.unpack_from(data)
    if version != VERSION or len(data) != HEAD.size + 8 * n:
        return None
    velocity = struct.unpack_from(f"<{n}d", data, HEAD.size)
    return Intent(index, stamp_s, velocity, float("nan"), bool(flags & 1), click, hold, gate, n_clicks)
