"""`bci replay`: what a recording holds, or the recording as a live stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bci.console.screen import Screen
from bci.console.watch import ends_on_sigterm
from bci.montage import measure_rate
from bci.recording.reader import read_recording
from bci.recording.replay import play
from bci.streams.network import configure
from bci.types import Recording

TELL_EVERY_S = 5.0


def describe(file: Path, stream: str) -> int:
    """Print what a recording holds, and what is wrong with it; return the exit code."""
    screen = Screen()
    with screen.status(f"reading {file.name}"):
        recording = read_recording(file, stream)
    signal, kinematics = recording.signal, recording.kinematics
    labels = ", ".join(signal.labels[:8]) + (", …" if len(signal.labels) > 8 else "")
    measured_hz = measure_rate(signal.stamps_s)
    period_s = 1.0 / min(signal.rate_hz, measured_hz if measured_hz > 0 else np.inf)
    gaps_s = np.diff(signal.stamps_s)[np.diff(signal.stamps_s) > 1.5 * period_s]
    lost = f" of {gaps_s.sum() - period_s * len(gaps_s):.1f} s in all" if len(gaps_s) else ""
    table = Table.grid(padding=(0, 2))
    table.add_row("stream", f"{signal.name} ({signal.type}), {len(signal.labels)} channels at {signal.rate_hz:g} Hz")
    table.add_row("channels", labels)
    table.add_row("unit", signal.unit or "not stated")
    table.add_row("length", f"{signal.seconds:.1f} s, {len(gaps_s)} gaps{lost}")
    if kinematics is not None:
        table.add_row("kinematics", f"{', '.join(kinematics.names)} [{kinematics.unit}]")
    table.add_row("markers", _counts(recording.markers, recording.marker_name) if recording.markers else "none")
    for name, markers in recording.other_markers.items():
        table.add_row("", f"{_counts(markers, name)}; not used here")
    screen.print(table)
    code = screen.tell_notes(recording)
    screen.print("bci replay FILE --as-stream plays it over LSL.", style="dim")
    return code


def _counts(markers: Sequence[tuple[float, str]], name: str) -> str:
    counts = Counter(text for _, text in markers)
    shown = ", ".join(f"{text or '(empty)'} × {n}" for text, n in counts.most_common(8))
    return f"{shown}{', …' if len(counts) > 8 else ''} ({name})"


def play_as_stream(
    file: Path, stream: str, speed: float, start: float, seconds: float | None, loop: bool, network: bool
) -> int:
    """Play a recording over LSL until its end, q or Ctrl-C; return the exit code."""
    screen = Screen()
    configure("link" if network else "machine")
    with screen.status(f"reading {file.name}"):
        recording = read_recording(file, stream)
    signal = recording.signal
    code = screen.tell_notes(recording)
    screen.print(
        f"'{signal.name}' ({signal.type}), {len(signal.labels)} channels at {signal.rate_hz * speed:g} Hz, "
        f"source id 'replay-{file.stem}'. Ctrl-C ends it."
    )
    with ends_on_sigterm():
        _play(screen, recording, f"replay-{file.stem}", speed, start, seconds, loop)
    return code


def _play(
    screen: Screen, recording: Recording, source_id: str, speed: float, start: float, seconds: float | None, loop: bool
) -> None:
    total_s = min(recording.signal.seconds - start, seconds or np.inf)
    bar = Progress(TextColumn("playing"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
                   TimeRemainingColumn(), console=screen, disable=not screen.is_terminal)  # fmt: skip
    told_s = time.monotonic()
    with bar:
        task = bar.add_task("play", total=total_s)

        def tell(played_s: float) -> bool:
            nonlocal told_s
            bar.update(task, completed=played_s)
            if not screen.is_terminal and time.monotonic() - told_s > TELL_EVERY_S:
                told_s = time.monotonic()
                screen.print(f"{played_s:.0f} of {total_s:.0f} s")
            return True

        play(recording, source_id, speed=speed, start_s=start, seconds=seconds, loop=loop, tell=tell)
