"""Gives a twin a pseudo-terminal, real time, and a trace of its true positions, which is what safety tests measure."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from drivers.base import Axis

STEP_S = 0.002
FLUSH_S = 0.04
LINGER_S = 0.3
LONGEST_LINGER_S = 3.0


class Twin(Protocol):
    """A device in software: fed with bytes and time, it answers bytes and moves."""

    axes: tuple[Axis, ...]

    @property
    def positions(self) -> Sequence[float]:
        """Where it truly is, units."""
        ...

    @property
    def is_moving(self) -> bool:
        """Whether any axis has speed."""
        ...

    def feed(self, data: bytes, now_ms: int) -> bytes:
        """Take in bytes; return the answers."""
        ...

    def step(self, now_ms: int, dt_s: float) -> None:
        """Let time pass."""
        ...

    @property
    def powers(self) -> Sequence[bool]:
        """Whether each axis truly has power."""
        ...

    def hold(self, is_held: bool) -> None:
        """Hold every axis by hand, or let go."""
        ...

    def push(self, share: float) -> None:
        """Push every axis by a share of its range towards its middle, and let go; what locks itself does not give."""
        ...


def serve(device: Twin, master: int, trace: Path | None, stop: list[int], has_hand: bool = False) -> None:
    """Run the device in real time on the master side of a pseudo-terminal, until `stop` holds something.

    Like a device with a plug of its own it outlives its host: it goes on until nothing has been heard for 0.3 s, at
    most for 3 s, so that a guardian that is ended at the same moment can still disarm it.

    With a hand, each line from the standard input (``hold``, ``release``, ``push SHARE``, ``look``) is done and
    answered with what is true at the device, as JSON in one line: ``heard`` (bytes so far), ``powers``, ``positions``.
    """
    start_s = time.monotonic()
    last_s = flushed_s = heard_s = asked_s = start_s
    n_heard, sources = 0, [master, *([sys.stdin] if has_hand else [])]
    file = None if trace is None else trace.open("w", encoding="ascii")
    try:
        if file is not None:
            file.write("stamp_s," + ",".join(axis.name for axis in device.axes) + "\n")
        while not stop or (last_s - heard_s < LINGER_S and last_s - asked_s < LONGEST_LINGER_S):
            asked_s = asked_s if stop else last_s
            ready = select.select(sources, [], [], STEP_S)[0]
            now_s = time.monotonic()
            while now_s - last_s >= STEP_S:
                last_s += STEP_S
                device.step(_milliseconds(last_s - start_s), STEP_S)
                if file is not None and (device.is_moving or round((last_s - start_s) / STEP_S) % 5 == 0):
                    file.write(f"{last_s:.4f}," + ",".join(f"{value:.6f}" for value in device.positions) + "\n")
            if master in ready:  # after the motion up to now: one that was held up must not answer with where it was
                heard_s = last_s
                data = os.read(master, 4096)
                n_heard += len(data)
                answer = device.feed(data, _milliseconds(now_s - start_s))
                if answer:
                    os.write(master, answer)
            if sys.stdin in ready and not _touch(device, sys.stdin.readline(), n_heard):
                sources.remove(sys.stdin)
            if file is not None and now_s - flushed_s > FLUSH_S:
                file.flush()
                flushed_s = now_s
    finally:
        if file is not None:
            file.close()


def _touch(device: Twin, line: str, n_heard: int) -> bool:
    """Do what a line says, and tell what is true; False when there are no more lines."""
    match line.split():
        case ["hold"]:
            device.hold(True)
        case ["release"]:
            device.hold(False)
        case ["push", share]:
            device.push(float(share))
    if line:
        true = {"heard": n_heard, "powers": list(device.powers), "positions": list(device.positions)}
        sys.stdout.write(json.dumps(true) + "\n")
        sys.stdout.flush()
    return bool(line)


@contextlib.contextmanager
def on_terminal(device: Twin) -> Iterator[str]:
    """Serve a device in a thread of this process; gives the path of its port."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    stop: list[int] = []
    thread = threading.Thread(target=serve, args=(device, master, None, stop), daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        stop.append(1)
        thread.join()
        os.close(master)
        os.close(slave)


def run(make: Callable[[dict[str, Any]], Twin], description: str) -> None:
    """Be the twin's own process: open a pseudo-terminal, say where it is, and serve it until SIGTERM or SIGINT."""
    import tty

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--ready", type=Path, required=True, help="file that will hold the path of the terminal")
    parser.add_argument("--trace", type=Path, help="CSV of the true positions")
    parser.add_argument("--device", type=Path, help="JSON with the profile's device section")
    parser.add_argument("--hand", action="store_true", help="hold, push and look, as lines of the standard input say")
    arguments = parser.parse_args()
    section = json.loads(arguments.device.read_text(encoding="utf-8")) if arguments.device else {}
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stop.append(signum))
    device = make(section)
    master, slave = os.openpty()  # the slave stays open here: the device outlives its clients
    tty.setraw(slave)
    part = arguments.ready.with_suffix(".part")
    part.write_text(os.ttyname(slave), encoding="utf-8")
    part.replace(arguments.ready)
    serve(device, master, arguments.trace, stop, arguments.hand)


def _milliseconds(elapsed_s: float) -> int:
    return int(elapsed_s * 1e3) + 1
