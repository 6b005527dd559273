"""What a machine needs for a session, checked one by one, each with its remedy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "warning", "failure"]

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
    checks: list[Callable[[], Finding]] = [
        _python,
        _liblsl,
        _numba_cache,
        _scheduling,
        _memory_lock,
        _serial_rights,
        _ftdi_latency,
        lambda: _disk(sessions),
        _readers,
    ]
    for check in checks:
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

    custom = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(custom) if custom else Path(bci.__file__).parent
    found = f"numba {numba.__version__}, cache in {folder}"
    if not os.access(folder, os.W_OK):
        return Finding("Numba cache", "warning", f"{folder} is read-only", "Set NUMBA_CACHE_DIR to a writable folder.")
    return Finding("Numba cache", "ok", found)


def _scheduling() -> Finding:
    if sys.platform != "linux":
        return Finding("Real-time rights", "warning", f"not known on {sys.platform}", "Run sessions on Linux.")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if os.geteuid() == 0 or limit == resource.RLIM_INFINITY or limit >= 50:
        return Finding("Real-time rights", "ok", "SCHED_FIFO is allowed")
    remedy = f"Add '{_account()} - rtprio 60' to /etc/security/limits.d/bci.conf and log in again."
    return Finding("Real-time rights", "warning", f"SCHED_FIFO is refused (limit {limit})", remedy)


def _memory_lock() -> Finding:
    if sys.platform != "linux":
        return Finding("Memory lock", "warning", f"not known on {sys.platform}", "Run sessions on Linux.")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if os.geteuid() == 0 or limit == resource.RLIM_INFINITY or limit >= 2**30:
        return Finding("Memory lock", "ok", "the loop may lock its memory")
    remedy = f"Add '{_account()} - memlock unlimited' to /etc/security/limits.d/bci.conf and log in again."
    return Finding("Memory lock", "warning", f"only {limit // 1024} KiB may be locked", remedy)


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
    if not os.access(folder, os.W_OK):
        return Finding("Disk", "failure", f"{folder} is read-only", "Choose another folder with --sessions.")
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
