"""`bci replay SESSION --verify`: decode a recorded session again, and say whether every bit is the same."""

from __future__ import annotations

import time
from pathlib import Path

from rich.progress import Progress

from bci import __version__
from bci.console.screen import Screen
from bci.live.verify import Again, Difference


def verify_session(folder: Path) -> int:
    """Do it and print the verdict; the exit code is 0 where everything is the same, 2 where something differs."""
    console = Screen()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("decoding again", total=1.0)
        again = Again(folder if folder.is_dir() else folder.parent)
        begun_s = time.perf_counter()
        verdict = again.run(lambda share: progress.update(task, completed=share))
        took_s = time.perf_counter() - begun_s
    what = f"{verdict.n_bins} bins of features and {verdict.n_intents} intents"
    pace = f"{verdict.seconds:.0f} s of signal in {took_s:.1f} s, {verdict.seconds / took_s:.0f} times its own pace"
    if verdict.difference is None:
        console.print(f"The same, bit for bit: {what} ({pace}).")
        return 0
    console.print(f"NOT the same: {_describe(verdict.difference)}")
    console.print(f"Decoded again were {what} ({pace}).")
    if again.plan.version != __version__:
        console.print(f"The session was run by version {again.plan.version}; this is {__version__}.")
    return 2


def _describe(d: Difference) -> str:
    if d.channel == "number of rows":
        return f"{d.stream} has {d.recorded:.0f} rows; decoded again, {d.computed:.0f} (from {d.stamp_s:.3f} s on)."
    return (
        f"row {d.row} of {d.stream}, at {d.stamp_s:.3f} s, is the first to differ: "
        f"{d.channel} was {d.recorded!r} and is now {d.computed!r}."
    )
