"""Kinds of decoder: whichever reads the velocity, the same decoder masks, judges, coasts and shapes around it."""

import dataclasses
import re
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from synthetic import decoder_of, model_of

from bci.decoding import KalmanDecoder, kinds
from bci.decoding.kinds import Readout, SavedReadout, fit_readout
from bci.decoding.live_kalman import KalmanReadout
from bci.decoding.model import load_model, save_model
from bci.errors import ModelError

AT_ONCE_S = 1e-5  # no smoothing
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bring-a-decoder.md"


class Latest(Readout):
    """Least squares on one bin: the least that a package can bring."""

    seen: ClassVar[list] = []

    def __init__(self, weights):
        self.weights = weights

    @classmethod
    def fit(cls, features, v_int, weights):
        return cls(np.linalg.lstsq(np.column_stack([features, np.ones(len(features))]), v_int, rcond=None)[0])

    @classmethod
    def from_arrays(cls, arrays):
        return cls(arrays["weights"])

    def to_arrays(self):
        return {"weights": self.weights}

    def step(self, features):
        Latest.seen.append(features.copy())
        return features @ self.weights[:-1] + self.weights[-1]


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Packages that bring decoders: the class above, and what the documentation shows."""
    network = types.ModuleType("network")
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1], network.__dict__)
    for name, brought in {"latest": Latest, "network": network.Network}.items():
        monkeypatch.setattr(kinds, "OURS", (*kinds.OURS, Entry(name, brought)))


class Entry:
    def __init__(self, name, brought):
        self.name, self.value, self.load = name, f"somewhere:{name}", lambda: brought


def lagging_neurons(n=30, n_bins=3000, seed=0, noise=1.5):
    """Features that lead, by one to four bins, an intention of random directions held for 25 bins each."""
    random = np.random.default_rng(seed)
    C = np.random.default_rng(7).normal(size=(n, 3))
    v_int = np.repeat(random.normal(size=(n_bins // 25, 2)), 25, axis=0)
    v_int /= np.linalg.norm(v_int, axis=1, keepdims=True)
    lags = 1 + np.arange(n) % 4
    Y = np.column_stack([np.roll(v_int, -lag, axis=0) @ C[i, :2] for i, lag in enumerate(lags)])
    return C, v_int, Y + C[:, 2] + noise * random.normal(size=Y.shape)


def fitted(kind, noise=1.5, **changes):
    C, v_int, Y = lagging_neurons(noise=noise)
    readout = fit_readout(kind, Y, v_int, np.ones(len(Y)))
    return model_of(C, v_int, noise=3.0, readout=readout, **changes)


@pytest.fixture(scope="module")
def kalman():
    return fitted("kalman")


ALL = ["kalman", "latest", "network"]


def efforts(decoder, Y):
    return np.array([(decoder.step(y), decoder.effort.copy())[1] for y in Y])


@pytest.mark.parametrize("n_hinges", [0, 50])
def test_the_same_arrays_give_the_same_bits_through_predict_and_live(n_hinges):
    C, v_int, Y = lagging_neurons()
    estimator = KalmanDecoder(n_hinges=n_hinges).fit(Y[:2000], v_int[:2000])
    readout = SavedReadout("kalman", 1.0, KalmanReadout.of(estimator).to_arrays())
    decoder = decoder_of(model_of(C, v_int, noise=3.0, readout=readout), AT_ONCE_S)
    np.testing.assert_array_equal(efforts(decoder, Y[2000:]), estimator.predict(Y[2000:]))


def test_a_missing_bin_keeps_the_memory_in_time_as_in_the_estimator():
    C, v_int, Y = lagging_neurons()
    estimator = KalmanDecoder(n_hinges=0).fit(Y[:2000], v_int[:2000])
    readout = SavedReadout("kalman", 1.0, KalmanReadout.of(estimator).to_arrays())
    decoder = decoder_of(model_of(C, v_int, noise=3.0, nis_gate=1e9, readout=readout), AT_ONCE_S)
    for i, y in enumerate(Y[2000:2100]):
        if i % 10 == 3:
            decoder.coast()
            estimator.step(np.full(30, np.nan))
        else:
            decoder.step(y)
            np.testing.assert_array_equal(decoder.effort, estimator.step(y))


@pytest.mark.parametrize("kind", ALL)
def test_a_saved_decoder_of_any_kind_loads_and_decodes_the_same_bits(tmp_path, kind):
    model = fitted(kind, provenance={"recording": "today"})
    for name in ("a.npz", "b.npz"):
        save_model(tmp_path / name, model)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = load_model(tmp_path / "a.npz")
    assert (loaded.readout.kind, loaded.readout.gain) == (kind, model.readout.gain)
    assert loaded.readout.provenance == model.readout.provenance
    _, _, Y = lagging_neurons(n_bins=500, seed=1)
    np.testing.assert_array_equal(efforts(decoder_of(loaded), Y), efforts(decoder_of(model), Y))


@pytest.mark.parametrize("kind", ALL)
def test_one_length_of_effort_decodes_to_beta_on_average(kind):
    _, v_int, Y = lagging_neurons(seed=2, noise=4.0)
    decoder = decoder_of(fitted(kind, noise=4.0, nis_gate=1e9), AT_ONCE_S, beta=0.5)
    velocity = np.array([(decoder.step(y), decoder.velocity.copy())[1] for y in Y])
    assert np.sum(velocity * v_int) / np.sum(v_int**2) == pytest.approx(0.5, rel=0.2)


def test_masks_are_marginalised_exactly_over_the_whole_memory(kalman):
    C, v_int, Y = lagging_neurons()
    estimator = KalmanDecoder(n_hinges=0).fit(Y[:2000], v_int[:2000])
    readout = SavedReadout("kalman", 1.0, KalmanReadout.of(estimator).to_arrays())
    decoder = decoder_of(model_of(C, v_int, noise=3.0, nis_gate=1e9, readout=readout), AT_ONCE_S)
    whole = efforts(decoder, Y[2000:2200])
    used = np.arange(30) % 5 > 0
    decoder = decoder_of(decoder.model, AT_ONCE_S)
    decoder.use_features(used)
    hidden = np.where(used, Y[2000:2200], np.nan)
    expected = estimator.use_channels(used).predict(Y[2000:2200])
    np.testing.assert_allclose(efforts(decoder, hidden), expected, rtol=1e-7, atol=1e-9)
    assert np.abs(expected - whole).max() > 0.01
    decoder = decoder_of(decoder.model, AT_ONCE_S)
    decoder.use_features(used)
    decoder.use_features(np.ones(30, dtype=bool))
    np.testing.assert_array_equal(efforts(decoder, Y[2000:2200]), whole)


def test_a_brought_decoder_sees_hidden_features_as_the_others_let_expect():
    _, _, Y = lagging_neurons(noise=0.1)
    decoder = decoder_of(fitted("latest", noise=0.1))
    used = np.arange(30) != 4
    decoder.use_features(used)
    Latest.seen.clear()
    for y in np.where(used, Y[:200], np.nan):
        decoder.step(y)
    seen = np.array(Latest.seen)
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(seen[:, used], Y[: len(seen), used])
    assert np.corrcoef(seen[5:, 4], Y[5 : len(seen), 4])[0, 1] > 0.5


@pytest.mark.parametrize("kind", ALL)
def test_a_decoder_of_any_kind_coasts_to_rest_and_is_not_believed_for_long(kind):
    _, _, Y = lagging_neurons()
    decoder = decoder_of(fitted(kind), beta=0.7)
    for y in Y[:100]:
        decoder.step(y)
    before = decoder.velocity.copy()
    assert np.linalg.norm(before) > 0.1
    for i in range(5):
        if i % 2:
            decoder.coast()
        else:
            assert decoder.step(np.full(30, 90.0)) > decoder.model.nis_gate
        assert decoder.is_confident == (i < 3)
    np.testing.assert_allclose(decoder.velocity, before * decoder.alpha**5)
    for _ in range(30):
        decoder.coast()
    np.testing.assert_array_equal(decoder.velocity, 0.0)


def test_smoothing_and_shaping_are_those_of_the_profile(kalman):
    _, _, Y = lagging_neurons()
    smoothed, shaped = decoder_of(kalman, 0.2), decoder_of(kalman, 0.2, speed_power=1.5, speed_threshold=0.4)
    raw = efforts(decoder_of(kalman, AT_ONCE_S), Y[:300])
    expected = np.zeros(2)
    for y, u in zip(Y[:300], raw, strict=True):
        smoothed.step(y)
        shaped.step(y)
        expected += (1 - smoothed.alpha) * (u - expected)
        np.testing.assert_allclose(smoothed.velocity, expected, atol=1e-12)
        length = np.linalg.norm(expected)
        np.testing.assert_allclose(shaped.velocity, expected * (length / 0.4) ** 0.5, atol=1e-12)


def test_a_brought_decoder_that_answers_nonsense_is_coasted_over(monkeypatch):
    _, _, Y = lagging_neurons()
    decoder = decoder_of(fitted("latest"))
    for y in Y[:50]:
        decoder.step(y)
    before = decoder.velocity.copy()
    monkeypatch.setattr(Latest, "step", lambda self, features: np.array([np.nan, 0.0]))
    for y in Y[50:54]:
        assert decoder.step(y) == np.inf
    np.testing.assert_allclose(decoder.velocity, before * decoder.alpha**4)
    assert not decoder.is_confident


def test_a_model_whose_decoder_is_not_installed_is_refused_with_the_remedy(tmp_path, monkeypatch):
    save_model(tmp_path / "m.npz", fitted("latest"))
    monkeypatch.setattr(kinds, "OURS", kinds.OURS[:1])
    with pytest.raises(
        ModelError, match=r"'latest' is not installed; there are velocity, kalman\. Install the package"
    ):
        load_model(tmp_path / "m.npz")


def test_a_decoder_that_cannot_be_imported_is_named(monkeypatch):
    broken = EntryPoint("broken", "no_such_module:Decoder", kinds.GROUP)
    monkeypatch.setattr(kinds, "entry_points", lambda group: (broken,))
    with pytest.raises(ModelError, match=r"'broken' cannot be loaded.*no_such_module:Decoder"):
        kinds.find_kind("broken")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"weights": np.ones((31, 3))}, r"gives shape \(3,\), not \(2,\)"),
        ({"weights": np.ones((4, 2))}, "cannot be used"),
        ({"other": np.ones(3)}, "cannot be used: KeyError"),
        ({"weights": np.full((31, 2), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_on_loading(tmp_path, change, complaint):
    model = fitted("latest")
    readout = dataclasses.replace(model.readout, arrays=change)
    save_model(tmp_path / "m.npz", dataclasses.replace(model, readout=readout))
    with pytest.raises(ModelError, match=complaint):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize("gain", [0.0, -1.0, np.inf])
def test_a_gain_that_is_none_is_refused_on_loading(tmp_path, gain):
    model = fitted("latest")
    save_model(tmp_path / "m.npz", dataclasses.replace(model, readout=dataclasses.replace(model.readout, gain=gain)))
    with pytest.raises(ModelError, match="gain of its decoder 'latest' must be positive"):
        load_model(tmp_path / "m.npz")


def test_what_learned_the_opposite_is_not_made_a_model(monkeypatch):
    _, v_int, Y = lagging_neurons(n_bins=500)
    turned = classmethod(lambda cls, X, V, w: cls(-np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), V)[0]))
    monkeypatch.setattr(Latest, "fit", turned)
    with pytest.raises(ModelError, match="nowhere near what was meant"):
        fit_readout("latest", Y, v_int, np.ones(len(Y)))


def test_features_that_are_stacked_already_are_too_many_for_a_memory_of_its_own():
    with pytest.raises(ModelError, match=r"features\.stack_bins = 1"):
        fit_readout("kalman", np.zeros((10, 768)), np.zeros((10, 2)), np.ones(10))
