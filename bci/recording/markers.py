"""Markers of a recording: text or numbers, one channel or several, plain or as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from bci.errors import RecordingError
from bci.profile import Profile, Stream

Markers = tuple[tuple[float, str], ...]


def as_text(value: Any) -> str:
    """A marker's value as the profile writes it: 3 and 3.0 are "3"."""
    if isinstance(value, str):
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:g}"


def words_of(profile: Profile | None) -> frozenset[str]:
    """Markers that mean something to a profile."""
    return frozenset() if profile is None else frozenset({*profile.training.cues, *profile.training.states})


def read_markers(
    stamps_s: Sequence[float],
    rows: Sequence[Sequence[Any]],
    labels: Sequence[str],
    wanted: Stream | None,
    words: Collection[str],
) -> Markers:
    """Find the markers in the samples of a marker stream.

    Parameters
    ----------
    stamps_s : sequence of float
        When.
    rows : sequence of sequence
        Values of each sample, one per channel.
    labels : sequence of str
        Of the channels.
    wanted : Stream or None
        Which channel and which key to take; where it says neither, the only one that holds some of the words is taken,
        and else the values of all channels, joined.
    words : collection of str
        Markers that mean something.

    Raises
    ------
    RecordingError
        When the channel is absent, or when several channels or keys hold such words.
    """
    texts = [[as_text(value) for value in row] for row in rows]
    column = _column(texts, labels, wanted, words)
    chosen = [", ".join(row) if column is None else row[column] for row in texts]
    payloads = [_object(text) for text in chosen]
    key = _key(payloads, chosen, wanted, words)
    if key:
        chosen = [_under(payload, key) for payload in payloads]
    return tuple((float(stamp_s), text) for stamp_s, text in zip(stamps_s, chosen, strict=True) if text or not key)


def _column(texts: list[list[str]], labels: Sequence[str], wanted: Stream | None, words: Collection[str]) -> int | None:
    name = "" if wanted is None else wanted.marker_channel
    if name:
        if name in labels:
            return list(labels).index(name)
        if name.isdecimal() and 1 <= int(name) <= len(labels):
            return int(name) - 1
        raise RecordingError(
            f"The marker stream has no channel '{name}'; it has {', '.join(labels)}.",
            "Correct stream.marker_channel in the profile.",
        )
    if len(labels) == 1:
        return 0
    holding = [i for i in range(len(labels)) if any(_tells(row[i], words) for row in texts)]
    if len(holding) > 1:
        raise RecordingError(
            f"Cues are in several channels of the marker stream: {', '.join(labels[i] for i in holding)}.",
            "Name one by stream.marker_channel in the profile.",
        )
    return holding[0] if holding else None


def _key(payloads: list[Any], texts: list[str], wanted: Stream | None, words: Collection[str]) -> str:
    if wanted is not None and wanted.marker_key:
        return wanted.marker_key
    if any(text in words for text in texts):
        return ""
    keys = sorted({key for payload in payloads if payload for key, value in payload.items() if _is_word(value, words)})
    if len(keys) > 1:
        raise RecordingError(
            f"Cues are under several keys of the markers: {', '.join(keys)}.",
            "Name one by stream.marker_key in the profile.",
        )
    return keys[0] if keys else ""


def _tells(text: str, words: Collection[str]) -> bool:
    payload = _object(text)
    return text in words or (payload is not None and any(_is_word(value, words) for value in payload.values()))


def _is_word(value: Any, words: Collection[str]) -> bool:
    return isinstance(value, str | int | float) and as_text(value) in words


def _under(payload: dict[str, Any] | None, key: str) -> str:
    value = None if payload is None else payload.get(key)
    return as_text(value) if isinstance(value, str | int | float) else ""


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
