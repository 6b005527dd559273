"""Recordings in XDF: which of the streams is the signal, which hold markers and kinematics, and what was lost."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.montage import labels_of
from bci.profile import Profile, Stream
from bci.recording.markers import Markers, read_markers, words_of
from bci.recording.salvage import MAGIC, Salvage, in_order, salvage
from bci.types import Array, Kinematics, Recording, Signal
from calibration.intention import REACTION_S, intended_velocity

BREAK_S = 0.5  # a longer pause between stamps is a gap; shorter ones are smoothed with the jitter
EVEN_SHARE, EVEN_WITHIN = 0.9, 0.25  # so many intervals within this share of the median are an even stream
LEAST_EVEN = 50
WORLD = "bci.world"
LATE_FOOTER = 2  # samples that recorders write beside the count of the footer


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One stream of a file."""

    number: int
    name: str
    type: str
    source_id: str
    host: str
    rate_hz: float
    labels: tuple[str, ...]
    units: tuple[str, ...]
    is_text: bool
    stamps_s: Array
    values: Any
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rate = f"{self.rate_hz:g} Hz" if self.rate_hz else "irregular"
        where = f", id '{self.source_id}'" if self.source_id else ""
        return f"{self.number}: '{self.name}' of type '{self.type}' ({len(self.stamps_s)} samples, {rate}{where})"

    @property
    def is_even(self) -> bool:
        """Whether its samples come evenly, declared or not."""
        if self.rate_hz or len(self.stamps_s) < LEAST_EVEN:
            return self.rate_hz > 0
        intervals = np.diff(self.stamps_s)
        middle = float(np.median(intervals))
        return middle > 0 and float(np.mean(np.abs(intervals - middle) < EVEN_WITHIN * middle)) > EVEN_SHARE

    @property
    def is_signal(self) -> bool:
        """Whether it can be decoded."""
        return not self.is_text and self.is_even


def read_xdf(path: Path, stream: str, profile: Profile | None) -> Recording:
    """Read an XDF file, compressed or not.

    Parameters
    ----------
    path : Path
        The file.
    stream : str
        Name, type, source id, host or number of the stream to decode; empty: the one that the profile names, or the
        only one.
    profile : Profile or None
        Names the stream, further streams, and the markers.

    Raises
    ------
    RecordingError
        When it is no XDF file, or the stream is absent or ambiguous.
    """
    data = gzip.decompress(path.read_bytes()) if path.suffix in (".xdfz", ".gz") else path.read_bytes()
    if data[:4] != MAGIC:
        what = "it is all zeros" if not any(data[:4096]) else "it does not begin with 'XDF:'"
        raise RecordingError(f"{path} is no XDF file: {what}.", "Look for another copy of it.")
    whole = salvage(data)
    tracks, notes = _load(path, whole)
    notes += _digest_notes(path, data)
    try:
        recording = _assemble(path, tracks, stream, profile)
    except RecordingError as error:
        raise RecordingError(" ".join([*notes[:1], error.problem]), error.remedy) from error
    return dataclasses.replace(recording, notes=(*notes, *recording.notes), is_damaged=bool(notes))


def _assemble(path: Path, tracks: list[Track], stream: str, profile: Profile | None) -> Recording:
    """Find the signal, further streams, markers and kinematics among the streams of a file."""
    wanted = None if profile is None else profile.stream
    extras = () if profile is None else profile.extra_streams
    marked = {s.markers for s in (() if profile is None else (profile.stream, *profile.extra_streams)) if s.markers}
    pool = [t for t in tracks if not t.is_text and t.name not in marked]
    others = [t for t in pool if t.name not in {extra.name for extra in extras}]
    chosen = _choose(others, path, stream, wanted)
    further = [_choose(pool, path, "", extra) for extra in extras]
    used, marker_name, left = _markers([t for t in tracks if _is_marker(t, marked)], marked, profile)
    signals = [_signal(track, want) for track, want in zip((chosen, *further), (wanted, *extras), strict=True)]
    return Recording(
        signals[0],
        _kinematics(tracks, chosen),
        used,
        marker_name,
        tuple(signals[1:]),
        left,
        tuple(note for track in (chosen, *further) for note in track.notes),
    )


def _load(path: Path, whole: Salvage) -> tuple[list[Track], list[str]]:
    try:
        import pyxdf
    except ImportError as error:
        raise RecordingError(f"{path} is XDF, and pyxdf is not installed.", "pip install 'bci-decoder[io]'.") from error
    logger = logging.getLogger("pyxdf")
    level, logger.level = logger.level, logging.CRITICAL + 1  # what it has to say is said here, once, in our words
    try:
        streams, _ = pyxdf.load_xdf(
            io.BufferedReader(io.BytesIO(whole.data)),
            jitter_break_threshold_seconds=BREAK_S,
            jitter_break_threshold_samples=2,
        )
    finally:
        logger.level = level
    if not streams:
        raise RecordingError(f"{path} holds no stream.", "Choose another file.")
    notes = []
    if whole.lost:
        n_all = len(whole.data) + whole.n_lost
        parts = ", ".join(f"{begin:,} to {end:,}" for begin, end in whole.lost[:3])
        more = ", …" if len(whole.lost) > 3 else ""
        notes.append(
            f"The file is damaged: {whole.n_lost:,} of its {n_all:,} bytes cannot be read (bytes {parts}{more})."
        )
    tracks = []
    for number, stream in enumerate(streams, 1):
        track = _track(number, stream)
        counted = int(_first((stream.get("footer") or {}).get("info"), "sample_count") or 0)
        if whole.lost and counted - len(track.stamps_s) > LATE_FOOTER:
            lost = counted - len(track.stamps_s)
            notes.append(f"Of '{track.name}' {len(track.stamps_s):,} samples were read and {lost:,} are lost.")
        elif whole.lost and len(track.stamps_s):
            first_s, last_s = track.stamps_s[[0, -1]]
            notes.append(
                f"Of '{track.name}' {len(track.stamps_s):,} samples were read, {first_s:.1f} to {last_s:.1f} s."
            )
        tracks.append(track)
    return tracks, notes


def _digest_notes(path: Path, data: bytes) -> list[str]:
    sidecar = path.with_suffix(path.suffix + ".sha256")
    if not sidecar.is_file() or path.suffix != ".xdf":
        return []
    if sidecar.read_text(encoding="ascii", errors="replace").split()[:1] == [hashlib.sha256(data).hexdigest()]:
        return []
    return [f"The file is not the one that was recorded: its digest differs from that in {sidecar.name}."]


def _first(info: Any, field: str) -> str:
    """A field of pyxdf's dictionaries of lists; empty where it is absent."""
    value = (info or {}).get(field) or [""]
    return value[0] if isinstance(value[0], str) else ""


def _track(number: int, stream: Any) -> Track:
    info = stream["info"]
    name, is_text = _first(info, "name"), _first(info, "channel_format") == "string"
    n_channels = int(_first(info, "channel_count"))
    try:
        channels = [channel or {} for channel in info["desc"][0]["channels"][0]["channel"]]
    except (KeyError, IndexError, TypeError):
        channels = []
    labels, problem = labels_of(
        [_first(channel, "label") or _first(channel, "name") for channel in channels], n_channels
    )
    units = tuple(_first(channel, "unit") for channel in channels) if len(channels) == n_channels else ()
    stamps_s, values = np.asarray(stream["time_stamps"], dtype=np.float64), stream["time_series"]
    notes = [f"Stream '{name}': {problem}."] if problem else []
    keep = in_order(stamps_s)
    if not keep.all():
        notes.append(f"Stream '{name}': {np.count_nonzero(~keep)} samples with stamps that run backwards are left out.")
        stamps_s = stamps_s[keep]
        values = [row for row, is_kept in zip(values, keep, strict=True) if is_kept] if is_text else values[keep]
    return Track(
        number, name, _first(info, "type"), _first(info, "source_id"), _first(info, "hostname"),
        float(_first(info, "nominal_srate")), labels, units, is_text, stamps_s, values, tuple(notes),
    )  # fmt: skip


def _signal(track: Track, wanted: Stream | None) -> Signal:
    rate_hz = track.rate_hz
    if not rate_hz:
        rate_hz = float(f"{1.0 / np.median(np.diff(track.stamps_s)):.4g}")
        if wanted is not None and abs(rate_hz - wanted.rate_hz) < 0.01 * rate_hz:
            rate_hz = wanted.rate_hz
    units = set(track.units)
    return Signal(
        name=track.name,
        type=track.type,
        unit=track.units[0] if len(units) == 1 else "",
        labels=track.labels,
        rate_hz=rate_hz,
        samples=np.asarray(track.values, dtype=np.float64),
        stamps_s=track.stamps_s,
        units=track.units if len(units) > 1 else (),
    )


def _kinematics(tracks: list[Track], chosen: Track) -> Kinematics | None:
    """What our own sessions record beside the signal, and what says by its type that it is this."""
    fitting = [t for t in tracks if not t.is_text and len(t.stamps_s) and t is not chosen and _is_kinematics(t)]
    named = [t for t in fitting if t.name == f"{chosen.name}-kinematics"]
    if len(named or fitting) != 1:
        worlds = [t for t in tracks if t.name == WORLD and t.type == "World" and len(t.stamps_s)]
        return None if fitting or len(worlds) != 1 else _intended(worlds[0])
    (track,) = named or fitting
    unit = track.units[0] if track.units else ""
    return Kinematics(track.labels, unit, np.asarray(track.values, dtype=np.float64), track.stamps_s)


def _intended(world: Track) -> Kinematics | None:
    """What a session's task says was meant: outputs' positions, their targets, whether active, whether assisted."""
    k = (len(world.labels) - 2) // 2
    values = np.asarray(world.values, dtype=np.float64)
    position, target, is_active = values[:, :k], values[:, k : 2 * k], values[:, 2 * k] > 0.5
    is_new = np.any(np.diff(target, axis=0, prepend=np.nan) != 0, axis=1)
    changed_s = np.maximum.accumulate(np.where(is_new, world.stamps_s, -np.inf))
    is_known = np.isfinite(values[:, : 2 * k]).all(axis=1) & (world.stamps_s - changed_s >= REACTION_S)
    if not is_known.any():
        return None
    meant = [intended_velocity(*row) for row in zip(position, target, is_active.tolist(), strict=True)]
    names, places = world.labels[:k], tuple(label.removeprefix("v") for label in world.labels[:k])
    columns = np.array(meant)
    if not set(places) & set(names):
        names, columns = names + places, np.column_stack([columns, position])
    return Kinematics(names, "workspaces", columns[is_known], world.stamps_s[is_known])


def _is_kinematics(track: Track) -> bool:
    return track.type == "Kinematics" or track.name.endswith("-kinematics")


def _choose(tracks: list[Track], path: Path, name: str, wanted: Stream | None) -> Track:
    """Pick the stream to decode: the one that is named, by the caller or the profile, or the only one with samples."""
    if name:
        fitting = [t for t in tracks if name in (t.name, t.type, t.source_id, t.host)]
        fitting = fitting or [t for t in tracks if name == str(t.number)]
        what = f" called '{name}'"
        if wanted is not None and len(fitting) > 1:
            fitting = [t for t in fitting if _matches(t, wanted)] or fitting
    elif wanted is not None:
        fitting = [t for t in tracks if _matches(t, wanted)]
        fields = {"type": wanted.type, "source_id": wanted.source_id, "host": wanted.host}
        which = "".join(f" with {field} '{value}'" for field, value in fields.items() if value)
        what = f" '{wanted.name}'{which}, which the profile names"
    else:
        fitting = [t for t in tracks if t.is_even and not t.name.startswith("bci.") and not _is_kinematics(t)]
        what = " with samples"
    full = [t for t in fitting if len(t.stamps_s)]
    if len(full) == 1 or (not full and len(fitting) == 1):
        (track,) = full or fitting
        if len(track.stamps_s) and not track.is_signal:
            raise RecordingError(
                f"Stream {track} in {path} comes at no even rate, and declares none.",
                "Choose another stream, or resample it.",
            )
        return track
    count = f"{len(full)} regular streams" if full else "no stream"
    raise RecordingError(
        f"{path} has {count}{what}; its streams: {'; '.join(map(str, tracks)) or 'none'}.",
        "Choose one with --stream by its name, type, source id, host, or the number before it"
        + (", or correct [stream] in the profile." if wanted is not None else "."),
    )


def _matches(track: Track, wanted: Stream) -> bool:
    pairs = (
        (wanted.name, track.name),
        (wanted.type, track.type),
        (wanted.source_id, track.source_id),
        (wanted.host, track.host),
    )
    return all(want in ("", have) for want, have in pairs)


def _is_marker(track: Track, marked: set[str]) -> bool:
    """Text and uneven numbers are markers, and what the profile calls so; not what our sessions tell of themselves."""
    if not len(track.stamps_s) or track.name in marked:
        return len(track.stamps_s) > 0
    return not track.name.startswith("bci.") and (track.is_text or not track.is_even)


def _markers(tracks: list[Track], marked: set[str], profile: Profile | None) -> tuple[Markers, str, dict[str, Markers]]:
    """Markers to use, in order, the name of their stream, and by name those that are there as well.

    Where the profile knows cues and names no stream, none of several is used: they would be mixed.
    """
    words, wanted = words_of(profile), None if profile is None else profile.stream
    used = [t for t in tracks if t.name in marked]
    if not marked and (not words or len({t.name for t in tracks}) == 1):
        used = [t for t in tracks if t.name == tracks[0].name]
    markers = [marker for t in used for marker in read_markers(*_rows(t), t.labels, wanted, words)]
    left = {t.name: read_markers(*_rows(t), t.labels, None, ()) for t in tracks if t not in used}
    return tuple(sorted(markers)), used[0].name if used else "", left


def _rows(track: Track) -> tuple[list[float], list[Any]]:
    """Stamps and values; of a regular stream of numbers the moments at which it becomes another, but not 0."""
    if track.is_text or not track.rate_hz:
        return track.stamps_s.tolist(), list(track.values)
    values = np.asarray(track.values)
    begins = np.flatnonzero(np.any(np.diff(values, axis=0, prepend=0) != 0, axis=1) & np.any(values != 0, axis=1))
    return track.stamps_s[begins].tolist(), list(values[begins])
