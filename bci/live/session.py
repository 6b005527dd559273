"""A session: its folder and its processes, started in order, watched, and ended in order."""

from __future__ import annotations

import os
import shutil
import time
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Self

from bci.errors import DeviceError, SessionError
from bci.live.children import Child, start_child, wait_until_ready
from bci.plan import Calibration, Plan, write_json
from drivers.link import GuardianClient, Status

START_PATIENCE_S = 120.0  # the first start on a machine compiles the kernels
STOP_PATIENCE_S = 1.0
PERFORMERS = ("stage", "calibrator")
PEERS = ("participant", "amplifier")  # simulated ones
ENDING = (
    "stage",
    "display",
    *PEERS,
    "calibrator",
    "loop",
    "guardian",
    "recorder",
    "twin",
)  # the recorder outlives whom it records


class Session:
    """The processes of one session: twin, guardian, recorder, simulated peers, loop and stage, as far as it needs them.

    As a context: leaving disarms the device first, whatever the reason, and then ends the processes one by one.

    Parameters
    ----------
    plan : Plan
        Written by `create_plan`.
    port : str
        Serial port of the device, or ``twin``.
    """

    def __init__(self, plan: Plan, port: str) -> None:
        self.plan = plan
        self.port = port
        self.children: dict[str, Child] = {}
        self.client: GuardianClient | None = None

    def start(self) -> None:
        """Start every process that the plan wants, and wait until the loop is ready.

        Raises
        ------
        SessionError
            When one could not start, with its own words; what had started is ended.
        """
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def poll(self) -> list[Status]:
        """What the guardian reports since the last call."""
        return [] if self.client is None else self.client.poll()

    def request(self, verb: str) -> None:
        """Ask the guardian for something as the caregiver, who sits at this terminal."""
        if self.client is not None:
            self.client.request(verb, "caregiver")

    def check(self) -> None:
        """Raise when a process of the session has died; one that performs a task may end, when it is done.

        Raises
        ------
        SessionError
            Naming the process and what it said.
        """
        for child in self.children.values():
            if not child.is_running and not (child.name in PERFORMERS and child.popen.returncode == 0):
                raise SessionError(f"The {child.name} died: {child.complaint()}", f"Its log is {child.log}.")

    @property
    def display_url(self) -> str:
        """Address of the participant's page; empty without one."""
        return "" if self.plan.display is None else self.plan.ready_file("display").read_text(encoding="utf-8")

    @property
    def is_over(self) -> bool:
        """Whether the task is finished."""
        return any(not child.is_running for name, child in self.children.items() if name in PERFORMERS)

    def close(self) -> None:
        """Disarm the device, then end every process; what was recorded is closed properly."""
        if self.client is not None:
            self._disarm(self.client)
            self.client.close()
            self.client = None
        for name in ENDING:
            child = self.children.pop(name, None)
            if child is not None:
                child.stop(30.0 if name == "recorder" else 5.0)
        shutil.rmtree(self.plan.runtime, ignore_errors=True)

    def _disarm(self, client: GuardianClient) -> None:
        client.request("disarm", "caregiver")
        deadline = time.monotonic() + STOP_PATIENCE_S
        while time.monotonic() < deadline and self.children["guardian"].is_running:
            if any(status.state in ("DISARMED", "FAULT", "STOP") for status in client.poll()):
                return
            time.sleep(0.01)

    def _start(self) -> None:
        plan = self.plan
        if plan.calibration is not None:
            self._start_calibration(plan.calibration)
            return
        port = self._start_twin() if self.port == "twin" else self.port
        self._start_guardian(port)
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

    def _start_twin(self) -> str:
        ready, trace = self.plan.ready_file("twin"), self.plan.path("trace.csv")
        self._wait(self._launch("twin", "drivers.twins.node", f"--ready={ready}", f"--trace={trace}"), 10.0)
        return ready.read_text(encoding="utf-8").strip()

    def _start_guardian(self, port: str) -> None:
        plan, device = self.plan, self.plan.profile.device
        installed = {entry.name for entry in entry_points(group="bci.devices")}
        if device.driver not in installed:
            raise DeviceError(
                f"Driver '{device.driver}' is not installed; there is {', '.join(sorted(installed)) or 'none'}.",
                "Correct device.driver in the profile.",
            )
        state_dir = plan.runtime if self.port == "twin" else _state_dir(port)
        config = {
            "driver": device.driver,
            "port": port,
            "baud": device.baud,
            "outputs": plan.profile.decoder.outputs,
            "maps": [m.model_dump() for m in device.maps],
            "limits": device.limits.model_dump(),
            "stale_after_ms": plan.profile.stream.stale_after_ms,
            "socket_dir": str(plan.runtime),
            "state_dir": str(state_dir),
            "log_path": str(plan.path("guardian.jsonl")),
            "ready_file": str(plan.ready_file("guardian")),
        }
        path = plan.path("guardian.json")
        write_json(path, config)
        self._wait(self._launch("guardian", "drivers.guardian", str(path)), 10.0)

    def _launch(self, name: str, *arguments: str) -> Child:
        self.children[name] = start_child(name, arguments, self.plan.folder)
        return self.children[name]

    def _wait(self, child: Child, patience_s: float) -> None:
        wait_until_ready(child, self.plan.ready_file(child.name), patience_s)


def _state_dir(port: str) -> Path:
    """Where a latched stop of a real port survives, for this account."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = home / "bci" / port.strip("/").replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
