"""Reading the streams of a session from the side: never waits, also before the stream exists."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from bci.errors import StreamError
from bci.streams.channels import labels_of
from bci.streams.discover import Lookout
from bci.streams.inlet import open_inlet

BUFFER_S = 60
LOOK_EVERY_S = 0.05


class LatestSamples:
    """What a stream of this machine has published since the last look.

    A thread of its own finds and opens the stream, because both may take a second; until then there is nothing.

    Parameters
    ----------
    source_id : str
        Which stream.
    name : str
        Without a source id, the first stream of this name that is found.

    Attributes
    ----------
    source_id, labels : str, tuple of str
        Of the stream and its channels, once it has been found.
    """

    def __init__(self, source_id: str = "", *, name: str = "") -> None:
        self.source_id = source_id
        self._name = name
        self.labels: tuple[str, ...] = ()
        self._inlet: Any = None
        self._closing = threading.Event()
        self._finder = threading.Thread(target=self._find, daemon=True)
        self._finder.start()

    @property
    def is_open(self) -> bool:
        """Whether the stream has been found."""
        return self._inlet is not None

    def pull(self) -> list[tuple[float, list[Any]]]:
        """Stamp and values of every new sample, oldest first."""
        if self._inlet is None:
            return []
        samples, stamps = self._inlet.pull_chunk(0.0, 4096)
        return list(zip(stamps, samples, strict=True))

    def close(self) -> None:
        """Stop looking and close the stream."""
        self._closing.set()
        self._finder.join(10.0)
        if self._inlet is not None:
            self._inlet.close_stream()

    def _find(self) -> None:
        lookout = Lookout(self.source_id, self._name)
        while not self._closing.wait(LOOK_EVERY_S):
            for found in lookout.results():
                with contextlib.suppress(StreamError):  # it ended meanwhile
                    inlet, info = open_inlet(found, BUFFER_S)
                    self.labels = labels_of(info)
                    self.source_id = found.source_id
                    self._inlet = inlet
                    return
