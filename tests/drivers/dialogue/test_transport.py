"""The port itself: alone, never waiting, and every failure of it one typed error."""

import os
import select
import subprocess
import sys
import time
import tty
from pathlib import Path

import pytest

from bci.errors import DeviceError
from drivers.dialogue.transport import Port
from drivers.trial.probe import lasting_name, probe


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


USER = """
import os, sys, time
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_port_that_any_process_has_open_is_not_opened_and_its_name_is_told(pair):
    device, path = pair
    user = subprocess.Popen([sys.executable, "-c", USER, path], stdin=-1, stdout=-1)  # asks for no lock
    assert user.stdout.readline() == b"open\n"
    name = Path(f"/proc/{user.pid}/comm").read_text().strip()
    with pytest.raises(DeviceError, match=rf"in use by another program: {name} \({user.pid}\)"):
        Port(path, 115200)
    assert f"({user.pid})" in probe(path)
    assert not select.select([device], [], [], 0.1)[0]  # nothing was said either
    user.communicate()
    Port(path, 115200).close()


def test_a_port_is_named_by_what_stays_when_it_is_plugged_in_again(tmp_path, pair):
    _, path = pair
    assert lasting_name(path, tmp_path) == path
    (tmp_path / "usb-adapter-0042").symlink_to(path)
    assert lasting_name(path, tmp_path) == str(tmp_path / "usb-adapter-0042")


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
