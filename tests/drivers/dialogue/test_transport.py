"""The port itself: alone, never waiting, and every failure of it one typed error."""

import os
import time
import tty

import pytest

from bci.errors import DeviceError
from drivers.dialogue.transport import Port


@pytest.fixture
def pair():
    """The device's end, and the path of the host's."""
    device, host = os.openpty()
    tty.setraw(host)
    yield device, os.ttyname(host)
    for end in (device, host):
        os.close(end)


def test_what_is_written_arrives_and_what_arrives_is_read(pair):
    device, path = pair
    with Port(path, 115200) as port:
        assert port.read() == b""
        port.write(b"\x00go\x00")
        assert os.read(device, 100) == b"\x00go\x00"
        os.write(device, b"ok")
        time.sleep(0.05)
        assert port.read() == b"ok"


def test_a_port_belongs_to_one_process(pair):
    _, path = pair
    with Port(path, 115200), pytest.raises(DeviceError, match="in use by another program"):
        Port(path, 115200)


def test_a_device_that_takes_nothing_more_is_noticed_at_once(pair):
    _, path = pair
    with Port(path, 115200) as port:
        begun_s = time.monotonic()
        with pytest.raises(DeviceError, match=r"takes no bytes|only a part"):
            _write_for_ever(port)
        assert time.monotonic() - begun_s < 0.5


def test_a_host_that_was_kept_from_running_does_not_blame_the_port(pair, monkeypatch):
    device, path = pair
    write = os.write

    def write_and_wait(number, data):
        n_written = write(number, data)
        time.sleep(0.1)
        return n_written

    with Port(path, 115200) as port:
        monkeypatch.setattr(os, "write", write_and_wait)
        port.write(b"goal")
    assert os.read(device, 100) == b"goal"


def test_an_unplugged_device_is_one_kind_of_error():
    device, host = os.openpty()
    path = os.ttyname(host)
    os.close(host)
    with Port(path, 115200) as port:
        os.close(device)
        time.sleep(0.02)
        with pytest.raises(DeviceError, match="gone"):
            port.read()
        with pytest.raises(DeviceError, match="no bytes"):
            port.write(b"x")


def _write_for_ever(port):
    while True:
        port.write(b"x" * 24)
