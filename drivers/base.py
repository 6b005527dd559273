"""The seam between the guardian and any device: what a device declares, reports and can be asked to do.

A driver is an object that satisfies `Driver`, named by an entry point in the group ``bci.devices``; what it opens
satisfies `Host`. Both are duck types: nothing is inherited. The guardian calls a host from one thread and promises

- `hear` when `fileno` is readable, when `deadline_s` is reached, and at least every period (20 ms);
- then exactly one of `drive` or `watch` in each period: `drive` only in the phase "on" and only while a good intent is
  younger than its lease, `watch` otherwise;
- `stand` once whenever motion must end and power may stay, `disarm` to end power, `stop` for the latched stop: each of
  them in any phase, and again and again without harm.

A host promises in return that no call waits (together they take well below a millisecond; what needs an answer or time
goes on at the next `hear`), that only `drive` lets the device move on, and that a call which finds the device lost
raises DeviceError. After that it is only closed. A refusal is no error: the phase goes back to "off", and `checks` says
what was found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

ENTRY_POINTS = "bci.devices"

OFF: Literal["off"] = "off"
PREPARING: Literal["preparing"] = "preparing"
PREPARED: Literal["prepared"] = "prepared"
ARMING: Literal["arming"] = "arming"
ON: Literal["on"] = "on"
STOPPED: Literal["stopped"] = "stopped"
Phase: TypeAlias = Literal["off", "preparing", "prepared", "arming", "on", "stopped"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One degree of freedom.

    Attributes
    ----------
    name : str
        At most 8 ASCII characters, for example ``x`` or ``hand``.
    unit : str
        At most 8 ASCII characters, for example ``m``, ``rad`` or ``1``.
    lower, upper : float
        Workspace bounds, units.
    max_speed : float
        Units per second.
    max_acceleration : float
        Units per second squared.
    """

    name: str
    unit: str
    lower: float
    upper: float
    max_speed: float
    max_acceleration: float


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a driver can and cannot promise.

    Attributes
    ----------
    name : str
        As in the profile's ``device.driver``.
    baud : int
        Usual speed of the port; 0 where there is none.
    safe_state : {"hold", "limp", "silent"}
        What the device does when nobody speaks to it, and what `Host.disarm` leads to: an arm and a gripper hold, an
        orthosis goes limp, a stimulator goes silent.
    has_watchdog : bool
        Whether the device stops by itself when set-points cease.
    lease_max_ms : int
        The longest time that it may go on after the last set-point.
    watchdog : str
        What that watchdog can and cannot do, in a sentence for people.
    polls_feed_watchdog : bool
        Whether `watch` alone keeps its watchdog from running out. It then covers only the death of the guardian, and
        `stand`, which the guardian says as soon as the lease of the intents is gone, must end motion by itself.
    has_feedback : bool
        Whether positions are measured. Without them a stuck axis cannot be noticed, and positions are those commanded.
    """

    name: str
    baud: int
    safe_state: Literal["hold", "limp", "silent"]
    has_watchdog: bool
    lease_max_ms: int
    watchdog: str = ""
    polls_feed_watchdog: bool = False
    has_feedback: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be true before there is power, with what was measured.

    Attributes
    ----------
    subject : str
        What was looked at, in a few words.
    is_ok : bool
        Whether it is as it must be.
    found : str
        What was measured, with its unit.
    remedy : str
        What to do about it; empty when it is as it must be.
    """

    subject: str
    is_ok: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a device last said about itself.

    Attributes
    ----------
    stamp_s : float
        When it arrived, `time.monotonic`: its age is what silence is judged by.
    asked_s : float
        When it was asked for: what it says was true at some moment between the two, however late it was read.
    positions, velocities : tuple of float
        One per axis, in its units and units per second; velocities are empty when the device does not measure them.
    faults : tuple of str
        In words. Any fault is a latched FAULT of the guardian: leave out what is merely worth a note.
    note : str
        Anything else that people want to see, for example ``object held``.
    is_stop_pressed : bool
        Whether the device's stop input is pressed now.
    efforts : tuple of float
        Share of each axis's greatest force or current, signed like the velocity that meets it; empty when the device
        does not measure it. Beyond the profile's ``force_fraction`` an axis may only go the other way.
    """

    stamp_s: float
    asked_s: float
    positions: tuple[float, ...]
    velocities: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    note: str = ""
    is_stop_pressed: bool = False
    efforts: tuple[float, ...] = ()


class Host(Protocol):
    """One open device.

    Attributes
    ----------
    declaration : Declaration
        What it can promise.
    axes : tuple of Axis
        What it moves.
    phase : str
        off → preparing → prepared → arming → on; "stopped" while the device itself has latched a stop.
    checks : sequence of Check
        What `prepare` and `arm` have found so far, in order; emptied by `prepare`.
    report : Report or None
        The newest one that may be believed.
    deadline_s : float
        When `hear` wants to be called although nothing arrives; infinite for never.
    acknowledged : int
        The newest ticket of `drive` that the device has confirmed; -1 for none.
    n_bad : int
        Answers that were not understood, or not believed, since it was opened.
    n_good : int
        Answers that were.
    """

    @property
    def declaration(self) -> Declaration: ...  # noqa: D102

    @property
    def axes(self) -> tuple[Axis, ...]: ...  # noqa: D102

    @property
    def phase(self) -> Phase: ...  # noqa: D102

    @property
    def checks(self) -> Sequence[Check]: ...  # noqa: D102

    @property
    def report(self) -> Report | None: ...  # noqa: D102

    @property
    def deadline_s(self) -> float: ...  # noqa: D102

    @property
    def acknowledged(self) -> int: ...  # noqa: D102

    @property
    def n_bad(self) -> int: ...  # noqa: D102

    @property
    def n_good(self) -> int: ...  # noqa: D102

    def fileno(self) -> int:
        """For `select`."""
        ...

    def hear(self, now_s: float) -> bool:
        """Take in what has arrived and go on with what is under way; true when there is a new report."""
        ...

    def prepare(self, lease_s: float, now_s: float) -> None:
        """Begin the device's own checks, without power: it answers, limits are set and read back, it stands inside."""
        ...

    def arm(self, now_s: float) -> None:
        """Begin to give power, standing still where it is; the goal is the present position before there is power."""
        ...

    def drive(self, velocities: Sequence[float], lease_s: float, now_s: float) -> int:
        """Give one set-point, limited and finite, that may act for at most `lease_s`; return its ticket, rising."""
        ...

    def watch(self, now_s: float) -> None:
        """Ask for a report; the device's lease is not extended."""
        ...

    def stand(self, now_s: float) -> None:
        """End motion now, keep power."""
        ...

    def stop(self, now_s: float) -> None:
        """End motion now, lead to the safe state, and latch it where the device can."""
        ...

    def disarm(self, now_s: float) -> None:
        """Lead to the safe state."""
        ...

    def reset_stop(self, now_s: float) -> None:
        """Release the device's own latched stop, into "off"."""
        ...

    def close(self) -> None:
        """Give the port back; says nothing to the device."""
        ...


class Driver(Protocol):
    """What an entry point in the group ``bci.devices`` names.

    Attributes
    ----------
    declaration : Declaration
        What such a device can promise.
    twin : str
        Module that is a twin in software, run as ``python -m MODULE --ready FILE --trace FILE --device FILE``; empty
        when there is none. It writes the path of its port into the first file, its true positions as CSV into the
        second, and reads the section below as JSON from the third. With ``--hand`` the conformance suite holds and
        pushes its axes, and asks for their power: see `drivers.twins.terminal.serve`, which does all of this.
    """

    @property
    def declaration(self) -> Declaration: ...  # noqa: D102

    @property
    def twin(self) -> str: ...  # noqa: D102

    def open(self, section: Mapping[str, Any]) -> Host:
        """Open and greet a device; takes at most 3 s, changes nothing, moves nothing.

        Parameters
        ----------
        section : mapping
            The device's section of the profile: ``name``, ``port``, ``baud``, ``axes`` (a list of mappings, for
            devices that do not describe themselves), ``options`` (whatever the driver wants).

        Raises
        ------
        DeviceError
            When the port or the device is not there, or the section does not fit it.
        """
        ...


def silence_s(host: Host, now_s: float) -> float:
    """How long a device has said nothing; infinite when it never spoke."""
    return math.inf if host.report is None else now_s - host.report.stamp_s
