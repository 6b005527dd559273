"""Signals, one second at a time, beside SciPy's filter on the same samples: `python -m pytest benchmarks`.

`extra_info` holds how many times faster than the signal each is: best of all rounds, because other work on the machine
only ever makes a round slower. `python benchmarks/test_signals.py` prints them as a table, by the time that one core
worked on them.
"""

import sys
import time

import numpy as np
import pytest
from scipy import signal

from bci.profile import BandPower, Rates, Spikes
from bci.signals.features import Extractor
from bci.signals.filters import design_bandpass, filter_sections, settled_state
from bci.types import Chunk

BANDS_HZ = ((4, 8), (8, 12), (12, 20), (20, 30), (30, 45))
CHUNK_S = 0.02  # as it arrives
SPIKES = {
    "crossings + spike-band power": Spikes(),
    "the same, no watch over channels": Spikes(quality=None),
    "the same, regression reference": Spikes(reference="regression", regression_s=0.05),
    "crossings only": Spikes(measures=("crossings",)),
}
EEG = BandPower(bin_ms=20, reference="average", notch_hz=50.0, bands_hz=BANDS_HZ)


def second(n_channels, rate_hz, seed=0):
    return 10 * np.random.default_rng(seed).normal(size=(round(rate_hz), n_channels))


def pushing(features, n_channels, rate_hz):
    """A function that takes one second of samples through an extractor that is warm, chunk by chunk."""
    extractor = Extractor(features, [f"e{i}" for i in range(n_channels)], rate_hz)
    samples, size = second(n_channels, rate_hz), round(CHUNK_S * rate_hz)
    chunks = [
        Chunk(samples[i : i + size], np.arange(size) / rate_hz) for i in range(0, len(samples), size)
    ]  # fmt: skip

    def push():
        for chunk in chunks:
            extractor.push(chunk)

    push()
    return push


def filtering(kind, n_channels, rate_hz, order=2):
    """One band-pass over a second of samples, by SciPy or by our kernel, both with their state, chunk by chunk."""
    sos, samples, size = (
        design_bandpass(250, 5000, order, rate_hz),
        second(n_channels, rate_hz),
        round(CHUNK_S * rate_hz),
    )
    state, out = settled_state(sos, samples[0]), np.empty((size, n_channels))
    pieces = [samples[i : i + size] for i in range(0, len(samples), size)]

    def ours():
        for piece in pieces:
            filter_sections(sos, state, piece, out)

    def theirs():
        zi = np.zeros((len(sos), 2, n_channels))
        for piece in pieces:
            _, zi = signal.sosfilt(sos, piece, axis=0, zi=zi)

    return ours if kind == "ours" else theirs


@pytest.mark.parametrize("n_channels", [96, 256])
@pytest.mark.parametrize("features", SPIKES)
@pytest.mark.benchmark(group="one second of broadband at 30 kHz")
def test_spikes(benchmark, features, n_channels):
    benchmark(pushing(SPIKES[features], n_channels, 30_000.0))
    benchmark.extra_info["times real time"] = round(1.0 / benchmark.stats.stats.min, 1)


@pytest.mark.benchmark(group="one second of EEG at 1 kHz")
def test_64_channels_of_eeg_in_5_bands(benchmark):
    benchmark(pushing(EEG, 64, 1000.0))
    benchmark.extra_info["times real time"] = round(1.0 / benchmark.stats.stats.min, 1)


@pytest.mark.benchmark(group="one second of rates at 50 Hz")
def test_192_rates(benchmark):
    benchmark(pushing(Rates(), 192, 50.0))
    benchmark.extra_info["times real time"] = round(1.0 / benchmark.stats.stats.min, 1)


@pytest.mark.parametrize("kind", ["ours", "scipy.signal.sosfilt"])
@pytest.mark.benchmark(group="one band-pass, 96 channels at 30 kHz")
def test_band_pass(benchmark, kind):
    benchmark(filtering(kind, 96, 30_000.0))


def best_s(work, rounds=15):
    work()
    times = []
    for _ in range(rounds):
        begin = time.thread_time()
        work()
        times.append(time.thread_time() - begin)
    return min(times)


def main():
    """Print every row, the peer in the same run and on the same samples."""
    rows = [(f"{name}, {n} ch", pushing(f, n, 30_000.0)) for name, f in SPIKES.items() for n in (96, 256)]
    rows += [("EEG, 64 ch, 5 bands", pushing(EEG, 64, 1000.0)), ("192 rates at 50 Hz", pushing(Rates(), 192, 50.0))]
    for name, work in rows:
        print(f"{name:<50} {1.0 / best_s(work, 7):8.1f} x real time")
    for n in (96, 256):
        ours, theirs = (best_s(filtering(kind, n, 30_000.0), 7) for kind in ("ours", "scipy"))
        figures = f"sosfilt {1 / theirs:.1f} x, ours {1 / ours:.1f} x real time, ratio {theirs / ours:.1f}"
        print(f"band-pass of {n} ch: {figures}")


if __name__ == "__main__":
    sys.exit(main())
