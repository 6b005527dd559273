"""What a machine needs for a session, checked one by one, each with its remedy."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bci.compiled import is_writable
from bci.errors import BciError
from bci.live.session import STATE_REMEDY, state_home
from bci.plan import make_runtime

Verdict = Literal["ok", "warning", "failure"]

LOCKED_GIB = 1.0
FREE_GIB = 1.0  # an hour of 256 channels at 1 kHz is 3.7 GB; an hour of 192 rates at 50 Hz is 0.1 GB


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(sessions: Path) -> Iterator[Finding]:
    """Check this machine; one finding at a time, because some take a second."""
    checks: list[Callable[[], Finding]] = [_python, _liblsl, _numba_cache]
    for check in checks:
        yield check()
    yield from _rights()
    for check in (_sockets, _stop_memory, _serial_rights, _ftdi_latency, lambda: _disk(sessions), _readers):
        yield check()


def _python() -> Finding:
    found = f"{sys.version.split()[0]} on {sysconfig.get_platform()}"
    return Finding("Python", "ok", found)


def _liblsl() -> Finding:
    try:
        import pylsl

        start = time.monotonic()
        drift_ms = 1e3 * abs(pylsl.local_clock() - start)
        version = pylsl.library_version()
    except (ImportError, RuntimeError, OSError) as error:
        return Finding("liblsl", "failure", str(error).splitlines()[0], "Install pylsl again, or set PYLSL_LIB.")
    found = f"{version // 100}.{version % 100}"
    if sys.platform == "linux" and drift_ms > 50:
        return Finding(
            "liblsl", "warning", f"{found}, clock {drift_ms:.0f} ms off", "Use the liblsl of the pylsl wheel."
        )
    return Finding("liblsl", "ok", found)


def _numba_cache() -> Finding:
    import numba

    import bci
    from bci.compiled import VARIABLE, ensure_cache

    try:
        folder = ensure_cache()
    except BciError as error:
        return Finding("Numba cache", "failure", error.problem, error.remedy)
    found = f"numba {numba.__version__}, cache in {folder}"
    if folder.is_relative_to(tempfile.gettempdir()) and not folder.is_relative_to(Path(bci.__file__).parent):
        remedy = f"Set {VARIABLE} to a folder that outlives a restart; each first start takes a minute."
        return Finding("Numba cache", "warning", f"{found}, which is temporary", remedy)
    return Finding("Numba cache", "ok", found)


def _rights() -> Iterator[Finding]:
    """Ask for everything that the loop asks for, in a process of its own: what a limit allows may still be refused."""
    if sys.platform != "linux":
        yield Finding("Real-time rights", "warning", f"not known on {sys.platform}", "Run sessions on Linux.")
        return
    got = try_rights()
    limits = "/etc/security/limits.d/bci.conf and log in again"
    yield _right("Real-time rights", got["sched_fifo"], "SCHED_FIFO is granted", "SCHED_FIFO",
                 f"Add '{_account()} - rtprio 60' to {limits}; in a container: --cap-add SYS_NICE.")  # fmt: skip
    remedy = f"Add '{_account()} - memlock unlimited' to {limits}."
    if got["memory_locked"] == "yes" and not _has_room_for_locks():
        yield Finding("Memory lock", "warning", f"less than {LOCKED_GIB:g} GiB may be locked", remedy)
    else:
        yield _right("Memory lock", got["memory_locked"], "the loop may lock its memory", "mlockall", remedy)
    remedy = "Allow prctl in the container's or service's system call filter."
    yield _right("Timer slack", got["timer_slack_1_ns"], "1 ns", "prctl(PR_SET_TIMERSLACK)", remedy)
    if got["dies_with_parent"] != "yes":
        found = f"processes cannot be tied to their session: {got['dies_with_parent']}"
        yield Finding(
            "Process ties", "warning", found, f"{remedy} Until then end a session with q, never with kill -9."
        )
    remedy = "Give the container or service at least 2 CPUs and the right to sched_setaffinity."
    yield _right("Own CPU", got["pinned_to_cpu"], "the loop may be pinned", "pinning", remedy)


def _right(subject: str, got: str, granted: str, call: str, remedy: str) -> Finding:
    if got == "yes":
        return Finding(subject, "ok", granted)
    return Finding(subject, "warning", f"{call} is refused: {got}", remedy)


def try_rights() -> dict[str, str]:
    """What the operating system grants to a process like the loop; each value is ``yes`` or the reason why not."""
    code = (
        "import dataclasses, json; from bci.live.realtime import die_with_parent, enter_real_time; "
        "print(json.dumps({'dies_with_parent': die_with_parent(), **dataclasses.asdict(enter_real_time())}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return dict(json.loads(result.stdout))
    why = (result.stderr.strip().splitlines() or [f"the trial ended with code {result.returncode}"])[-1]
    return dict.fromkeys(("sched_fifo", "memory_locked", "timer_slack_1_ns", "dies_with_parent", "pinned_to_cpu"), why)


def _has_room_for_locks() -> bool:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return os.geteuid() == 0 or limit == resource.RLIM_INFINITY or limit >= LOCKED_GIB * 2**30


def _sockets() -> Finding:
    try:
        folder = make_runtime()
    except BciError as error:
        return Finding("Sockets", "failure", error.problem, error.remedy)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.bind(str(folder / "requests.sock"))
    except OSError as error:
        return Finding(
            "Sockets", "failure", f"{folder}: {error.strerror}", "Set TMPDIR to a short path on a local disk."
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Finding("Sockets", "ok", f"in {folder.parent}")


def _stop_memory() -> Finding:
    try:
        folder = state_home()
    except RuntimeError as error:
        return Finding("Stop memory", "failure", str(error), STATE_REMEDY)
    if not is_writable(folder):
        return Finding("Stop memory", "failure", f"{folder} cannot be written to", STATE_REMEDY)
    return Finding("Stop memory", "ok", f"a stop is remembered in {folder}")


def _serial_rights() -> Finding:
    from serial.tools.list_ports import comports

    ports = [port.device for port in comports()]
    if not ports:
        return Finding("Serial ports", "ok", "none connected; the software twin needs none")
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if closed:
        remedy = f"sudo usermod -aG dialout {_account()}, then log in again."
        return Finding("Serial ports", "failure", f"no right to open {', '.join(closed)}", remedy)
    return Finding("Serial ports", "ok", ", ".join(ports))


def _ftdi_latency() -> Finding:
    timers = sorted(Path("/sys/bus/usb-serial/devices").glob("*/latency_timer"))
    slow = [timer for timer in timers if int(timer.read_text()) > 1]
    if slow:
        names = ", ".join(timer.parent.name for timer in slow)
        remedy = f"echo 1 | sudo tee {slow[0]} (or a udev rule: docs/how-to/install-for-a-clinic.md)."
        return Finding("FTDI latency", "warning", f"{names}: {slow[0].read_text().strip()} ms", remedy)
    return Finding("FTDI latency", "ok", f"{len(timers)} FTDI adapter(s) at 1 ms" if timers else "no FTDI adapter")


def _disk(sessions: Path) -> Finding:
    folder = sessions.absolute()
    while not folder.exists():
        folder = folder.parent
    if not is_writable(folder):
        return Finding("Disk", "failure", f"{folder} cannot be written to", "Choose another folder with --sessions.")
    free_gib = shutil.disk_usage(folder).free / 2**30
    found = f"{free_gib:.1f} GiB free at {folder}"
    if free_gib < FREE_GIB:
        return Finding("Disk", "failure", found, f"Free at least {FREE_GIB:g} GiB.")
    return Finding("Disk", "ok", found)


def _readers() -> Finding:
    if importlib.util.find_spec("pyxdf") is None:
        return Finding("XDF reader", "warning", "pyxdf is not installed", "pip install 'bci-decoder[io]'.")
    return Finding("XDF reader", "ok", "pyxdf")


def _account() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "the-account"
