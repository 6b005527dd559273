"""What others use today, on the same arrays in the same process: `python benchmarks/peers.py [--write]`.

Needs the packages of the extra `bench`. Every line of a table does the same work; the rounds of all of them are
interleaved in bursts, so that other work on the machine meets all alike.
`--write` puts the tables, with the machine's description, into `benchmarks/RESULTS.md`.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ezmsg.learn.model.refit_kalman import RefitKalmanFilter
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray
from pykalman import KalmanFilter as PyKalman
from race import Line, Table, machine, rows
from rich.console import Console
from rich.progress import track
from scipy import signal
from threadpoolctl import threadpool_limits

from bci.decoding.kalman import filter_states
from bci.decoding.model import Model
from bci.decoding.velocity import VelocityDecoder
from bci.profile import BandPower, Decoder, Rates, Spikes
from bci.signals.features import Extractor
from bci.signals.filters import design_bandpass, filter_sections, settled_state
from bci.types import Chunk

Array = NDArray[np.float64]
OUTPUTS = ("vx", "vy", "vz")
BIN_S = 0.02
FEATURES = (96, 256, 1024)
BURST_S = 0.15
PACKAGES = ("numpy", "scipy", "numba", "filterpy", "pykalman", "ezmsg-learn")
FORMS = {"full": "full covariance", "low_rank": "diagonal + 8 factors", "diagonal": "diagonal"}
BANDS_HZ = ((4, 8), (8, 12), (12, 20), (20, 30), (30, 45))


@dataclass(frozen=True)
class Encoding:
    """Seven states: three positions, three velocities and 1; features of correlated noise."""

    C: Array
    Q: Array
    A: Array
    W: Array
    y: Array

    @staticmethod
    def draw(n: int) -> "Encoding":
        random = np.random.default_rng(0)
        loads = random.normal(size=(n, 4))
        A = np.eye(7)
        A[:3, 3:6] = BIN_S * np.eye(3)
        A[3:6, 3:6] *= 0.9
        A[6, 6] = 0.99
        W = np.diag([1e-6] * 3 + [0.02] * 3 + [1e-6])
        return Encoding(random.normal(size=(n, 7)), np.eye(n) + loads @ loads.T, A, W, random.normal(size=(256, n)))

    def decoder(self, form: str) -> VelocityDecoder:
        C = np.column_stack([self.C[:, 3:6], self.C[:, :3], self.C[:, 6]])
        labels = tuple(f"n{i}" for i in range(len(C)))
        model = Model(OUTPUTS, labels, "", BIN_S, C, self.Q, 100 * np.eye(7), 1000.0, 1e9)
        return VelocityDecoder(model, Decoder(outputs=OUTPUTS, state="position_velocity", noise=form))


def bins(y: Array) -> Callable[[], Array]:
    """The next bin, round and round."""
    at = 0

    def following() -> Array:
        nonlocal at
        at = (at + 1) % len(y)
        return y[at]

    return following


def numpy_information(e: Encoding) -> Callable[[], object]:
    """NumPy by the information form, as the decoders of BMI3D compute it, with NIS; nothing of size n is inverted."""
    precision, following = np.linalg.inv(e.Q), bins(e.y)
    L = e.C.T @ precision
    D, identity = L @ e.C, np.eye(7)
    x, P = np.zeros(7), 0.1 * np.eye(7)

    def step() -> float:
        nonlocal x, P
        P = e.A @ P @ e.A.T + e.W
        small = identity - D @ P @ np.linalg.inv(identity + D @ P)
        x = e.A @ x
        innovation = following() - e.C @ x
        l = L @ innovation
        nis = innovation @ precision @ innovation - l @ P @ small @ l
        x = x + P @ small @ l
        P = P @ small
        return float(nis)

    return step


def filterpy_step(e: Encoding) -> Callable[[], object]:
    kalman, following = KalmanFilter(dim_x=7, dim_z=len(e.Q)), bins(e.y)
    kalman.F, kalman.Q, kalman.H, kalman.R, kalman.P = e.A, e.W, e.C, e.Q, 0.1 * np.eye(7)

    def step() -> None:
        kalman.predict()
        kalman.update(following())

    return step


def pykalman_step(e: Encoding) -> Callable[[], object]:
    kalman = PyKalman(e.A, e.C, e.W, e.Q, np.zeros(7), np.zeros(len(e.Q)), np.zeros(7), 0.1 * np.eye(7))
    x, P, following = np.zeros(7), 0.1 * np.eye(7), bins(e.y)

    def step() -> None:
        nonlocal x, P
        x, P = kalman.filter_update(x, P, following())

    return step


def ezmsg_step(e: Encoding, is_steady: bool) -> Callable[[], object]:
    kalman = RefitKalmanFilter(e.A, e.W, e.C, e.Q, steady_state=is_steady)
    if is_steady:
        kalman._compute_gain()
    else:
        kalman.P_state_covariance = 0.1 * np.eye(7)
    x, following = np.zeros(7), bins(e.y)

    def step() -> None:
        nonlocal x
        x = kalman.update(following(), *kalman.predict(x))

    return step


def our_step(decoder: VelocityDecoder, y: Array) -> Callable[[], object]:
    following, step = bins(y), decoder.step
    decoder.show((0.5, 0.5, 0.5))
    return lambda: step(following())


def steps(n: int) -> list[Line]:
    """Decode one bin, seven states."""
    e = Encoding.draw(n)
    ours = [
        Line(f"ours, {name}", our_step(e.decoder(form), e.y), "with NIS, gate, weights", True)
        for form, name in FORMS.items()
    ]
    return [
        *ours,
        Line("NumPy, information form (as BMI3D)", numpy_information(e), "with NIS, covariance each bin"),
        Line("ezmsg-learn ReFIT, steady state", ezmsg_step(e, True), "fixed gain, no NIS"),
        Line("ezmsg-learn ReFIT", ezmsg_step(e, False), "covariance each bin"),
        Line("filterpy", filterpy_step(e), "covariance each bin"),
        Line("pykalman", pykalman_step(e), "covariance each bin"),
    ]


def numpy_learning(e: Encoding) -> Callable[[], object]:
    """NumPy: a step in steady state, then the rank-one recursions on C, the inverse of Q and that of R, bin by bin."""
    C, M, Ri = e.C.copy(), np.linalg.inv(e.Q) / 1000, np.eye(7) / 100
    following, decay, x = bins(e.y), 0.5 ** (BIN_S / 120.0), np.array([0.5, 0.1, 0.0, 0.5, 0.5, 0.5, 1.0])
    v = np.zeros(7)

    def step() -> None:
        nonlocal C, M, Ri, v
        y = following()
        residual = y - C @ v
        L = C.T @ M
        v = v + 0.1 * np.linalg.solve(L @ C + np.eye(7), L @ residual)
        e, r = y - C @ x, Ri @ x
        s, u = decay + x @ r, M @ e
        M = (M - np.outer(u, u) / (s + e @ u)) / decay
        C = C + np.outer(e, r) / s
        Ri = (Ri - np.outer(r, r) / s) / decay

    return step


def our_learning(decoder: VelocityDecoder, y: Array) -> Callable[[], object]:
    following, v = bins(y), (0.5, 0.1, 0.0)

    def step() -> None:
        features = following()
        decoder.step(features)
        decoder.learn(features, v, 1.0, 120.0)

    return step


def learning(n: int) -> list[Line]:
    """Decode one bin and learn from it."""
    e = Encoding.draw(n)
    ours = [
        Line(f"ours, {FORMS[form]}", our_learning(e.decoder(form), e.y), is_ours=True) for form in ("full", "diagonal")
    ]
    return [*ours, Line("NumPy, rank-one recursions", numpy_learning(e), "full covariance")]


def kalman_sessions(n: int) -> list[Line]:
    """A recording through the Kalman filter that keeps its covariance, bin by bin."""
    e = Encoding.draw(n)
    Y = np.random.default_rng(1).normal(size=(round(10.0 / BIN_S), n))
    L = np.ascontiguousarray(np.linalg.solve(e.Q, e.C).T)
    D, out, P, x = np.ascontiguousarray(L @ e.C), np.empty((len(Y), 7)), 0.1 * np.eye(7), np.zeros(7)
    filterpy = KalmanFilter(dim_x=7, dim_z=n)
    filterpy.x = np.zeros(7)
    filterpy.F, filterpy.Q, filterpy.H, filterpy.R = e.A, e.W, e.C, e.Q
    pykalman = PyKalman(e.A, e.C, e.W, e.Q, np.zeros(7), np.zeros(n), np.zeros(7), P)
    return [
        Line("ours", lambda: filter_states(e.A, e.W, D, L, Y, x, P.copy(), out), is_ours=True),
        Line("filterpy", lambda: filterpy.batch_filter(Y)),
        Line("pykalman", lambda: pykalman.filter(Y)),
    ]


def session(n: int) -> list[Line]:
    """Counts at 50 Hz as they were recorded to intents: features, normalisation, decoder."""
    samples = np.random.default_rng(2).poisson(1.0, (round(10.0 / BIN_S), n)).astype(float)
    chunk = Chunk(samples, np.arange(len(samples)) * BIN_S)
    extractor, decoder = Extractor(Rates(), [f"n{i}" for i in range(n)], 1 / BIN_S), Encoding.draw(n).decoder("full")

    def work() -> None:
        for frame in extractor.push(chunk):
            decoder.step(frame.features)

    return [Line("ours", work, "features, decoding with NIS", True)]


def chunked(samples: Array, rate_hz: float) -> list[Array]:
    size = round(BIN_S * rate_hz)
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def extraction(features: Spikes | BandPower, samples: Array, rate_hz: float) -> Callable[[], object]:
    extractor = Extractor(features, [f"e{i}" for i in range(samples.shape[1])], rate_hz)
    chunks = [Chunk(piece, np.arange(len(piece)) / rate_hz) for piece in chunked(samples, rate_hz)]

    def work() -> None:
        for chunk in chunks:
            extractor.push(chunk)

    return work


def band_passes(n: int) -> list[Line]:
    """One band-pass, 250-5000 Hz, over a second of broadband at 30 kHz, in chunks of 20 ms."""
    sos, pieces = design_bandpass(250, 5000, 2, 30_000.0), chunked(noise(n, 30_000), 30_000.0)
    state, out = settled_state(sos, pieces[0][0]), np.empty_like(pieces[0])

    def ours() -> None:
        for piece in pieces:
            filter_sections(sos, state, piece, out)

    def scipy() -> None:
        zi = np.zeros((len(sos), 2, n))
        for piece in pieces:
            _, zi = signal.sosfilt(sos, piece, axis=0, zi=zi)

    return [Line("ours", ours, is_ours=True), Line("scipy.signal.sosfilt", scipy)]


def spikes(n: int) -> list[Line]:
    """Features of a second of broadband at 30 kHz."""
    samples = noise(n, 30_000)
    return [
        Line("ours, crossings and spike-band power", extraction(Spikes(), samples, 30_000.0), "with quality", True),
        Line("scipy.signal.sosfilt, both bands only", sosfilt_both(samples), "no detection, no power"),
    ]


def sosfilt_both(samples: Array) -> Callable[[], object]:
    banks = [design_bandpass(*band, 2, 30_000.0) for band in ((250, 5000), (300, 1000))]
    pieces = chunked(samples, 30_000.0)

    def work() -> None:
        for sos in banks:
            zi = np.zeros((len(sos), 2, samples.shape[1]))
            for piece in pieces:
                _, zi = signal.sosfilt(sos, piece, axis=0, zi=zi)

    return work


def eeg(n: int) -> list[Line]:
    """Log band power of a second of EEG at 1 kHz: notch, average reference, five bands."""
    samples = noise(n, 1000)
    features = BandPower(bin_ms=20, reference="average", notch_hz=50.0, bands_hz=BANDS_HZ)
    banks, pieces = [design_bandpass(*band, 4, 1000.0) for band in BANDS_HZ], chunked(samples, 1000.0)

    def scipy() -> None:
        states = [np.zeros((len(sos), 2, n)) for sos in banks]
        for piece in pieces:
            centred = piece - piece.mean(axis=1, keepdims=True)
            for i, sos in enumerate(banks):
                filtered, states[i] = signal.sosfilt(sos, centred, axis=0, zi=states[i])
                np.log(np.mean(filtered**2, axis=0))

    return [
        Line("ours", extraction(features, samples, 1000.0), "with notch and quality", True),
        Line("SciPy and NumPy", scipy, "no notch"),
    ]


def noise(n: int, n_samples: int) -> Array:
    return 10 * np.random.default_rng(3).normal(size=(n_samples, n))


TABLES = (
    Table("One bin decoded, 7 states, {} features", steps, FEATURES, BIN_S),
    Table("One bin decoded and learned from, {} features", learning, FEATURES, BIN_S),
    Table("A recording of {} features at 50 Hz, Kalman filter with covariance, 7 states", kalman_sessions, (96,), 10.0),
    Table("A recording of {} counts at 50 Hz, from counts to intents", session, (96,), 10.0),
    Table("Band-pass, {} channels at 30 kHz", band_passes, (96, 256), 1.0),
    Table("Threshold crossings and spike-band power, {} channels at 30 kHz", spikes, (96, 256), 1.0),
    Table("EEG, {} channels at 1 kHz, 5 bands", eeg, (64,), 1.0),
)


def main() -> int:
    """Print every table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="also write benchmarks/RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("a quick run measures nothing: leave out --quick, or --write")
    console, pieces = Console(stderr=True), []
    work = [(table, n) for table in TABLES for n in (table.sizes[:1] if arguments.quick else table.sizes)]
    with threadpool_limits(1):
        for table, n in track(work, "Measuring", console=console, transient=True):
            lines = rows(table.lines(n), table.signal_s, 0.0 if arguments.quick else BURST_S)
            pieces.append("\n".join([f"## {table.heading.format(n)}", "", *lines]))
            print(f"{pieces[-1]}\n", flush=True)
    if arguments.write:
        text = "\n\n".join([INTRODUCTION, machine(PACKAGES), *pieces]) + "\n"
        Path(__file__).with_name("RESULTS.md").write_text(text, "utf-8")
    return 0


INTRODUCTION = """# Speed beside others

Written by `python benchmarks/peers.py --write` (extra `bench`): every table in one process, on the same arrays, the
lines in turn, a burst each. "Slower than ours" compares a peer's median with our first line. Other work on a machine
moves all the figures, the ratios least."""

if __name__ == "__main__":
    sys.exit(main())
