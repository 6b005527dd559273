"""The pictures of a calibration's report, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bci.types import Array
from calibration.catalogue import Catalogue
from calibration.conductor import CLEAR_EFFORT, Trace, angles_deg

WINDOW_S = 5.0
CHANCE_DEG = 90.0
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#999999"  # told apart also by the colour-blind (Okabe & Ito)
COLUMNS = 32


def angles_over_time(trace: Trace) -> tuple[Array, Array]:
    """Mean angle between read-out and intention in windows of five seconds: their middles, and the angles."""
    used = (trace.weight > 0) & ~trace.is_missing & np.isfinite(trace.raw).all(axis=1)
    used &= np.linalg.norm(trace.v_int, axis=1) > CLEAR_EFFORT
    if not used.any():
        return np.empty(0), np.empty(0)
    angles = angles_deg(trace.raw[used], trace.v_int[used])
    windows = (trace.time_s[used] / WINDOW_S).astype(int)
    numbers = np.unique(windows)
    return (numbers + 0.5) * WINDOW_S, np.array([angles[windows == i].mean() for i in numbers])


def draw_tuning(C: Array, outputs: tuple[str, ...], texts: Catalogue) -> bytes:
    """Preferred direction and modulation of each feature in the first two outputs, and all weights as an image."""
    figure, (left, right) = _figure(2)
    weights = C[:, :-1]
    if weights.shape[1] > 1:
        left.quiver(
            np.zeros(len(weights)), np.zeros(len(weights)), weights[:, 0], weights[:, 1], angles="xy",
            scale_units="xy", scale=1.0, width=0.004, color=BLUE, alpha=0.5,
        )  # fmt: skip
        most = 1.1 * float(np.abs(weights[:, :2]).max()) or 1.0
        left.set(xlim=(-most, most), ylim=(-most, most), aspect="equal", xlabel=outputs[0], ylabel=outputs[1])
        left.set_title(texts["report.direction"], fontsize=9)
    else:
        left.bar(np.arange(len(weights)), weights[:, 0], color=BLUE)
        left.set(xlabel=texts["ui.channels"], ylabel=outputs[0])
    most = float(np.abs(weights).max()) or 1.0
    image = right.imshow(weights.T, aspect="auto", cmap="PuOr", vmin=-most, vmax=most, interpolation="nearest")
    right.set_yticks(range(len(outputs)), outputs)
    right.set_xlabel(texts["ui.channels"])
    figure.colorbar(image, ax=right, label=texts["report.depth"])
    return _png(figure)


def draw_quality(quality: Array) -> bytes:
    """One square for each feature: blue when alive and steady, orange with a cross when not."""
    figure, axis = _figure(1, height=1.6)
    places = np.arange(len(quality))
    for value, colour, marker in ((1.0, BLUE, "s"), (0.0, ORANGE, "X")):
        chosen = places[quality == value]
        axis.scatter(chosen % COLUMNS, -(chosen // COLUMNS), c=colour, marker=marker, s=60)
    axis.set(xlim=(-1, COLUMNS), ylim=(-((len(quality) - 1) // COLUMNS) - 1, 1))
    axis.axis("off")
    return _png(figure)


def draw_paths(path: Array, target: Array, trial: Array, outputs: tuple[str, ...]) -> bytes:
    """Paths to the targets in the first two outputs; on a line, over the bins."""
    figure, axis = _figure(1, height=4.0)
    if path.shape[1] == 1:
        axis.plot(target[:, 0], color=ORANGE, linewidth=2)
        axis.plot(path[:, 0], color=BLUE, linewidth=1)
        axis.set(ylabel=outputs[0], ylim=(0, 1))
        return _png(figure)
    for i in np.unique(trial):
        axis.plot(*path[trial == i, :2].T, color=BLUE, linewidth=0.7, alpha=0.6)
    axis.scatter(*np.unique(target[:, :2], axis=0).T, s=120, facecolors="none", edgecolors=ORANGE, linewidths=2)
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=outputs[0], ylabel=outputs[1])
    return _png(figure)


def draw_angles(time_s: Array, angle_deg: Array, n_outputs: int, texts: Catalogue) -> bytes:
    """Direction error over the time worked, with chance."""
    figure, axis = _figure(1)
    axis.plot(time_s / 60.0, angle_deg, ".", color=BLUE)
    axis.axhline(CHANCE_DEG, color=GREY, linestyle="--")
    axis.text(time_s[0] / 60.0, CHANCE_DEG + 1, texts["report.chance"], color=GREY, fontsize=8)
    axis.set(xlabel=texts["report.minutes"], ylabel=texts["report.degrees"], ylim=(0, 110))
    return _png(figure)


def draw_sweep(tuning: dict[str, Array], texts: Catalogue) -> bytes:
    """Predicted time to target over smoothing and gain; the chosen point is marked."""
    figure, axis = _figure(1, height=3.4)
    times_s = tuning["times_s"]
    image = axis.imshow(times_s.T, origin="lower", aspect="auto", cmap="viridis_r", interpolation="nearest")
    for a, row in enumerate(times_s):
        for b, value in enumerate(row):
            colour = "white" if value > np.mean([times_s.min(), times_s.max()]) else "black"
            axis.text(a, b, f"{value:.1f}", ha="center", va="center", fontsize=7, color=colour)
    a = int(np.argmin(np.abs(tuning["taus_ms"] - tuning["chosen"][0])))
    b = int(np.argmin(np.abs(tuning["betas"] - tuning["chosen"][1])))
    axis.plot(a, b, "s", markersize=24, fillstyle="none", color=ORANGE, markeredgewidth=3)
    axis.set_xticks(range(len(tuning["taus_ms"])), [f"{tau:.0f}" for tau in tuning["taus_ms"]])
    axis.set_yticks(range(len(tuning["betas"])), [f"{beta:.2f}" for beta in tuning["betas"]])
    axis.set(xlabel=texts["report.smoothing_ms"], ylabel=texts["report.gain"])
    figure.colorbar(image, ax=axis, label="s")
    return _png(figure)


def draw_confusion(confusion: Array, names: Sequence[str]) -> bytes:
    """Shares of each row."""
    figure, axis = _figure(1, height=2.6)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1.0)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(share):
        axis.text(j, i, f"{100 * value:.0f} %", ha="center", va="center", color="white" if value > 0.5 else "black")
    axis.set_xticks(range(len(share)), names)
    axis.set_yticks(range(len(share)), names)
    return _png(figure)


def _figure(n_axes: int, height: float = 3.0) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, figure.subplots(1, n_axes)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
