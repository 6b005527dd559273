"""Samples that do not fit their stream never reach a kernel."""

import numpy as np
import pytest

from bci.profile import BandPower, Quality, Rates, Spikes, ZScore
from bci.signals.arguments import as_row, as_rows
from bci.signals.features import BinFeatures, Extractor
from bci.signals.grid import Grid
from bci.signals.normalise import AdaptiveZScore
from bci.signals.power import PowerBank
from bci.signals.quality import ChannelWatch
from bci.signals.reference import Reference
from bci.signals.spikes import SpikeBank
from bci.types import Chunk

LABELS = ("a", "b", "c", "d")
MISFITS = [np.zeros((50, 3)), np.zeros((50, 9)), np.zeros(4), np.zeros((5, 4, 1)), np.array([["x"] * 4])]


def takers():
    rates = Rates(kind="rates", bin_ms=50.0)
    power = BandPower(kind="band_power", bin_ms=40.0, bands_hz=((8.0, 12.0),))
    spikes = Spikes(kind="spikes", bin_ms=20.0)
    return {
        "bins": BinFeatures(rates, LABELS, 100.0).absorb,
        "power": PowerBank(power, LABELS, 250.0).absorb,
        "spikes": SpikeBank(spikes, LABELS, 30e3).push,
        "reference": Reference("average", LABELS).apply,
        "no reference": Reference("none", LABELS).apply,
        "watch": ChannelWatch(Quality(), LABELS, 100.0, 5, None).observe,
        "extractor": lambda x: Extractor(rates, LABELS, 100.0).push(Chunk(x, np.arange(len(x)) / 100.0)),
    }


@pytest.mark.parametrize("name", takers())
@pytest.mark.parametrize("samples", MISFITS, ids=lambda x: f"{x.shape}")
def test_samples_of_other_channels_are_refused(name, samples):
    with pytest.raises(ValueError, match="samples"):
        takers()[name](samples)


@pytest.mark.parametrize("name", takers())
def test_samples_in_another_layout_or_type_are_taken_as_they_are(name):
    samples = np.random.default_rng(0).integers(-5, 5, size=(50, 4))
    takers()[name](np.asfortranarray(samples, dtype=np.float64))
    takers()[name](samples)


def test_a_stamp_is_missing():
    with pytest.raises(ValueError, match="stamps"):
        Extractor(Rates(kind="rates", bin_ms=50.0), LABELS, 100.0).push(Chunk(np.zeros((5, 4)), np.zeros(4)))
    with pytest.raises(ValueError, match="stamps"):
        Grid(100.0).split(np.zeros((5, 4)), np.zeros(9))


def test_features_of_another_number_are_not_normalised():
    zscore = AdaptiveZScore(ZScore(), 4, 0.02)
    for features in (np.zeros(3), np.zeros(40), np.zeros(4, dtype=np.int64)):
        with pytest.raises(ValueError, match="normalised"):
            zscore.apply(features)
    with pytest.raises(ValueError, match="Statistics"):
        zscore.restore({"mean": [0.0] * 3, "variance": [1.0] * 4, "n_seen": [1.0] * 4})


def test_what_fits_passes_without_a_copy():
    row, rows = np.zeros(4), np.zeros((7, 4))
    assert as_row(row, 4) is row
    assert as_rows(rows, 4) is rows
