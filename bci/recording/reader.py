"""Reading recordings: MATLAB files of known layouts, XDF, EDF."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.recording.matlab import read_matlab
from bci.types import Recording, Signal


def read_recording(path: Path, stream: str = "", extras: Sequence[str] = ()) -> Recording:
    """Read a recording.

    Parameters
    ----------
    path : Path
        A file ending in .mat, .xdf or .edf.
    stream : str
        Name or type of the stream to decode, where an XDF file holds several.
    extras : sequence of str
        Names of further streams to read; XDF only.

    Raises
    ------
    RecordingError
        When the file is missing, empty, truncated, of an unknown layout, or ambiguous.
    """
    readers: dict[str, Callable[[Path, str], Recording]] = {
        ".mat": lambda path, stream: read_matlab(path),
        ".xdf": lambda path, stream: _read_xdf(path, stream, extras),
        ".edf": _read_edf,
    }
    if path.suffix.lower() not in readers:
        raise RecordingError(
            f"{path} is of no known kind ('{path.suffix}').", f"Known kinds are {', '.join(sorted(readers))}."
        )
    if not path.is_file():
        raise RecordingError(f"Recording {path} does not exist.", "Check the path.")
    if path.stat().st_size == 0:
        raise RecordingError(f"Recording {path} is empty.", "Record again, or choose another file.")
    if extras and path.suffix.lower() != ".xdf":
        raise RecordingError(f"{path} holds one stream, and {', '.join(extras)} is wanted too.", "Choose an XDF file.")
    try:
        recording = readers[path.suffix.lower()](path, stream)
    except RecordingError:
        raise
    except Exception as error:  # three libraries, each with its own ways to say that a file is damaged
        raise RecordingError(
            f"Recording {path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}.",
            "It may be truncated; copy it again from its source.",
        ) from error
    if len(recording.signal.samples) < 2:
        raise RecordingError(f"Stream '{recording.signal.name}' in {path} holds no samples.", "Choose another stream.")
    return recording


def _read_xdf(path: Path, stream: str, extras: Sequence[str]) -> Recording:
    try:
        import pyxdf
    except ImportError as error:
        raise RecordingError(f"{path} is XDF, and pyxdf is not installed.", "pip install 'bci-decoder[io]'.") from error
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    streams, _ = pyxdf.load_xdf(path)
    if not streams:
        raise RecordingError(f"{path} holds no stream.", "Choose another file.")
    regular = [s for s in streams if _is_regular(s)]
    chosen = _choose([s for s in regular if s["info"]["name"][0] not in extras], path, stream)
    texts = [s for s in streams if s["info"]["channel_format"][0] == "string" and len(s["time_stamps"])]
    markers = sorted(
        (float(t), str(v[0])) for s in texts for t, v in zip(s["time_stamps"], s["time_series"], strict=True)
    )
    return Recording(
        signal=_xdf_signal(chosen),
        markers=tuple(markers),
        marker_name=texts[0]["info"]["name"][0] if texts else "",
        extras=tuple(_xdf_signal(_choose(regular, path, name)) for name in extras),
    )


def _xdf_signal(stream: Any) -> Signal:
    info = stream["info"]
    n_channels = int(info["channel_count"][0])
    channels = _channel_fields(info)
    labels = tuple(c.get("label", [""])[0] or f"ch{i + 1}" for i, c in enumerate(channels)) or tuple(
        f"ch{i + 1}" for i in range(n_channels)
    )
    units = {(c.get("unit", [""])[0] or "") for c in channels}
    return Signal(
        name=info["name"][0],
        type=info["type"][0] or "",
        unit=units.pop() if len(units) == 1 else "",
        labels=labels,
        rate_hz=float(info["nominal_srate"][0]),
        samples=np.asarray(stream["time_series"], dtype=np.float64),
        stamps_s=np.asarray(stream["time_stamps"], dtype=np.float64),
    )


def _is_regular(stream: Any) -> bool:
    info = stream["info"]
    return info["channel_format"][0] != "string" and float(info["nominal_srate"][0]) > 0


def _channel_fields(info: Any) -> list[Any]:
    try:
        return list(info["desc"][0]["channels"][0]["channel"])
    except (KeyError, IndexError, TypeError):
        return []


def _choose(streams: list[Any], path: Path, name: str) -> Any:
    """Pick the stream to decode: the named one, or the only one that is a source and has samples."""
    known = [(s["info"]["name"][0], s["info"]["type"][0] or "", len(s["time_stamps"])) for s in streams]
    names = ", ".join(f"'{title}' of type '{kind}' ({n} samples)" for title, kind, n in known) or "none"
    if name:
        fitting = [s for s, (title, kind, _) in zip(streams, known, strict=True) if name in (title, kind)]
    else:
        fitting = [s for s in streams if len(s["time_stamps"]) and not s["info"]["name"][0].startswith("bci.")]
    if len(fitting) == 1:
        return fitting[0]
    what = f"{len(fitting)} regular streams {f'called {name!r}' if name else 'with samples'}"
    raise RecordingError(
        f"{path} has {what}; its regular streams: {names}.", "Choose one by name or type with --stream."
    )


def _read_edf(path: Path, stream: str) -> Recording:
    import mne

    raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    montage = mne.channels.make_standard_montage("colin27_1005").ch_names
    standard = {name.lower(): name for name in montage}
    labels = tuple(standard.get(name.strip(". ").lower(), name.strip(". ")) for name in raw.ch_names)
    signal = Signal(
        name="EEG",
        type="EEG",
        unit="microvolts",
        labels=labels,
        rate_hz=float(raw.info["sfreq"]),
        samples=np.ascontiguousarray(raw.get_data().T) * 1e6,
        stamps_s=np.asarray(raw.times, dtype=np.float64),
    )
    notes = zip(raw.annotations.onset, raw.annotations.description, strict=True)
    markers = tuple((float(onset), str(text)) for onset, text in notes)
    return Recording(signal, None, markers, "EEG-markers" if markers else "")
