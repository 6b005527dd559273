"""Signals, one second at a time: `python -m pytest benchmarks`.

`extra_info` holds how many times faster than the signal each is: best of all rounds, because other work on the machine
only ever makes a round slower. `benchmarks/peers.py` sets some beside SciPy on the same samples.
"""

import numpy as np
import pytest

from bci.profile import BandPower, Rates, Spikes
from bci.signals.features import Extractor
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
    chunks = [Chunk(samples[i : i + size], np.arange(size) / rate_hz) for i in range(0, len(samples), size)]

    def push():
        for chunk in chunks:
            extractor.push(chunk)

    push()
    return push


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
