"""Publishing: one LSL outlet with everything that a reader needs to know about its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pylsl

from bci import __version__

MANUFACTURER = "bci-decoder"


def open_outlet(
    name: str,
    type: str,
    labels: Sequence[str],
    units: Sequence[str],
    source_id: str,
    *,
    rate_hz: float = 0.0,
    description: Mapping[str, str] | None = None,
) -> Any:
    """Open an outlet of float64 samples with labelled channels.

    Parameters
    ----------
    name, type, source_id : str
        How readers find it; the source id must be unique.
    labels, units : sequence of str
        One per channel.
    rate_hz : float
        Nominal rate; 0 for irregular.
    description : mapping, optional
        Further entries of the stream's description, for example ``profile_hash``.
    """
    info = pylsl.StreamInfo(name, type, len(labels), rate_hz, pylsl.cf_double64, source_id)
    info.set_channel_labels(list(labels))
    info.set_channel_units(list(units))
    info.set_channel_types([type] * len(labels))
    _describe(info, description)
    return pylsl.StreamOutlet(info)


def open_marker_outlet(name: str, source_id: str, description: Mapping[str, str] | None = None) -> Any:
    """Open an outlet of text markers."""
    info = pylsl.StreamInfo(name, "Markers", 1, 0.0, pylsl.cf_string, source_id)
    _describe(info, description)
    return pylsl.StreamOutlet(info)


def _describe(info: Any, description: Mapping[str, str] | None) -> None:
    entries = {"manufacturer": MANUFACTURER, "version": __version__, **(description or {})}
    for key, value in entries.items():
        info.desc().append_child_value(key, value)
