"""Work of the guardian's turns while a device moves: `python benchmarks/guardian.py [SECONDS]`.

The guardian is its own process, as in a session, with a twin on a pseudo-terminal and 50 intents a second. Measured is
the processor time of each turn, kernel included: at first wherever the scheduler puts it, then on a core that no other
process of the session uses, so that its caches stay its own.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bci.types import Intent
from drivers.guardian import process as guardian
from drivers.guardian.link import GuardianClient
from drivers.guardian.machine import ACTIVE

OUTPUTS, AXES, PERIOD_S = ("vx", "vy", "vz", "grasp"), ("x", "y", "z", "hand"), 0.02
RULES = {"lease_s": 0.1, "stale_s": 0.15, "hold_to_disarm_s": 1.0, "idle_to_disarm_s": 60.0, "spool_s": 0.1}


def measured_guardian(times):
    """Be a guardian that writes down, for each turn while it moves a device, what was ready and how long it worked."""
    rows, step = [], guardian.Guardian.step

    def timed_step(self, ready, next_s, now_s):
        is_moving, begun_ns = self.machine.state == ACTIVE, time.thread_time_ns()
        next_s = step(self, ready, next_s, now_s)
        if is_moving:
            rows.append((int(self.socket in ready) + 2 * (self.units[0] in ready), time.thread_time_ns() - begun_ns))
        return next_s

    guardian.Guardian.step = timed_step
    try:
        guardian.main()
    finally:
        times.write_text(json.dumps(rows))


def config_of(folder, port):
    """A guardian of the twin on a port."""
    pairs = zip(OUTPUTS, AXES, strict=True)
    maps = [{"intent": o, "axis": a, "gain": 1.0 if a == "hand" else 0.4} for o, a in pairs]
    device = {"name": "arm", "driver": "drivers.devices.node_host:DRIVER",
              "section": {"port": port, "baud": 115200, "maps": maps},
              "limits": {"speed_fraction": 1.0, "acceleration_fraction": 1.0}}  # fmt: skip
    fields = {"outputs": OUTPUTS, "rules": RULES, "devices": [device], "socket_dir": str(folder),
              "state_dir": str(folder), "log_path": str(folder / "guardian.jsonl"),
              "ready_file": str(folder / "guardian.ready")}  # fmt: skip
    path = folder / "guardian.json"
    path.write_text(json.dumps(fields))
    return path


def wait_for(file):
    """Wait until a process has written its file."""
    deadline_s = time.monotonic() + 20
    while not file.exists():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{file.name} did not come")
        time.sleep(0.01)


def run(folder, seconds, cores):
    """Move the twin to and fro for a while; rows of what was ready and nanoseconds of work."""
    twin_file, times = folder / "twin.ready", folder / "times.json"
    twin = subprocess.Popen([sys.executable, "-m", "drivers.twins.node", "--ready", str(twin_file)])
    processes = [twin]
    try:
        wait_for(twin_file)
        config = config_of(folder, twin_file.read_text(encoding="utf-8"))
        child = subprocess.Popen([sys.executable, __file__, "--guard", str(config), str(times)])
        processes.append(child)
        if cores is not None:
            os.sched_setaffinity(child.pid, {cores[-1]})
            for other in (os.getpid(), twin.pid):
                os.sched_setaffinity(other, set(cores[:-1]))
        wait_for(folder / "guardian.ready")
        client, state = GuardianClient(folder, "bench"), ""
        begun_s = asked_s = time.monotonic()
        for index in range(round((seconds + 4.0) / PERIOD_S)):
            now_s = time.monotonic()
            speed = 0.2 * math.sin(2.0 * math.pi * (now_s - begun_s)) if state == ACTIVE else 0.0
            client.send_intent(Intent(index, now_s, (speed, 0.5 * speed, 0.2 * speed, speed), 1.0, True))
            if state == "DISARMED" and now_s - asked_s > 0.5:
                client.request("arm", "caregiver")
                asked_s = now_s
            time.sleep(PERIOD_S)
            state = next((status.state for status in reversed(client.poll())), state)
        client.close()
        child.terminate()
        child.wait(10)
    finally:
        for process in reversed(processes):
            if process.poll() is None:
                process.terminate()
                process.wait(10)
    return json.loads(times.read_text(encoding="utf-8"))


def tell(title, rows):
    """Print the work of one period, in which one intent comes, and the percentiles of the turns."""
    n_periods = sum(ready == 1 for ready, _ in rows)
    print(f"{title}: {1e-3 * sum(ns for _, ns in rows) / n_periods:.0f} µs of work in each period of 20 ms")
    names = {1: "hears an intent", 2: "hears the device", 0: "acts or tells"}
    for kind, name in [*names.items(), (None, "all turns")]:
        us = sorted(ns / 1e3 for ready, ns in rows if kind in (None, ready))
        p50, p99 = (us[int(share * (len(us) - 1))] for share in (0.5, 0.99))
        print(f"  {name:18} {len(us):6} turns   p50 {p50:5.0f} µs   p99 {p99:5.0f} µs")


def main():
    """Measure both ways."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    cores = sorted(os.sched_getaffinity(0))
    for title, where in (("wherever it runs", None), ("on a core of its own", cores)):
        if where is None or len(where) > 1:
            with tempfile.TemporaryDirectory() as folder:
                tell(title, run(Path(folder), seconds, where))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--guard"]:
        sys.argv[1:] = sys.argv[2:]
        measured_guardian(Path(sys.argv.pop()))
    else:
        main()
