"""The live decoder: intended velocity from features, learning while it decodes.

Direction, smoothing and gain are three separate things: the direction is fitted, `tau_ms` and `beta` are set.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numba import njit

from bci.decoding.adaptation import effective_decay, learn
from bci.decoding.model import Model
from bci.decoding.noise import covariance, dot, fill_hidden, hidden_precision, make_noise, precision_times, squared_norm
from bci.decoding.robust import innovate
from bci.decoding.shaping import make_shaper
from bci.profile import Decoder
from bci.types import Array

PRIOR_PRECISION = 2.0  # of effort around its smoothed value, 1/length²: an intention may turn round within a bin
READOUT_RIDGE = 1e-3  # of the mean information, so that a direction nobody encodes stays quiet
COAST_CONFIDENT = 3  # bins that may be predicted only before the decoder says that it is not confident
REFRESH_BINS = 8  # learned bins between two updates of what is derived from C and Q
NOISE_FLOOR = 1e-3  # of the mean variance: the least that any feature keeps while learning


@njit(cache=True, nogil=True)
def _decode(
    y: Array, n_effective: float, Ct: Array, L: Array, M: Array, q: Array, p: Array, factors: Array, spread: Array,
    is_hidden: Array, D: Array, G: Array, S: Array, alpha: float, gate: float, effort: Array, beta: float,
    velocity: Array, u: Array, nu: Array, work: Array, hidden: Array, block: Array,
) -> float:  # fmt: skip
    """One bin: update the smoothed effort in place and return the NIS per feature; an implausible bin changes nothing.

    Notes
    -----
    NIS = νᵀQ⁻¹ν - lᵀ(P⁻¹ + D)⁻¹l with l = Lν = CᵀQ⁻¹ν. The generalised least-squares read-out G CᵀQ⁻¹(y - b) is
    written with the innovation, G(l + D effort), so that nothing but l has the size of the features. The update
    effort += (1 - alpha)(read-out - effort) is the steady-state Kalman filter whose closed-loop time constant is tau.
    """
    n_hidden = innovate(y, Ct, effort, spread, is_hidden, hidden, nu)
    if n_hidden < 0:
        return np.inf
    if n_hidden:
        fill_hidden(M, q, p, factors, hidden, n_hidden, nu, block, work)
    nis, k = squared_norm(M, n_effective, q, p, factors, nu, work), len(effort)
    for j in range(k):
        u[j] = dot(L[j], nu)
    for i in range(k):
        for j in range(k):
            nis -= u[i] * S[i, j] * u[j]
    nis /= len(y) - n_hidden
    if not nis <= gate:
        return nis
    for i in range(k):
        for j in range(k):
            u[i] += D[i, j] * effort[j]
    for i in range(k):
        readout = 0.0
        for j in range(k):
            readout += G[i, j] * u[j]
        work[i] = readout
    for i in range(k):
        effort[i] += (1.0 - alpha) * (work[i] - effort[i])
        velocity[i] = beta * effort[i]
    return nis


@njit(cache=True, nogil=True)
def _residual(y: Array, x: Array, Ct: Array, is_hidden: Array, hidden: Array, e: Array) -> int:
    """Fill e = y - Cx and return how many features are hidden or not finite, naming them in `hidden`."""
    n_hidden = 0
    for i in range(len(y)):
        e[i] = y[i]
    for j in range(len(x)):
        for i in range(len(y)):
            e[i] -= Ct[j, i] * x[j]
    for i in range(len(y)):
        if is_hidden[i] or not np.isfinite(y[i]):
            hidden[n_hidden] = i
            n_hidden += 1
            e[i] = 0.0
    return n_hidden


class VelocityDecoder:
    """Intended velocity, bin by bin.

    Parameters
    ----------
    model : Model
        Checked with `check_model`.
    settings : Decoder
        Smoothing, gain, shaping, and the form of the noise.

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

    def __init__(self, model: Model, settings: Decoder) -> None:
        self.model = model
        self.alpha = math.exp(-1e3 * model.bin_s / settings.tau_ms)
        n, k = len(model.feature_labels), len(model.outputs)
        self._Ct: Array = np.array(model.C.T, order="C")
        self._Ri: Array = np.linalg.inv(model.R)
        self._noise = make_noise(model.Q, settings.noise, model.n_effective)
        self._n_effective = model.n_effective
        self._pulse = n * NOISE_FLOOR * float(np.mean(self._noise.q))
        self._D, self._G, self._S = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
        self._effort: Array = np.zeros(k)
        self._u, self._nu, self._work, self._row = np.zeros(k), np.zeros(n), np.zeros(max(n, k)), np.zeros(n)
        self._x, self._r = np.ones(k + 1), np.zeros(k + 1)
        self._spread, self._is_hidden = np.zeros(n), np.zeros(n, dtype=np.bool_)
        self._hidden, self._block = np.zeros(n, dtype=np.int64), np.zeros((n, n))
        self._beta, self._gate = settings.beta, model.nis_gate
        self._shaper = make_shaper(settings, k, model.bin_s, model.fast_effort)
        self.velocity: Array = np.zeros(k)
        self.n_coasted = 0
        self.n_learned = 0
        self._L: Array = precision_times(self._noise, self._n_effective, self._Ct[:-1])
        self._refresh()
        noise = self._noise
        self._bound = (
            self._Ct, self._L, noise.M, noise.q, noise.p, noise.factors, self._spread, self._is_hidden, self._D,
            self._G, self._S, self.alpha, model.nis_gate, self._effort, settings.beta,
            self.velocity, self._u, self._nu, self._work, self._hidden, self._block,
        )  # fmt: skip

    @property
    def is_confident(self) -> bool:
        """Whether the last bins were decoded rather than predicted."""
        return self.n_coasted <= COAST_CONFIDENT

    @property
    def effort(self) -> Array:
        """Smoothed effort before gain and shaping, shape (k,): a view."""
        return self._effort

    @property
    def compiled(self) -> tuple[Any, ...]:
        """What the compiled step takes after the features, for a loop that is compiled itself."""
        return (self._n_effective, *self._bound)

    def step(self, y: Array) -> float:
        """Decode one bin, features of shape (n,); return its NIS per feature, infinite for a bin that cannot be used.

        Features that are not finite are left out of this bin.
        """
        nis: float = _decode(y, self._n_effective, *self._bound)
        if not nis <= self._gate:
            self.coast()
            return nis
        self.n_coasted = 0
        if self._shaper is not None:
            self._shaper.apply(self._effort, self.velocity)
        return nis

    def coast(self) -> None:
        """Predict one bin without features: the velocity decays with tau."""
        self.n_coasted += 1
        self._effort *= self.alpha
        np.multiply(self._effort, self._beta, out=self.velocity)
        if self._shaper is not None:
            self._shaper.apply(self._effort, self.velocity)

    def learn(self, y: Array, v_int: tuple[float, ...], weight: float, half_life_s: float) -> None:
        """Learn from one bin whose intention is known.

        Parameters
        ----------
        y : Array
            Features, shape (n,).
        v_int : tuple of float
            Intended velocity, length 1 is full effort.
        weight : float
            0 to 1; nothing is learned, and nothing forgotten, with 0.
        half_life_s : float
            After this much labelled time a bin counts half.
        """
        if not weight > 0.0:
            return
        noise = self._noise
        decay = effective_decay(self._Ri, 0.5 ** (self.model.bin_s / half_life_s))
        self._x[:-1] = v_int
        n_hidden = _residual(y, self._x, self._Ct, self._is_hidden, self._hidden, self._nu)
        if n_hidden == len(y):
            return
        if n_hidden:
            fill_hidden(
                noise.M, noise.q, noise.p, noise.factors, self._hidden, n_hidden, self._nu, self._block, self._work
            )
        after = learn(
            self._x, self._nu, weight, decay, self._n_effective, weight * self._pulse, self.n_learned % len(y),
            self._Ct, self._L, self._Ri, noise.M, noise.q, self._r, self._work, self._row,
        )  # fmt: skip
        if after > 0.0:
            self._n_effective = after
            self.n_learned += 1
            if self.n_learned % REFRESH_BINS == 0:
                self._refresh()

    def use_features(self, is_used: Array) -> None:
        """Decode with some features only, boolean (n,): the others are marginalised, not set to zero."""
        np.logical_not(is_used, out=self._is_hidden)
        self._refresh()

    def to_model(self) -> Model:
        """Return the model as learned so far."""
        R = np.linalg.inv(self._Ri)
        return dataclasses.replace(
            self.model,
            C=np.ascontiguousarray(self._Ct.T),
            Q=covariance(self._noise, self._n_effective),
            R=(R + R.T) / 2,
            n_effective=self._n_effective,
            provenance={**self.model.provenance, "n_learned_bins": self.n_learned},
        )

    def _refresh(self) -> None:
        """Derive D, the read-out and its gain from C and Q: one length of effort decodes to one, on average."""
        k = len(self._effort)
        if not len(self._noise.M):
            self._L[:] = precision_times(self._noise, self._n_effective, self._Ct[:-1])
        D = self._L @ self._Ct[:-1].T
        hidden = np.flatnonzero(self._is_hidden)
        if len(hidden):  # what the hidden features would have told, given the others
            L = self._L[:, hidden]
            D = D - L @ np.linalg.solve(hidden_precision(self._noise, self._n_effective, hidden), L.T)
        D = (D + D.T) / 2
        G = np.linalg.inv(D + READOUT_RIDGE * np.trace(D) / k * np.eye(k))
        self._D[:] = D
        self._G[:] = G * (k / np.trace(G @ D))
        self._S[:] = np.linalg.inv(D + PRIOR_PRECISION * np.eye(k))
        np.sqrt(self._noise.q + np.sum(self._Ct[:-1] ** 2, axis=0) / PRIOR_PRECISION, out=self._spread)
