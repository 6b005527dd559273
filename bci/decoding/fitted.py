"""A fitted `KalmanDecoder` as arrays: the one core that `predict` and the live decoder both run.

A Kalman filter whose observation is a memory of the features; see `bci.decoding.joint` and `bci.decoding.curve`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bci.decoding.curve import Curve, correct
from bci.decoding.joint import Gains, update
from bci.signals.memory import remember
from bci.types import Array


@njit(cache=True, nogil=True)
def _step(
    y: Array, mean: Array, scale: Array, clip: float, rates: Array, memory: Array, L: Array, offset: Array,
    A: Array, P: Array, D: Array, x: Array, z: Array, l: Array, work: Array,
) -> bool:  # fmt: skip
    """Decode one bin; False, and only the memory of the last bin repeated, when a value is not finite."""
    is_whole = True
    for c in range(len(y)):
        value = (y[c] - mean[c]) * scale[c]
        if not np.isfinite(y[c]):
            is_whole = False
        z[c] = min(max(value, -clip), clip)
    if not is_whole:
        z[:] = memory[0]
        remember(z, rates, memory)
        return False
    remember(z, rates, memory)
    l[:] = offset
    j = 0
    for t in range(memory.shape[0]):
        for c in range(len(y)):
            for i in range(len(x)):
                l[i] += L[j, i] * memory[t, c]
            j += 1
    update(A, P, D, l, x, work)
    return True


@dataclass(frozen=True)
class State:
    """What is carried from bin to bin: remembered features (taps, n), estimate of the states (k,), and scratch."""

    memory: Array
    x: Array
    z: Array
    l: Array
    work: Array


@dataclass(frozen=True)
class Fitted:
    """What decodes.

    Attributes
    ----------
    mean, scale : Array
        Shape (n,): features count as z = (y - mean) * scale.
    clip : float
        At most this far.
    n_lags : int
        Bins remembered as they were.
    rates : Array
        Of the exponential averages, see `bci.signals.memory.fading_rates`.
    L : Array
        Shape (n_taps * n, k): weights of what is remembered.
    offset : Array
        Shape (k,).
    gains : Gains
        A, P and D of the filter.
    free : Array
        Shape (k, k): how states move by themselves.
    origin : Array
        Shape (k,): mean of the states.
    curve : Curve
        From states to kinematics.
    y_mean, y_scale : Array
        Shape (d,): kinematics are y_mean + states / y_scale.
    """

    mean: Array
    scale: Array
    clip: float
    n_lags: int
    rates: Array
    L: Array
    offset: Array
    gains: Gains
    free: Array
    origin: Array
    curve: Curve
    y_mean: Array
    y_scale: Array

    def at_rest(self) -> State:
        """The state before the first bin."""
        k, n = len(self.origin), len(self.mean)
        memory = np.zeros((self.n_lags + len(self.rates), n))
        return State(memory, np.zeros(k), np.zeros(n), np.zeros(k), np.zeros((2, k)))

    def advance(self, features: Array, state: State, estimate: Array) -> None:
        """Decode one bin, features (n,), into `estimate` (d,); where a value is not finite, it is predicted only."""
        g, curve = self.gains, self.curve
        if not _step(
            features, self.mean, self.scale, self.clip, self.rates, state.memory, self.L, self.offset,
            g.A, g.P, g.D, state.x, state.z, state.l, state.work,
        ):  # fmt: skip
            state.x[:] = self.free @ state.x
        u, scratch = state.work
        np.add(state.x, self.origin, out=u)
        correct(u, curve.mean, curve.scale, curve.W, curve.c, curve.B, curve.b, scratch, estimate)
        estimate /= self.y_scale
        estimate += self.y_mean
