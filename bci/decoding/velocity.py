"""The live decoder: intended velocity from features, learning while it decodes.

Direction, smoothing and gain are three separate things: the direction is fitted, `tau_ms` and `beta` are set. The
model's kind of decoder reads the direction; all else is here, the same for every kind.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from bci.decoding.adaptation import learn
from bci.decoding.discrete import DiscreteDecoder
from bci.decoding.kinds import make_readout
from bci.decoding.model import Model
from bci.decoding.noise import covariance, make_noise, precision_times
from bci.decoding.readout import block_size, decode, derive, expect_hidden, views
from bci.decoding.shaping import make_shaper
from bci.errors import ArgumentError
from bci.profile import Decoder
from bci.signals.arguments import as_mask, as_row
from bci.types import Array

COAST_S = 0.2  # predicted this long the velocity only decays with tau,
RAMP_S = 0.2  # then it goes to zero,
MOST_COASTED = 3  # and after more bins in a row the decoder says that it is not confident: the device is held
QUIET_S = 1.0  # after an implausible bin nothing is learned for this long
REFRESH_BINS = 8  # learned bins between two updates of what is derived from C and Q
NOISE_FLOOR = 1e-3  # of the mean variance: the least that any feature keeps while learning
MOST_INTENDED = 10.0  # of full effort: a longer intention is no label
OUTSKIRTS = 1.0  # workspaces beyond its borders where a position still counts


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
    effort : Array
        Smoothed effort before gain and shaping, shape (k,); the same array every bin.
    discrete : DiscreteDecoder or None
        Click, hold and rest, where profile and model have them; its share has scaled the velocity.
    n_coasted : int
        Bins in a row that were missing or implausible.
    n_learned : int
        Bins learned from.

    Notes
    -----
    Features may follow position as well (`state = "position_velocity"`). While a person controls, feedback makes the
    position certain: what it explains, C_p p, is taken out of the innovation, and it has no covariance (the causal
    intervention of Gilja et al. 2012, Nature Neuroscience 15:1752). It is what `show` last told; where nothing is
    shown, the sum of what was decoded.

    References
    ----------
    Willett et al. (2019), Scientific Reports 9:8881: direction, gain and smoothing as separate things.
    """

    def __init__(self, model: Model, settings: Decoder) -> None:
        _check_shapes(model)
        self.model = model
        self.alpha = math.exp(-1e3 * model.bin_s / settings.tau_ms)
        n, k, m = len(model.feature_labels), len(model.outputs), model.C.shape[1] - len(model.outputs)
        self._noise = make_noise(model.Q, settings.noise, model.n_effective)
        n_factors = len(self._noise.factors)
        self._block: Array = np.zeros(block_size(n, k, m))
        v = views.py_func(self._block, n, k, m)
        self._Ct, self._L, self._q, self._known, self._x = v.Ct, v.L, v.q, v.known, v.x
        self.effort, self.velocity = v.effort, v.velocity
        self._Ct[:], self._q[:], self._known[-1], self._x[-1] = model.C.T, self._noise.q, 1.0, 1.0
        if len(self._noise.p):
            v.p[:] = self._noise.p
        self._noise = dataclasses.replace(self._noise, q=self._q)
        self._Ri: Array = np.linalg.inv(model.R)
        self._n_effective = model.n_effective
        self._floor = n * NOISE_FLOOR * float(np.mean(self._q))
        self._beta, self._gate, self._k = settings.beta, model.nis_gate, k
        self._shaper = make_shaper(settings, k, model.bin_s, model.fast_effort)
        self.discrete = None
        if settings.discrete is not None and model.discrete is not None:
            self.discrete = DiscreteDecoder(model.discrete, settings.discrete, model.bin_s)
        self._has_position, self._is_shown = m > 1, False
        if self._has_position:
            self._known[:-1] = 0.5
        self.n_coasted = 0
        self.n_learned = 0
        self._n_quiet = 0
        self._coast_bins, self._ramp_bins = COAST_S / model.bin_s, RAMP_S / model.bin_s
        self._quiet_bins = math.ceil(QUIET_S / model.bin_s)
        self._is_hidden: Array = np.zeros(n, dtype=np.bool_)
        size = n if len(self._noise.M) else n_factors
        masking = (self._is_hidden, np.zeros(n, dtype=np.int64), np.zeros((size, size)), np.zeros(2, dtype=np.int64))
        noise, shape = (self._noise.M, self._noise.factors), (k, m)
        self._L[:] = precision_times(self._noise, self._n_effective, self._Ct[:k])
        self._decode = (self._block, *noise, *masking, *shape, self.alpha, model.nis_gate, settings.beta)
        self._learn = (self._block, self._Ri, *noise, *masking, *shape)
        self._readout = None
        if model.readout is not None:
            self._readout, self._readout_gain = make_readout(model.readout, n, k), model.readout.gain
            self._before, self._filled = np.zeros(k), np.zeros(n)
        self._derive = (self._block, n, *shape, *noise, *masking)
        derive(*self._derive)

    @property
    def is_confident(self) -> bool:
        """Whether one of the last four bins was decoded rather than predicted."""
        return self.n_coasted <= MOST_COASTED

    @property
    def compiled(self) -> tuple[Any, ...]:
        """What `readout.decode` takes after the features, for a loop that is compiled itself: of no other kind."""
        return (self._n_effective, *self._decode)

    def step(self, y: Array) -> float:
        """Decode one bin, features of shape (n,); return its NIS per feature, infinite for a bin that cannot be used.

        Features that are not finite are left out of this bin.

        Raises
        ------
        ValueError
            When there are more or fewer than n features, or they are no real numbers.
        """
        y = as_row(y, len(self._is_hidden))
        if self._readout is not None:
            self._before[:] = self.effort
        nis: float = decode(y, self._n_effective, *self._decode)
        if nis <= self._gate and self._readout is not None and not self._read(y):
            nis = math.inf
        if not nis <= self._gate:
            self.coast()
            self._n_quiet = self._quiet_bins
            return nis
        self.n_coasted = 0
        if self._n_quiet:
            self._n_quiet -= 1
        if self._shaper is not None:
            self._shaper.apply(self.effort, self.velocity)
        if self.discrete is not None:
            self.discrete.step(y)
            self.velocity *= self.discrete.share
        if self._has_position:
            self._move()
        return nis

    def coast(self) -> None:
        """Predict one bin without features: the velocity decays with tau, and after 0.2 s goes to zero."""
        left = 1.0 - (self.n_coasted - self._coast_bins) / self._ramp_bins
        self.n_coasted += 1
        if self._readout is not None:
            self._readout.coast()
        after = 1.0 - (self.n_coasted - self._coast_bins) / self._ramp_bins
        self.effort *= 0.0 if after <= 0.0 else self.alpha * min(after, 1.0) / min(left, 1.0)
        np.multiply(self.effort, self._beta, out=self.velocity)
        if self._n_quiet:
            self._n_quiet -= 1
        if self._shaper is not None:
            self._shaper.apply(self.effort, self.velocity, is_seen=False)
        if self.discrete is not None:
            self.discrete.coast()
            self.velocity *= self.discrete.share
        if self._has_position:
            self._move()

    def show(self, position: tuple[float, ...]) -> None:
        """Take in where the cursor or hand is, as the person sees it, in workspaces; ignored where it is of no use."""
        if self._has_position and len(position) == self._k and all(math.isfinite(value) for value in position):
            self._known[:-1] = position
            np.clip(self._known[:-1], -OUTSKIRTS, 1.0 + OUTSKIRTS, out=self._known[:-1])
            self._is_shown = True

    def learn(self, y: Array, v_int: tuple[float, ...], weight: float, half_life_s: float) -> None:
        """Learn from one bin whose intention is known; not within a second of an implausible bin.

        Parameters
        ----------
        y : Array
            Features, shape (n,).
        v_int : tuple of float
            Intended velocity, length 1 is full effort; beyond 10, or not finite, it is no label.
        weight : float
            0 to 1; nothing is learned, and nothing forgotten, with 0.
        half_life_s : float
            After this much labelled time a bin counts half.

        Raises
        ------
        ValueError
            When features or intention have the wrong length, or are no real numbers.
        """
        y = as_row(y, len(self._is_hidden))
        if len(v_int) != self._k:
            raise ArgumentError(f"The intention has {len(v_int)} values for {self._k} outputs.", "Give one of each.")
        if self._n_quiet or not 0.0 < weight <= 1.0 or not half_life_s > 0.0:
            return
        decay = 0.5 ** (self.model.bin_s / half_life_s)
        if decay == 0.0 or not all(abs(value) <= MOST_INTENDED for value in v_int):
            return
        self._x[: self._k] = v_int
        self._x[self._k :] = self._known
        turn = self.n_learned % len(y)
        after = learn(y, weight, decay, self._n_effective, self._floor, turn, *self._learn)
        if after > 0.0:
            self._n_effective = after
            self.n_learned += 1
            if self.n_learned % REFRESH_BINS == 0:
                self._refresh()

    def use_features(self, is_used: Array) -> None:
        """Decode with some features only, boolean (n,): the others are marginalised, not set to zero."""
        np.logical_not(as_mask(is_used, len(self._is_hidden)), out=self._is_hidden)
        self._refresh()
        if self.discrete is not None:
            self.discrete.use_features(is_used)
        if self._readout is not None:
            self._readout.use_features(is_used)

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

    def _read(self, y: Array) -> bool:
        """Let the model's kind of decoder read a bin that is believed; False for what is no velocity."""
        assert self._readout is not None
        expect_hidden(y, self._block, self._is_hidden, self._before, self._filled, len(self._known))
        read = self._readout.step(self._filled)
        total = 0.0
        for i in range(self._k):
            value = self.alpha * self._before[i] + (1.0 - self.alpha) * (self._readout_gain * read[i])
            self.effort[i], self.velocity[i] = value, self._beta * value
            total += value
        if math.isfinite(total):
            return True
        self.effort[:] = self._before
        return False

    def _refresh(self) -> None:
        """Derive the read-out from what was learned; where that has become useless, begin again with the model."""
        if not derive(*self._derive):
            self._restore()

    def _restore(self) -> None:
        model = self.model
        noise = make_noise(model.Q, "full" if len(self._noise.M) else "diagonal", model.n_effective)
        self._noise.M[:] = noise.M
        self._q[:], self._Ct[:], self._Ri[:] = noise.q, model.C.T, np.linalg.inv(model.R)
        self._n_effective = model.n_effective
        self._L[:] = precision_times(self._noise, self._n_effective, self._Ct[: self._k])
        derive(*self._derive)

    def _move(self) -> None:
        if not self._is_shown:
            for i in range(self._k):
                moved = self._known[i] + self.model.bin_s * self.velocity[i]
                self._known[i] = min(max(moved, -OUTSKIRTS), 1.0 + OUTSKIRTS)


def _check_shapes(model: Model) -> None:
    """Refuse a model made by hand whose arrays do not belong together: kernels trust them."""
    n, k = len(model.feature_labels), len(model.outputs)
    d = model.C.shape[-1]
    fits = model.C.shape in ((n, k + 1), (n, 2 * k + 1)) and model.Q.shape in ((n,), (n, n)) and model.R.shape == (d, d)
    if n == 0 or k == 0 or not fits:
        shapes = f"C {model.C.shape}, Q {model.Q.shape}, R {model.R.shape}"
        raise ArgumentError(
            f"A model of {n} features and {k} outputs cannot have the shapes {shapes}.", "Fit it with `bci fit`."
        )
