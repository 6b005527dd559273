"""`bci replay`: what a recording holds, or the recording as a live stream."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bci.console.watch import ends_on_sigterm
from bci.recording.reader import read_recording
from bci.recording.replay import play
from bci.streams.network import configure
from bci.types import Recording

TELL_EVERY_S = 5.0


def describe(file: Path, stream: str) -> None:
    """Print what a recording holds."""
    console = Console()
    with console.status(f"reading {file.name}"):
        recording = read_recording(file, stream)
    signal, kinematics = recording.signal, recording.kinematics
    labels = ", ".join(signal.labels[:8]) + (", …" if len(signal.labels) > 8 else "")
    n_gaps = int(np.sum(np.diff(signal.stamps_s) > 1.5 / signal.rate_hz))
    table = Table.grid(padding=(0, 2))
    table.add_row("stream", f"{signal.name} ({signal.type}), {len(signal.labels)} channels at {signal.rate_hz:g} Hz")
    table.add_row("channels", labels)
    table.add_row("unit", signal.unit or "not stated")
    table.add_row("length", f"{signal.seconds:.1f} s, {n_gaps} gaps")
    if kinematics is not None:
        table.add_row("kinematics", f"{', '.join(kinematics.names)} [{kinematics.unit}]")
    counts = Counter(text for _, text in recording.markers)
    shown = ", ".join(f"{text or '(empty)'} × {n}" for text, n in counts.most_common(8))
    table.add_row(
        "markers", f"{shown}{', …' if len(counts) > 8 else ''} ({recording.marker_name})" if counts else "none"
    )
    console.print(table)
    console.print("bci replay FILE --as-stream plays it over LSL.", style="dim")


def play_as_stream(
    file: Path, stream: str, speed: float, start: float, seconds: float | None, loop: bool, network: bool
) -> None:
    """Play a recording over LSL until its end, q or Ctrl-C."""
    console = Console()
    configure("link" if network else "machine")
    with console.status(f"reading {file.name}"):
        recording = read_recording(file, stream)
    signal = recording.signal
    console.print(
        f"'{signal.name}' ({signal.type}), {len(signal.labels)} channels at {signal.rate_hz * speed:g} Hz, "
        f"source id 'replay-{file.stem}'. Ctrl-C ends it."
    )
    with ends_on_sigterm():
        while True:
            _play_once(console, recording, f"replay-{file.stem}", speed, start, seconds)
            if not loop:
                break


def _play_once(
    console: Console, recording: Recording, source_id: str, speed: float, start: float, seconds: float | None
) -> None:
    total_s = min(recording.signal.seconds - start, seconds or np.inf)
    bar = Progress(TextColumn("playing"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
                   TimeRemainingColumn(), console=console, disable=not console.is_terminal)  # fmt: skip
    told_s = time.monotonic()
    with bar:
        task = bar.add_task("play", total=total_s)

        def tell(played_s: float) -> bool:
            nonlocal told_s
            bar.update(task, completed=played_s)
            if not console.is_terminal and time.monotonic() - told_s > TELL_EVERY_S:
                told_s = time.monotonic()
                console.print(f"{played_s:.0f} of {total_s:.0f} s")
            return True

        play(recording, source_id, speed=speed, start_s=start, seconds=seconds, tell=tell)
