"""What the operator of a calibration sees: one screen of 80 x 24 from one status. Pure, so that it can be tested."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from calibration.catalogue import Catalogue, number
from calibration.program import Phase
from calibration.wizard import Attempt, GateResult, failed_gates, next_phase

MAP_WIDTH, MAP_HEIGHT = 29, 9
CHANNELS_WIDTH, CHANNELS_HEIGHT = 38, 4
WIDTH = 80


def draw_wizard(
    texts: Catalogue, title: str, program: Sequence[Phase], attempts: Sequence[Attempt], status: Mapping[str, Any]
) -> RenderableType:
    """Draw the screen.

    Parameters
    ----------
    texts : Catalogue
        The operator's language.
    title : str
        First line.
    program : sequence of Phase
        All steps.
    attempts : sequence of Attempt
        What was done.
    status : mapping
        The newest sample of `bci.wizard`; empty before the first.
    """
    phase = next((phase for phase in program if phase.name == status.get("phase")), None)
    parts: list[RenderableType] = [_header(texts, title, program, attempts, phase, status)]
    if phase is not None:
        parts.append(Text(texts[f"phase.{phase.name}.operator"], style="cyan"))
        body = Table.grid(padding=(0, 1))
        body.add_row(_map(status), _numbers(texts, phase, status))
        parts.append(body)
    parts += _verdict(texts, attempts, status, program)
    parts.append(Text(f"{texts['ui.keys']}   {texts['ui.never_moves']}", style="reverse", no_wrap=True, end=""))
    return Group(*parts)


def _header(
    texts: Catalogue, title: str, program: Sequence[Phase], attempts: Sequence[Attempt], phase: Phase | None,
    status: Mapping[str, Any],
) -> RenderableType:  # fmt: skip
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(Text(title, style="bold", no_wrap=True), _alarm(texts, status))
    if status.get("trouble"):
        grid.add_row(Text(status["trouble"], style="bold red"), "")
    if phase is None:
        grid.add_row(Text(texts["ui.starting"], style="cyan"), "")
        return grid
    step = f"{texts['ui.step']} {program.index(phase) + 1}/{len(program)}  {texts[f'phase.{phase.name}.title']}"
    tries = sum(attempt.phase == phase.name for attempt in attempts)
    if tries and status.get("is_running"):
        step += f"  ({texts['ui.try']} {tries + 1})"
    left_s = max(0.0, phase.seconds - status.get("elapsed_s", 0.0)) if status.get("is_running") else phase.seconds
    grid.add_row(Text(step, style="bold"), Text(f"{left_s:.0f} s {texts['ui.time_left']}"))
    done = phase.seconds - left_s
    bar = Table.grid()
    bar.add_row(ProgressBar(total=max(phase.seconds, 1e-9), completed=done, width=WIDTH - 2))
    return Group(grid, bar)


def _alarm(texts: Catalogue, status: Mapping[str, Any]) -> Text:
    if status.get("is_lost"):
        return Text(texts["ui.lost"], style="bold red")
    return Text(texts["ui.paused"] if status.get("is_paused") else "", style="bold yellow")


def _map(status: Mapping[str, Any]) -> RenderableType:
    """The participant's hand and target, the first two dimensions."""
    cells = [[" "] * MAP_WIDTH for _ in range(MAP_HEIGHT)]
    if not status.get("is_rest", True):
        _place(cells, status["target"], "◎")
    _place(cells, status.get("position", [0.5, 0.5]), "■" if status.get("is_squeeze") else "●")
    drawing = Text("\n".join("".join(row) for row in cells))
    drawing.highlight_words(["◎"], "bold yellow")
    drawing.highlight_words(["●", "■"], "bold green")
    return Panel(drawing, width=MAP_WIDTH + 4)


def _place(cells: list[list[str]], point: Sequence[float], mark: str) -> None:
    x, y = point[0], point[1] if len(point) > 1 else 0.5
    column = round(min(max(x, 0.0), 1.0) * (MAP_WIDTH - 1))
    row = round((1.0 - min(max(y, 0.0), 1.0)) * (MAP_HEIGHT - 1))
    cells[row][column] = mark


def _numbers(texts: Catalogue, phase: Phase, status: Mapping[str, Any]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    angle = status.get("angle_error_deg")
    table.add_row(texts["ui.angle_now"], Text(number("_deg", math.nan if angle is None else angle), style="bold"))
    if status.get("assist"):
        table.add_row(texts["ui.assist"], f"{100 * status['assist']:.0f} %")
    if status.get("n_trials"):
        table.add_row(texts["ui.targets"], f"{status['n_successes']} / {status['n_trials']}")
    for gate in phase.gates[:4]:
        side = texts["ui.at_least" if gate.is_least else "ui.at_most"]
        name = Text(texts.name(gate.measure), no_wrap=True, overflow="ellipsis", style="dim")
        table.add_row(name, Text(f"{side} {number(gate.measure, gate.limit)}", style="dim", no_wrap=True))
    return Group(table, _channels(texts, status.get("channels", "")))


def _channels(texts: Catalogue, channels: str) -> RenderableType:
    """One mark for each feature, or for each few when there are many; red where one of them is poor."""
    if not channels:
        return Text("")
    room = CHANNELS_WIDTH * CHANNELS_HEIGHT
    step = -(-len(channels) // room)
    marks = ["0" not in channels[i : i + step] for i in range(0, len(channels), step)]
    n_good = channels.count("1")
    text = Text(f"{texts['ui.channels']} {n_good} / {len(channels)} {texts['ui.good']}\n")
    for i, is_good in enumerate(marks):
        text.append("■" if is_good else "×", style="green" if is_good else "bold red")
        if (i + 1) % CHANNELS_WIDTH == 0:
            text.append("\n")
    return text


def _verdict(
    texts: Catalogue, attempts: Sequence[Attempt], status: Mapping[str, Any], program: Sequence[Phase]
) -> list[RenderableType]:
    """How the last step went; what to do where a gate did not pass."""
    if not attempts:
        return []
    lines: list[RenderableType] = [verdict_line(texts, attempts[-1])]
    failed = failed_gates(attempts[-1])
    for result in failed[:2]:
        lines.append(Text(texts[f"gate.{result.measure}.advice"], style="yellow"))
    if failed:
        lines.append(Text(what_follows(texts, program, attempts), style="yellow"))
    if failed and status.get("is_waiting"):
        lines.append(Text(texts["ui.press_enter"], style="bold yellow"))
    return lines


def what_follows(texts: Catalogue, program: Sequence[Phase], attempts: Sequence[Attempt]) -> str:
    """One sentence about what comes after a step that has not passed; empty when nothing does."""
    following, _ = next_phase(program, attempts)
    if following is None:
        return ""
    names = [phase.name for phase in program]
    if names.index(following.name) > names.index(attempts[-1].phase):
        return texts["ui.without"]
    return f"{texts['ui.then_repeat']}: {texts[f'phase.{following.name}.title']}."


def verdict_line(texts: Catalogue, attempt: Attempt) -> Text:
    """One line about a step: its verdict, and what was measured."""
    title = texts[f"phase.{attempt.phase}.title"]
    line = Text(f"{title}: ", no_wrap=True, overflow="ellipsis")
    word, style = ("ui.passed", "bold green") if attempt.is_passed else ("ui.failed", "bold red")
    line.append(texts[word], style=style)
    shown = failed_gates(attempt) or attempt.gates[:3]
    line.append("  " + ", ".join(gate_text(texts, result) for result in shown))
    return line


def gate_text(texts: Catalogue, result: GateResult) -> str:
    """What was measured against which limit."""
    side = texts["ui.at_least" if result.is_least else "ui.at_most"]
    value, limit = number(result.measure, result.value), number(result.measure, result.limit)
    return f"{texts.name(result.measure)} {value} ({side} {limit})"
