"""Run every kernel once with the shapes of the session, so that nothing compiles while somebody waits for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.decoding.model import Model, StateModel
from bci.decoding.velocity import VelocityDecoder
from bci.pipeline import make_pipeline
from bci.profile import Profile
from bci.signals.grid import Grid
from bci.types import Array, Label

N_BINS = 20


def warm_up(
    profile: Profile,
    labels: tuple[str, ...],
    extra_labels: Sequence[tuple[str, ...]] = (),
    spatial: Array | None = None,
) -> None:
    """Push invented samples through a pipeline of its own, decoding and learning."""
    pipeline = make_pipeline(profile, labels, None, extra_labels, spatial)
    extractor, k = pipeline.extractor, len(profile.decoder.outputs)
    d = 2 * k + 1 if profile.decoder.state == "position_velocity" else k + 1
    model = Model(
        outputs=profile.decoder.outputs,
        feature_labels=extractor.labels,
        features_hash=profile.features_hash,
        bin_s=extractor.bin_s,
        C=np.random.default_rng(0).normal(size=(extractor.n_features, d)),
        Q=np.ones(extractor.n_features),
        R=100.0 * np.eye(d),
        n_effective=100.0,
        nis_gate=1e9,
        discrete=StateModel(("idle", "click"), np.eye(2, extractor.n_features), np.ones(extractor.n_features)),
    )
    pipeline.decoder = VelocityDecoder(model, profile.decoder)
    pipeline.teach(Label(0.0, (0.0,) * k))
    random = np.random.default_rng(1)
    seconds = N_BINS * extractor.bin_s
    streams = [*enumerate(zip(profile.extra_streams, extra_labels, strict=True), 1), (0, (profile.stream, labels))]
    for i, (stream, channels) in streams:  # the main stream last: its bins find the others
        n_samples = round(seconds * stream.rate_hz)
        samples = random.poisson(3.0, size=(n_samples, len(channels))).astype(np.float64)
        stamps_s = (1 + np.arange(n_samples)) / stream.rate_hz
        for chunk in Grid(stream.rate_hz).split(samples, stamps_s):
            pipeline.push(chunk, lambda step: None, i)
