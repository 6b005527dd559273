"""Names of electrodes as the standard writes them."""

from __future__ import annotations

from collections.abc import Sequence


def standard_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Names of the 10-05 system in its own letters, without dots and spaces; other names as they are."""
    import mne

    montage = mne.channels.make_standard_montage("colin27_1005").ch_names
    standard = {name.lower(): name for name in montage}
    return tuple(standard.get(label.strip(". ").lower(), label.strip(". ")) for label in labels)
