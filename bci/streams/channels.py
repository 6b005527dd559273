"""The channels of a stream: as many as it sends, with labels only where its description can be believed."""

from __future__ import annotations

from typing import Any

import pylsl

from bci.errors import StreamError
from bci.profile import Stream

BY_NUMBER = 'name the channels by number in the profile: channels = ["ch1", "ch2", …]'


def labels_of(info: Any) -> tuple[str, ...]:
    """One label per channel that the stream sends; ``ch1`` and so on where the description does not fit it.

    Parameters
    ----------
    info : pylsl.StreamInfo
        With its description, as an open inlet gives it.
    """
    given = _described(info, "label")
    numbered = _numbered(info.channel_count())
    if len(given) != len(numbered):
        return numbered
    return tuple(label or number for label, number in zip(given, numbered, strict=True))


def check_channels(stream: Stream, info: Any) -> tuple[list[int] | None, tuple[str, ...]]:
    """Compare a stream with what the profile expects; return the columns to use (None: all) and their labels.

    The number of channels is that of the stream, whatever its description says. A description that has more or fewer
    labels, or twice the same, identifies no channel: such a stream is read only when the profile wants its channels by
    number.

    Raises
    ------
    StreamError
        Naming everything that differs: format, channel count, rate, labels, units.
    """
    problems = []
    n = info.channel_count()
    if info.channel_format() == pylsl.cf_string:
        problems.append("it carries text, not numbers")
    if n != stream.n_channels:
        problems.append(f"it has {n} channels, the profile expects {stream.n_channels}")
    rate_hz = info.nominal_srate()  # 0: not declared; what comes is measured against the profile
    if rate_hz and not abs(rate_hz - stream.rate_hz) <= 1e-3 * stream.rate_hz:
        problems.append(f"its rate is {rate_hz:g} Hz, the profile expects {stream.rate_hz:g} Hz")
    labels, is_by_number = labels_of(info), bool(stream.channels) and set(stream.channels) <= set(_numbered(n))
    unclear = _label_problem(n, len(_described(info, "label")), labels)
    if unclear and is_by_number:
        labels = _numbered(n)
    elif unclear:
        problems.append(unclear)
    absent = [label for label in stream.channels if label not in labels]
    if absent:
        problems.append(f"it has no channels {', '.join(absent)}; it has {', '.join(labels)}")
    chosen = labels if not stream.channels or absent else stream.channels
    columns = [labels.index(label) for label in chosen]
    problems += _unit_problems(stream, columns, _described(info, "unit"), n)
    if problems:
        raise StreamError(
            f"Stream '{info.name()}' is not what the profile describes: {'; '.join(problems)}.",
            f"Correct the labels at the source, or {BY_NUMBER}." if problems == [unclear] else
            "Correct [stream] in the profile, or the settings of the source.",
        )  # fmt: skip
    return (columns if stream.channels else None), chosen


def _label_problem(n: int, n_described: int, labels: tuple[str, ...]) -> str:
    if n_described not in (0, n):
        return f"its description labels {n_described} channels and it sends {n}: which is which cannot be known"
    twice = sorted({label for label in labels if labels.count(label) > 1})
    return f"channel labels repeat: {', '.join(twice)}" if twice else ""


def _unit_problems(stream: Stream, columns: list[int], units: list[str], n: int) -> list[str]:
    used = [units[i] for i in columns] if len(units) == n else units or [""]
    wrong = {unit or "no unit" for unit in used} - {stream.unit}
    if not stream.unit or not wrong:
        return []
    return [f"its unit is {', '.join(sorted(wrong))}, the profile expects {stream.unit}"]


def _described(info: Any, field: str) -> list[str]:
    """One value per channel of the description, empty where it has none; nothing when no channel is described."""
    values = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        values.append(channel.child_value(field).strip())
        channel = channel.next_sibling("channel")
    return values if any(values) or field != "label" else []


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(f"ch{i + 1}" for i in range(n))
