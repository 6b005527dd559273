"""Every spoken device with its host and its twin in memory, and the time in our hands."""

from bci.errors import DeviceError
from drivers.base import ON, PREPARED
from drivers.devices import dynamixel, feetech, fes, maestro, robotiq
from drivers.dialogue.positioner import Positioner
from drivers.twins.dynamixel import DynamixelBus
from drivers.twins.feetech import FeetechBus
from drivers.twins.fes import Stimulator
from drivers.twins.maestro import MaestroBoard
from drivers.twins.robotiq import Gripper

DRIVERS = {
    d.declaration.name: d for d in (feetech.DRIVER, dynamixel.DRIVER, robotiq.DRIVER, maestro.DRIVER, fes.DRIVER)
}
TWINS = {
    "feetech": FeetechBus,
    "dynamixel": DynamixelBus,
    "maestro": MaestroBoard,
    "fes": Stimulator,
    "robotiq": lambda joints: Gripper(joints[0]),
}
LEASE_S = 0.1


class MemoryPort:
    """A port whose other end is the twin itself; time passes only when it is told to."""

    latency_s = 0.005

    def __init__(self, twin):
        self.twin, self.now_s, self.answers, self.said = twin, 0.0, b"", []
        self.is_unplugged = False

    def read(self):
        if self.is_unplugged:
            raise DeviceError("Port is gone.", "Plug it in.")
        data, self.answers = self.answers, b""
        return data

    def write(self, data):
        if self.is_unplugged:
            raise DeviceError("Port is gone.", "Plug it in.")
        self.said.append((self.now_s, data))
        self.answers += self.twin.feed(data, round(1e3 * self.now_s))

    def close(self):
        pass


class MemoryBench:
    """A host and its device; `guard` plays the guardian for a while."""

    def __init__(self, name, **options):
        self.driver = DRIVERS[name]
        section = {**self.driver.example, "options": {**self.driver.example["options"], **options}}
        speaker = self.driver.build(section)
        self.twin = TWINS[name](speaker.joints)
        self.port = MemoryPort(self.twin)
        n_misses = self.driver.n_misses
        self.host = Positioner(self.port, 1_000_000, speaker, self.driver.declaration, n_misses=n_misses)

    @property
    def now_s(self):
        return self.port.now_s

    def pass_time(self, seconds):
        for _ in range(round(seconds / 0.002)):
            self.port.now_s += 0.002
            self.twin.step(round(1e3 * self.port.now_s), 0.002)
            if not self.port.is_unplugged:
                self.host.hear(self.port.now_s)

    def guard(self, seconds, velocities=None):
        for _ in range(round(seconds / 0.02)):
            if velocities is None:
                self.host.watch(self.now_s)
            else:
                self.host.drive(velocities, LEASE_S, self.now_s)
            self.pass_time(0.02)

    def prepared(self):
        self.guard(0.1)
        self.host.prepare(LEASE_S, self.now_s)
        self.guard(1.5)
        return self

    def armed(self):
        self.prepared()
        assert self.host.phase == PREPARED, self.host.checks
        self.host.arm(self.now_s)
        self.guard(3.0)
        assert self.host.phase == ON, self.host.checks
        return self

    def driving(self, fraction=0.5, seconds=0.2):
        self.armed()
        self.guard(seconds, self.speeds(fraction))
        return self

    def speeds(self, fraction):
        return [fraction * axis.max_speed for axis in self.host.axes]

    def still(self, seconds=0.4):
        """Whether nothing moves any more, after a moment to brake."""
        self.pass_time(seconds)
        before = list(self.twin.positions)
        self.pass_time(0.1)
        return before == list(self.twin.positions)
