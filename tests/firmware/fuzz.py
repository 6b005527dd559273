"""Random and mutated frames against both codecs: `python tests/firmware/fuzz.py --frames 10_000_000 --sanitizers`.

None of the frames was ever sent (`bench.c`, `bad_frame`: random bytes, well stuffed packets with a wrong checksum,
flipped, changed, inserted, deleted, swapped and truncated bytes, splices of two good frames, over-long frames), so that
a single accepted one is a failure, and the exit code is 1. With `--sanitizers` the same frames go once more through the
core in C, built with the address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from node_core import Library, Life, compile_bench, library

from drivers.devices.node import Receiver

BATCH = 20_000
N_LIVES = 20
COMPILERS = ("gcc", "clang")


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


def fuzz(core: Library, n_frames: int, seed: int) -> Figures:
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
        middle = time.perf_counter()
        figures.accepted_by_python += len(receiver.feed(stream))
        figures.seconds_c += middle - start
        figures.seconds_python += time.perf_counter() - middle
    return figures


def lives(core: Library, n_frames: int, seed: int) -> Life:
    """Whole lives of devices, with as many frames in all."""
    return core.lives(seed, N_LIVES, n_frames // N_LIVES)


def sanitized(compiler: str, n_frames: int, seed: int, folder: Path) -> list[int]:
    """Frames accepted, bytes answered, frames taken, and the figures of the lives; raises what a sanitizer says."""
    program = folder / f"bench-{compiler}"
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    compile_bench(program, "-g", "-O1", *checks, "-DBENCH_PROGRAM", compiler=compiler)
    result = subprocess.run([program, str(seed), str(n_frames)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{compiler}: {result.stderr[:2000]}")
    return [int(word) for word in result.stdout.split()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sanitizers", action="store_true", help="also the sanitised builds, with every compiler here")
    arguments = parser.parse_args()
    core, n_frames, seed = library(), arguments.frames, arguments.seed
    f, life = fuzz(core, n_frames, seed), lives(core, n_frames, seed)
    print(f"{f.n_frames} frames, {f.n_bytes} bytes, none of them sent")
    print(f"accepted by the codec in C       {f.accepted_by_c}   ({f.seconds_c:.0f} s)")
    print(f"taken or answered by the device  {f.n_answers}")
    print(f"accepted by the codec in Python  {f.accepted_by_python}   ({f.seconds_python:.0f} s)")
    print(f"lives of devices: {life.n_sent} sent, {life.n_unsent} not sent, {life.n_replayed} replayed, "
          f"{life.n_wrong} wrongly taken")  # fmt: skip
    is_good = not (f.accepted_by_c or f.accepted_by_python or f.n_answers or life.n_wrong)
    for compiler in COMPILERS if arguments.sanitizers else ():
        if shutil.which(compiler) is None:
            sys.exit(f"no {compiler}")
        with tempfile.TemporaryDirectory() as folder:
            found = sanitized(compiler, n_frames, seed, Path(folder))
        is_same = found == [0, 0, 0, *life.figures()]
        print(f"sanitisers of {compiler:<6} nothing found, {'the same' if is_same else 'OTHER'} figures")
        is_good &= is_same
    return int(not is_good)


if __name__ == "__main__":
    raise SystemExit(main())
