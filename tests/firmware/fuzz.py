"""Random and mutated frames against both codecs: `python tests/firmware/fuzz.py --frames 10_000_000`.

None of the frames was ever sent (`bench.c`, `bad_frame`: random bytes, well stuffed packets with a wrong checksum,
flipped, changed, inserted, deleted, swapped and truncated bytes, splices of two good frames, over-long frames), so that
a single accepted one is a failure, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from node_core import Library, library

from drivers.node import Receiver

BATCH = 20_000


@dataclass
class Figures:
    """What came of it."""

    n_frames: int = 0
    n_bytes: int = 0
    accepted_by_c: int = 0
    accepted_by_python: int = 0
    n_answers: int = 0  # of a whole device in C that is fed with all of it
    seconds_c: float = 0.0
    seconds_python: float = 0.0


def fuzz(core: Library, n_frames: int, seed: int, with_python: bool) -> Figures:
    """Feed ``n_frames`` to the codec in C, to a whole device in C, and to the codec in Python."""
    figures, receiver, device = Figures(), Receiver(), core.device()
    while figures.n_frames < n_frames:
        n = min(BATCH, n_frames - figures.n_frames)
        stream = core.unsent(seed + figures.n_frames, n)
        figures.n_frames += n
        figures.n_bytes += len(stream)
        start = time.perf_counter()
        figures.accepted_by_c += core.accepted(stream)
        figures.n_answers += len(device.feed(stream, 5)) + device.n_ok
        figures.seconds_c += time.perf_counter() - start
        if with_python:
            start = time.perf_counter()
            figures.accepted_by_python += len(receiver.feed(stream))
            figures.seconds_python += time.perf_counter() - start
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-python", action="store_true", help="only the codec in C, which is much faster")
    arguments = parser.parse_args()
    f = fuzz(library(), arguments.frames, arguments.seed, not arguments.no_python)
    print(f"{f.n_frames} frames, {f.n_bytes} bytes, none of them sent")
    print(f"accepted by the codec in C      {f.accepted_by_c}   ({f.seconds_c:.0f} s)")
    print(f"taken or answered by the device {f.n_answers}")
    if not arguments.no_python:
        print(f"accepted by the codec in Python {f.accepted_by_python}   ({f.seconds_python:.0f} s)")
    life = library().lives(arguments.seed, max(1, arguments.frames // 50_000), 50_000)
    print(f"lives of devices: {life.n_sent} sent, {life.n_unsent} not sent, {life.n_replayed} replayed, "
          f"{life.n_wrong} wrongly taken")  # fmt: skip
    return int(bool(f.accepted_by_c or f.accepted_by_python or f.n_answers or life.n_wrong))


if __name__ == "__main__":
    raise SystemExit(main())
