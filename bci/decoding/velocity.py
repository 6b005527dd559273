"""The live decoder: intended velocity from features, learning while it decodes.

Direction, smoothing and gain are three separate things: the direction is fitted, `tau_s` and `beta` are set.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.decoding.model import Model
from bci.types import Array

PRIOR_PRECISION = 2.0  # of effort around its smoothed value, 1/length²: an intention may turn round within a bin
READOUT_RIDGE = 1e-3  # of the mean information, so that a direction nobody encodes stays quiet
COAST_CONFIDENT = 3  # bins that may be predicted only before the decoder says that it is not confident
REFRESH_BINS = 8  # learned bins between two updates of what is derived from C and Q


@njit(cache=True, nogil=True)
def _multiply(M: Array, x: Array, out: Array) -> None:
    """Out = M x for a symmetric M, row by row: the inner loop has no sum to reorder, so it runs vectorised."""
    out[:] = 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            out[j] += x[i] * M[i, j]


@njit(cache=True, nogil=True)
def _innovate(y: Array, C: Array, M: Array, n_effective: float, effort: Array, l: Array, nu: Array, u: Array) -> float:
    """Innovation of one bin: fill l = CᵀQ⁻¹ν and return νᵀQ⁻¹ν, with Q⁻¹ = n_effective * M."""
    m, k = C.shape[0], C.shape[1] - 1
    for i in range(m):
        predicted = C[i, k]
        for j in range(k):
            predicted += C[i, j] * effort[j]
        nu[i] = y[i] - predicted
    _multiply(M, nu, u)
    l[:] = 0.0
    squared = 0.0
    for i in range(m):
        squared += nu[i] * u[i]
        for j in range(k):
            l[j] += C[i, j] * u[i]
    for j in range(k):
        l[j] *= n_effective
    return squared * n_effective


@njit(cache=True, nogil=True)
def _decode(
    y: Array,
    C: Array,
    M: Array,
    n_effective: float,
    D: Array,
    G: Array,
    S: Array,
    alpha: float,
    gate: float,
    effort: Array,
    l: Array,
    nu: Array,
    work: Array,
) -> float:
    """One bin: update the smoothed effort in place and return the NIS per feature; an implausible bin changes nothing.

    Notes
    -----
    NIS = νᵀQ⁻¹ν - lᵀ(P⁻¹ + D)⁻¹l. The generalised least-squares read-out u = G CᵀQ⁻¹(y - b) is written with the
    innovation, u = G(l + D effort), so that nothing but l has the size of the features. The update
    effort += (1 - alpha)(u - effort) is the steady-state Kalman filter whose closed-loop time constant is tau.
    """
    nis = _innovate(y, C, M, n_effective, effort, l, nu, work)
    k = len(effort)
    for i in range(k):
        for j in range(k):
            nis -= l[i] * S[i, j] * l[j]
    nis /= len(y)
    if not nis <= gate:
        return nis
    for i in range(k):
        for j in range(k):
            l[i] += D[i, j] * effort[j]
    for i in range(k):
        u = 0.0
        for j in range(k):
            u += G[i, j] * l[j]
        work[i] = u
    for i in range(k):
        effort[i] += (1.0 - alpha) * (work[i] - effort[i])
    return nis


@njit(cache=True, nogil=True)
def _learn(
    x: Array, y: Array, weight: float, decay: float, C: Array, Ri: Array, M: Array, r: Array, e: Array, u: Array
) -> bool:
    """Recursive maximum likelihood on one labelled bin, as exact rank-one updates of C, R⁻¹ and M = (ESS Q)⁻¹.

    e = y - Cx, r = R⁻¹x, s = λ + w xᵀr, u = Me, then M ← (M - w uuᵀ/(s + w eᵀu))/λ, C ← C + (w/s) e rᵀ,
    R⁻¹ ← (R⁻¹ - (w/s) rrᵀ)/λ. Same statistics as Dangi et al. (2014), Neural Computation 26:1811.
    False, and nothing changed, when a divisor is not positive.
    """
    m, d = C.shape
    s = decay
    for i in range(d):
        r[i] = 0.0
        for j in range(d):
            r[i] += Ri[i, j] * x[j]
        s += weight * x[i] * r[i]
    for i in range(m):
        e[i] = y[i]
        for j in range(d):
            e[i] -= C[i, j] * x[j]
    _multiply(M, e, u)
    squared = 0.0
    for i in range(m):
        squared += e[i] * u[i]
    t = s + weight * squared
    if not (s > 0.0 and t > 0.0 and t < 1e12):
        return False
    growth, c = 1.0 / decay, weight / (t * decay)
    for i in range(m):
        for j in range(m):  # uᵢuⱼ = uⱼuᵢ exactly: M stays symmetric to the bit
            M[i, j] = M[i, j] * growth - c * (u[i] * u[j])
        for j in range(d):
            C[i, j] += weight / s * e[i] * r[j]
    for i in range(d):
        for j in range(i + 1):
            value = (Ri[i, j] - weight / s * r[i] * r[j]) / decay
            Ri[i, j] = value
            Ri[j, i] = value
    return True


class VelocityDecoder:
    """Intended velocity, bin by bin.

    Parameters
    ----------
    model : Model
        Checked with `check_model`.
    tau_s : float
        Smoothing: time constant of the decoded velocity.
    beta : float
        Gain: speed at full effort, output units per second.

    Attributes
    ----------
    velocity : Array
        Shape (k,), output units per second; the same array every bin.
    is_confident : bool
        False after more than three bins in a row that were missing or implausible.

    References
    ----------
    Willett et al. (2019), Scientific Reports 9:8881: direction, gain and smoothing as separate things.
    """

    def __init__(self, model: Model, tau_s: float, beta: float) -> None:
        self.model = model
        self.beta = beta
        self.alpha = math.exp(-model.bin_s / tau_s)
        n, k = len(model.feature_labels), len(model.outputs)
        self._C = model.C.copy()
        self._Ri: Array = np.linalg.inv(model.R)
        self._M: Array = np.linalg.inv(model.Q) / model.n_effective
        self._M[:] = (self._M + self._M.T) / 2
        self._n_effective = model.n_effective
        self._D, self._G, self._S = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
        self._effort: Array = np.zeros(k)
        self._l, self._nu, self._work, self._e = np.zeros(k), np.zeros(n), np.zeros(max(n, k)), np.zeros(n)
        self._x, self._r = np.ones(k + 1), np.zeros(k + 1)
        self.velocity: Array = np.zeros(k)
        self.n_coasted = 0
        self.n_learned = 0
        self._refresh()

    @property
    def is_confident(self) -> bool:
        """Whether the last bins were decoded rather than predicted."""
        return self.n_coasted <= COAST_CONFIDENT

    def step(self, y: Array) -> float:
        """Decode one bin, features of shape (n,); return its NIS per feature."""
        nis = float(
            _decode(
                y,
                self._C,
                self._M,
                self._n_effective,
                self._D,
                self._G,
                self._S,
                self.alpha,
                self.model.nis_gate,
                self._effort,
                self._l,
                self._nu,
                self._work,
            )
        )
        if not nis <= self.model.nis_gate:
            self.coast()
            return nis
        self.n_coasted = 0
        np.multiply(self._effort, self.beta, out=self.velocity)
        return nis

    def coast(self) -> None:
        """Predict one bin without features: the velocity decays with tau."""
        self.n_coasted += 1
        self._effort *= self.alpha
        np.multiply(self._effort, self.beta, out=self.velocity)

    def learn(self, y: Array, v_int: tuple[float, ...], weight: float, half_life_s: float) -> None:
        """Learn from one bin whose intention is known.

        Parameters
        ----------
        y : Array
            Features, shape (n,).
        v_int : tuple of float
            Intended velocity, length 1 is full effort.
        weight : float
            0 to 1.
        half_life_s : float
            After this much labelled time a bin counts half.
        """
        decay = 0.5 ** (self.model.bin_s / half_life_s)
        self._x[:-1] = v_int
        if _learn(self._x, y, weight, decay, self._C, self._Ri, self._M, self._r, self._e, self._work):
            self._n_effective = decay * self._n_effective + weight
            self.n_learned += 1
            if self.n_learned % REFRESH_BINS == 0:
                self._refresh()

    def to_model(self) -> Model:
        """Return the model as learned so far."""
        m = self.model
        Q = np.linalg.inv(self._n_effective * self._M)
        R = np.linalg.inv(self._Ri)
        return Model(
            outputs=m.outputs,
            feature_labels=m.feature_labels,
            features_hash=m.features_hash,
            bin_s=m.bin_s,
            C=self._C.copy(),
            Q=(Q + Q.T) / 2,
            R=(R + R.T) / 2,
            n_effective=self._n_effective,
            nis_gate=m.nis_gate,
            provenance={**m.provenance, "n_learned_bins": self.n_learned},
        )

    def _refresh(self) -> None:
        """Derive D, the read-out and its gain from C and M: one length of effort decodes to one, on average."""
        Cv = self._C[:, :-1]
        k = Cv.shape[1]
        D = self._n_effective * (Cv.T @ self._M @ Cv)
        D = (D + D.T) / 2
        G = np.linalg.inv(D + READOUT_RIDGE * np.trace(D) / k * np.eye(k))
        self._D[:] = D
        self._G[:] = G * (k / np.trace(G @ D))
        self._S[:] = np.linalg.inv(D + PRIOR_PRECISION * np.eye(k))
