"""The figures of docs/simulator.md, and the numbers in it: `python benchmarks/simulator.py docs/images`."""

import sys
import time
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from bci.decoding.velocity import VelocityDecoder
from bci.simulation import regressions
from bci.simulation.laboratory import calibrate, pipeline_of, profile_of
from calibration.tuning import sweep
from calibration.user_model import UserModel

SIZE, DPI = (7.2, 3.0), 80
# simulated before this project, in another program, with the same user and task
REFERENCE_DAYS = {0.6: (1.30, 1.36, 1.48, 1.93, 3.57, 6.25, 7.81), 0.34: (1.03, 1.04, 1.09, 1.38, 2.41, 4.41, 7.80)}
DAYS = (0, 1, 3, 7, 14, 21, 30)
DELAYS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
REFERENCE_TUNED, REFERENCE_FIXED = (1.11, 1.27, 1.39, 1.50, 1.61, 1.68), (1.18, 1.27, 1.45, 1.73, 2.00, 2.31)
CORRELATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)


def movement_time(axes):
    """Movement time over distance and over one over the squared radius, with the fitted plane."""
    times_s = regressions.movement_times()
    distance, radius = np.meshgrid(regressions.DISTANCES, regressions.RADII, indexing="ij")
    (a, b, c), explained = regressions.law_of(times_s, distance, 1 / radius**2)
    fitts = regressions.law_of(times_s, np.log2(distance / (2 * radius) + 1))[1]
    print(f"movement time = {a:.2f} + {b:.2f} D + {c:.4f} / R²: R² {explained:.3f}; Fitts's law: R² {fitts:.3f}")
    print(np.round(times_s, 2))
    for j, r in enumerate(regressions.RADII):
        axes[0].plot(regressions.DISTANCES, times_s[:, j], "o", color=f"C{j}", label=f"radius {r:g}")
        axes[0].plot(regressions.DISTANCES, a + b * np.array(regressions.DISTANCES) + c / r**2, color=f"C{j}", lw=1)
    for i, d in enumerate(regressions.DISTANCES):
        axes[1].plot(1 / np.array(regressions.RADII) ** 2, times_s[i], "o", color=f"C{i + 4}", label=f"distance {d:g}")
        axes[1].plot(
            1 / np.array(regressions.RADII) ** 2,
            a + b * d + c / np.array(regressions.RADII) ** 2,
            color=f"C{i + 4}",
            lw=1,
        )
    axes[0].set(xlabel="distance, workspaces", ylabel="movement time, s", ylim=(0, None))
    axes[1].set(xlabel="1 / radius²", ylim=(0, None))


def gain_and_smoothing(axes):
    """Time to target over gain and smoothing, for two kinds of days."""
    for axis, (sigma, reference) in zip(axes, ((0.6, (90, 0.9, 1.27)), (1.2, (123, 0.5, 1.95))), strict=True):
        found = sweep(sigma, 0.075, 0.5, n_trials=400)
        tau_ms, beta, seconds = reference
        there = sweep(sigma, 0.075, 0.5, n_trials=400, taus_ms=np.array([tau_ms]), betas=np.array([beta]))
        print(f"sigma {sigma}: best {found.best:.2f} s at {found.tau_ms:.0f} ms, {found.beta:.2f}; "
              f"at the reference's optimum {there.best:.2f} s, reference {seconds:.2f} s")  # fmt: skip
        levels = found.best * np.array([1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.5, 4.0])
        axis.contourf(found.betas, found.taus_ms, found.time_to_target_s, levels, cmap="viridis_r", extend="max")
        axis.plot(found.beta, found.tau_ms, "w*", ms=12, mec="k", label=f"best, {found.best:.2f} s")
        axis.plot(beta, tau_ms, "wo", ms=6, mec="k", label=f"reference, {seconds:.2f} s")
        axis.set(xscale="log", yscale="log", xlabel="gain, workspaces/s", title=f"noise {sigma}")
        axis.set_yticks(found.taus_ms[::2], [f"{tau:.0f}" for tau in found.taus_ms[::2]])
        axis.set_xticks(found.betas[::2], [f"{value:.2g}" for value in found.betas[::2]])
        axis.minorticks_off()
    axes[0].set(ylabel="smoothing, ms")


def days(axes):
    """A frozen decoder over days."""
    for i, (sigma, reference) in enumerate(REFERENCE_DAYS.items()):
        measured = regressions.decay_over_days(DAYS, sigma)
        print(f"sigma {sigma}, days {DAYS}: " + ", ".join(f"{t:.2f} s ({100 * s:.0f} %)" for t, s in measured))
        axes[0].plot(DAYS, [t for t, _ in measured], "o-", color=f"C{i}", label=f"noise {sigma}")
        axes[0].plot(DAYS, reference, "x", color=f"C{i}", ms=8, label=f"reference, {sigma}")
        axes[1].plot(DAYS, [100 * s for _, s in measured], "o-", color=f"C{i}")
    axes[0].set(xlabel="days since calibration", ylabel="time to target, s", ylim=(0, 10))
    axes[1].set(xlabel="days since calibration", ylabel="success, %", ylim=(0, 102))


def noise_and_delay(axes):
    """Coloured noise of the same size, and the delay of seeing."""
    tuned = [sweep(0.6, 0.075, 0.5, correlation=rho).best for rho in CORRELATIONS]
    users = [UserModel(delay_s=delay) for delay in DELAYS_S]
    again = [sweep(0.6, 0.075, 0.5, user=user).best for user in users]
    there = {"taus_ms": np.array([90.0]), "betas": np.array([0.9]), "n_trials": 400}
    fixed = [sweep(0.6, 0.075, 0.5, user=user, **there).best for user in users]
    print(f"correlation {CORRELATIONS}: {np.round(tuned, 2)} s; reference 1.27 s at 0, 2.51 s at 0.8")
    print(f"delay {DELAYS_S}: tuned again {np.round(again, 2)}, left {np.round(fixed, 2)} s")
    axes[0].plot(CORRELATIONS, tuned, "o-", label="tuned again")
    axes[0].plot((0.0, 0.8), (1.27, 2.51), "kx", ms=8, label="reference")
    axes[0].set(xlabel="correlation of the noise from bin to bin", ylabel="time to target, s", ylim=(0, None))
    axes[1].plot(DELAYS_S, again, "o-", label="tuned again")
    axes[1].plot(DELAYS_S, fixed, "s-", label="left as for 0.2 s")
    axes[1].plot(DELAYS_S + DELAYS_S, REFERENCE_TUNED + REFERENCE_FIXED, "kx", ms=8, label="reference")
    axes[1].set(xlabel="delay of seeing, s", ylim=(0, None))


def speed():
    """How many times faster than real time, median of five runs."""
    for n in (96, 192, 256):
        loop = regressions.participant(0, 85.0, 0.8, n=n)
        profile = profile_of(loop.population, 85.0, 0.8)
        model = calibrate(loop, profile)
        decoder, pipeline = VelocityDecoder(model, profile.decoder), pipeline_of(profile, model)
        ratios = [_ratio(lambda s, d=decoder, at=loop: at.run_compiled(d, s), 200.0),
                  _ratio(lambda s, p=pipeline, at=loop: at.run_pipeline(p, s), 10.0)]  # fmt: skip
        print(f"{n} neurons: {ratios[0]:.0f} x real time compiled, {ratios[1]:.0f} x through the pipeline")


def _ratio(run, seconds):
    took = []
    for _ in range(6):
        start = time.perf_counter()
        run(seconds)
        took.append(time.perf_counter() - start)
    return seconds / float(np.median(took[1:]))


def whole_decoder():
    """The standard condition and what befalls it, by the same functions that the tests hold."""
    held = regressions.frozen()
    print(f"tuned and frozen: {held.time_to_target_s:.2f} s, {100 * held.success_rate:.1f} % of {held.n_trials}")
    curve = regressions.learning_curve(3)
    print("from random weights, by minute: "
          + ", ".join(f"{m.time_to_target_s:.2f} s ({100 * m.success_rate:.0f} %)" for m in curve))  # fmt: skip
    print(f"30 % of electrodes dead: +{100 * regressions.cost_of_dropout():.0f} % masked, "
          f"+{100 * regressions.cost_of_dropout(seconds=60.0, is_masked=False):.0f} % not")  # fmt: skip
    print(f"5 bursts a minute: +{100 * regressions.cost_of_bursts():.0f} %")
    print(f"means shifted by 0.5: +{100 * regressions.cost_of_shift(300.0):.0f} % tracked, "
          f"+{100 * regressions.cost_of_shift(None, seconds=60.0, settle_s=10.0):.0f} % not")  # fmt: skip
    for left, half_life_s in ((0.5, 30.0), (0.0, 30.0)):
        before, spans = regressions.recovery(left, half_life_s)
        print(f"tuning keeps {left}: {before:.2f} s before; then by half minute {np.round(spans, 2)} s")


def main(folder):
    """Print every number, and draw every figure into `folder`."""
    speed()
    whole_decoder()
    for name, draw in (("movement-time", movement_time), ("gain-smoothing", gain_and_smoothing), ("days", days),
                       ("noise-delay", noise_and_delay)):  # fmt: skip
        figure, axes = plt.subplots(1, 2, figsize=SIZE, layout="constrained")
        draw(axes)
        for axis in axes:
            axis.spines[["top", "right"]].set_visible(False)
            if axis.get_legend_handles_labels()[0]:
                axis.legend(fontsize=7, frameon=name == "gain-smoothing")
        figure.savefig(folder / f"simulator-{name}.png", dpi=DPI)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
