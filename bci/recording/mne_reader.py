"""Recordings in the further formats that MNE reads."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from bci.recording.labels import standard_labels
from bci.types import Recording, Signal

SUFFIXES = (".gdf", ".vhdr", ".set", ".fif", ".cnt")
TO_MICROVOLTS = 1e6
SKIPPED = ("BAD_ACQ_SKIP",)
IN_VOLTS = ("eeg", "emg", "eog", "ecg", "ecog", "seeg", "dbs", "bio")


def read_with_mne(path: Path) -> Recording:
    """Read a GDF, BrainVision, EEGLAB, FIF or Neuroscan file; stretches that were not recorded become gaps."""
    import mne

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        raw = mne.io.read_raw(path, preload=True, verbose="ERROR")
    notes = tuple(
        dict.fromkeys(f"MNE: {' '.join(str(w.message).split())}" for w in caught if w.category is RuntimeWarning)
    )
    kinds = raw.get_channel_types()
    used = [i for i, kind in enumerate(kinds) if kind != "stim"]
    units = ["microvolts" if kinds[i] in IN_VOLTS else "" for i in used]
    scale = np.array([TO_MICROVOLTS if unit else 1.0 for unit in units])
    stamps_s = np.asarray(raw.times, dtype=np.float64)
    is_recorded = np.ones(len(stamps_s), dtype=bool)
    offset_s = raw.first_time if raw.annotations.orig_time is not None else 0.0
    markers = []
    for onset, duration, text in zip(
        raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True
    ):
        if text in SKIPPED:
            is_recorded &= (stamps_s < onset - offset_s) | (stamps_s >= onset - offset_s + duration)
        else:
            markers.append((float(onset - offset_s), str(text)))
    if not markers and "stim" in kinds:
        events = mne.find_events(raw, shortest_event=1, verbose="ERROR")
        markers = [(float(stamps_s[at - raw.first_samp]), str(code)) for at, _, code in events]
    samples = (raw.get_data(picks=used).T * scale)[is_recorded]
    signal = Signal(
        name="EEG",
        type="EEG",
        unit=units[0] if len(set(units)) == 1 else "",
        labels=standard_labels([raw.ch_names[i] for i in used]),
        rate_hz=float(raw.info["sfreq"]),
        samples=np.ascontiguousarray(samples),
        stamps_s=stamps_s[is_recorded],
        units=tuple(units) if len(set(units)) > 1 else (),
        is_named=False,
    )
    return Recording(signal, None, tuple(sorted(markers)), "EEG-markers" if markers else "", notes=notes)
