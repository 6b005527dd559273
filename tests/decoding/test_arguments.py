"""What callers may give by mistake, and a kernel must never see: wrong shapes, types, settings, and no fit at all."""

import numpy as np
import pytest
from synthetic import decoder_of, model_of

from bci.decoding import FalconDecoder, KalmanDecoder
from bci.decoding.discrete import DiscreteDecoder
from bci.decoding.model import StateModel
from bci.decoding.offline import PlainKalman
from bci.decoding.tangent import TangentSpaceClassifier
from bci.settings import Discrete

N, D = 12, 2
RANDOM = np.random.default_rng(0)
V = np.cumsum(RANDOM.normal(size=(400, D)), axis=0)
X = V @ RANDOM.normal(size=(D, N)) + RANDOM.normal(size=(400, N))
MISFITS = [
    np.zeros(N - 1), np.zeros(N + 1), np.zeros(100 * N), np.zeros((N, 1)), np.zeros((1, N)), np.float64(1.0),
    np.array(["a"] * N), np.zeros(N, dtype=complex), np.array([None] * N), np.zeros(0),
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    return KalmanDecoder(ridge=1.0, dynamics=0.9, n_hinges=0).fit(X, V)


def live():
    C = np.random.default_rng(1).normal(size=(N, D + 1))
    return decoder_of(model_of(C, np.random.default_rng(2).normal(size=(500, D))))


def clicks():
    model = StateModel(("idle", "move"), np.zeros((2, N)), np.ones(N), 1.0, 0.9)
    return DiscreteDecoder(model, Discrete(), 0.02)


@pytest.mark.parametrize("row", MISFITS, ids=lambda row: f"{row.shape}-{row.dtype}")
def test_a_bin_that_does_not_fit_is_refused_by_every_decoder(row, fitted):
    for step in (fitted.step, live().step, clicks().step):
        with pytest.raises(ValueError, match="features"):
            step(row)
    with pytest.raises(ValueError, match="features"):
        live().learn(row, (1.0, 0.0), 1.0, 10.0)
    falcon = FalconDecoder(fitted, batch_size=2)
    falcon.reset(["", ""])
    with pytest.raises(ValueError, match="Observations"):
        falcon.predict(row)


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.bool_, np.dtype(">f8")])
def test_real_numbers_of_any_type_and_layout_give_what_float64_gives(kind, fitted):
    row = np.arange(N) % 2
    expected = fitted.reset().step(row.astype(np.float64))
    np.testing.assert_array_equal(fitted.reset().step(row.astype(kind)), expected)
    np.testing.assert_array_equal(fitted.reset().step(np.repeat(row.astype(kind), 2)[::2]), expected)
    np.testing.assert_array_equal(fitted.reset().step(row.tolist()), expected)
    assert live().step(row.astype(kind)) == live().step(row.astype(np.float64))


@pytest.mark.parametrize("used", [np.ones(N - 1, bool), np.ones(3 * N, bool), np.ones(N), np.ones((N, 1), bool)])
def test_a_mask_that_does_not_fit_is_refused(used, fitted):
    for decoder in (live(), clicks()):
        with pytest.raises(ValueError, match="mask"):
            decoder.use_features(used)
    if used.shape != (N,):
        with pytest.raises(ValueError, match="mask"):
            fitted.use_channels(used)


def test_an_intention_of_another_length_is_not_spread_over_the_outputs():
    for v_int in ((1.0,), (1.0, 0.0, 0.0), ()):
        with pytest.raises(ValueError, match="intention"):
            live().learn(np.zeros(N), v_int, 1.0, 10.0)


@pytest.mark.parametrize("y", [V[:, 0], V[:, :1], np.column_stack([V, V])], ids=["flat", "one", "four"])
@pytest.mark.parametrize("method", ["partial_fit", "recalibrate"])
def test_kinematics_with_another_number_of_columns_are_refused_and_change_nothing(method, y):
    decoder = KalmanDecoder(ridge=1.0, dynamics=0.9, n_hinges=0).fit(X, V)
    before = decoder.predict(X)
    with pytest.raises(ValueError, match=r"y has \d columns?, the decoder was fitted with 2"):
        getattr(decoder, method)(X, y)
    np.testing.assert_array_equal(decoder.predict(X), before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_lags", 0), ("n_lags", -1), ("n_lags", 1.5), ("n_lags", True), ("n_folds", 0), ("n_folds", 1),
        ("half_life_bins", 0), ("half_life_bins", -1.0), ("dynamics", 3), ("dynamics", -0.1), ("dynamics", "much"),
        ("ridge", -1.0), ("ridge", np.nan), ("clip", 0.0), ("clip", np.nan), ("n_hinges", -1),
        ("fading_bins", (0.0,)), ("fading_bins", 5.0), ("fading_bins", (np.inf,)),
    ],
)  # fmt: skip
def test_a_setting_out_of_its_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*, not "):
        KalmanDecoder(**{name: value}).fit(X, V)


def test_a_setting_that_is_changed_after_the_fit_does_not_reach_what_was_fitted(fitted):
    decoder = KalmanDecoder(n_lags=2, ridge=1.0, dynamics=0.9).fit(X, V)
    before = decoder.predict(X)
    decoder.set_params(n_lags=50, fading_bins=(), n_hinges=0)
    np.testing.assert_array_equal(decoder.predict(X), before)
    decoder.reset().step(X[0])
    decoder.partial_fit(X, V)
    assert decoder.score(X, V) > 0.5


@pytest.mark.parametrize("use", [
    lambda d: d.step(X[0]), lambda d: d.predict(X), lambda d: d.reset(), lambda d: d.recalibrate(X, V),
    lambda d: d.use_channels(np.ones(N, bool)),
])  # fmt: skip
def test_before_the_fit_and_after_one_that_failed_nothing_is_decoded(use):
    decoder = KalmanDecoder()
    with pytest.raises(ValueError, match="not fitted"):
        use(decoder)
    with pytest.raises(ValueError, match="NaN"):
        decoder.fit(X, np.full_like(V, np.nan))
    with pytest.raises(ValueError, match="not fitted"):
        use(decoder)


def test_a_fit_that_failed_leaves_the_old_one_whole():
    decoder = KalmanDecoder(ridge=1.0, dynamics=0.9, n_hinges=0).fit(X, V)
    with pytest.raises(ValueError, match="NaN"):
        decoder.fit(X[:, :5], np.full_like(V, np.nan))
    assert np.isfinite(decoder.step(X[0])).all()
    with pytest.raises(ValueError, match="features"):
        decoder.step(X[0, :5])


@pytest.mark.parametrize("weights", [np.zeros(400), -np.ones(400), np.ones(399), np.full(400, np.nan)])
def test_weights_that_weigh_nothing_or_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError):  # noqa: PT011 - half of the texts are scikit-learn's
        KalmanDecoder(ridge=1.0, dynamics=0.9).fit(X, V, weights)


def test_the_plain_filter_refuses_what_it_was_not_fitted_for():
    decoder = PlainKalman().fit(V, X)
    for features, start in ((X[:, :5], None), (X[0], None), (X, np.zeros(3))):
        with pytest.raises(ValueError, match="expected"):
            decoder.predict(features, start)


def test_epochs_of_other_channels_labels_or_settings_are_refused():
    pytest.importorskip("pyriemann")
    epochs = RANDOM.normal(size=(20, 3, 400))
    labels = np.arange(20) % 2
    classifier = TangentSpaceClassifier(100.0)
    with pytest.raises(ValueError, match="not fitted"):
        classifier.step(epochs[0])
    for wrong in ({"rate_hz": 0.0}, {"skip_s": -1.0}, {"bands_hz": ()}, {"bands_hz": ((30.0, 8.0),)},
                  {"forgetting": 2.0}, {"regularisation": 0.0}):  # fmt: skip
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            TangentSpaceClassifier(**{"rate_hz": 100.0} | wrong).fit(epochs, labels)
    with pytest.raises(ValueError, match="Labels"):
        classifier.fit(epochs, np.zeros((20, 1)))
    classifier.fit(epochs, labels)
    for epoch in (epochs[0, :2], np.zeros((4, 400)), epochs[0, :, :20]):
        with pytest.raises(ValueError, match="Epochs have"):
            classifier.step(epoch)


def test_a_batch_of_nothing_is_refused(fitted):
    for batch_size in (0, -1, 1.5):
        with pytest.raises(ValueError, match="batch_size"):
            FalconDecoder(fitted, batch_size)
