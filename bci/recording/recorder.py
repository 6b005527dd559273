"""The recorder: every stream of the session into one XDF file, in a process of its own with inlets of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import numpy as np
import pylsl

from bci.errors import StreamError
from bci.plan import Plan
from bci.process import StopFlag, run_in_session
from bci.profile import Profile
from bci.recording.xdf import XdfWriter
from bci.streams.discover import Found, Lookout, matches
from bci.streams.inlet import open_inlet
from bci.streams.network import configure

PULL_EVERY_S = 0.25
OFFSET_EVERY_S = 5.0
BUFFER_S = 360
FILE = "recording.xdf"
DTYPES: dict[int, np.dtype[Any] | None] = {
    pylsl.cf_float32: np.dtype(np.float32),
    pylsl.cf_double64: np.dtype(np.float64),
    pylsl.cf_int8: np.dtype(np.int8),
    pylsl.cf_int16: np.dtype(np.int16),
    pylsl.cf_int32: np.dtype(np.int32),
    pylsl.cf_int64: np.dtype(np.int64),
    pylsl.cf_string: None,
}


class Track:
    """One stream being recorded. A thread measures its clock, because a lost source would keep the file waiting.

    Parameters
    ----------
    stream_id : int
        In the file.
    found : Found
        The stream.
    writer : XdfWriter
        The file.
    """

    def __init__(self, stream_id: int, found: Found, writer: XdfWriter) -> None:
        self.stream_id = stream_id
        self.found = found
        self._writer = writer
        self._inlet, info = open_inlet(found, BUFFER_S)
        self._is_text = info.channel_format() == pylsl.cf_string
        writer.add_stream(stream_id, info.as_xml(), DTYPES[info.channel_format()])
        self._offsets: list[tuple[float, float]] = []
        self._closing = threading.Event()
        self._measurer = threading.Thread(target=self._measure, daemon=True)
        self._measurer.start()

    def write(self) -> None:
        """Append everything that has arrived."""
        while True:
            samples, stamps = self._inlet.pull_chunk(0.0, 4096, as_numpy=not self._is_text)
            if len(stamps) == 0:
                break
            self._writer.write_samples(self.stream_id, samples, np.asarray(stamps))
        while self._offsets:
            self._writer.write_clock_offset(self.stream_id, *self._offsets.pop(0))

    def close(self) -> None:
        """End the thread and the inlet."""
        self._closing.set()
        self._measurer.join(OFFSET_EVERY_S)
        self._inlet.close_stream()

    def _measure(self) -> None:
        while True:
            with contextlib.suppress(pylsl.util.TimeoutError, pylsl.util.LostError):
                offset_s = self._inlet.time_correction(2.0)
                self._offsets.append((pylsl.local_clock() - offset_s, offset_s))
            if self._closing.wait(OFFSET_EVERY_S):
                return


class Finder:
    """Looks for streams of the session in a thread, so that finding one never delays writing the others."""

    def __init__(self, plan: Plan) -> None:
        self._prefix = f"bci-{plan.session_id}-"
        self._profile: Profile = plan.profile
        self._closing = threading.Event()
        self.waiting: list[Found] = []
        self._seen: set[str] = set()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._thread.join(5.0)

    def forget(self, found: Found) -> None:
        """Offer a stream again, if it is still there."""
        self._seen.discard(found.info.uid())

    def _look(self) -> None:
        lookout = Lookout()
        while not self._closing.wait(0.1):
            for found in lookout.results():
                if found.info.uid() not in self._seen and self._is_ours(found):
                    self._seen.add(found.info.uid())
                    self.waiting.append(found)

    def _is_ours(self, found: Found) -> bool:
        stream, extras = self._profile.stream, self._profile.extra_streams
        names = {f"{stream.name}-kinematics", stream.markers, *(extra.markers for extra in extras)} - {""}
        if found.source_id.startswith(self._prefix) or found.name in names:
            return True
        return any(matches(found, wanted) for wanted in (stream, *extras))


def record(plan: Plan, stop: StopFlag) -> None:
    """Record until told to stop, then take in what is still on its way, and close the file."""
    configure(plan.lsl_scope, plan.lsl_session_id)
    tracks: list[Track] = []
    finder = Finder(plan)
    with XdfWriter(plan.path(FILE)) as writer:
        plan.ready_file("recorder").touch()
        while not stop:
            while finder.waiting:
                found = finder.waiting.pop(0)
                if not _open(found, writer, tracks):
                    finder.forget(found)
            for track in tracks:
                track.write()
            time.sleep(PULL_EVERY_S)
        finder.close()
        for track in tracks:
            track.write()
            track.close()


def _open(found: Found, writer: XdfWriter, tracks: list[Track]) -> bool:
    """Open a stream; false when it did not answer, because it has ended or the machine is busy."""
    try:
        tracks.append(Track(len(tracks) + 1, found, writer))
    except StreamError:
        return False
    return True


if __name__ == "__main__":
    run_in_session(record)
