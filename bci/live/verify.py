"""A recorded session done again: the same samples, labels and models through the same pipeline, compared bit for bit.

The loop publishes what it took in, pull by pull (`bci.taken`); the samples themselves are in the recording. So nothing
has to be guessed: neither where a pull ended, nor the clock's correction, nor which label was there in time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bci.decoding.model import Model, load_model
from bci.decoding.velocity import VelocityDecoder
from bci.errors import RecordingError
from bci.live.publisher import MODEL, STATUS, WORLD
from bci.live.teacher import Labeller
from bci.live.workspace import Workspace
from bci.montage import labels_of
from bci.pipeline import Pipeline, Step, make_pipeline
from bci.plan import Plan, read_plan
from bci.profile import Stream
from bci.recording.recorder import FILE
from bci.streams.intake import Intake
from bci.types import Array, Position

LAST_S = 1.0  # of a session: not verified where a source's last samples did not reach the recording


@dataclass(frozen=True)
class Difference:
    """The first bin that did not come out as recorded."""

    stream: str
    row: int
    stamp_s: float
    channel: str
    recorded: float
    computed: float


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Attributes
    ----------
    seconds : float
        Of signal.
    n_bins, n_intents : int
        Compared.
    difference : Difference or None
        The first one; None when every bit is the same.
    """

    seconds: float
    n_bins: int
    n_intents: int
    difference: Difference | None


class Track:
    """One recorded stream, read on from where the last reader ended."""

    def __init__(self, stream: Any) -> None:
        self.name: str = stream["info"]["name"][0]
        self.stamps_s: Array = np.asarray(stream["time_stamps"], dtype=np.float64)
        self.rows: Any = stream["time_series"]
        self.rate_hz = float(stream["info"]["nominal_srate"][0])
        self.labels = _labels_of(stream)
        self._at = 0

    def has_ended(self, stamp_s: float) -> bool:
        """Whether a sample is newer than all that is recorded: what a source said last may not have arrived."""
        return len(self.stamps_s) > 0 and stamp_s > self.stamps_s[-1]

    def next(self, last_stamp_s: float, n: int) -> tuple[Array, Any]:
        """Stamps and rows of the next n samples that end with this stamp; fewer only before the recording began.

        Raises
        ------
        RecordingError
            When they are not all there.
        """
        end = self._at + n
        if end > len(self.stamps_s) or self.stamps_s[end - 1] != last_stamp_s:  # not just the next ones
            found = np.flatnonzero(self.stamps_s[self._at :] == last_stamp_s)
            end = self._at + 1 + int(found[0]) if len(found) else 0
        is_before = self._at == 0 and len(self.stamps_s) > 0 and (end > 0 or last_stamp_s < self.stamps_s[0])
        if end - n < self._at and not is_before:
            raise RecordingError(
                f"Stream '{self.name}': {n} samples until {last_stamp_s:.3f} s were decoded, and are not recorded.",
                "Only what was recorded can be done again.",
            )
        begin, self._at = max(end - n, 0), end
        return self.stamps_s[begin:end], self.rows[begin:end]


class Again:
    """The session, done again.

    Parameters
    ----------
    folder : Path
        Of the session.

    Raises
    ------
    RecordingError
        When the recording lacks a stream that is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.plan: Plan = read_plan(folder)
        self._tracks = _read_tracks(folder / FILE)
        profile = self.plan.profile
        self._sources = [self._track(s.name) for s in (profile.stream, *profile.extra_streams)]
        self._intakes = [
            _intake(stream, track)
            for stream, track in zip((profile.stream, *profile.extra_streams), self._sources, strict=True)
        ]
        first = folder / "model_first.npz"
        self._model: Model | None = load_model(first) if first.exists() else None
        channels = [s.channels or t.labels for s, t in zip((profile.stream, *profile.extra_streams), self._sources,
                                                           strict=True)]  # fmt: skip
        spatial = None if self._model is None or self.plan.model is None else self._model.spatial
        self._pipeline: Pipeline = make_pipeline(profile, channels[0], None, channels[1:], spatial)
        self._labeller = Labeller(len(profile.decoder.outputs))
        self._workspace = Workspace(profile)
        self._frames: list[tuple[float, Array]] = []
        self._intents: list[tuple[float, tuple[float, ...]]] = []

    @property
    def seconds(self) -> float:
        """Of the main signal."""
        stamps_s = self._sources[0].stamps_s
        return float(stamps_s[-1] - stamps_s[0]) if len(stamps_s) else 0.0

    def run(self, tell: Callable[[float], None] = lambda share: None) -> Verdict:
        """Do it again and compare.

        Parameters
        ----------
        tell : callable
            Called now and then with the share that is done.

        Raises
        ------
        RecordingError
            When what the loop took in is not all in the recording.
        """
        taken = self._track("bci.taken").rows.tolist()
        with threadpool_limits(1, "blas"):  # as in the loop
            if self.plan.model is not None and self._model is not None:
                self._pipeline.extractor.restore(self._model.statistics)
                self._use_model()
            for i, (source, last_stamp_s, n, correction_s, now_s) in enumerate(taken):
                if source in (WORLD, *range(len(self._sources))) and self._track_of(int(source)).has_ended(
                    last_stamp_s
                ):
                    break
                self._take(int(source), last_stamp_s, int(n), correction_s, now_s)
                if i % 256 == 0:
                    tell(i / len(taken))
        tell(1.0)
        difference = self._compare("bci.features", self._frames) or self._compare("bci.intents", self._intents)
        return Verdict(self.seconds, len(self._frames), len(self._intents), difference)

    def _take(self, source: int, last_stamp_s: float, n: int, correction_s: float, now_s: float) -> None:
        if source == MODEL:
            self._use_model()
        elif source == WORLD:
            for stamp_s, row in zip(*self._track_of(source).next(last_stamp_s, n), strict=True):
                self._labeller.tell(self._pipeline, float(stamp_s), row.tolist())
        elif source == STATUS:
            self._see(last_stamp_s)
        else:
            stamps_s, samples = self._sources[source].next(last_stamp_s, n)
            for chunk in self._intakes[source].take(samples, stamps_s + correction_s, now_s):
                self._pipeline.push(chunk, self._keep, source)

    def _has_ended(self, source: int, stamp_s: float) -> bool:
        return source not in (MODEL, STATUS) and self._track_of(source).has_ended(stamp_s)

    def _track_of(self, source: int) -> Track:
        return self._track("bci.world") if source == WORLD else self._sources[source]

    def _see(self, stamp_s: float) -> None:
        """What the guardian said of the device's position."""
        track = self._track("bci.commands")
        _, rows = track.next(stamp_s, 1)
        axes = tuple(label.removeprefix("position_") for label in track.labels if label.startswith("position_"))
        where = self._workspace.position(axes, tuple(rows[0, -len(axes) :].tolist()))
        self._pipeline.show(Position(stamp_s, tuple(where.tolist())))

    def _use_model(self) -> None:
        if self._model is None:
            raise RecordingError("The session's first model is not there.", "model_first.npz belongs to the session.")
        self._pipeline.decoder = VelocityDecoder(self._model, self._model.tuned(self.plan.profile.decoder))

    def _keep(self, step: Step) -> None:
        frame, intent = step.frame, step.intent
        row = np.full(len(frame.features), np.nan) if frame.is_missing else frame.features.copy()
        self._frames.append((frame.stamp_s, row))
        if intent is not None:
            discrete = (intent.click, intent.hold, intent.gate, intent.n_clicks)
            state = (intent.nis, float(intent.is_confident), intent.index)
            self._intents.append((intent.stamp_s, (*intent.velocity, *discrete, *state)))

    def _compare(self, name: str, computed: list[Any]) -> Difference | None:
        """The first row that differs in its stamp or in any value, or that only one side has."""
        track = self._track(name)
        for i, (stamp_s, row) in enumerate(computed[: len(track.stamps_s)]):
            recorded = np.concatenate(([track.stamps_s[i]], track.rows[i]))
            again = np.concatenate(([stamp_s], np.asarray(row, dtype=np.float64)))
            differs = np.flatnonzero(~((recorded == again) | (np.isnan(recorded) & np.isnan(again))))
            if len(differs):
                at = int(differs[0])
                channel = ("time stamp", *track.labels)[at]
                return Difference(name, i, stamp_s, channel, float(recorded[at]), float(again[at]))
        last_s = max(track.stamps_s[-1] - LAST_S, 0.0) if len(track.stamps_s) else 0.0
        is_last = len(computed) < len(track.stamps_s) and track.stamps_s[len(computed)] > last_s
        if len(computed) != len(track.stamps_s) and not is_last:
            n = min(len(computed), len(track.stamps_s))
            stamp_s = float(track.stamps_s[n]) if n < len(track.stamps_s) else computed[n][0]
            return Difference(name, n, stamp_s, "number of rows", len(track.stamps_s), len(computed))
        return None

    def _track(self, name: str) -> Track:
        if name not in self._tracks:
            raise RecordingError(
                f"The recording of this session has no stream '{name}'.",
                "It was recorded by an older version, or not whole: it cannot be verified.",
            )
        return self._tracks[name]


def _read_tracks(path: Path) -> dict[str, Track]:
    try:
        import pyxdf
    except ImportError as error:
        raise RecordingError("The recording is XDF, and pyxdf is missing.", "pip install 'bci-decoder[io]'.") from error
    if not path.is_file():
        raise RecordingError(f"{path} does not exist.", "Give the folder of a recorded session.")
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    streams, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)  # stamps as they were
    tracks: dict[str, Track] = {}
    for stream in streams:
        tracks.setdefault(stream["info"]["name"][0], Track(stream))
    return tracks


def _labels_of(stream: Any) -> tuple[str, ...]:
    try:
        given = [channel["label"][0] for channel in stream["info"]["desc"][0]["channels"][0]["channel"]]
    except (KeyError, IndexError, TypeError):
        given = []
    return labels_of(given, int(stream["info"]["channel_count"][0]))[0]


def _intake(stream: Stream, track: Track) -> Intake:
    columns = [track.labels.index(label) for label in stream.channels] if stream.channels else None
    return Intake(track.name, stream, track.rate_hz or stream.rate_hz, columns)
