"""What must be true before a device gets power; every failure in words, with its measured value."""

from __future__ import annotations

import os
from pathlib import Path

from drivers import node
from drivers.host import NodeHost
from drivers.machine import Machine

MOST_SILENCE_S = 0.15  # of a device, before power and while powered
LEAST_INTENTS_HZ = 5.0


def failures_before_power(host: NodeHost, machine: Machine, log_folder: Path, now_s: float) -> list[str]:
    """Check the device, the exchange with it, the intents and the log.

    Parameters
    ----------
    host : NodeHost
        After some exchanges, whose times are judged against the lease.
    machine : Machine
        Knows the lease and the rate of good intents.
    log_folder : Path
        Where the fault log is written.
    now_s : float
        The time.

    Returns
    -------
    list of str
        Empty when the device may have power.
    """
    status, lease_s = host.status, machine.rules.lease_s
    if status is None or now_s - host.status_s > MOST_SILENCE_S or not host.rtt_s:
        return ["the device does not answer"]
    failures = []
    slowest_s = max(host.rtt_s)
    if not slowest_s < lease_s / 3:
        failures.append(f"its answers take {1e3 * slowest_s:.0f} ms, more than a third of the lease")
    if status.state != node.DISARMED:
        failures.append(f"the device is {node.STATE_NAMES[min(status.state, 5)]}, not DISARMED")
    rate_hz = machine.intent_rate_hz(now_s)
    if not rate_hz >= LEAST_INTENTS_HZ:
        failures.append(f"intents come at {rate_hz:.0f} Hz, at least {LEAST_INTENTS_HZ:g} are needed")
    if not os.access(log_folder, os.W_OK):
        failures.append("the fault log cannot be written")
    return failures
