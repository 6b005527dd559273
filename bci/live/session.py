"""A session: its folder and its processes, started in order, watched, and ended in order."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bci.compiled import is_writable
from bci.errors import SessionError
from bci.live.children import Child, start_child, wait_until_ready
from bci.live.control import announce
from bci.live.equipment import device_section, guardian_config, twin_module
from bci.plan import Calibration, Plan, write_json
from bci.profile import Device
from drivers.guardian.link import GuardianClient, Status
from drivers.twins import TWINS

START_PATIENCE_S = 120.0  # the first start on a machine compiles the kernels
STOP_PATIENCE_S = 1.0
STATE_REMEDY = "Set XDG_STATE_HOME to a folder of this account that outlives a restart."
PERFORMERS = ("stage", "calibrator")
PEERS = ("participant", "amplifier")  # simulated ones
TWIN_PATIENCE_S = 60.0  # the first start of an emulated one compiles its firmware
ENDING = (
    "stage",
    "display",
    *PEERS,
    "calibrator",
    "loop",
    "guardian",
    "recorder",
)  # the twins come last: they outlive the guardian; the recorder outlives whom it records


class ProcessDiedError(SessionError):
    """A process of a session that runs has died."""


class Session:
    """The processes of one session: twin, guardian, recorder, simulated peers, loop and stage, as far as it needs them.

    As a context: leaving disarms the device first, whatever the reason, and then ends the processes one by one.

    Parameters
    ----------
    plan : Plan
        Written by `create_plan`.
    port : str
        Serial port of the device, or one of `drivers.twins.TWINS`.
    """

    def __init__(self, plan: Plan, port: str) -> None:
        self.plan = plan
        self.port = port
        self.children: dict[str, Child] = {}
        self.client: GuardianClient | None = None
        self.ending = ("supervisor", "the session is over")  # who ends it when nothing else does, and why
        self._meanwhile: Callable[[], None] = lambda: None

    def start(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start every process that the plan wants, and wait until the loop is ready.

        Parameters
        ----------
        meanwhile : callable
            Called again and again while it waits; what it raises ends the start.

        Raises
        ------
        SessionError
            When one could not start, with its own words; what had started is ended.
        """
        self._meanwhile = meanwhile
        try:
            self._start()
        except BaseException as error:
            has_begun = bool(self.children)
            self.close(error)
            if not has_begun:  # nothing was done and nothing is worth keeping
                shutil.rmtree(self.plan.folder, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(error)

    def poll(self) -> list[Status]:
        """What the guardian reports since the last call."""
        return [] if self.client is None else self.client.poll()

    def beat(self) -> None:
        """Tell the guardian that the console lives; from the loop that draws, so that a stuck screen falls silent."""
        if self.client is not None:
            self.client.beat()

    def arm_itself(self) -> None:
        """Ask for power without a person; the guardian grants it to the twins of a demonstration only."""
        if self.client is not None:
            self.client.request("arm", "supervisor", "the demo arms its twin")

    def check(self) -> None:
        """Raise when a process of the session has died; one that performs a task may end, when it is done.

        Raises
        ------
        SessionError
            Naming the process and what it said.
        """
        for child in self.children.values():
            if not child.is_running and not (child.name in PERFORMERS and child.popen.returncode == 0):
                complaint = child.complaint().rstrip(".")
                raise ProcessDiedError(f"The {child.name} died: {complaint}.", f"Its log is {child.log}.")

    @property
    def display_url(self) -> str:
        """Address of the participant's page; empty without one."""
        return "" if self.plan.display is None else self.plan.ready_file("display").read_text(encoding="utf-8")

    @property
    def is_over(self) -> bool:
        """Whether the task is finished."""
        return any(not child.is_running for name, child in self.children.items() if name in PERFORMERS)

    def disarm(self, error: BaseException | None = None) -> None:
        """Take the device's power, naming what ends the session; once, later calls do nothing."""
        if self.client is not None:
            self._disarm(self.client, *(self.ending if error is None else cause_of(error)))
            self.client.close()
            self.client = None

    def close(self, error: BaseException | None = None) -> None:
        """Disarm the device, then end every process; what was recorded is closed properly."""
        self.disarm(error)
        twins = [name for name in self.children if name.startswith("twin")]
        for name in (*ENDING, *twins):
            child = self.children.pop(name, None)
            if child is not None:
                child.stop(30.0 if name == "recorder" else 5.0)
        shutil.rmtree(self.plan.runtime, ignore_errors=True)

    def _disarm(self, client: GuardianClient, role: str, cause: str) -> None:
        client.request("disarm", role, cause)
        asked_s = time.monotonic()
        while time.monotonic() < asked_s + STOP_PATIENCE_S and self.children["guardian"].is_running:
            news = [status for status in client.poll() if status.stamp_s >= asked_s]
            if any(status.state in ("DISARMED", "FAULT", "STOP") for status in news):
                return
            time.sleep(0.01)

    def _start(self) -> None:
        plan = self.plan
        if plan.calibration is not None:
            self._start_calibration(plan.calibration)
            return
        announce(plan.runtime, plan.folder)
        self._start_guardian()
        self.client = GuardianClient(plan.runtime, "operator")
        if plan.is_recorded:
            self._launch("recorder", "bci.recording.recorder", str(plan.folder))
        self._start_display()
        if plan.demonstration is not None:
            for peer in PEERS:
                self._launch(peer, f"bci.simulation.{peer}", str(plan.folder))
        self._wait(self._launch("loop", "bci.live.loop", str(plan.folder)), START_PATIENCE_S)
        if plan.demonstration is not None:
            self._launch("stage", "bci.live.stage", str(plan.folder))

    def _start_calibration(self, calibration: Calibration) -> None:
        """No guardian and no device: nothing that could move."""
        if self.plan.is_recorded:
            self._launch("recorder", "bci.recording.recorder", str(self.plan.folder))
        self._start_display()
        if calibration.rehearsed is not None:
            self._launch("participant", "bci.simulation.rehearsed", str(self.plan.folder))
        self._wait(self._launch("calibrator", "bci.live.calibrator", str(self.plan.folder)), START_PATIENCE_S)

    def _start_display(self) -> None:
        if self.plan.display is not None:
            self._wait(self._launch("display", "bci.display.process", str(self.plan.folder)), 10.0)

    def _start_guardian(self) -> None:
        """Start the twins that stand in for devices, then the guardian that owns all of them."""
        plan = self.plan
        ports = {device.name: device.port for device in plan.profile.all_devices}
        ports[plan.profile.device.name] = self.port
        is_real = any(port not in TWINS for port in ports.values())
        state = _state_dir() if is_real else plan.runtime
        for device in plan.profile.all_devices:
            if ports[device.name] in TWINS:
                ports[device.name] = self._start_twin(device, ports[device.name])
        arms_itself = plan.demonstration is not None and not is_real
        config = guardian_config(plan, ports, state, arms_itself=arms_itself)
        path = plan.path("guardian.json")
        write_json(path, config)
        self._wait(self._launch("guardian", "drivers.guardian.process", str(path)), 10.0)

    def _start_twin(self, device: Device, port: str) -> str:
        """Start what stands in for a device; return the path of its port."""
        is_first = device.name == self.plan.profile.device.name
        name = "twin" if is_first else f"twin-{device.name}"
        module = twin_module(device, port)
        ready, trace = self.plan.ready_file(name), self.plan.path("trace.csv" if is_first else f"{name}.csv")
        section = self.plan.path(f"{name}.json")
        write_json(section, device_section(device, ""))
        child = self._launch(name, module, f"--ready={ready}", f"--trace={trace}", f"--device={section}")
        self._wait(child, TWIN_PATIENCE_S)
        return ready.read_text(encoding="utf-8").strip()

    def _launch(self, name: str, *arguments: str) -> Child:
        self.children[name] = start_child(name, arguments, self.plan.folder)
        return self.children[name]

    def _wait(self, child: Child, patience_s: float) -> None:
        wait_until_ready(child, self.plan.ready_file(child.name), patience_s, self._meanwhile)


def cause_of(error: BaseException) -> tuple[str, str]:
    """In which role, and by what, an exception ends a session."""
    if isinstance(error, KeyboardInterrupt):
        return "signal", "SIGINT, as Ctrl-C sends it"
    if isinstance(error, SystemExit):
        return "signal", "SIGTERM"
    if isinstance(error, ProcessDiedError):
        return "process", error.problem.rstrip(".")
    return "supervisor", f"the session failed: {error}"


def _state_dir() -> Path:
    """Where latched stops of real devices survive, for this account.

    Raises
    ------
    SessionError
        When they could not: a stop that is forgotten is none.
    """
    try:
        folder = state_home() / "stops"
    except RuntimeError as error:  # an account without a home
        raise SessionError("There is no place where a stop is remembered.", STATE_REMEDY) from error
    if not is_writable(folder):
        raise SessionError(f"A stop could not be remembered: {folder} cannot be written to.", STATE_REMEDY)
    return folder


def state_home() -> Path:
    """Where this account keeps what outlives a session; RuntimeError when it has no home."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bci"
