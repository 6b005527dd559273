"""The tables of `bci evaluate --suite real`, 80 columns wide."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table


def print_continuous(console: Console, rows: list[dict[str, Any]], methods: list[str]) -> None:
    """R² and correlation of each axis, by set and method; the median where a set has several days."""
    for group in dict.fromkeys(row["group"] for row in rows):
        inside = [row for row in rows if row["group"] == group]
        sets = list(dict.fromkeys(row["set"] for row in inside))
        axes = list(inside[0]["r2"])
        title = f"{group}, median of {len(sets)} days" if len(sets) > 1 else group
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("R² (CC)")
        for axis in (*axes, "mean"):
            table.add_column(axis, justify="right")
        for method in methods:
            own = [row for row in inside if row["method"] == method]
            r2 = np.array([[row["r2"][axis] for axis in axes] for row in own])
            cc = np.array([[row["cc"][axis] for axis in axes] for row in own])
            pairs = zip(np.median(r2, axis=0), np.nanmedian(cc, axis=0), strict=True)
            cells = [f"{short(a)} ({short(b)})" for a, b in pairs]
            mean = short(float(np.median(r2.mean(axis=1))))
            table.add_row(method, *cells, mean, style="bold" if method == "ours" else "")
        console.print(table)
        console.print()


def short(value: float) -> str:
    """Three decimals without the zero before them, so that a table fits in 80 columns."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3g}"


def print_days(console: Console, rows: list[dict[str, Any]]) -> None:
    """Mean R² over the axes, and mean correlation, of a decoder on other days."""
    if not rows:
        return
    table = Table(title="limblab_spike, decoder of another day", title_justify="left", box=None, pad_edge=False)
    table.add_column("mean R² (CC)")
    for method in rows[0]["r2"]:
        table.add_column(method, justify="right")
    for row in rows:
        cells = []
        for method, r2 in row["r2"].items():
            cc = float(np.mean(list(row["cc"][method].values())))
            cells.append(f"{short(float(np.mean(list(r2.values()))))} ({short(cc)})")
        table.add_row(row["set"], *cells)
    console.print(table)
    console.print()


def print_discrete(console: Console, rows: list[dict[str, Any]]) -> None:
    """Accuracy of the classifiers on what was held out."""
    if not rows:
        return
    table = Table(title="accuracy on held-out epochs", title_justify="left", box=None, pad_edge=False)
    for heading in ("set", "ours", "log power, LDA", "classes", "epochs"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for row in rows:
        table.add_row(row["set"], f"{row['ours']:.3f}", f"{row['baseline']:.3f}", str(row["n_classes"]), str(row["n"]))
    console.print(table)
