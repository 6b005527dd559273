"""One device as the guardian owns it: its host, the mapping and limits of its axes, and whether it can be believed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence

from bci.errors import BciError, DeviceError
from bci.types import Intent
from drivers import base
from drivers.base import Axis, Check, Host, silence_s
from drivers.guardian.belief import Belief, Trouble, judge_silence
from drivers.guardian.limits import REST, bounds_of, limit
from drivers.guardian.mapping import IntentMap
from drivers.guardian.settings import DeviceConfig, load_driver

PERIOD_S = 0.02
N_HEARD = 3  # answers to questions that were asked after an order, before it counts as heard
REPEAT_S = 0.06  # an order that nothing follows is given again
UNHEARD_S = 1.0  # without an answer after an order: people must know


class Unit:
    """One device.

    Parameters
    ----------
    config : DeviceConfig
        What to open, and how far it may go.
    outputs : tuple of str
        Names of the decoder's outputs.

    Attributes
    ----------
    trouble : Trouble or None
        What was wrong with it at the last look; a lost port is a fault until it is opened again.
    is_lost : bool
        Whether its port is gone.
    is_astray : bool
        Whether it has moved, since its checks, although nothing was commanded.
    is_unheard : bool
        Whether it has answered nothing for a second since it was told to disarm or to stop.
    command : list of float
        Velocities that it was last given.
    bounds : list of Bounds
        Of each axis, as the profile limits it.

    Raises
    ------
    DeviceError
        When the port or the device is not there, or the mapping names an axis that it does not have.
    """

    def __init__(self, config: DeviceConfig, outputs: tuple[str, ...]) -> None:
        self.config = config
        self._outputs = outputs
        self.is_lost = False
        self.trouble: Trouble | None = None
        self.is_button_tried = False
        self.ticket = -1
        self._order: Callable[[float], None] | None = None
        self._told_s = self._unheard_s = 0.0
        self._n_unheard = 0
        self.host: Host = self._open()
        self._set_up()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What it moves."""
        return self.host.axes

    @property
    def phase(self) -> base.Phase:
        """The host's phase; a lost device is off."""
        return base.OFF if self.is_lost else self.host.phase

    def fileno(self) -> int:
        """For `select`."""
        return self.host.fileno()

    def deadline_s(self) -> float:
        """When `hear` wants to be called."""
        return math.inf if self.is_lost else self.host.deadline_s

    def hear(self, now_s: float) -> None:
        """Take in what the device says, and judge it."""
        self.trouble = None
        self._try(self._hear, now_s)

    def move(self, intent: Intent, authority: float, lease_s: float, dt_s: float, now_s: float) -> None:
        """Give one set-point: mapped, scaled by the authority, limited."""
        positions = self.belief.positions
        wanted = self.mapping.velocities(intent)
        if len(positions) != len(self.bounds):
            return
        efforts = self.host.report.efforts if self.host.report is not None else ()
        for i, bounds in enumerate(self.bounds):
            effort = efforts[i] if i < len(efforts) else 0.0
            self._motions[i] = limit(bounds, self._motions[i], authority * wanted[i], positions[i], dt_s, effort)
            self.command[i] = self._motions[i].velocity
        self._try(lambda now_s: self._drive(lease_s, now_s), now_s)
        if self.host.declaration.has_feedback:
            self.belief.command(self.command, dt_s, now_s)

    def check_way(self, now_s: float) -> None:
        """Judge whether a moving device goes where it was sent, as far as it tells."""
        if self.host.declaration.has_feedback and self.trouble is None:
            self.trouble = self.belief.follow(now_s)

    def check_place(self, now_s: float) -> None:
        """Judge whether a device that was told nothing stands: with power, or when it holds without being told to."""
        host, report = self.host, self.host.report
        if host.phase == base.ON:
            self._has_held = host.declaration.safe_state == "hold"
        elif not self._has_held:
            return  # a person may move it
        if report is not None and host.declaration.has_feedback and not self.is_lost and self.trouble is None:
            self.trouble = self.belief.stay(report, now_s)
            self.is_astray |= self.trouble is not None

    def watch(self, now_s: float) -> None:
        """Ask for a report; no lease is extended by it."""
        self._try(self.host.watch, now_s)

    def check_silence(self, since_s: float, now_s: float) -> None:
        """Judge how long a powered device has been silent; at most since it has power."""
        if (self.trouble is None or not self.trouble.is_fault) and self.phase == base.ON:
            self.trouble = judge_silence(min(silence_s(self.host, now_s), now_s - since_s)) or self.trouble

    def prepare(self, lease_s: float, now_s: float) -> None:
        """Begin the device's own checks; one that has fallen silent needs a new session first."""
        self._has_held = self.is_astray = self.is_unheard = False
        self._order = None
        silence = judge_silence(silence_s(self.host, now_s)) if self.host.report is not None else None
        if silence is not None and silence.is_fault and not self.is_lost:
            self.trouble = silence
            return
        self._try(lambda now_s: self.host.prepare(lease_s, now_s), now_s)

    def arm(self, now_s: float) -> None:
        """Ask for power."""
        self.belief.end_motion((0.0,) * len(self.axes), now_s)
        self._try(self.host.arm, now_s)

    def stand(self, now_s: float) -> None:
        """End motion now; the next begins from rest."""
        self._end_motion(now_s)
        self._try(self.host.stand, now_s)

    def disarm(self, now_s: float) -> None:
        """Lead to the safe state."""
        self._order_end(self.host.disarm, now_s)

    def stop(self, now_s: float) -> None:
        """Stop at once, latched."""
        self._order_end(self.host.stop, now_s)

    def reset_stop(self, now_s: float) -> None:
        """Release the device's latched stop."""
        self._order = None
        self._try(self.host.reset_stop, now_s)

    def rest(self) -> None:
        """Forget all motion."""
        self._motions = [REST] * len(self.axes)
        self.command = [0.0] * len(self.axes)
        self.mapping.rest()
        self.belief.rest()

    def recover(self, now_s: float) -> None:
        """Open the port of a device that is lost or silent again; a new session with it begins without power.

        Raises
        ------
        DeviceError
            When it is still not there, or another device is.
        """
        if not self.is_lost and judge_silence(silence_s(self.host, now_s)) is not None:
            self.host.close()  # it may have restarted, and knows nothing of our session
            self.is_lost = True
        if self.is_lost:
            axes, host = self.axes, self._open()
            if host.axes != axes:
                host.close()
                raise DeviceError(f"Another device is on port {self.config.section['port']} now.", "Restart.")
            self.host, self.is_lost, self.trouble = host, False, None
            self._set_up()

    def close(self) -> None:
        """Give the port back."""
        if not self.is_lost:
            self.host.close()

    def checks(self) -> list[Check]:
        """What the device's own checks found, and whether its stop button was tried."""
        found = list(self.host.checks)
        if self.config.has_stop_button:
            is_ok = self.is_button_tried
            remedy = "" if is_ok else "Press it once, let go, then reset the stop (key r)."
            found.append(Check("stop button", is_ok, "tried" if is_ok else "not tried in this session", remedy))
        return found

    @property
    def is_told(self) -> bool:
        """Whether it was told to disarm or to stop and may not have heard it."""
        return self._order is not None and not self.is_lost

    def insist(self, now_s: float) -> None:
        """Repeat an order to disarm or to stop until the device must have heard it; say when it answers nothing."""
        if self._order is None or self.is_lost:
            return
        report = self.host.report
        is_answered = report is not None and report.asked_s > self._told_s
        if is_answered:
            self._n_unheard, self._unheard_s = self._n_unheard - 1, now_s
        if not self._n_unheard:
            self._order, self.is_unheard = None, False
        elif is_answered or now_s - self._told_s >= REPEAT_S:
            self._told_s = now_s
            self._try(self._order, now_s)
        self.is_unheard |= now_s - self._unheard_s > UNHEARD_S

    def _order_end(self, order: Callable[[float], None], now_s: float) -> None:
        self._end_motion(now_s)
        self._order, self._n_unheard = order, N_HEARD
        self._told_s = self._unheard_s = now_s
        self._try(order, now_s)

    def _end_motion(self, now_s: float) -> None:
        report = self.host.report
        is_measured = self.is_astray and report is not None and len(report.velocities) == len(self.axes)
        self.belief.end_motion(report.velocities if report and is_measured else self.command, now_s)
        self.rest()

    def _open(self) -> Host:
        return load_driver(self.config.driver).open({"name": self.config.name, **self.config.section})

    def _set_up(self) -> None:
        limits = self.config.limits
        fractions = [limits.get(f"{name}_fraction", 1.0) for name in ("speed", "acceleration", "force")]
        self.bounds = [bounds_of(axis, *fractions) for axis in self.axes]
        self.belief = Belief(self.axes, limits.get("may_stall", ()))
        self._has_held = self.is_astray = self.is_unheard = False
        self._order = None
        try:
            self.mapping = IntentMap(self._outputs, self.axes, self.config.section)
        except DeviceError:
            self.host.close()
            raise
        self.rest()

    def _hear(self, now_s: float) -> None:
        is_new = self.host.hear(now_s)
        report = self.host.report
        if is_new and report is not None:
            self.is_button_tried |= report.is_stop_pressed
            self.trouble = self.belief.hear(report, self.host.phase == base.ON)
        self.trouble = self.trouble or self.belief.count(self.host.n_good, self.host.n_bad, now_s)

    def _drive(self, lease_s: float, now_s: float) -> None:
        self.ticket = self.host.drive(self.command, lease_s, now_s)

    def _try(self, action: Callable[[float], None], now_s: float) -> None:
        """Act; a device that is lost by it stays lost, its own lease stops it, and nothing opens it but a person.

        A driver that raises what it should not loses its own device, and keeps nobody from the others.
        """
        if self.is_lost:
            return
        try:
            action(now_s)
        except DeviceError as error:
            self._lose(error.problem)
        except Exception as error:  # a driver may be anybody's
            for end in (self.host.stand, self.host.disarm):  # what it may still say
                with contextlib.suppress(Exception):
                    end(now_s)
            self._lose(f"its driver failed: {type(error).__name__}: {error}")

    def _lose(self, cause: str) -> None:
        with contextlib.suppress(Exception):
            self.host.close()
        self.is_lost = True
        self.rest()
        self.trouble = Trouble(True, cause)


def axis_labels(units: Sequence[Unit]) -> tuple[str, ...]:
    """Names of all axes; those of further devices carry their device's name."""
    return tuple(
        axis.name if i == 0 else f"{unit.config.name}.{axis.name}" for i, unit in enumerate(units) for axis in unit.axes
    )


def open_units(devices: Sequence[DeviceConfig], outputs: tuple[str, ...]) -> list[Unit]:
    """Open every device, or none.

    Raises
    ------
    DeviceError
        When one is not there.
    """
    units: list[Unit] = []
    try:
        for device in devices:
            units.append(Unit(device, outputs))
    except BciError:
        for unit in units:
            unit.close()
        raise
    return units
