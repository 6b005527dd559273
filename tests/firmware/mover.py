"""A host process that moves a device until it is killed: `python mover.py PORT`. It arms once and never again."""

from __future__ import annotations

import contextlib
import sys
import time

from node_chip import PERIOD_S, drive

from bci.errors import DeviceError
from drivers.host import NodeHost
from drivers.node import ACTIVE, ARMED, DISARMED, HOLD
from drivers.transport import Port

with Port(sys.argv[1], 115200) as port:
    host = NodeHost(port)
    was_active = False
    while True:
        host.receive()
        state = DISARMED if host.status is None else host.status.state
        was_active |= state == ACTIVE
        with contextlib.suppress(DeviceError):  # a write that was frozen has timed out: this host goes on regardless
            if state in (ARMED, ACTIVE, HOLD):
                drive(host)
            elif host.status is None or was_active:
                host.ping()
            else:
                host.arm(100)
        time.sleep(PERIOD_S)
