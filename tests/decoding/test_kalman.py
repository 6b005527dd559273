import numpy as np
import pytest
import scipy.io
from filterpy.kalman import KalmanFilter

from bci.decoding.estimation import fit_linear_model, fit_observation
from bci.decoding.kalman import filter_states, steady_state_gain
from bci.decoding.offline import PlainKalman
from bci.errors import ModelError


def linear_system(n=12, d=3, n_bins=300, seed=0):
    random = np.random.default_rng(seed)
    A = 0.9 * np.linalg.qr(random.normal(size=(d, d)))[0]
    W = 0.1 * np.eye(d)
    C = random.normal(size=(n, d))
    B = random.normal(size=(n, n))
    Q = B @ B.T + np.eye(n)
    x, X = np.zeros(d), np.empty((n_bins, d))
    for i in range(n_bins):
        x = A @ x + random.multivariate_normal(np.zeros(d), W)
        X[i] = x
    Y = X @ C.T + random.multivariate_normal(np.zeros(n), Q, size=n_bins)
    return A, W, C, Q, X, Y


def test_the_information_form_equals_the_textbook_filter():
    A, W, C, Q, _, Y = linear_system()
    textbook = KalmanFilter(dim_x=3, dim_z=12)
    textbook.F, textbook.Q, textbook.H, textbook.R, textbook.P = A, W, C, Q, np.eye(3)
    theirs = []
    for y in Y:
        textbook.predict()
        textbook.update(y[:, None])
        theirs.append(textbook.x[:, 0].copy())
    L = C.T @ np.linalg.inv(Q)
    ours = np.empty((len(Y), 3))
    filter_states(A, W, np.ascontiguousarray(L @ C), np.ascontiguousarray(L), Y, np.zeros(3), np.eye(3), ours)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_gain_settles_at_the_riccati_solution():
    A, W, C, Q, _, _ = linear_system()
    P = np.eye(3)
    for _ in range(500):
        predicted = A @ P @ A.T + W
        K = predicted @ C.T @ np.linalg.inv(C @ predicted @ C.T + Q)
        P = predicted - K @ C @ predicted
    np.testing.assert_allclose(steady_state_gain(A, W, C, Q), K, atol=1e-10)


def test_a_long_recording_gives_the_model_back():
    A, W, C, _, X, Y = linear_system(n_bins=60_000)
    model = fit_linear_model(X, Y)
    np.testing.assert_allclose(model.A, A, atol=0.02)
    np.testing.assert_allclose(model.W, W, atol=0.01)
    np.testing.assert_allclose(model.C, C, atol=0.05)


def test_bins_of_weight_zero_do_not_count():
    *_, X, Y = linear_system()
    weights = np.ones(len(X))
    weights[100:] = 0
    spoiled = Y.copy()
    spoiled[100:] = 1e6
    C, Q = fit_observation(X, spoiled, weights=weights)
    C_alone, Q_alone = fit_observation(X[:100], Y[:100])
    np.testing.assert_allclose(C, C_alone)
    np.testing.assert_allclose(Q, Q_alone)


def test_features_that_never_vary_are_left_out():
    *_, X, Y = linear_system()
    with_dead = np.column_stack([Y, np.full(len(Y), 7.0)])
    np.testing.assert_allclose(PlainKalman().fit(X, with_dead).predict(with_dead), PlainKalman().fit(X, Y).predict(Y))


@pytest.mark.parametrize("defect", ["short", "nan"])
def test_data_that_cannot_be_fitted_are_refused_with_the_remedy(defect):
    *_, X, Y = linear_system()
    if defect == "short":
        X, Y = X[:3], Y[:3]
    else:
        X = X.copy()
        X[5, 1] = np.nan
    with pytest.raises(ModelError) as refusal:
        PlainKalman().fit(X, Y)
    assert refusal.value.remedy


@pytest.mark.real
def test_the_steady_state_gain_is_that_of_a_deployed_interface(real_data):
    """`bci_learning` (Golub et al., BSD-3): A, Q, C, R and K as they ran in the laboratory."""
    data = scipy.io.loadmat(real_data("bci_learning/exampleData.mat"), squeeze_me=True, struct_as_record=False)[
        "expParams"
    ]
    for mapping in (data.intuitiveMapping, data.perturbedMapping):
        if not hasattr(mapping, "K"):
            continue
        gain = steady_state_gain(mapping.A, mapping.Q, mapping.C, mapping.R)
        np.testing.assert_allclose(gain, mapping.K, atol=1e-8)
        np.testing.assert_allclose(mapping.A - gain @ mapping.C @ mapping.A, mapping.M1, atol=1e-8)


@pytest.mark.real
def test_the_plain_filter_reproduces_the_published_numbers_of_fhlsjs_midterm(real_data):
    train = scipy.io.loadmat(real_data("fhlsjs_midterm/midterm_train.mat"))
    test = scipy.io.loadmat(real_data("fhlsjs_midterm/midterm_test.mat"))
    decoder = PlainKalman().fit(train["kin"].astype(float), train["rate"].astype(float))
    decoded = decoder.predict(test["rate"].astype(float), test["kin"][0].astype(float))
    cc = [np.corrcoef(decoded[:, i], test["kin"][:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(cc, [0.785, 0.920, 0.761, 0.884], rtol=0.01)
    assert np.sum((decoded[:, :2] - test["kin"][:, :2]) ** 2, axis=1).mean() == pytest.approx(6.52, rel=0.01)
