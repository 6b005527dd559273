"""From chunks of samples to frames of features, as the profile describes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from bci.errors import ArgumentError, ProfileError
from bci.profile import BandPower, Features, Rates, Spikes
from bci.signals.arguments import as_rows
from bci.signals.binning import BinCounter
from bci.signals.memory import remember
from bci.signals.normalise import AdaptiveZScore
from bci.signals.power import PowerBank
from bci.signals.quality import ChannelWatch, repair
from bci.signals.scratch import Scratch
from bci.signals.spikes import SpikeBank, add
from bci.signals.standstill import LEAST_CHANNELS, Standstill
from bci.types import Array, Chunk, Event, Frame

RATE_CHANGES = 0.01  # share of bins in which a count changes, until the channel shows it
NO_FADING: Array = np.empty(0)
KEPT_EVENTS = 1000
NO_SIGNAL = "The source keeps sending the same: no signal. Look at the headstage, its cable and the amplifier."
PIECE = 12_288  # numbers in a piece: what every step makes of it stays in the processor's own memory


class CountBank:
    """Rates or counts that arrive as such: summed or averaged in each bin."""

    def __init__(self, features: Rates, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._features = features
        self._total: Array = np.zeros(len(labels))

    def absorb(self, samples: Array) -> None:
        """Take in samples (n_samples, n_channels), finite."""
        add(samples, self._total)

    def reduce(self, n_taken: int, n_samples: int) -> Array:
        """Features of a bin of `n_samples` of which `n_taken` came: sum or mean, its square root where wanted."""
        values = self._total * (1.0 / n_taken if self._features.reduce == "mean" else n_samples / n_taken)
        self.drop()
        return np.sqrt(np.maximum(values, 0.0)) if self._features.transform == "sqrt" else values

    def drop(self) -> None:
        """Forget the bin that is being filled."""
        self._total[:] = 0.0

    def use(self, is_used: Array) -> Array:
        """Say which features are believed when these channels are, boolean (n_channels,)."""
        return is_used.copy()


Bank = CountBank | PowerBank | SpikeBank


def make_bank(features: Features, labels: tuple[str, ...], rate_hz: float, spatial: Array | None) -> Bank:
    """The part of the profile's features that depends on their kind."""
    if isinstance(features, BandPower):
        if features.csp_pairs and spatial is None:
            raise ProfileError(
                "features.csp_pairs: the spatial filters are learned, and there is no model that holds them.",
                "Fit one with `bci fit` on a recording with cues, or set csp_pairs to 0.",
            )
        return PowerBank(features, labels, rate_hz, spatial if features.csp_pairs else None)
    if isinstance(features, Spikes):
        return SpikeBank(features, labels, rate_hz)
    return CountBank(features, labels)


def make_watch(features: Features, labels: tuple[str, ...], rate_hz: float, bin_samples: int) -> ChannelWatch | None:
    """The watch over the channels, where the profile wants one."""
    if features.quality is None:
        return None
    line_hz = features.notch_hz if isinstance(features, BandPower) else None
    return ChannelWatch(features.quality, labels, rate_hz, bin_samples, line_hz, usual_changes(features))


def usual_changes(features: Features) -> float:
    """Share of samples that differ from the one before, until the channel shows it."""
    return RATE_CHANGES if isinstance(features, Rates) else 1.0


def stacked_labels(labels: tuple[str, ...], stack_bins: int) -> tuple[str, ...]:
    """Labels of the newest bin's features, then of each earlier bin's."""
    older = (f"{label} -{lag} bin{'s' if lag > 1 else ''}" for lag in range(1, stack_bins) for label in labels)
    return (*labels, *older)


class BinFeatures:
    """The features of one stream, bin by bin; whoever calls knows where a bin ends.

    A sample that is not finite is replaced by its channel's last good one, so that no filter is poisoned, and the
    features of that channel are hidden in this bin, as are those of a masked channel: hidden features are NaN.

    Parameters
    ----------
    features : Rates, BandPower or Spikes
        What to compute.
    labels : sequence of str
        One per channel.
    rate_hz : float
        Sampling rate.
    spatial : Array, optional
        Learned spatial filters, see `PowerBank`.

    Attributes
    ----------
    labels : tuple of str
        One per feature.
    events : deque of Event
        What happened to channels; whoever reads them takes them out.
    n_without_signal : int
        Bins in a row, the last one included, in which the source kept sending and told nothing; 0 while it tells.
    """

    def __init__(self, features: Features, labels: Sequence[str], rate_hz: float, spatial: Array | None = None) -> None:
        n = len(labels)
        self.channels = tuple(labels)
        self.bin_samples = round(features.bin_ms * rate_hz / 1e3)
        self.bin_s = self.bin_samples / rate_hz
        self._bank = make_bank(features, self.channels, rate_hz, spatial)
        self.labels = stacked_labels(self._bank.labels, features.stack_bins)
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        n_features = len(self._bank.labels)
        self._watch = make_watch(features, self.channels, rate_hz, self.bin_samples)
        self._standstill = None
        is_few = isinstance(features, Rates) and n < LEAST_CHANNELS  # neurons, which may be silent together
        if features.quality is not None and not is_few:
            self._standstill = Standstill(n, self.bin_samples, self.bin_s, usual_changes(features))
        self._is_still = False
        self._zscore = None if features.zscore is None else AdaptiveZScore(features.zscore, n_features, self.bin_s)
        self._memory: Array = np.full((features.stack_bins, n_features), np.nan)
        self._repaired = Scratch(n)
        self._most_rows = max(16, PIECE // n)
        self._last, self._n_bad = np.zeros(n), np.zeros(n)
        self._masked = np.zeros(n, dtype=np.bool_)
        self._is_believed = np.ones(n_features, dtype=np.bool_)
        self._n_taken = 0

    @property
    def n_without_signal(self) -> int:
        """Bins in a row in which the source kept sending and told nothing."""
        return 0 if self._standstill is None else self._standstill.n_bins

    @property
    def is_masked(self) -> Array:
        """Which channels are masked, boolean (n_channels,)."""
        return self._masked

    @property
    def zscore(self) -> AdaptiveZScore | None:
        """What is normal of each feature; None where nothing is normalised."""
        return self._zscore

    def absorb(self, samples: Array) -> None:
        """Take in samples (n_samples, n_channels) of the bin that is being filled; ValueError where they do not fit."""
        samples = as_rows(samples, len(self.channels))
        for start in range(0, len(samples), self._most_rows):
            piece = samples[start : start + self._most_rows]
            repaired = self._repaired.rows(len(piece))
            repair(piece, self._last, self._n_bad, repaired)
            if self._watch is not None:
                self._watch.observe(repaired)
            if self._standstill is not None:
                self._standstill.observe(repaired)
            self._bank.absorb(repaired)
            self._n_taken += len(piece)

    def drop(self) -> None:
        """Forget what the bin that is being filled holds: its samples came for nothing but the filters."""
        self._bank.drop()
        self._n_bad[:] = 0.0
        self._n_taken = 0

    def skip_bin(self) -> None:
        """End a bin of which samples were lost: nothing is known of it."""
        self.drop()
        self._memory[1:] = self._memory[:-1]
        self._memory[0] = np.nan

    def end_bin(self, stamp_s: float) -> Array | None:
        """End a bin that has at least one sample.

        Returns
        -------
        Array or None
            Shape (n_features,), hidden ones NaN; None when no channel had a bin of good samples, or the source keeps
            sending and tells nothing.
        """
        if self._has_no_signal(stamp_s):
            if self._watch is not None:
                self._watch.skip_bin()
            self.skip_bin()
            return None
        if self._watch is not None and self._watch.end_bin(self._n_bad):
            self.events.extend(self._watch.changes(~self._masked, stamp_s))
            self._masked = ~self._watch.is_used
            self._is_believed = self._bank.use(self._watch.is_used)
        if self._masked.any() or self._n_bad.any():
            values = self._reduce_believed()
            if values is None:
                self.skip_bin()
                return None
        else:
            values = self._bank.reduce(self._n_taken, self.bin_samples)
        self._n_taken = 0
        if self._zscore is not None:
            self._zscore.apply(values)
        if len(self._memory) == 1:
            return values
        remember(values, NO_FADING, self._memory)
        return self._memory.reshape(-1).copy()

    def _has_no_signal(self, stamp_s: float) -> bool:
        """Whether the source keeps sending and tells nothing; when that begins or ends, say so."""
        if self._standstill is None:
            return False
        self._standstill.end_bin()
        is_still = self._standstill.n_bins > 0
        if is_still != self._is_still:
            self._is_still = is_still
            kind, text = ("no signal", NO_SIGNAL) if is_still else ("signal", "The source sends a signal again.")
            self.events.append(Event(stamp_s, "signals", kind, text))
        return is_still

    def _reduce_believed(self) -> Array | None:
        """Features of a bin in which channels are masked or had bad samples; None when none is left."""
        is_bad = self._n_bad > 0
        is_hidden = is_bad | self._masked
        if is_hidden.all():
            return None
        values = self._bank.reduce(self._n_taken, self.bin_samples)
        values[~self._is_believed] = np.nan
        if (is_bad & ~self._masked).any():  # hidden in this bin only
            values[~self._bank.use(~is_hidden)] = np.nan
            self._bank.use(~self._masked)
        self._n_bad[:] = 0.0
        return values


class Extractor:
    """The frames of one stream, whose bins are counted in samples.

    Parameters
    ----------
    features : Rates, BandPower or Spikes
        What to compute.
    labels : sequence of str
        One per channel of the stream.
    rate_hz : float
        The stream's sampling rate.
    spatial : Array, optional
        Learned spatial filters, see `PowerBank`.

    Attributes
    ----------
    labels : tuple of str
        One per feature.
    n_features : int
        How many.
    bin_s : float
        Bin width.

    Raises
    ------
    ProfileError
        When the montage that the reference needs is not in the labels.
    """

    def __init__(self, features: Features, labels: Sequence[str], rate_hz: float, spatial: Array | None = None) -> None:
        self.parts = BinFeatures(features, labels, rate_hz, spatial)
        self.labels = self.parts.labels
        self.n_features = len(self.labels)
        self.bin_s = self.parts.bin_s
        self._counter = BinCounter(self.parts.bin_samples)
        self._period_s = 1.0 / rate_hz

    def push(self, chunk: Chunk) -> list[Frame]:
        """Process one chunk; return the frames that it completes, in order.

        Raises
        ------
        ValueError
            When its samples are not (n_samples, n_channels), or there is not one stamp for each.
        """
        frames, counter, samples = [], self._counter, as_rows(chunk.samples, len(self.parts.channels))
        if len(chunk.stamps_s) != len(samples):
            raise ArgumentError(f"{len(samples)} samples have {len(chunk.stamps_s)} stamps.", "Give one for each.")
        if chunk.n_lost:
            for index, back in counter.skip(chunk.n_lost):
                self.parts.skip_bin()
                stamp_s = float(chunk.stamps_s[0] - back * self._period_s)
                frames.append(Frame(index, stamp_s, np.zeros(self.n_features), True))
        start = 0
        while start < len(samples):
            stop = min(len(samples), start + counter.n_left)
            self.parts.absorb(samples[start:stop])
            if counter.take(stop - start):
                frames.append(self._end_bin(float(chunk.stamps_s[stop - 1])))
            start = stop
        return frames

    def _end_bin(self, stamp_s: float) -> Frame:
        index, values = self._counter.index, None
        if self._counter.is_missing:
            self.parts.skip_bin()
        else:
            values = self.parts.end_bin(stamp_s)
        self._counter.end()
        if values is None:
            n_before = max(0, self.parts.n_without_signal - 1)
            return Frame(index, stamp_s, np.zeros(self.n_features), True, n_before)
        return Frame(index, stamp_s, values)
