"""Which channels may be believed: watched bin by bin, masked when a fault lasts, admitted again when it is over.

A statistical process chart per channel (Vasko et al. 2022, Frontiers in Neuroscience, PMC9096265, for intracortical
arrays): activity now against activity as usual. Activity is the mean squared difference of successive samples, which
neither an electrode's offset nor its drift moves.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bci.profile import Quality
from bci.signals.arguments import as_row, as_rows
from bci.types import Array, Event

FAULTS = ("", "not finite", "flat", "dead", "saturated", "noisy", "line noise", "shorted to another")
NOT_FINITE, FLAT, DEAD, SATURATED, NOISY, LINE, SHORTED = range(1, len(FAULTS))
LARGEST = 1e15  # no voltage in any unit and no count is larger; its square is finite
SETTLING_S = 10.0  # before anything is compared with what is usual
NOT_FINITE_S, SATURATED_S, LINE_S = 1.0, 1.0, 5.0
SATURATED_SHARE = 0.05  # of the samples
LINE_SHARE = 0.8  # of the channel's activity
CHANCE = 60.0  # expected changes that failed to come; a neuron's rate varies, so e⁻⁶⁰ is less absurd than it looks
UNUSUAL = 0.5  # of what is noisy is no longer usual
PRIOR_S = 10.0  # what a stream says about changes at first weighs as much as so long a time
MOST_CHANNELS = 256  # of which pairs are compared; their number grows with the square
LEAST_AVERAGED = 8  # channels whose median is something in common rather than one of themselves
PHASE_BINS = 64  # after so many rounding is taken out of the phase of the mains
BAD = 5  # row of the sums over a bin


@njit(cache=True, nogil=True)
def repair(samples: Array, last: Array, n_bad: Array, out: Array) -> None:
    """Copy samples; one that is not finite, or absurdly large, is replaced by its channel's last good one.

    Parameters
    ----------
    samples, out : Array
        Shape (n_samples, n_channels).
    last, n_bad : Array
        Shape (n_channels,): last good sample, and how many bad ones there were; in place.
    """
    for i in range(samples.shape[0]):
        for c in range(samples.shape[1]):
            x = samples[i, c]
            is_good = abs(x) <= LARGEST  # false for NaN
            n_bad[c] += 0.0 if is_good else 1.0
            last[c] = x if is_good else last[c]
            out[i, c] = last[c]


@njit(cache=True, nogil=True)
def observe(samples: Array, limit: float, turn: Array, phase: Array, previous: Array, run: Array, sums: Array) -> None:
    """Add samples to the sums of a bin.

    Parameters
    ----------
    samples : Array
        Shape (n_samples, n_channels), repaired.
    limit : float
        The amplifier's limit; infinite where it is not known.
    turn, phase : Array
        Shape (2,): cosine and sine of the mains frequency's phase per sample, and of the phase now (in place).
    previous, run : Array
        Shape (n_channels,): last sample, and how many samples in a row were equal; in place.
    sums : Array
        Shape (6, n_channels), in place: of the differences d of successive samples how many are not 0, Σd²,
        Σd cos, Σd sin; how many samples are at the limit.
    """
    for i in range(samples.shape[0]):
        cosine, sine = phase[0], phase[1]
        phase[0], phase[1] = turn[0] * cosine - turn[1] * sine, turn[1] * cosine + turn[0] * sine
        for c in range(samples.shape[1]):
            x = samples[i, c]
            d = x - previous[c]
            previous[c] = x
            changed = 1.0 if d != 0.0 else 0.0
            run[c] = (run[c] + 1.0) * (1.0 - changed)
            sums[0, c] += changed
            sums[1, c] += d * d
            sums[2, c] += 1.0 if abs(x) >= limit else 0.0
            sums[3, c] += cosine * d
            sums[4, c] += sine * d


@njit(cache=True, nogil=True)
def follow_pairs(difference: Array, k: float, products: Array) -> None:
    """Follow the products of one difference per channel, (n,), in the upper triangle of `products` (n, n)."""
    n = len(difference)
    for i in range(n):
        d = difference[i]
        row = products[i]
        for j in range(i, n):
            row[j] += k * (d * difference[j] - row[j])


@njit(cache=True, nogil=True)
def find_shorted(products: Array, correlation: float, is_used: Array, is_shorted: Array) -> None:
    """Mark the later channel of each pair whose differences correlate more than `correlation`."""
    n = products.shape[0]
    for j in range(n):
        is_shorted[j] = False
        for i in range(j):
            if is_used[i] and products[i, j] > correlation * math.sqrt(products[i, i] * products[j, j]) > 0.0:
                is_shorted[j] = True


@njit(cache=True, nogil=True)
def typical(values: Array, is_used: Array) -> float:
    """Geometric mean of the positive values of used channels, 0 where there are none: a few extremes hardly move it."""
    total, n = 0.0, 0
    for c in range(len(values)):
        if is_used[c] and values[c] > 0.0:
            total += math.log(values[c])
            n += 1
    return math.exp(total / n) if n else 0.0


@njit(cache=True, nogil=True)
def judge(
    n_samples: int, sums: Array, rates: Array, limits: Array, patience: Array, n_settling: int, n_readmit: int,
    seen: Array, now: Array, usual: Array, run: Array, is_shorted: Array, ratio: Array, lasting: Array,
    n_good: Array, fault: Array, is_used: Array,
) -> bool:  # fmt: skip
    """Judge each channel at the end of a bin; true when a mask has changed.

    Parameters
    ----------
    n_samples : int
        Of the bin.
    sums : Array
        See `observe`; row 5 counts bad samples. Set to 0.
    rates : Array
        Shape (3,): share of a new bin in what is now, in what is usual, and in the line.
    limits : Array
        Shape (5,): ratio of a dead and of a noisy channel, ratio of the line, least run of equal samples that is a
        fault, bins that count as seen before the first.
    patience : Array
        Integer, shape (n_faults,): bins for which each fault must last.
    n_settling, n_readmit : int
        Bins before comparisons begin; of good behaviour before a masked channel is admitted.
    seen : Array
        Integer, shape (n_channels,): bins behind what is usual; in place.
    now, usual : Array
        Shape (4, n_channels), (2, n_channels), in place: activity, share at the limit and the line's cosine and sine
        now; activity and share of changes as usual.
    run, is_shorted, ratio : Array
        Shape (n_channels,): equal samples in a row; see `find_shorted`; scratch.
    lasting : Array
        Integer, shape (n_faults, n_channels): bins for which each fault has lasted; in place.
    n_good, fault : Array
        Integer, shape (n_channels,): bins without a fault; the fault for which a channel is masked, or 0; in place.
    is_used : Array
        Boolean, shape (n_channels,): the mask, in place.
    """
    n = sums.shape[1]
    for c in range(n):
        activity = sums[1, c] / n_samples
        now[0, c] += rates[0] * (activity - now[0, c])
        now[1, c] += rates[0] * (sums[2, c] / n_samples - now[1, c])
        now[2, c] += rates[2] * (sums[3, c] / n_samples - now[2, c])
        now[3, c] += rates[2] * (sums[4, c] / n_samples - now[3, c])
        ratio[c] = now[0, c] / usual[0, c] if usual[0, c] > 0.0 and seen[c] >= n_settling else 0.0
    common = max(1.0, typical(ratio, is_used))
    floor = 0.1 * typical(usual[0], is_used)
    for c in range(n):
        ratio[c] = 2.0 * (now[2, c] ** 2 + now[3, c] ** 2)
    usual_line = typical(ratio, is_used)
    has_changed = False
    for c in range(n):
        is_settled = seen[c] >= n_settling
        changes = max(usual[1, c], 1e-12)
        longest = max(CHANCE / changes, limits[3])
        least = max(usual[0, c], floor)
        worst = 0
        for f in range(1, len(patience)):
            is_faulty = False
            if f == NOT_FINITE:
                is_faulty = sums[5, c] > 0.0
            elif f == FLAT:
                is_faulty = run[c] >= longest
            elif f == DEAD:
                is_faulty = is_settled and now[0, c] < limits[0] * usual[0, c]
            elif f == SATURATED:
                is_faulty = now[1, c] > SATURATED_SHARE
            elif f == NOISY:
                is_faulty = is_settled and now[0, c] > limits[1] * common * least
            elif f == LINE:
                is_faulty = is_settled and ratio[c] > limits[2] * usual_line and ratio[c] > LINE_SHARE * now[0, c]
            else:
                is_faulty = is_shorted[c]
            lasting[f, c] = lasting[f, c] + 1 if is_faulty else 0
            if is_faulty and worst == 0:
                worst = f
            if lasting[f, c] >= patience[f] and fault[c] == 0:
                fault[c] = f
                is_used[c] = False
                has_changed = True
        n_good[c] = n_good[c] + 1 if worst == 0 else 0
        if fault[c] and n_good[c] >= n_readmit:
            fault[c] = 0
            is_used[c] = True
            has_changed = True
        is_usual = worst == 0 and now[0, c] <= UNUSUAL * limits[1] * common * least
        if is_usual or not is_settled:  # a fault must not become usual before it is found
            seen[c] += 1
            usual[0, c] += max(rates[1], 1.0 / seen[c]) * (sums[1, c] / n_samples - usual[0, c])
            share = max(rates[1], 1.0 / (seen[c] + limits[4]))
            usual[1, c] += share * (sums[0, c] / n_samples - usual[1, c])
    sums[:] = 0.0
    return has_changed


class ChannelWatch:
    """The quality of each channel of one stream, on line.

    Parameters
    ----------
    settings : Quality
        Time constants, ratios, patience.
    labels : tuple of str
        One per channel.
    rate_hz : float
        Sampling rate.
    bin_samples : int
        Samples of a usual bin.
    line_hz : float or None
        Mains frequency, where the settings name none.
    changes : float
        Share of samples that differ from the one before, until the channel shows it: 1 for a voltage.

    Attributes
    ----------
    is_used : Array
        Boolean, shape (n_channels,): false while masked.
    fault : Array
        Integer, shape (n_channels,): index into `FAULTS`.
    """

    def __init__(
        self, settings: Quality, labels: tuple[str, ...], rate_hz: float, bin_samples: int, line_hz: float | None,
        changes: float = 1.0,
    ) -> None:  # fmt: skip
        n, bin_s = len(labels), bin_samples / rate_hz
        self.labels = labels
        self.is_used = np.ones(n, dtype=np.bool_)
        self.fault = np.zeros(n, dtype=np.int64)
        self._limit = np.inf if settings.saturation is None else settings.saturation
        angle = 2 * math.pi * (settings.line_hz or line_hz or 0.0) / rate_hz
        self._turn, self._phase = np.array([math.cos(angle), math.sin(angle)]), np.array([1.0, 0.0])
        line_ratio = settings.line_ratio if 0.0 < angle < math.pi else np.inf
        k_now, k_usual = min(1.0, bin_s / settings.tau_s), min(1.0, bin_s / settings.baseline_s)
        self._rates = np.array([k_now, k_usual, k_now])
        self._k_pair = min(1.0, bin_s / settings.short_s)
        self._limits = np.array([
            settings.dead_ratio, settings.noisy_ratio, line_ratio, settings.flat_s * rate_hz,
            PRIOR_S / bin_s,
        ])  # fmt: skip
        lasting_s = (
            0.0, NOT_FINITE_S, 0.0, settings.dead_s, SATURATED_S, settings.noisy_s, LINE_S, settings.short_s,
        )  # fmt: skip
        self._patience = np.array([max(1, math.ceil(s / bin_s - 1e-9)) for s in lasting_s])
        self._n_settling, self._n_readmit = math.ceil(SETTLING_S / bin_s), math.ceil(settings.readmit_s / bin_s)
        self._correlation = settings.short_correlation
        self._seen, self._n_good = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._lasting = np.zeros((len(FAULTS), n), dtype=np.int64)
        self._sums: Array = np.zeros((6, n))
        self._now: Array = np.zeros((4, n))
        self._usual: Array = np.zeros((2, n))
        self._usual[1] = changes
        self._previous: Array = np.full(n, np.nan)
        self._run, self._ratio = np.zeros(n), np.zeros(n)
        self._is_shorted = np.zeros(n, dtype=np.bool_)
        n_pairs = n if n <= MOST_CHANNELS and settings.short_correlation < 1.0 else 0
        self._products: Array = np.zeros((n_pairs, n_pairs))
        self._difference, self._sorted = np.zeros(n_pairs), np.zeros(n_pairs)
        self._n_samples, self._n_bins = 0, 0

    def observe(self, samples: Array) -> None:
        """Take in repaired samples (n_samples, n_channels) of the bin that is being filled."""
        samples = as_rows(samples, len(self.labels))
        if not len(samples):
            return
        if self._previous[0] != self._previous[0]:  # the very first
            self._previous[:] = samples[0]
        if self._n_samples == 0 and len(self._difference):
            np.subtract(samples[0], self._previous, out=self._difference)
        self._n_samples += len(samples)
        observe(samples, self._limit, self._turn, self._phase, self._previous, self._run, self._sums)

    def end_bin(self, n_bad: Array) -> bool:
        """Judge the channels; `n_bad` says how many samples of each were bad. True when a mask has changed."""
        if self._n_samples == 0:
            return False
        self._n_bins += 1
        if self._n_bins % PHASE_BINS == 0:
            self._phase /= math.hypot(*self._phase)
        self._sums[BAD] = as_row(n_bad, len(self.labels), "Counts of bad samples")
        if len(self._difference):
            self._difference -= self._common()
            follow_pairs(self._difference, max(self._k_pair, 1.0 / self._n_bins), self._products)
            find_shorted(self._products, self._correlation, self.is_used, self._is_shorted)
        has_changed: bool = judge(
            self._n_samples, self._sums, self._rates, self._limits, self._patience, self._n_settling, self._n_readmit,
            self._seen, self._now, self._usual, self._run, self._is_shorted, self._ratio, self._lasting, self._n_good,
            self.fault, self.is_used,
        )  # fmt: skip
        self._n_samples = 0
        return has_changed

    def skip_bin(self) -> None:
        """End a bin in which the whole source tells nothing: that says nothing about single channels."""
        self._sums[:] = 0.0
        self._run[:] = 0.0
        self._n_samples = 0

    def _common(self) -> float:
        """Median difference over the channels in use: what all share, as from the mains, shorts nobody."""
        n = np.count_nonzero(self.is_used)
        if n < LEAST_AVERAGED:
            return 0.0
        np.copyto(self._sorted, self._difference)
        self._sorted[~self.is_used] = np.inf
        self._sorted.sort()
        return float(self._sorted[n // 2])

    def changes(self, before: Array, stamp_s: float) -> list[Event]:
        """Say which masks differ from `before`, boolean (n_channels,)."""
        events = []
        for c in np.flatnonzero(before != self.is_used):
            if before[c]:
                text = f"{self.labels[c]} is {FAULTS[self.fault[c]]}: its features are left out."
                events.append(Event(stamp_s, "signals", "masked", text))
            else:
                events.append(Event(stamp_s, "signals", "readmitted", f"{self.labels[c]} is used again."))
        return events
