"""What is whole in a damaged XDF file: its chunks, each checked to its last byte."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np

from bci.recording.xdf import (
    BOUNDARY,
    BOUNDARY_UUID,
    CLOCK_OFFSET,
    FILE_HEADER,
    SAMPLES,
    STREAM_FOOTER,
    STREAM_HEADER,
)
from bci.types import Array

MAGIC = b"XDF:"
BEGIN = re.compile(rb"(?=(?:\x01.|\x04.{4}|\x08.{8})[\x01-\x06]\x00)", re.DOTALL)
SIZES = {"float32": 4, "double64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8}
WITH_STREAM = (STREAM_HEADER, SAMPLES, CLOCK_OFFSET, STREAM_FOOTER)
FARTHEST_S = 1e6  # from the other stamps of one chunk: nobody leaves a chunk open for eleven days


@dataclass(frozen=True)
class Salvage:
    """What of a file is whole.

    Attributes
    ----------
    data : bytes
        An XDF file of the whole chunks.
    lost : tuple of (int, int)
        First byte of each damaged part, and the first after it.
    """

    data: bytes
    lost: tuple[tuple[int, int], ...]

    @property
    def n_lost(self) -> int:
        """Bytes in damaged parts."""
        return sum(end - begin for begin, end in self.lost)


def salvage(data: bytes) -> Salvage:
    """Keep every chunk of an XDF file that is whole; look for the next one after what is not.

    Parameters
    ----------
    data : bytes
        Of the file, with its magic.
    """
    streams: dict[int, tuple[int, int]] = {}
    at, kept, lost = len(MAGIC), [], []
    while at < len(data):
        end = _end_of_chunk(data, at, streams)
        if end is None:
            begin, at = at, _next_chunk(data, at + 1, streams)
            lost.append((begin, at))
        else:
            kept.append((at, end))
            at = end
    if not lost:
        return Salvage(data, ())
    parts = [MAGIC, *(data[begin:end] for begin, end in kept)]
    return Salvage(b"".join(parts), tuple(lost))


def _next_chunk(data: bytes, at: int, streams: dict[int, tuple[int, int]]) -> int:
    for candidate in BEGIN.finditer(data, at):
        if _end_of_chunk(data, candidate.start(), streams) is not None:
            return candidate.start()
    return len(data)


def _end_of_chunk(data: bytes, at: int, streams: dict[int, tuple[int, int]]) -> int | None:
    """First byte after the chunk that begins here; None where none does, or it is damaged."""
    head = _integer(data, at)
    if head is None:
        return None
    length, body = head
    end = body + length
    if end > len(data) or length < 2:
        return None
    (tag,) = struct.unpack_from("<H", data, body)
    content = body + 2
    stream = -1
    if tag in WITH_STREAM:
        if length < 6:
            return None
        (stream,) = struct.unpack_from("<I", data, content)
        content += 4
    if tag == STREAM_HEADER:
        shape = _shape(data[content:end])
        if shape is None or stream in streams:
            return None
        streams[stream] = shape
        return end
    is_whole = {
        FILE_HEADER: lambda: _xml(data[content:end]) is not None,
        SAMPLES: lambda: stream in streams and _are_samples(data, content, end, *streams[stream]),
        CLOCK_OFFSET: lambda: end - content == 16 and bool(np.isfinite(np.frombuffer(data, "<f8", 2, content)).all()),
        BOUNDARY: lambda: data[content:end] == BOUNDARY_UUID or end - content == len(BOUNDARY_UUID),
        STREAM_FOOTER: lambda: stream in streams and _xml(data[content:end]) is not None,
    }
    return end if tag in is_whole and is_whole[tag]() else None


def _integer(data: bytes, at: int) -> tuple[int, int] | None:
    """An integer of 1, 4 or 8 bytes after its size, and where what follows begins."""
    size = data[at] if at < len(data) else 0
    if size not in (1, 4, 8) or at + 1 + size > len(data):
        return None
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def _xml(content: bytes) -> Any:
    try:
        return ElementTree.fromstring(content.decode("utf-8", "replace"))
    except (ElementTree.ParseError, ValueError):
        return None


def _shape(content: bytes) -> tuple[int, int] | None:
    """Channels of a stream and bytes of one value, 0 for text."""
    info = _xml(content)
    if info is None or info.find("name") is None:
        return None
    try:
        n_channels = int(info.findtext("channel_count") or "")
        rate_hz = float(info.findtext("nominal_srate") or "")
    except ValueError:
        return None
    kind = info.findtext("channel_format") or ""
    if n_channels < 1 or not 0 <= rate_hz < np.inf or kind not in (*SIZES, "string"):
        return None
    return n_channels, SIZES.get(kind, 0)


def _are_samples(data: bytes, at: int, end: int, n_channels: int, size: int) -> bool:
    """Whether samples fill their chunk to its last byte, with stamps that can be."""
    head = _integer(data, at)
    if head is None:
        return False
    n_samples, at = head
    if size == 0:
        return _are_texts(data, at, end, n_samples, n_channels)
    row = n_channels * size
    if n_samples * (1 + row) > end - at:
        return False
    if end - at == n_samples * (9 + row):
        layout = np.dtype([("size", "u1"), ("stamp", "<f8"), ("values", f"V{row}")])
        rows = np.frombuffer(data, layout, n_samples, at)
        if np.all(rows["size"] == 8):
            return _can_be(rows["stamp"])
    stamps: list[float] = []
    for _ in range(n_samples):
        if at >= end or data[at] not in (0, 8):
            return False
        if data[at] == 8 and at + 9 <= end:
            stamps += struct.unpack_from("<d", data, at + 1)
        at += 1 + data[at] + row
    return at == end and _can_be(np.array(stamps))


def _are_texts(data: bytes, at: int, end: int, n_samples: int, n_channels: int) -> bool:
    stamps: list[float] = []
    for _ in range(n_samples):
        if at >= end or data[at] not in (0, 8):
            return False
        if data[at] == 8 and at + 9 <= end:
            stamps += struct.unpack_from("<d", data, at + 1)
        at += 1 + data[at]
        for _ in range(n_channels):
            head = _integer(data, at)
            if head is None or head[1] + head[0] > end:
                return False
            at = head[1] + head[0]
    return at == end and _can_be(np.array(stamps))


def _can_be(stamps_s: Array) -> bool:
    if not np.isfinite(stamps_s).all():
        return False
    return not len(stamps_s) or float(np.max(np.abs(stamps_s - np.median(stamps_s)))) < FARTHEST_S


def in_order(stamps_s: Array) -> Array:
    """Which samples to keep so that stamps never run backwards: the most that can be. Boolean, shape (n_samples,)."""
    keep = np.isfinite(stamps_s)
    if keep.all() and np.all(np.diff(stamps_s) >= 0):
        return keep
    order = np.flatnonzero(keep)
    values = stamps_s[order]
    ends: list[float] = []  # the smallest stamp that ends a run of each length
    last: list[int] = []
    before = np.full(len(order), -1)
    for i, value in enumerate(values.tolist()):
        at = bisect_right(ends, value) if ends and value < ends[-1] else len(ends)
        if at == len(ends):
            ends.append(value)
            last.append(i)
        else:
            ends[at], last[at] = value, i
        before[i] = last[at - 1] if at else -1
    chosen = np.zeros(len(order), dtype=bool)
    i = last[-1] if last else -1
    while i >= 0:
        chosen[i] = True
        i = int(before[i])
    keep[order[~chosen]] = False
    return keep
