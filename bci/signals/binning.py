"""Bins counted in samples, never in wall time; lost samples make missing bins."""

from __future__ import annotations

from collections.abc import Iterator

MAX_MISSING = 500  # bins told for one gap; those of a longer one are counted, not told one by one


class BinCounter:
    """Where the bins of a stream end.

    Parameters
    ----------
    bin_samples : int
        Samples per bin.

    Attributes
    ----------
    index : int
        Of the bin that is being filled; missing ones are counted.
    is_missing : bool
        Whether some of its samples were lost.
    """

    def __init__(self, bin_samples: int) -> None:
        self.bin_samples = bin_samples
        self.index = 0
        self.is_missing = False
        self._filled = 0

    @property
    def n_left(self) -> int:
        """Samples that this bin still needs."""
        return self.bin_samples - self._filled

    def take(self, n_samples: int) -> bool:
        """Count samples of this bin, at most those that it needs; true when they finish it."""
        self._filled += n_samples
        return self._filled == self.bin_samples

    def end(self) -> None:
        """Begin the next bin."""
        self.index += 1
        self._filled = 0
        self.is_missing = False

    def skip(self, n_lost: int) -> Iterator[tuple[int, int]]:
        """Count lost samples; yield each bin that ends among them: its index, and samples from its last to the next.

        The bin in which the gap begins and the one in which it ends are missing too.
        """
        n_bins, remainder = divmod(self._filled + n_lost, self.bin_samples)
        untold = max(0, n_bins - MAX_MISSING)
        self.index += untold
        for i in range(untold, n_bins):
            yield self.index, remainder + 1 + (n_bins - 1 - i) * self.bin_samples
            self.index += 1
        self._filled = remainder
        self.is_missing = remainder > 0
