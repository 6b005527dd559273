"""A host process that moves a device until it is killed: `python mover.py PORT`, then a line. It arms only once."""

from __future__ import annotations

import contextlib
import sys
import time

from wire_host import WireHost

from bci.errors import DeviceError
from drivers.devices.node import ACTIVE, DISARMED, Ping

PERIOD_S = 0.02

sys.stdin.readline()
host = WireHost(sys.argv[1])
was_active = False
while True:
    host.receive()
    state = host.status.state
    was_active |= state == ACTIVE
    with contextlib.suppress(DeviceError):  # a write that was frozen has timed out: this host goes on regardless
        if state != DISARMED:
            host.drive()
        elif was_active:
            host.send(Ping())
        else:
            host.arm(100)
    time.sleep(PERIOD_S)
