"""Small recordings to vary: simulated forearm EMG of eight channels with cues, as XDF and EDF files."""

import numpy as np

from bci.profile import parse_profile
from bci.recording.xdf import XdfWriter

RATE_HZ = 250.0
LABELS = [f"E{i + 1}" for i in range(8)]
FORMATS = {"float32": np.float32, "int32": np.int32, "double64": np.float64, "string": None}
PROFILE = """
schema_version = 1
name = "emg8"
[stream]
name = "EMG"
type = "EMG"
n_channels = 8
rate_hz = 250.0
markers = "Cues"
[features]
kind = "band_power"
bin_ms = 40.0
bands_hz = [[20.0, 50.0], [50.0, 115.0]]
window_ms = 150.0
[features.quality]
dead_ratio = 0.0
noisy_ratio = 1000.0
short_correlation = 1.0
[decoder]
outputs = ["grasp"]
tau_ms = 200.0
shrinkage = 0.3
[training]
reaction_ms = 300.0
hold_ms = 3000.0
[training.cues]
close = [1.0]
open = [-1.0]
rest = [0.0]
[device]
[[device.maps]]
intent = "grasp"
axis = "hand"
gain = 1.0
"""


def profile(*changes):
    text = PROFILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_profile(text, "emg8")


def emg(seed=0, start_s=100.0, rate_hz=RATE_HZ, n_trials=24):
    """Stamps, values (n, 8) and cues: the first four channels are strong while closing, the others while opening."""
    random = np.random.default_rng(seed)
    cues = [(start_s + 2 + 4.0 * i, ["close", "open", "rest"][i % 3]) for i in range(n_trials)]
    stamps = start_s + np.arange(int((4 * n_trials + 4) * rate_hz)) / rate_hz
    gain = np.ones((len(stamps), 8))
    for at, word in cues:
        half = {"close": slice(0, 4), "open": slice(4, 8), "rest": slice(0, 0)}[word]
        gain[(stamps >= at + 0.25) & (stamps < at + 3.0), half] = 6.0
    return stamps, random.normal(size=(len(stamps), 8)) * gain * 10.0, cues


STAMPS, VALUES, CUES = emg()


def signal(**changes):
    return {"name": "EMG", "type": "EMG", "rate": 250, "format": "float32", "stamps": STAMPS, "values": VALUES,
            "labels": LABELS, "unit": "microvolts", "id": "amp"} | changes  # fmt: skip


def cues(**changes):
    return {"name": "Cues", "type": "Markers", "rate": 0, "format": "string", "stamps": [at for at, _ in CUES],
            "values": [[word] for _, word in CUES], "labels": ["cue"], "unit": "", "id": "keys"} | changes  # fmt: skip


def write_xdf(path, *streams):
    """Signals in chunks of two seconds, markers in chunks of their own, in the order of time."""
    with XdfWriter(path) as writer:
        chunks = []
        for i, stream in enumerate(streams, 1):
            channels = "".join(
                f"<channel><label>{label}</label><unit>{stream['unit']}</unit></channel>" for label in stream["labels"]
            )
            n = np.shape(stream["values"])[1] if len(stream["values"]) else len(stream["labels"])
            writer.add_stream(
                i,
                f"<?xml version='1.0'?><info><name>{stream['name']}</name><type>{stream['type']}</type>"
                f"<channel_count>{n}</channel_count><nominal_srate>{stream['rate']}</nominal_srate>"
                f"<channel_format>{stream['format']}</channel_format><source_id>{stream['id']}</source_id>"
                f"<hostname>{stream.get('host', 'here')}</hostname>"
                f"<desc><channels>{channels}</channels></desc></info>",
                None if FORMATS[stream["format"]] is None else np.dtype(FORMATS[stream["format"]]),
            )
            for at_s in (0.0, 5.0):
                writer.write_clock_offset(i, at_s, 0.0)
            size = 1 if stream["rate"] == 0 and len(stream["stamps"]) < 500 else 500
            for begin in range(0, len(stream["stamps"]), size):
                part = slice(begin, begin + size)
                chunks.append((stream["stamps"][part][-1], i, stream["values"][part], stream["stamps"][part]))
        for _, i, values, stamps in sorted(chunks, key=lambda chunk: chunk[:2]):
            writer.write_samples(i, values, np.asarray(stamps))
    return path


def write_edf(
    path, labels=LABELS, values=VALUES.T, rates=None, notes=CUES, onsets=None, kind="EDF+C", encoding="utf-8"
):
    """An EDF+ file in records of one second; values are one array per channel, in microvolts."""
    rates = rates or [250] * len(labels)
    n_records = len(values[0]) // rates[0]
    onsets = list(range(n_records)) if onsets is None else list(onsets)
    told = [f"+{onset:g}\x14\x14\0".encode() for onset in onsets]
    for at_s, text in notes:
        i = max(0, int(np.searchsorted(onsets, at_s, side="right")) - 1)
        told[i] += f"+{at_s:g}\x150\x14".encode() + text.encode(encoding) + b"\x14\0"
    n = len(labels) + 1

    def row(*fields, width):
        return b"".join(str(field).encode("latin-1").ljust(width)[:width] for field in fields)

    head = row(0, width=8) + row("X X X X", "Startdate X X X X", width=80) + row("02.01.20", "10.00.00", width=8)
    head += row(256 * (n + 1), width=8) + row(kind, width=44) + row(n_records, 1, width=8) + row(n, width=4)
    head += row(*labels, "EDF Annotations", width=16) + row(*[""] * n, width=80)
    for inside, last in (("uV", ""), (-500, -1), (500, 1), (-32768, -32768), (32767, 32767)):
        head += row(*[inside] * (n - 1), last, width=8)
    head += row(*[""] * n, width=80) + row(*rates, 100, width=8) + row(*[""] * n, width=32)
    body = b""
    for r in range(n_records):
        for rate, channel in zip(rates, values, strict=True):
            part = np.asarray(channel)[r * rate : (r + 1) * rate]
            body += np.clip(np.round(part / 500 * 32767), -32768, 32767).astype("<i2").tobytes()
        body += told[r].ljust(200, b"\0")
    path.write_bytes(head + body)
    return path
