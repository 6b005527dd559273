"""Neurons whose truth is known, and decoders of them."""

import dataclasses

import numpy as np

from bci.decoding.model import Model
from bci.decoding.velocity import VelocityDecoder
from bci.profile import Decoder
from bci.types import Kinematics, Recording, Signal

BIN_S = 0.02


def neurons(n=40, k=2, n_bins=3000, seed=0, noise=0.6):
    """Features that encode an intention of random directions, held for half a second each."""
    random = np.random.default_rng(seed)
    C = random.normal(size=(n, k + 1))
    v_int = np.repeat(random.normal(size=(n_bins // 25, k)), 25, axis=0)
    v_int /= np.linalg.norm(v_int, axis=1, keepdims=True)
    Y = v_int @ C[:, :k].T + C[:, k] + noise * random.normal(size=(len(v_int), n))
    return C, v_int, Y


def model_of(C, v_int, noise=0.6, **changes):
    X = np.column_stack([v_int, np.ones(len(v_int))])
    n = len(C)
    model = Model(
        outputs=("vx", "vy"),
        feature_labels=tuple(f"n{i}" for i in range(n)),
        features_hash="abc",
        bin_s=BIN_S,
        C=C,
        Q=noise**2 * np.eye(n),
        R=X.T @ X,
        n_effective=float(len(X)),
        nis_gate=3.0,
    )
    return dataclasses.replace(model, **changes)


def decoder_of(model, tau_s=0.12, beta=1.0, **settings):
    return VelocityDecoder(model, Decoder(outputs=model.outputs, tau_ms=1e3 * tau_s, beta=beta, **settings))


def moving_recording(n=900, seed=3, n_channels=96):
    """Counts of neurons that encode the velocity of a hand, which is measured; bins of 50 ms."""
    random = np.random.default_rng(seed)
    velocity = np.repeat(random.normal(size=(n // 20, 2)), 20, axis=0) * 10
    rates = np.maximum(0.2, 3 + velocity @ random.normal(0, 0.15, (2, n_channels)))
    stamps = np.arange(n) / 20
    labels = tuple(f"u{i}" for i in range(n_channels))
    signal_ = Signal("IntracorticalRates", "Rates", "count", labels, 20.0, random.poisson(rates).astype(float), stamps)
    position = np.cumsum(velocity, axis=0) / 20
    return Recording(signal_, Kinematics(("x", "y", "vx", "vy"), "cm", np.hstack([position, velocity]), stamps))
