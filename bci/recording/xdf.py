"""Writing XDF 1.0: the format that LabRecorder, MNELAB and pyxdf read.

Chunks are ``[length size u8][length][tag u16][stream id u32, where due][content]``; the length counts tag and id.
Stamps are the source's own, as they came: readers synchronise the clocks with the recorded offsets.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xml.sax.saxutils import escape

import numpy as np

from bci.types import Array

FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = range(1, 7)
BOUNDARY_UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
BOUNDARY_EVERY_S = 10.0


class _Stream:
    """What the footer will say."""

    def __init__(self, dtype: np.dtype[Any] | None) -> None:
        self.dtype = dtype
        self.n_samples = 0
        self.first_s = 0.0
        self.last_s = 0.0
        self.offsets: list[tuple[float, float]] = []


class XdfWriter:
    """One XDF file, as a context; closing writes footers and a SHA-256 sidecar.

    At each boundary (every 10 s) the file is forced to the disk: after a crash everything up to there is whole.

    Parameters
    ----------
    path : Path
        Must not exist.

    Raises
    ------
    FileExistsError
        A recording is never overwritten.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("xb")
        self._digest = hashlib.sha256()
        self._streams: dict[int, _Stream] = {}
        self._boundary_s = time.monotonic()
        self._write(b"XDF:")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._chunk(FILE_HEADER, _xml("info", {"version": "1.0", "datetime": stamp}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add_stream(self, stream_id: int, header_xml: str, dtype: np.dtype[Any] | None) -> None:
        """Begin a stream.

        Parameters
        ----------
        stream_id : int
            Any number not used before in this file.
        header_xml : str
            The stream's full description as LSL gives it.
        dtype : numpy.dtype or None
            Of its values; None for text.
        """
        self._streams[stream_id] = _Stream(None if dtype is None else dtype.newbyteorder("<"))
        self._chunk(STREAM_HEADER, header_xml.encode(), stream_id)

    def write_samples(self, stream_id: int, values: Any, stamps_s: Array) -> None:
        """Append samples.

        Parameters
        ----------
        stream_id : int
            Of a stream that was added.
        values : array or list of list of str
            Shape (n_samples, n_channels).
        stamps_s : Array
            Shape (n_samples,), in the source's clock.
        """
        if len(stamps_s) == 0:
            return
        stream = self._streams[stream_id]
        if stream.dtype is None:
            content = b"".join(_text_sample(*pair) for pair in zip(stamps_s, values, strict=True))
        else:
            content = _numeric_samples(np.asarray(values), np.asarray(stamps_s), stream.dtype)
        self._chunk(SAMPLES, b"\x04" + struct.pack("<I", len(stamps_s)) + content, stream_id)
        stream.first_s = stream.first_s if stream.n_samples else float(stamps_s[0])
        stream.last_s = float(stamps_s[-1])
        stream.n_samples += len(stamps_s)
        if time.monotonic() - self._boundary_s >= BOUNDARY_EVERY_S:
            self.mark_boundary()

    def write_clock_offset(self, stream_id: int, collected_s: float, offset_s: float) -> None:
        """Append a clock measurement: when it was made, in the source's clock, and what to add to get local time."""
        self._streams[stream_id].offsets.append((collected_s, offset_s))
        self._chunk(CLOCK_OFFSET, struct.pack("<dd", collected_s, offset_s), stream_id)

    def mark_boundary(self) -> None:
        """Write a boundary, from which readers find their way after damage, and force everything to the disk."""
        self._chunk(BOUNDARY, BOUNDARY_UUID)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._boundary_s = time.monotonic()

    def close(self) -> None:
        """Write the footers and the sidecar; a second call does nothing."""
        if self._file.closed:
            return
        for stream_id, stream in self._streams.items():
            self._chunk(STREAM_FOOTER, _footer(stream), stream_id)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sidecar = self.path.with_suffix(self.path.suffix + ".sha256")
        sidecar.write_text(f"{self._digest.hexdigest()}  {self.path.name}\n", encoding="ascii")

    def _chunk(self, tag: int, content: bytes, stream_id: int | None = None) -> None:
        body = struct.pack("<H", tag) + (b"" if stream_id is None else struct.pack("<I", stream_id)) + content
        size = (b"\x01" + struct.pack("<B", len(body))) if len(body) < 256 else (b"\x04" + struct.pack("<I", len(body)))
        self._write(size + body)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def _numeric_samples(values: Array, stamps_s: Array, dtype: np.dtype[Any]) -> bytes:
    layout = np.dtype([("size", "u1"), ("stamp", "<f8"), ("values", dtype, (values.shape[1],))])
    rows = np.empty(len(stamps_s), dtype=layout)
    rows["size"] = 8
    rows["stamp"] = stamps_s
    rows["values"] = values
    return rows.tobytes()


def _text_sample(stamp_s: float, values: list[str]) -> bytes:
    parts = [b"\x08", struct.pack("<d", stamp_s)]
    for value in values:
        text = value.encode()
        parts += [b"\x04", struct.pack("<I", len(text)), text]
    return b"".join(parts)


def _footer(stream: _Stream) -> bytes:
    fields = {
        "first_timestamp": repr(stream.first_s),
        "last_timestamp": repr(stream.last_s),
        "sample_count": str(stream.n_samples),
    }
    offsets = "".join(
        f"<offset><time>{collected_s!r}</time><value>{offset_s!r}</value></offset>"
        for collected_s, offset_s in stream.offsets
    )
    return _xml("info", fields, f"<clock_offsets>{offsets}</clock_offsets>")


def _xml(tag: str, fields: dict[str, str], inner: str = "") -> bytes:
    body = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0"?><{tag}>{body}{inner}</{tag}>'.encode()
