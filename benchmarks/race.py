"""Ways of doing the same work, timed in turn, and the table of what came out."""

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

BURSTS = 8


@dataclass(frozen=True)
class Line:
    """One way of doing the work of a table."""

    name: str
    work: Callable[[], object]
    remark: str = ""
    is_ours: bool = False


@dataclass(frozen=True)
class Times:
    """Of one line, in seconds."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Table:
    """One table: a heading, what makes its lines, for which sizes, and how much signal a round takes in."""

    heading: str
    lines: Callable[[int], list[Line]]
    sizes: tuple[int, ...]
    signal_s: float


def measure(lines: list[Line], burst_s: float) -> list[Times]:
    """Time the lines in turn, a burst each, several times over: other work on the machine meets all alike."""
    taken: list[list[int]] = [[] for _ in lines]
    for line in lines:
        line.work()  # compiles
    for _ in range(BURSTS):
        for line, times in zip(lines, taken, strict=True):
            line.work()  # warms the processor's memory, which the line before had filled
            end = time.perf_counter_ns() + round(burst_s * 1e9)
            while True:
                begin = time.perf_counter_ns()
                line.work()
                times.append(time.perf_counter_ns() - begin)
                if begin > end:
                    break
    return [Times(*(np.percentile(times, (50, 99)) * 1e-9)) for times in taken]


def rows(lines: list[Line], signal_s: float, burst_s: float) -> Iterator[str]:
    """The table as Markdown: a peer's ratio is its median over that of our first line."""
    yield "| | p50 µs | p99 µs | times real time | slower than ours | |"
    yield "|---|---|---|---|---|---|"
    times = measure(lines, burst_s)
    for line, t in zip(lines, times, strict=True):
        ratio = "" if line.is_ours else f"{t.p50 / times[0].p50:.1f} ×"
        name = f"**{line.name}**" if line.is_ours else line.name
        speed = signal_s / t.p50
        real = f"{speed:,.0f}" if speed > 10 else f"{speed:.2g}"
        yield f"| {name} | {t.p50 * 1e6:,.1f} | {t.p99 * 1e6:,.1f} | {real} | {ratio} | {line.remark} |"


def machine(packages: tuple[str, ...]) -> str:
    """Processor, interpreter and versions."""
    processor, info = platform.processor(), Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        processor = f"{names[0]}, {len(names)} cores" if names else processor
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{processor}; {platform.system()}, Python {platform.python_version()}, {versions}; one thread."
