"""Whether a signal is the one that a profile describes: one check, for a stream that is live and for one in a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bci.errors import RecordingError
from bci.profile import Stream
from bci.types import Array, Signal

RATE_TOLERANCE = 1e-3  # of the declared rate
MEASURED_TOLERANCE = 0.05  # of the rate at which samples really come: more is another rate, less a clock or loss
LEAST_STAMPS = 50  # that tell a rate


def check_signal(stream: Stream, signal: Signal) -> tuple[tuple[str, ...], list[str]]:
    """Compare a signal with what a profile's stream must be.

    Parameters
    ----------
    stream : Stream
        What the profile describes.
    signal : Signal
        What is there; of its values only the stamps are looked at, where there are any.

    Returns
    -------
    labels : tuple of str
        Channels to use, in the profile's order.
    problems : list of str
        Everything that differs: name, type, number of channels, rate, labels, units. Empty: it fits.
    """
    labels = signal.labels
    problems = []
    if signal.is_named and signal.name != stream.name:
        problems.append(f"its name is '{signal.name}', the profile expects '{stream.name}'")
    if signal.is_named and stream.type and signal.type != stream.type:
        problems.append(f"its type is '{signal.type}', the profile expects '{stream.type}'")
    if len(labels) + signal.n_set_aside != stream.n_channels and not (signal.n_set_aside and stream.channels):
        problems.append(f"it has {len(labels)} channels, the profile expects {stream.n_channels}")
    if abs(signal.rate_hz - stream.rate_hz) > RATE_TOLERANCE * stream.rate_hz:
        problems.append(f"its rate is {signal.rate_hz:g} Hz, the profile expects {stream.rate_hz:g} Hz")
    measured_hz = measure_rate(signal.stamps_s)
    if abs(measured_hz - signal.rate_hz) > MEASURED_TOLERANCE * signal.rate_hz:
        problems.append(f"its samples come at {measured_hz:.1f} Hz, declared are {signal.rate_hz:g} Hz")
    problems += filter(None, [repeated(labels)])
    absent = [label for label in stream.channels if label not in labels]
    if absent:
        problems.append(f"it has no channels {', '.join(absent)}; it has {', '.join(labels)}")
    chosen = labels if not stream.channels or absent else stream.channels
    units = dict(zip(labels, signal.units or (signal.unit,) * len(labels), strict=False))
    wrong = sorted({units.get(label) or "no unit" for label in chosen} - {stream.unit})
    if stream.unit and wrong:
        problems.append(f"its unit is {', '.join(wrong)}, the profile expects {stream.unit}")
    return chosen, problems


def pick_channels(signal: Signal, labels: Sequence[str]) -> Signal:
    """The signal's channels of these labels, in this order.

    Raises
    ------
    RecordingError
        When it has not all of them, or one more than once.
    """
    if tuple(labels) == signal.labels:
        return signal
    absent = [label for label in labels if label not in signal.labels]
    if absent:
        raise RecordingError(
            f"Stream '{signal.name}' has no channels {', '.join(absent)}; it has {', '.join(signal.labels)}.",
            "Choose a recording of the same channels.",
        )
    columns = [signal.labels.index(label) for label in labels]
    samples = np.ascontiguousarray(signal.samples[:, columns], dtype=np.float64)
    units = tuple(signal.units[column] for column in columns) if signal.units else ()
    return dataclasses.replace(signal, labels=tuple(labels), samples=samples, units=units)


def measure_rate(stamps_s: Array) -> float:
    """Rate at which samples come between gaps, in Hz; NaN where too few stamps tell."""
    if len(stamps_s) < LEAST_STAMPS:
        return np.nan
    period_s = float(np.median(np.diff(stamps_s)))
    return 1.0 / period_s if period_s > 0 else np.nan


def labels_of(given: Sequence[str | None], n_channels: int) -> tuple[tuple[str, ...], str]:
    """Labels of a stream's channels, and what to say where its description names other than those that it has.

    Parameters
    ----------
    given : sequence of str or None
        As the description names them.
    n_channels : int
        That each sample has.
    """
    numbers = numbered(n_channels)
    if not any(given):
        return numbers, ""
    if len(given) != n_channels:
        return (
            numbers,
            f"it has {n_channels} channels and describes {len(given)}: its labels are not used",
        )
    return tuple(label or number for label, number in zip(given, numbers, strict=True)), ""


def numbered(n: int) -> tuple[str, ...]:
    """Labels of channels that have no other."""
    return tuple(f"ch{i + 1}" for i in range(n))


def repeated(labels: Sequence[str]) -> str:
    """What to say of labels that stand for several channels; empty where none does."""
    twice = sorted({label for label in labels if labels.count(label) > 1})
    return f"channel labels repeat: {', '.join(twice)}" if twice else ""
