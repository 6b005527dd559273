"""The hot path against plain NumPy on the same numbers, in one run: `python -m pytest benchmarks`."""

import numpy as np
import pytest

from bci.decoding.model import Model
from bci.decoding.velocity import VelocityDecoder
from bci.profile import BandPower, Decoder, Rates
from bci.signals.features import Extractor
from bci.types import Chunk


def model(n, k=4):
    random = np.random.default_rng(0)
    return Model(
        outputs=tuple(f"v{i}" for i in range(k)),
        feature_labels=tuple(f"n{i}" for i in range(n)),
        features_hash="",
        bin_s=0.02,
        C=random.normal(size=(n, k + 1)),
        Q=np.eye(n),
        R=100 * np.eye(k + 1),
        n_effective=1000.0,
        nis_gate=1e9,
    )


def settings(m):
    return Decoder(outputs=m.outputs)


class NumpyDecoder:
    """The same arithmetic, one array operation at a time."""

    def __init__(self, m, settings):
        self.C, self.M = m.C, np.linalg.inv(m.Q) / m.n_effective
        self.ess, self.alpha = m.n_effective, np.exp(-1e3 * m.bin_s / settings.tau_ms)
        self.Ri = np.linalg.inv(m.R)
        self.u = np.zeros(m.C.shape[1] - 1)

    def step(self, y):
        Cv = self.C[:, :-1]
        nu = y - Cv @ self.u - self.C[:, -1]
        q = self.ess * self.M @ nu
        lam, D = Cv.T @ q, self.ess * Cv.T @ self.M @ Cv
        nis = nu @ q - lam @ np.linalg.solve(D + 2 * np.eye(len(D)), lam)
        self.u += (1 - self.alpha) * (np.linalg.solve(D, lam + D @ self.u) - self.u)
        return nis / len(y)

    def learn(self, y, v, w, decay=0.9998):
        x = np.append(v, 1.0)
        e, r = y - self.C @ x, self.Ri @ x
        s, u = decay + w * x @ r, self.M @ e
        self.M = (self.M - w * np.outer(u, u) / (s + w * e @ u)) / decay
        self.C = self.C + w / s * np.outer(e, r)
        self.Ri = (self.Ri - w / s * np.outer(r, r)) / decay


@pytest.mark.parametrize("kind", [VelocityDecoder, NumpyDecoder])
@pytest.mark.parametrize("n", [96, 192, 256])
@pytest.mark.benchmark(group="decode one bin with NIS")
def test_decode(benchmark, n, kind):
    m = model(n)
    decoder, y = kind(m, settings(m)), np.random.default_rng(1).normal(size=n)
    benchmark(decoder.step, y)


@pytest.mark.parametrize("kind", [VelocityDecoder, NumpyDecoder])
@pytest.mark.parametrize("n", [96, 192, 256])
@pytest.mark.benchmark(group="learn from one bin, full covariance")
def test_learn(benchmark, n, kind):
    m = model(n)
    decoder, y = kind(m, settings(m)), np.random.default_rng(1).normal(size=n)
    v = (0.5, 0.1, 0.0, 0.2)
    benchmark(lambda: decoder.learn(y, v, 1.0, 120.0) if kind is VelocityDecoder else decoder.learn(y, v, 1.0))


@pytest.mark.parametrize("n_channels", [192])
@pytest.mark.benchmark(group="features of one second")
def test_rates(benchmark, n_channels):
    extractor = Extractor(Rates(), [f"n{i}" for i in range(n_channels)], 50.0)
    chunk = Chunk(np.random.default_rng(0).poisson(1.0, (50, n_channels)).astype(float), np.arange(50) / 50)
    benchmark(extractor.push, chunk)


@pytest.mark.benchmark(group="features of one second")
def test_band_power_of_64_channels_at_1_khz(benchmark):
    bands = ((4, 8), (8, 12), (12, 20), (20, 30), (30, 45))
    features = BandPower(bin_ms=20, reference="average", notch_hz=50.0, bands_hz=bands)
    extractor = Extractor(features, [f"e{i}" for i in range(64)], 1000.0)
    chunk = Chunk(np.random.default_rng(0).normal(size=(1000, 64)), np.arange(1000) / 1000)
    benchmark(extractor.push, chunk)
