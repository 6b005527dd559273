"""What a session achieved, in one small table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from bci.live.latency import POINTS, LatencyLog
from bci.plan import Plan, write_json
from calibration.metrics import Trial, summarise

INTERVALS = {"samples to intent": "intent", "samples to port": "sent", "samples to device": "acknowledged"}


def print_summary(
    console: Console, plan: Plan, trials: Sequence[Trial] | None, figures: Mapping[str, float] | None = None
) -> None:
    """Print success, time to target, bit rate and latency; keep the same figures in summary.json."""
    table = Table.grid(padding=(0, 2))
    result: dict[str, object] = {}
    if trials is not None:
        summary = summarise(trials)
        result = {**dataclasses.asdict(summary), "figures": dict(figures or {})}
        rate = f"{100 * summary.success_rate:.0f} %" if trials else "none tried"
        table.add_row("movements", f"{summary.n_successes} of {summary.n_trials} ({rate})")
        table.add_row("time to target", f"{summary.time_to_target_s:.2f} s, of which {trials[0].dwell_s:g} s dwell"
                      if summary.n_successes else "–")  # fmt: skip
        for name, value in (figures or {}).items():
            table.add_row(name, f"{value:.3g}")
        table.add_row("bit rate", f"{summary.bit_rate_bps:.2f} bit/s" if summary.n_successes else "–")
    for title, point in INTERVALS.items():
        p50_ms, p99_ms, n_bins = _latency(plan, point)
        result[f"latency_{point}_ms"] = {"p50": p50_ms, "p99": p99_ms, "n_bins": n_bins}
        if n_bins:
            table.add_row(title, f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms ({n_bins} bins)")
    table.add_row("session", str(plan.folder))
    write_json(plan.path("summary.json"), result)
    console.print(table)


def _latency(plan: Plan, point: str) -> tuple[float, float, int]:
    path = plan.path("latency.npz")
    if not path.exists():
        return float("nan"), float("nan"), 0
    with np.load(path) as saved:
        log = LatencyLog(max(1, len(saved["index"])))
        log.stamps_s[: len(saved["index"])] = saved["stamps_s"]
    interval = log.interval(POINTS[0], point)
    return interval.p50_ms, interval.p99_ms, interval.n_bins
