"""The fault log: one JSON line per transition, each bound to the one before by a hash, never in the guardian's way.

A line holds its number, the hash of the line before (`prev`) and its own `hash` = SHA-256(prev + body). Changing,
removing or reordering lines breaks the chain; `verify` tells where. No neural data is in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from drivers.guardian.machine import Entry

FIRST = "0" * 64
LARGEST_BYTES = 10_000_000
N_FILES = 10
CLOSE_S = 1.0


class FaultLog:
    """Appends to a chain of at most ten files of 10 MB; what cannot be written is counted, never waited for.

    Parameters
    ----------
    path : Path
        The newest file; older ones are called ``.1`` to ``.9``.
    largest_bytes : int
        When the next file begins.

    Attributes
    ----------
    n_dropped : int
        Records that could not be written; the next one that can tells of them.
    """

    def __init__(self, path: Path, largest_bytes: int = LARGEST_BYTES) -> None:
        self.path = path
        self.n_dropped = 0
        self._largest_bytes = largest_bytes
        self._file = -1
        self._size = 0
        self._number, self._previous = _last_of(path)
        self._syncs: SimpleQueue[int | None] = SimpleQueue()
        self._syncer = threading.Thread(target=self._sync, daemon=True)
        self._syncer.start()

    def write(self, record: dict[str, Any], is_urgent: bool) -> None:
        """Append one record; an urgent one is brought to the disk at once, by a thread of its own."""
        body = {"n": self._number + 1, **record}
        if self.n_dropped:
            body["n_dropped"] = self.n_dropped
        text = json.dumps(body)
        digest = chain(self._previous, text)
        line = f'{text[:-1]}, "prev": "{self._previous}", "hash": "{digest}"}}\n'.encode()
        try:
            self._append(line)
        except OSError:
            self.n_dropped += 1
            return
        self._number, self._previous, self.n_dropped = self._number + 1, digest, 0
        if is_urgent:
            self._syncs.put(self._file)

    def close(self) -> None:
        """Bring everything to the disk, waiting a second at most."""
        if self._file >= 0:
            self._syncs.put(self._file)
        self._syncs.put(None)
        self._syncer.join(CLOSE_S)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        if self._file >= 0 and self._size + len(line) > self._largest_bytes:
            self._rotate()
        if self._file < 0:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._size = os.fstat(self._file).st_size
            if self._size and not _ends_whole(self.path):
                line = b"\n" + line  # what was torn by a loss of power stays visible as a line of its own
        n = os.write(self._file, line)
        if n < len(line):  # the disk is full: leave no half line behind
            os.ftruncate(self._file, self._size)
            raise OSError("no space")
        self._size += n

    def _rotate(self) -> None:
        os.close(self._file)
        self._file = -1
        for i in range(N_FILES - 1, 0, -1):
            older = self.path if i == 1 else _numbered(self.path, i - 1)
            if older.exists():
                older.replace(_numbered(self.path, i))

    def _sync(self) -> None:
        while (file := self._syncs.get()) is not None:
            with contextlib.suppress(OSError):  # it may have been closed by a rotation
                os.fsync(file)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many records are bound together, and the first place where they are not."""

    n_records: int
    problem: str = ""


def verify(path: Path) -> Verdict:
    """Check a fault log and the older files beside it, oldest first.

    A line that is no JSON (torn by a loss of power) is told of only when what follows does not go on from before it.
    """
    previous, number, n_records = "", 0, 0
    for file in [*(_numbered(path, i) for i in range(N_FILES - 1, 0, -1)), path]:
        if not file.exists():
            continue
        for i, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            record = _parse(line)
            if record is None:
                continue
            where = f"{file.name}, line {i}"
            body, prev, digest = record
            if chain(prev, json.dumps(body)) != digest:
                return Verdict(n_records, f"{where}: the record was changed")
            if previous and (prev != previous or body["n"] != number + 1):
                return Verdict(n_records, f"{where}: records before it are missing or in another order")
            previous, number, n_records = digest, body["n"], n_records + 1
    if n_records == 0:
        return Verdict(0, f"{path.name}: no record")
    return Verdict(n_records)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of one file, without their hashes."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [record[0] for record in map(_parse, lines) if record is not None]


def chain(previous: str, text: str) -> str:
    """Hash of a record, given the hash of the one before and its own JSON."""
    return hashlib.sha256((previous + text).encode()).hexdigest()


def _parse(line: str) -> tuple[dict[str, Any], str, str] | None:
    try:
        fields = json.loads(line)
        return fields, str(fields.pop("prev")), str(fields.pop("hash"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _last_of(path: Path) -> tuple[int, str]:
    """Number and hash of the last whole record, to go on from."""
    for file in (path, _numbered(path, 1)):
        try:
            with file.open("rb") as opened:
                opened.seek(max(0, file.stat().st_size - 65536))
                lines = opened.read().decode(errors="replace").splitlines()
        except OSError:
            continue
        for line in reversed(lines):
            record = _parse(line)
            if record is not None:
                return int(record[0].get("n", 0)), record[2]
    return 0, FIRST


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _numbered(path: Path, i: int) -> Path:
    return path.with_name(f"{path.name}.{i}")


def transition(
    entry: Entry, now_s: float, command: list[float], position: list[float], n_bad_replies: int
) -> dict[str, Any]:
    """What is kept of a transition: when, from what to what, by whom and why, and where every axis was."""
    return {
        "utc": utc(),
        "monotonic_s": round(now_s, 4),
        "from": entry.before,
        "to": entry.state,
        "role": entry.role,
        "reason": entry.reason,
        "command": command,
        "position": position,
        "n_bad_replies": n_bad_replies,
    }


def utc() -> str:
    """Date and time, as people write them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
