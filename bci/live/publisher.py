"""Everything that the loop tells the world, as LSL streams; pushing never waits for a reader."""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.plan import Plan
from bci.streams.outlet import open_marker_outlet, open_outlet
from bci.types import Event, Frame, Intent
from drivers.guardian.link import Status

STATES = ("DISARMED", "CHECKING", "ARMED", "ACTIVE", "HOLD", "FAULT", "STOP")
TAKEN = ("source", "last_stamp", "n", "correction", "now")
WORLD, STATUS, MODEL = -1, -2, -3  # sources that are no signal: labels, positions of the device, the first decoder


class Publisher:
    """The outlets of the loop: features, intents, commands, events, latency, and what it took in.

    Parameters
    ----------
    plan : Plan
        Names the session in each stream's source id.
    feature_labels : tuple of str
        One per feature.
    bin_s : float
        Bin width.
    axes : tuple of str
        Names of the device's axes.
    """

    def __init__(self, plan: Plan, feature_labels: tuple[str, ...], bin_s: float, axes: tuple[str, ...]) -> None:
        self._plan = plan
        self._description = {"profile": plan.profile.name, "profile_hash": plan.profile_hash}
        outputs = plan.profile.decoder.outputs
        self._features = self._outlet("features", feature_labels, ["z-score"] * len(feature_labels), 1.0 / bin_s)
        self._intents = self._outlet(
            "intents",
            (*outputs, "click", "hold", "gate", "n_clicks", "nis", "is_confident", "index"),
            [*["1/s"] * len(outputs), "1", "1", "1", "1", "1", "bool", "bin"],
        )
        self._latency = self._outlet("latency", ("sample_to_intent", "intent_to_device"), ["s", "s"])
        self._events = open_marker_outlet("bci.events", f"bci-{plan.session_id}-events", self._description)
        labels = ["state", "intent_index", *(f"command_{a}" for a in axes), *(f"position_{a}" for a in axes)]
        self._commands = self._outlet("commands", tuple(labels), ["1"] * len(labels))
        self._taken = self._outlet("taken", TAKEN, ["1", "s", "1", "s", "s"])
        self._taken_row = np.zeros(len(TAKEN))
        self._told = ("", "")
        self._intent_row = np.zeros(len(outputs) + 7)

    @property
    def has_readers(self) -> bool:
        """Whether every stream is read by somebody, the recorder first of all."""
        return not self.unread

    @property
    def unread(self) -> tuple[str, ...]:
        """Names of the streams that nobody reads."""
        outlets = (self._features, self._intents, self._latency, self._events, self._commands, self._taken)
        names = ("features", "intents", "latency", "events", "commands", "taken")
        return tuple(f"bci.{name}" for name, outlet in zip(names, outlets, strict=True) if not outlet.have_consumers())

    def frame(self, frame: Frame) -> None:
        """Publish the features of one bin; a missing bin is all NaN."""
        row = np.full(len(frame.features), np.nan) if frame.is_missing else frame.features
        self._features.push_sample(row, frame.stamp_s)

    def intent(self, intent: Intent, age_s: float) -> None:
        """Publish one intent, stamped with the samples that it rests on, and how old those were."""
        row = self._intent_row
        row[:-7] = intent.velocity
        row[-7:-3] = intent.click, intent.hold, intent.gate, intent.n_clicks
        row[-3:] = intent.nis, intent.is_confident, intent.index
        self._intents.push_sample(row, intent.stamp_s)
        self._latency.push_sample(np.array([age_s, np.nan]), intent.stamp_s)

    def status(self, status: Status) -> None:
        """Publish what the device was given and did; each new state of the guardian is an event too."""
        if len(status.position) == len(status.axes):
            row = [STATES.index(status.state), status.intent_index, *status.command, *status.position]
            self._commands.push_sample(np.array(row, dtype=np.float64), status.stamp_s)
        if status.acknowledged_s == status.acknowledged_s:  # not NaN
            self._latency.push_sample(np.array([np.nan, status.acknowledged_s - status.sent_s]), status.stamp_s)
        if (status.state, status.reason) != self._told:
            self._told = (status.state, status.reason)
            self.event(Event(status.stamp_s, "guardian", status.state, status.reason))

    def taken(self, source: int, last_stamp_s: float, n: int, correction_s: float = 0.0, now_s: float = 0.0) -> None:
        """Publish what the loop took in, in the order in which it did: from it, `verify` does the session again.

        Sources are 0 for the main stream, 1, 2, … for the extra ones, and WORLD, STATUS, MODEL.
        """
        row = self._taken_row
        row[:] = source, last_stamp_s, n, correction_s, now_s
        self._taken.push_sample(row)

    def event(self, event: Event) -> None:
        """Publish one event as text: source, code, sentence."""
        self._events.push_sample([f"{event.source} {event.code}: {event.text}"], event.stamp_s)

    def _outlet(self, name: str, labels: tuple[str, ...], units: list[str], rate_hz: float = 0.0) -> Any:
        return open_outlet(
            f"bci.{name}",
            name.capitalize(),
            labels,
            units,
            f"bci-{self._plan.session_id}-{name}",
            rate_hz=rate_hz,
            description=self._description,
        )
