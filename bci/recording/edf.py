"""EDF and BDF, with annotations, pauses (EDF+D) and channels of several rates.

Kemp & Olivan (2003), Clin Neurophysiol 114:1755. MNE interpolates channels of a lower rate and passes over pauses, so
that cues fall on the wrong samples.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bci.errors import RecordingError
from bci.profile import Stream
from bci.recording.labels import standard_labels
from bci.types import Array, Recording, Signal

NOTES = ("EDF Annotations", "BDF Annotations")
TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15\d*(?:\.\d*)?)?\x14(.*?)\x14?\x00", re.DOTALL)
TO_MICROVOLTS = {"uv": 1.0, "µv": 1.0, "μv": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3}
TRIGGER_BITS = 0xFFFF  # of BioSemi's status channel


@dataclass(frozen=True)
class Header:
    """Of an EDF or BDF file: labels, units, scale and samples per record of each channel, and the shape of records."""

    labels: list[str]
    units: list[str]
    gain: Array
    offset: Array
    n_samples: list[int]
    record_s: float
    begin: int
    width: int
    is_paused: bool
    n_records: int


def read_edf(path: Path, wanted: Stream | None) -> Recording:
    """Read an EDF or BDF file.

    Parameters
    ----------
    path : Path
        The file.
    wanted : Stream or None
        Tells which channels are meant where their rates differ; without it most channels win.

    Raises
    ------
    RecordingError
        When it is no such file, or damaged.
    """
    data = path.read_bytes()
    header = _read_header(path, data)
    size = header.width * sum(header.n_samples)
    n_whole = (len(data) - header.begin) // size
    if n_whole < 1:
        raise RecordingError(f"{path} holds no whole data record.", "Copy it again from its source.")
    notes = []
    if n_whole < header.n_records or (header.n_records == -1 and (len(data) - header.begin) % size):
        announced = max(header.n_records, n_whole)
        notes.append(
            f"The file ends early: {n_whole} of {announced} data records of {header.record_s:g} s were read, "
            f"{announced - n_whole} are lost."
        )
    is_damaged = bool(notes)
    records = np.frombuffer(data, "u1", n_whole * size, header.begin).reshape(n_whole, size)
    edges = header.width * np.concatenate(([0], np.cumsum(header.n_samples)))
    parts = {i: np.ascontiguousarray(records[:, edges[i] : edges[i + 1]]) for i in range(len(header.labels))}
    told = [parts[i] for i, x in enumerate(header.labels) if x in NOTES]
    onsets_s, markers, more = _read_notes(told, header, n_whole)
    notes += more
    status = [i for i, x in enumerate(header.labels) if header.width == 3 and x == "Status"]
    chosen, rate_hz, more = _choose(header, wanted, {*status})
    notes += more
    columns = [_integers(parts[i], header.width) * header.gain[i] + header.offset[i] for i in chosen]
    n = header.n_samples[chosen[0]]
    stamps_s = (onsets_s[:, None] + np.arange(n) / rate_hz).ravel()
    markers += [m for i in status for m in _triggers(_integers(parts[i], 3), onsets_s, header.n_samples[i], header)]
    units = [header.units[i] for i in chosen]
    n_others = len([x for x in header.labels if x not in NOTES]) - len(status) - len(chosen)
    signal = Signal(
        name="EEG",
        type="EEG",
        unit=units[0] if len(set(units)) == 1 else "",
        labels=standard_labels([header.labels[i] for i in chosen]),
        rate_hz=rate_hz,
        samples=np.ascontiguousarray(np.column_stack(columns)),
        stamps_s=stamps_s,
        units=tuple(units) if len(set(units)) > 1 else (),
        is_named=False,
        n_set_aside=n_others,
    )
    marker_name = "EEG-markers" if markers else ""
    return Recording(signal, None, tuple(sorted(markers)), marker_name, notes=tuple(notes), is_damaged=is_damaged)


def _read_header(path: Path, data: bytes) -> Header:
    if data[:8] not in (b"0       ", b"\xffBIOSEMI"):
        what = "it is all zeros" if not any(data[:4096]) else "it does not begin as EDF or BDF do"
        raise RecordingError(f"{path} is no EDF or BDF file: {what}.", "Look for another copy of it.")
    width = 2 if data[:1] == b"0" else 3
    try:
        n = int(data[252:256])
        if n < 1 or len(data) < 256 * (n + 1):
            raise RecordingError(f"{path} ends within its header.", "Copy it again from its source.")
        text = data[256 : 256 * (n + 1)].decode("latin-1")
        places = np.cumsum([0, 16, 80, 8, 8, 8, 8, 8, 80, 8]) * n

        def fields(which: int, length: int) -> list[str]:
            return [text[places[which] + length * i : places[which] + length * (i + 1)].strip() for i in range(n)]

        units = fields(2, 8)
        low, high, lowest, highest = (np.array([float(x.replace(",", ".")) for x in fields(w, 8)]) for w in range(3, 7))
        n_samples = [int(x) for x in fields(8, 8)]
        begin, n_records, record_s = int(data[184:192]), int(data[236:244]), float(data[244:252])
    except ValueError as error:
        raise RecordingError(f"The header of {path} is damaged: {error}.", "Look for another copy of it.") from error
    is_possible = min(n_samples) >= 0 and sum(n_samples) > 0 and begin >= 256 * (n + 1) and 0 <= record_s < np.inf
    if not is_possible or not np.isfinite([low, high, lowest, highest]).all():
        raise RecordingError(f"The header of {path} is damaged: sizes cannot be so.", "Look for another copy of it.")
    span = np.where(highest == lowest, 1.0, highest - lowest)
    gain = np.where(high == low, 1.0, high - low) / span
    scale = np.array([TO_MICROVOLTS.get(unit.lower(), 1.0) for unit in units])
    offset = (low - lowest * gain) * scale
    units = ["microvolts" if unit.lower() in TO_MICROVOLTS else unit for unit in units]
    is_paused = data[192:197] in (b"EDF+D", b"BDF+D")
    labels = fields(0, 16)
    return Header(labels, units, gain * scale, offset, n_samples, record_s, begin, width, is_paused, n_records)


def _integers(part: Array, width: int) -> Array:
    """Samples of one channel, in order, from the bytes of each record."""
    if width == 2:
        values: Array = part.view("<i2").ravel()
        return values
    low, middle, high = (part.reshape(-1, 3)[:, i].astype(np.int32) for i in range(3))
    return (low | middle << 8 | high << 16) - ((high >= 128).astype(np.int32) << 24)


def _read_notes(parts: list[Array], header: Header, n_records: int) -> tuple[Array, list[tuple[float, str]], list[str]]:
    """When each record began, the annotations, and what to say about them."""
    markers: list[tuple[float, str]] = []
    told, is_latin = np.full(n_records, np.nan), False
    for channel, part in enumerate(parts):
        for i, record in enumerate(part):
            for k, (onset, rest) in enumerate(TAL.findall(record.tobytes())):
                for raw in rest.split(b"\x14"):
                    try:
                        text = raw.decode("utf-8")
                    except UnicodeDecodeError:
                        text, is_latin = raw.decode("latin-1"), True
                    if text:
                        markers.append((float(onset), text))
                if channel == 0 and k == 0:
                    told[i] = float(onset)
    notes = ["Annotations are not UTF-8, as EDF+ wants it, and were read as Latin-1."] if is_latin else []
    even = header.record_s * np.arange(n_records)
    if not parts or not header.is_paused:
        first_s = float(told[0]) if np.isfinite(told[0]) else 0.0
        return even, [(at_s - first_s, text) for at_s, text in markers], notes
    if not np.isfinite(told).all() or np.any(np.diff(told) < 0.999 * header.record_s):
        raise RecordingError("The data records do not say, in order, when they began.", "Export it as EDF+C.")
    n_pauses = int(np.count_nonzero(np.diff(told) > 1.001 * header.record_s))
    paused_s = float(told[-1] - told[0] - even[-1])
    if n_pauses:
        notes.append(f"The recorder paused {n_pauses} times, {paused_s:.1f} s in all: nothing is decoded there.")
    return told - told[0], [(at_s - float(told[0]), text) for at_s, text in markers], notes


def _choose(header: Header, wanted: Stream | None, left_out: set[int]) -> tuple[list[int], float, list[str]]:
    """Channels of one rate: those that the profile names, else those at its rate, else most."""
    if not header.record_s:
        raise RecordingError("The file holds annotations and no samples.", "Choose another file.")
    rates = {
        i: header.n_samples[i] / header.record_s
        for i, label in enumerate(header.labels)
        if label not in NOTES and i not in left_out and header.n_samples[i]
    }
    if not rates:
        raise RecordingError("The file holds annotations and no samples.", "Choose another file.")
    counts = Counter(rates.values())
    rate_hz = counts.most_common(1)[0][0]
    if wanted is not None:
        names = dict(zip(rates, standard_labels([header.labels[i] for i in rates]), strict=True))
        named = {rates[i] for i, label in names.items() if label in wanted.channels}
        if len(named) > 1:
            raise RecordingError(
                f"The channels of the profile have several rates: {', '.join(f'{r:g} Hz' for r in sorted(named))}.",
                "Choose channels of one rate by stream.channels.",
            )
        rate_hz = named.pop() if named else wanted.rate_hz if wanted.rate_hz in counts else rate_hz
    others = [f"{header.labels[i]} ({rate:g} Hz)" for i, rate in rates.items() if rate != rate_hz]
    more = ", …" if len(others) > 5 else ""
    notes = [f"Channels of other rates are left out: {', '.join(others[:5])}{more}."] if others else []
    return [i for i, rate in rates.items() if rate == rate_hz], rate_hz, notes


def _triggers(values: Array, onsets_s: Array, n: int, header: Header) -> list[tuple[float, str]]:
    codes = values & TRIGGER_BITS
    begins = np.flatnonzero((np.diff(codes, prepend=codes[:1]) != 0) & (codes != 0))
    at_s = onsets_s[begins // n] + (begins % n) * header.record_s / n
    return [(float(s), str(code)) for s, code in zip(at_s, codes[begins].tolist(), strict=True)]
