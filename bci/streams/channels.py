"""The channels of a stream: as many as it sends, with labels only where its description can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pylsl

from bci import montage
from bci.errors import StreamError
from bci.profile import Stream
from bci.types import Signal

BY_NUMBER = 'name the channels by number in the profile: channels = ["ch1", "ch2", …]'


def labels_of(info: Any) -> tuple[str, ...]:
    """One label per channel that the stream sends; ``ch1`` and so on where the description does not fit it.

    Parameters
    ----------
    info : pylsl.StreamInfo
        With its description, as an open inlet gives it.
    """
    return montage.labels_of(_described(info, "label"), info.channel_count())[0]


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
    n = info.channel_count()
    given, units = _described(info, "label"), _described(info, "unit")
    labels, problem = montage.labels_of(given, n)
    if problem:
        problem = f"its description labels {len(given)} channels and it sends {n}: which is which cannot be known"
    numbered = montage.numbered(n)
    problem = problem or montage.repeated(labels)
    is_by_number = bool(stream.channels) and set(stream.channels) <= set(numbered)
    if problem and is_by_number:
        labels, problem = numbered, ""
    nothing = np.empty(0)
    signal = Signal(
        name=info.name(),
        type=info.type(),
        unit=units[0] if len(set(units)) == 1 else "",
        labels=labels,
        rate_hz=info.nominal_srate() or stream.rate_hz,  # 0: not declared; what comes is measured against the profile
        samples=nothing,
        stamps_s=nothing,
        units=tuple(units) if len(units) == n else (),
    )
    chosen, problems = montage.check_signal(stream, signal)
    if problem and problem not in problems:
        problems.append(problem)
    if info.channel_format() == pylsl.cf_string:
        problems.insert(0, "it carries text, not numbers")
    if problems:
        raise StreamError(
            f"Stream '{info.name()}' is not what the profile describes: {'; '.join(problems)}.",
            f"Correct the labels at the source, or {BY_NUMBER}." if problems == [problem] else
            "Correct [stream] in the profile, or the settings of the source.",
        )  # fmt: skip
    columns = [labels.index(label) for label in chosen] if stream.channels else None
    return columns, chosen


def _described(info: Any, field: str) -> list[str]:
    """One value per channel of the description, empty where it has none; nothing when no channel is described."""
    values = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        values.append(channel.child_value(field).strip())
        channel = channel.next_sibling("channel")
    return values if any(values) or field != "label" else []
