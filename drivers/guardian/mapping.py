"""From intents to the velocities of one device's axes, as the profile says: gains, a turned frame, discrete actions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bci.errors import DeviceError
from bci.types import Intent
from drivers.base import Axis

DOES = ("toggle", "close", "open", "stop", "disarm")
SOURCES = ("click", "hold", "n_clicks")


@dataclass(frozen=True, slots=True)
class Term:
    """Axis velocity += gain x output velocity; several terms of one output make a synergy."""

    intent: str
    axis: str
    gain: float


@dataclass(frozen=True, slots=True)
class Action:
    """What a discrete intent does.

    Attributes
    ----------
    intent : {"click", "hold", "n_clicks"}
        A probability of the decoder, or its own count of clicks.
    does : {"toggle", "close", "open", "stop", "disarm"}
        Close an axis (to its upper bound), open it (to its lower), or one after the other; or ask for a stop.
    axis : str
        Which; empty for a stop.
    speed : float
        Share of the axis's speed limit.
    on, off : float
        The probability above which an action begins to count, and below which the next may begin: hysteresis.
    dwell_s : float
        How long it must stay above `on`.
    """

    intent: str
    does: str
    axis: str = ""
    speed: float = 0.5
    on: float = 0.8
    off: float = 0.5
    dwell_s: float = 0.3


class Trigger:
    """Tells when one discrete intent is meant: dwell above `on`, hysteresis down to `off`.

    Parameters
    ----------
    action : Action
        Its thresholds.
    """

    def __init__(self, action: Action) -> None:
        self.action = action
        self._above_s = math.inf
        self._is_spent = True
        self._n_clicks: int | None = None

    def rest(self) -> None:
        """Forget what was under way: a probability that is high now must fall first."""
        self._above_s, self._is_spent, self._n_clicks = math.inf, True, None

    def step(self, intent: Intent, now_s: float) -> bool:
        """Whether the action happens with this intent."""
        if self.action.intent == "n_clicks":
            before, self._n_clicks = self._n_clicks, intent.n_clicks
            return before is not None and intent.n_clicks > before
        probability = intent.click if self.action.intent == "click" else intent.hold
        if not probability >= self.action.off:
            self._is_spent = False
        if not probability >= self.action.on:
            self._above_s = math.inf
            return False
        self._above_s = min(self._above_s, now_s)
        if self._is_spent or now_s - self._above_s < self.action.dwell_s:
            return False
        self._is_spent = True
        return True


class IntentMap:
    """The mapping of one device.

    Parameters
    ----------
    outputs : sequence of str
        Names of the decoder's outputs, in the order of an intent's velocity.
    axes : sequence of Axis
        The device's.
    section : mapping
        The device's section: ``maps``, ``frame`` (with ``intents`` and ``rotation_deg``), ``actions``.

    Raises
    ------
    DeviceError
        When it names an output or an axis that there is not.
    """

    def __init__(self, outputs: Sequence[str], axes: Sequence[Axis], section: Mapping[str, Any]) -> None:
        terms = [Term(t["intent"], t["axis"], t["gain"]) for t in section.get("maps", ())]
        actions = [Action(**fields) for fields in section.get("actions", ())]
        _check(outputs, axes, terms, actions)
        self.axes = tuple(axes)
        self.matrix = _matrix(outputs, axes, terms, section.get("frame") or {})
        self._gains = [(i, j, gain) for i, row in enumerate(self.matrix) for j, gain in enumerate(row) if gain]
        self.triggers = [Trigger(action) for action in actions]
        self.going = [0.0] * len(self.axes)  # share of the speed limit with which a discrete action moves an axis
        self._closes = dict.fromkeys((action.axis for action in actions), False)
        self._index = {axis.name: i for i, axis in enumerate(self.axes)}

    def rest(self) -> None:
        """Forget discrete actions that are under way; motion never begins with an old one."""
        self.going = [0.0] * len(self.axes)
        for trigger in self.triggers:
            trigger.rest()

    def take(self, intent: Intent, now_s: float) -> str:
        """Take in the discrete part of a good intent once; return ``stop`` or ``disarm`` when that is meant."""
        asks = ""
        for trigger in self.triggers:
            if trigger.step(intent, now_s):
                action = trigger.action
                if action.does in ("stop", "disarm"):
                    asks = asks if asks == "stop" else action.does
                else:
                    closes = not self._closes[action.axis] if action.does == "toggle" else action.does == "close"
                    self._closes[action.axis] = closes
                    self.going[self._index[action.axis]] = action.speed if closes else -action.speed
        return asks

    def velocities(self, intent: Intent) -> list[float]:
        """Wanted velocity of each axis, units per second; the discrete part as a share of the axis's own limit."""
        wanted = [share * axis.max_speed for share, axis in zip(self.going, self.axes, strict=True)]
        for i, j, gain in self._gains:
            wanted[i] += gain * intent.velocity[j]
        return wanted


def rotation(angles_deg: Sequence[float]) -> list[list[float]]:
    """Matrix that turns about the first axis, then the second, then the third: Rz·Ry·Rx.

    Parameters
    ----------
    angles_deg : sequence of float
        Three, degrees, right-handed.
    """
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(a), math.sin(a)) for a in map(math.radians, angles_deg))
    matrix = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return [[round(value, 12) for value in row] for row in matrix]


def _matrix(
    outputs: Sequence[str], axes: Sequence[Axis], terms: Sequence[Term], frame: Mapping[str, Any]
) -> list[list[float]]:
    """Shape (n_axes, n_outputs): gains times the turn from the decoder's frame to the device's."""
    turn = [[float(i == j) for j in range(len(outputs))] for i in range(len(outputs))]
    names = list(frame.get("intents", ()))
    if names:
        unknown = [name for name in names if name not in outputs]
        if unknown or len(set(names)) != 3:
            raise DeviceError(
                f"The frame turns {', '.join(names)}; it needs three of {', '.join(outputs)}.",
                "Correct device.frame in the profile.",
            )
        where = [list(outputs).index(name) for name in names]
        for i, row in zip(where, rotation(frame["rotation_deg"]), strict=True):
            for j, value in zip(where, row, strict=True):
                turn[i][j] = value
    gains = [[sum(t.gain for t in terms if (t.intent, t.axis) == (o, axis.name)) for o in outputs] for axis in axes]
    return [
        [sum(g * turn[k][j] for k, g in enumerate(row)) for j in range(len(outputs))] for row in gains
    ]  # fmt: skip


def _check(outputs: Sequence[str], axes: Sequence[Axis], terms: Sequence[Term], actions: Sequence[Action]) -> None:
    names = [axis.name for axis in axes]
    used = [term.axis for term in terms] + [action.axis for action in actions if action.does in DOES[:3]]
    unknown = sorted({name for name in used if name not in names})
    if unknown:
        raise DeviceError(
            f"The device has no axis {', '.join(unknown)}; it has {', '.join(names)}.",
            "Correct device.maps and device.actions in the profile.",
        )
    strange = sorted({term.intent for term in terms if term.intent not in outputs})
    if strange:
        raise DeviceError(
            f"The decoder has no output {', '.join(strange)}; it has {', '.join(outputs)}.", "Correct device.maps."
        )
    for action in actions:
        if action.does not in DOES or action.intent not in SOURCES or not 0.0 < action.off <= action.on <= 1.0:
            raise DeviceError(f"The action {action} contradicts itself.", "Correct device.actions in the profile.")
