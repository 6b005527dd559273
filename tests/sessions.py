"""Sessions as an operator runs them, and what they leave behind."""

import json
import logging
import subprocess
import sys
import time

import psutil
import pyxdf

from bci.plan import PLAN_FILE, read_plan
from drivers.guardian.link import GuardianClient


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "bci", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def only_session(folder):
    (session,) = [path for path in folder.iterdir() if path.is_dir()]
    return session


def streams_of(path):
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    streams, _ = pyxdf.load_xdf(path)
    return {stream["info"]["name"][0]: stream for stream in streams}


def states_of(session):
    return [json.loads(line)["to"] for line in (session / "guardian.jsonl").read_text().splitlines()]


def no_process_of(session):
    return not [p for p in psutil.process_iter(["cmdline"]) if str(session) in " ".join(p.info["cmdline"] or [])]


def wait_for(condition, seconds=60.0, session=None):
    """Wait until it is so; when it will not be, say what the guardian of a session did meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain; {story_of(session) if session else ''}"
        time.sleep(0.02)


def story_of(session):
    entries = map(json.loads, (session / "guardian.jsonl").read_text().splitlines())
    return "; ".join(f"{entry['monotonic_s']} {entry['to']} ({entry['reason']})" for entry in entries)


def active(folder):
    found = [path for path in folder.iterdir() if (path / "guardian.jsonl").exists()] if folder.exists() else []
    return bool(found) and "ACTIVE" in states_of(found[0])


def arm(folder, process, seconds=60.0):
    """Arm the only session of a folder as the caregiver does, as soon as it decodes, until it moves."""
    deadline = time.monotonic() + seconds
    client = None
    while not active(folder):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, story_of(only_session(folder))
        found = [path for path in folder.iterdir() if (path / PLAN_FILE).exists()] if folder.exists() else []
        if found and client is None and (plan := read_plan(found[0])).ready_file("loop").exists():
            client = GuardianClient(plan.runtime, "caregiver")
        if client is not None and any(status.state == "DISARMED" for status in client.poll()):
            client.request("arm", "caregiver", "the test")
        time.sleep(0.5)
    if client is not None:
        client.close()
