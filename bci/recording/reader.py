"""Reading recordings: XDF, EDF and BDF, MATLAB files of known layouts, what MNE reads, and our own sessions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from bci.errors import BciError, RecordingError
from bci.montage import measure_rate
from bci.plan import PLAN_FILE, read_plan
from bci.profile import Profile
from bci.recording.edf import read_edf
from bci.recording.markers import words_of
from bci.recording.matlab import read_matlab
from bci.recording.mne_reader import SUFFIXES, read_with_mne
from bci.recording.recorder import FILE
from bci.recording.xdf_reader import read_xdf
from bci.types import Recording

NOTED_RATE = 0.01  # of the declared rate: a real clock is nearer
READERS: dict[str, Callable[[Path, str, Profile | None], Recording]] = {
    ".mat": lambda path, stream, profile: read_matlab(path),
    ".xdf": read_xdf,
    ".xdfz": read_xdf,
    ".xdf.gz": read_xdf,
    ".edf": lambda path, stream, profile: read_edf(path, None if profile is None else profile.stream),
    ".bdf": lambda path, stream, profile: read_edf(path, None if profile is None else profile.stream),
    **{suffix: lambda path, stream, profile: read_with_mne(path) for suffix in SUFFIXES},
}


def read_recording(path: Path, stream: str = "", profile: Profile | None = None) -> Recording:
    """Read a recording.

    Parameters
    ----------
    path : Path
        A file of one of the kinds in `READERS`, or the folder of a session, whose own profile is used then.
    stream : str
        Name, type, source id, host or number of the stream to decode, where an XDF file holds several.
    profile : Profile, optional
        Names the stream, further streams to read, and the marker stream.

    Raises
    ------
    RecordingError
        When the file is missing, empty, of an unknown kind or layout, or ambiguous. What is only damaged in part is
        read, and told by `Recording.notes` and `Recording.is_damaged`.
    """
    path, own = find_recording(path)
    profile = profile or own
    suffix = next((s for s in sorted(READERS, key=len, reverse=True) if path.name.lower().endswith(s)), "")
    extras = () if profile is None else profile.extra_streams
    if extras and not suffix.startswith(".xdf"):
        wanted = ", ".join(extra.name for extra in extras)
        raise RecordingError(f"{path} holds one stream, and {wanted} is wanted too.", "Choose an XDF file.")
    try:
        recording = READERS[suffix](path, stream, profile)
    except BciError:
        raise
    except MemoryError as error:
        raise RecordingError(f"{path} does not fit into this machine's memory.", "Choose a shorter one.") from error
    except Exception as error:  # the libraries have each their own ways to say that a file is damaged
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordingError(
            f"{path} is damaged, or no {suffix} file: {said.rstrip('.')}.",
            "Open it with the program that wrote it, and save or export it again.",
        ) from error
    signal = recording.signal
    if len(signal.samples) < 2:
        raise RecordingError(f"Stream '{signal.name}' in {path} holds no samples.", "Choose another stream.")
    notes = [*recording.notes, *_outside(recording, words_of(profile))]
    measured_hz = measure_rate(signal.stamps_s)
    if abs(measured_hz - signal.rate_hz) > NOTED_RATE * signal.rate_hz:
        notes.append(f"Samples of '{signal.name}' come at {measured_hz:.1f} Hz, declared are {signal.rate_hz:g} Hz.")
    if not np.isfinite(signal.samples).any():
        raise RecordingError(f"Stream '{signal.name}' in {path} holds no number.", "Choose another stream.")
    return dataclasses.replace(recording, notes=tuple(notes))


def _outside(recording: Recording, words: Collection[str]) -> list[str]:
    """What to say about cues before or after the signal."""
    first_s, last_s = recording.signal.stamps_s[[0, -1]]
    times_s = [at_s for at_s, text in recording.markers if not words or text in words]
    n = sum(not first_s - 1.0 <= at_s <= last_s for at_s in times_s)
    if not n:
        return []
    return [
        f"{n} of {len(times_s)} cues lie outside the signal: cues at {min(times_s):.1f} to {max(times_s):.1f} s, "
        f"signal at {first_s:.1f} to {last_s:.1f} s."
    ]


def find_recording(path: Path) -> tuple[Path, Profile | None]:
    """The file of a recording and, where a session of ours made it, the profile of the session.

    Raises
    ------
    RecordingError
        When there is none, or it is of no known kind.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        path = folder / FILE
        if not path.is_file():
            inside = sorted(p.name for p in folder.iterdir() if p.name.lower().endswith(tuple(READERS)))
            sessions = sorted(str(p.parent.name) for p in folder.glob(f"*/{FILE}"))
            there = ", ".join((inside or sessions)[:8]) or "no recording"
            raise RecordingError(f"{folder} is a folder and no session with a recording; in it: {there}.", "Name one.")
    if not path.exists() and not path.name.lower().endswith(tuple(READERS)):
        raise RecordingError(
            f"{path} is of no known kind ('{path.suffix}'), and does not exist.",
            f"Known kinds are {', '.join(sorted(READERS))}.",
        )
    if not path.exists():
        near = sorted(p.name for p in folder.glob(f"*{path.suffix}"))[:5] if folder.is_dir() else []
        there = f"; there is {', '.join(near)}" if near else ""
        raise RecordingError(f"Recording {path} does not exist{there}.", "Check the path.")
    if not path.name.lower().endswith(tuple(READERS)):
        raise RecordingError(
            f"{path} is of no known kind ('{path.suffix}').", f"Known kinds are {', '.join(sorted(READERS))}."
        )
    if path.stat().st_size == 0:
        raise RecordingError(f"Recording {path} is empty.", "Record again, or choose another file.")
    profile = None
    if path.name == FILE and (folder / PLAN_FILE).is_file():
        try:
            profile = read_plan(folder).profile
        except ValueError:  # of another version
            profile = None
    return path, profile
