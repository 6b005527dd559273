"""A twin and a guardian as real processes on a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bci.types import Intent
from drivers.guardian.link import GuardianClient, Status

OUTPUTS = ("vx", "vy", "vz", "grasp")
MAPS = [
    {"intent": output, "axis": axis, "gain": 0.4 if axis != "hand" else 1.0}
    for output, axis in zip(OUTPUTS, ("x", "y", "z", "hand"), strict=True)
]
LIMITS = {"speed_fraction": 1.0, "acceleration_fraction": 1.0}
RULES = {"lease_s": 0.1, "stale_s": 0.15, "hold_to_disarm_s": 1.0, "idle_to_disarm_s": 60.0, "spool_s": 0.1}


@dataclass
class Bench:
    """Everything on the test bench, and a hand on the intents."""

    folder: Path
    port: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    client: GuardianClient | None = None
    index: int = 0
    is_console: bool = False  # whether looking also says that an operator is here

    def start_twin(self) -> subprocess.Popen[bytes]:
        ready = self.folder / "twin.ready"
        twin = self.start("drivers.twins.node", "--ready", str(ready), "--trace", str(self.folder / "trace.csv"))
        wait_for(ready.exists)
        self.port = ready.read_text()
        return twin

    def device(self, **changes: object) -> dict[str, object]:
        section = {"port": self.port, "baud": 115200, "maps": MAPS, **changes}
        return {"name": "arm", "driver": "drivers.devices.node_host:DRIVER", "section": section, "limits": LIMITS}

    def config(self, **changes: object) -> Path:
        path = self.folder / "guardian.json"
        fields = {
            "outputs": OUTPUTS, "rules": RULES, "devices": [self.device()],
            "socket_dir": str(self.folder), "state_dir": str(self.folder),
            "log_path": str(self.folder / "guardian.jsonl"), "ready_file": str(self.folder / "guardian.ready"),
        }  # fmt: skip
        path.write_text(json.dumps({**fields, **changes}))
        return path

    def start_guardian(self, **changes: object) -> subprocess.Popen[bytes]:
        ready = self.folder / "guardian.ready"
        ready.unlink(missing_ok=True)
        guardian = self.start("drivers.guardian.process", str(self.config(**changes)))
        wait_for(lambda: ready.exists() or guardian.poll() is not None)
        assert guardian.poll() is None, guardian.stderr.read()
        self.attach()
        return guardian

    def attach(self) -> None:
        """Become a client of the guardian."""
        if self.client is None:
            wait_for((self.folder / "guardian.ready").exists)
            self.client = GuardianClient(self.folder, "bench")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def send(self, velocity: tuple[float, ...], is_confident: bool = True, age_s: float = 0.0) -> None:
        self.index += 1
        self.client.send_intent(Intent(self.index, time.monotonic() - age_s, velocity, 1.0, is_confident))

    def drive(self, seconds: float, velocity: tuple[float, ...] = (0.3, 0.0, 0.0, 0.0), until: str = "") -> Status:
        """Send intents at 50 Hz for a while, or until a state is reported."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(velocity)
            time.sleep(0.02)
            if self.look() and until and self.statuses[-1].state == until:
                break
        return self.statuses[-1]

    def look(self) -> list[Status]:
        if self.is_console:
            self.client.beat()
        new = self.client.poll()
        self.statuses += new
        return new

    def now(self, seconds: float = 5.0) -> Status:
        """A status of this moment. A socket keeps the ten oldest that were not read, and what follows is lost."""
        asked_s = time.monotonic()
        wait_for(lambda: bool(self.look()) and self.statuses[-1].stamp_s >= asked_s, seconds)
        return self.statuses[-1]

    def wait(self, state: str, seconds: float = 3.0) -> Status:
        """Wait without sending intents until a state is reported."""
        wait_for(lambda: any(status.state == state for status in self.look()), seconds)
        return self.statuses[-1]

    def arm_and_move(self, velocity: tuple[float, ...] = (0.3, 0.0, 0.0, 0.0)) -> Status:
        self.drive(0.4, (0.0,) * 4)
        self.client.request("arm", "caregiver")
        self.drive(3.0, (0.0,) * 4, until="ACTIVE")
        return self.drive(0.8, velocity)

    def trace(self) -> list[tuple[float, ...]]:
        """True positions: stamp, x, y, z, hand."""
        with (self.folder / "trace.csv").open() as file:
            rows = list(csv.reader(file))[1:]
        return [tuple(map(float, row)) for row in rows if len(row) == 5]

    def last_motion_s(self) -> float:
        """Stamp of the last change of any true position."""
        trace = self.trace()
        moved = [later[0] for earlier, later in pairwise(trace) if earlier[1:] != later[1:]]
        return moved[-1] if moved else -math.inf

    def log(self) -> list[dict[str, object]]:
        text = (self.folder / "guardian.jsonl").read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_logged(self, state: str, seconds: float = 3.0) -> None:
        """Wait until the guardian's log, which misses nothing, ends with a state."""
        deadline_s = time.monotonic() + seconds
        while self.log()[-1]["to"] != state:
            assert time.monotonic() < deadline_s, f"not {state}: {self.story()}"
            time.sleep(0.01)

    def story(self) -> str:
        """The guardian's last transitions, for the message of a failure."""
        return "; ".join(f"{entry['monotonic_s']} {entry['to']} ({entry['reason']})" for entry in self.log()[-6:])

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    process.send_signal(18)  # SIGCONT, in case a test froze it
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stderr.close()


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
