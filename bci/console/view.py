"""What the operator sees: one frozen snapshot drawn as one screen of 80 x 24. Pure, so that it can be tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from rich.align import Align
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from drivers.base import Check

STATE_STYLES = {"ACTIVE": "bold green", "ARMED": "green", "HOLD": "yellow", "FAULT": "bold red", "STOP": "bold red"}
MAP_WIDTH, MAP_HEIGHT = 33, 11
NUMBERS_WIDTH = 28
CHECK_LINES, CHECK_WIDTH = 16, 49
NEWS_LINES = 3


@dataclass(frozen=True)
class World:
    """The hand and its target in workspace units, one value per decoder output."""

    position: tuple[float, ...]
    target: tuple[float, ...]
    is_active: bool
    is_assisted: bool


@dataclass(frozen=True)
class Snapshot:
    """Everything on the screen at one moment."""

    title: str
    phase: str
    elapsed_s: float
    total_s: float | None
    device_state: str
    reason: str
    outputs: tuple[str, ...]
    intent: tuple[float, ...]
    axes: tuple[str, ...] = ()
    axis_positions: tuple[float, ...] = ()
    world: World | None = None
    n_successes: int = 0
    n_trials: int = 0
    latency_p50_ms: float = math.nan
    latency_p99_ms: float = math.nan
    data_age_ms: float = math.nan
    channels: str = ""
    events: Sequence[str] = field(default_factory=tuple)
    checks: Sequence[Check] = field(default_factory=tuple)
    keys: str = "space stop   q quit"
    answer: str = ""
    alarm: str = ""


def draw(snapshot: Snapshot) -> RenderableType:
    """Draw the screen."""
    left: RenderableType = _map(snapshot.world) if snapshot.world is not None else _axes(snapshot)
    body: RenderableType = Columns([left, _numbers(snapshot)], padding=(0, 1))
    if shows_checks(snapshot):
        body = draw_checks(snapshot.checks)
    answer = [Text(snapshot.answer, no_wrap=True, overflow="ellipsis")] if snapshot.answer else []
    alarm = [Text(snapshot.alarm, style="bold white on red")] if snapshot.alarm else []
    n_events = NEWS_LINES - len(answer) - len(alarm)  # they have the room of the oldest events
    told = "\n".join(list(snapshot.events)[-n_events:]) or " "
    events = Text(told, style="dim", no_wrap=True, overflow="ellipsis")
    return Group(*alarm, _header(snapshot), body, events, *answer, Text(snapshot.keys, style="reverse"))


def shows_checks(snapshot: Snapshot) -> bool:
    """Whether the checks before power are what matters now: while they run, and after a refusal."""
    is_refused = snapshot.device_state == "DISARMED" and not all(check.is_ok for check in snapshot.checks)
    return bool(snapshot.checks) and (snapshot.device_state == "CHECKING" or is_refused)


def draw_checks(checks: Sequence[Check]) -> RenderableType:
    """Every check with its measured value, refusals first and with what to do; what has no room is counted."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, width=7)
    table.add_column(no_wrap=True, width=18, overflow="ellipsis")
    table.add_column(no_wrap=True, width=CHECK_WIDTH, overflow="ellipsis")
    lines_left = CHECK_LINES
    ordered = sorted(checks, key=lambda check: check.is_ok)
    for i, check in enumerate(ordered):
        lines = [check.found, *([] if check.is_ok else wrap(f"→ {check.remedy}", CHECK_WIDTH))]
        lines_left -= len(lines)
        if lines_left < 1:
            table.add_row("", "", f"and {len(ordered) - i} more")
            break
        verdict = Text("ok", style="green") if check.is_ok else Text("REFUSED", style="bold red")
        table.add_row(verdict, check.subject, Text("\n".join(lines)))
    return Panel(table, title="checks before power")


def _header(snapshot: Snapshot) -> RenderableType:
    header = Table.grid(expand=True)
    header.add_column(ratio=3)
    header.add_column(ratio=2, justify="right")
    total = "" if snapshot.total_s is None else f" / {snapshot.total_s:.0f}"
    header.add_row(Text(snapshot.title, style="bold"), Text(f"{snapshot.elapsed_s:.0f}{total} s"))
    header.add_row(Text(snapshot.phase, style="cyan"), _progress(snapshot))
    return header


def _progress(snapshot: Snapshot) -> RenderableType:
    if snapshot.total_s is None:
        return Text("")
    return Align.right(
        ProgressBar(total=snapshot.total_s, completed=min(snapshot.elapsed_s, snapshot.total_s), width=28)
    )


def _map(world: World) -> RenderableType:
    """Seen from above: x to the right, y away from the person; the height and the hand are bars below."""
    cells = [[" "] * MAP_WIDTH for _ in range(MAP_HEIGHT)]
    _place(cells, world.target, "◎")
    _place(cells, world.position, "●" if _value(world.position, 3) > 0.5 else "○")
    drawing = Text("\n".join("".join(row) for row in cells))
    drawing.highlight_words(["◎"], "bold yellow")
    drawing.highlight_words(["●", "○"], "bold green")
    lines: list[RenderableType] = [drawing]
    for name, axis in (("height", 2), ("grip", 3)):
        if len(world.position) > axis:
            lines.append(_bar(name, world.position[axis], world.target[axis]))
    title = "watch along" if world.is_assisted else "from above"
    return Panel(Group(*lines), title=title, width=MAP_WIDTH + 4)


def _place(cells: list[list[str]], point: Sequence[float], mark: str) -> None:
    column = round(min(max(_value(point, 0), 0.0), 1.0) * (MAP_WIDTH - 1))
    row = round((1.0 - min(max(_value(point, 1), 0.0), 1.0)) * (MAP_HEIGHT - 1))
    cells[row][column] = mark


def _value(point: Sequence[float], axis: int) -> float:
    return point[axis] if len(point) > axis else 0.5


def _bar(name: str, value: float, target: float) -> Text:
    width = MAP_WIDTH - 9
    cells = ["─"] * width
    cells[round(min(max(target, 0.0), 1.0) * (width - 1))] = "◎"
    cells[round(min(max(value, 0.0), 1.0) * (width - 1))] = "●"
    bar = Text(f"{name:<7} {''.join(cells)}")
    bar.highlight_words(["◎"], "bold yellow")
    bar.highlight_words(["●"], "bold green")
    return bar


def _axes(snapshot: Snapshot) -> RenderableType:
    table = Table(box=None, title="device", title_justify="left", width=MAP_WIDTH + 4)
    table.add_column("axis")
    table.add_column("position", justify="right")
    for axis, position in zip(snapshot.axes, snapshot.axis_positions, strict=False):
        table.add_row(axis, f"{position:.3f}")
    return Panel(table, title="device", width=MAP_WIDTH + 4)


def _numbers(snapshot: Snapshot) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(max_width=NUMBERS_WIDTH)
    table.add_row("device", Text(snapshot.device_state, style=STATE_STYLES.get(snapshot.device_state, "")))
    table.add_row("", Text(snapshot.reason[:36], style="dim"))
    for name, value in zip(snapshot.outputs, snapshot.intent, strict=False):
        table.add_row(name, _signed_bar(value))
    if snapshot.n_trials:
        rate = 100.0 * snapshot.n_successes / snapshot.n_trials
        table.add_row("successes", f"{snapshot.n_successes} of {snapshot.n_trials} ({rate:.0f} %)")
    table.add_row("latency", f"p50 {_ms(snapshot.latency_p50_ms)}  p99 {_ms(snapshot.latency_p99_ms)}")
    table.add_row("data age", _ms(snapshot.data_age_ms))
    if snapshot.channels:
        style = "yellow" if "masked" in snapshot.channels else ""
        table.add_row("channels", Text(snapshot.channels, style=style, no_wrap=True, overflow="ellipsis"))
    return table


def _signed_bar(value: float) -> Text:
    half = 8
    filled = min(half, round(abs(value) / 0.7 * half)) if math.isfinite(value) else 0
    left = "█" * filled if value < 0 else ""
    right = "█" * filled if value > 0 else ""
    return Text(f"{left:>{half}}│{right:<{half}} {value:+.2f}")


def _ms(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} ms"
