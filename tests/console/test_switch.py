"""A foot switch stops: events as the kernel writes them, through a pipe in the place of a device."""

import os
import time
from types import SimpleNamespace

import pytest
from bench import wait_for
from hypothesis import given
from hypothesis import strategies as st

from bci.console.operator import Operator
from bci.console.switch import EVENT, Switch
from bci.errors import DeviceError
from drivers.guardian.link import GuardianSocket

PRESS, RELEASE, REPEAT = (1, 48, 1), (1, 48, 0), (1, 48, 2)
SYNC, DROPPED, SCAN = (0, 0, 0), (0, 3, 0), (4, 4, 458757)


@pytest.fixture
def device(tmp_path):
    os.mkfifo(tmp_path / "event7")
    end = os.open(tmp_path / "event7", os.O_RDWR)
    yield str(tmp_path / "event7"), lambda *events: os.write(end, b"".join(EVENT.pack(5, 6, *e) for e in events)), end
    os.close(end)


@pytest.mark.parametrize(
    ("events", "asks"),
    [((SCAN, PRESS, SYNC), True), ((DROPPED,), True), ((RELEASE, SYNC), False), ((REPEAT,), False), ((SYNC,), False)],
)
def test_a_pressed_key_and_lost_events_are_a_stop_and_nothing_else_is(device, events, asks):
    path, send, _ = device
    switch = Switch(path)
    assert switch.asks() == ""
    send(*events)
    assert switch.asks() == ("the stop switch" if asks else "")
    assert switch.asks() == ""
    switch.close()


@given(st.binary(max_size=200))
def test_no_bytes_whatever_bring_it_down(data):
    ours, theirs = os.pipe()
    switch = Switch(f"/dev/fd/{ours}")
    os.write(theirs, data)
    switch.asks()
    switch.close()
    os.close(ours)
    os.close(theirs)


def test_a_switch_that_is_not_there_is_refused_in_words():
    with pytest.raises(DeviceError, match="stop switch /dev/input/nothing cannot be read"):
        Switch("/dev/input/nothing")


@pytest.mark.parametrize("is_pulled", [False, True])
def test_it_stops_without_a_terminal_within_a_moment_and_names_itself(device, tmp_path, is_pulled, monkeypatch):
    path, send, _ = device
    (tmp_path / "r").mkdir()
    guardian = GuardianSocket(tmp_path / "r")
    switch = Switch(path)
    operator = Operator(SimpleNamespace(runtime=tmp_path / "r", path=lambda name: tmp_path / name), switch)
    requests = []
    with operator.listening():
        time.sleep(0.1)
        assert guardian.asked() == []
        if is_pulled:
            monkeypatch.setattr("bci.console.switch.os.read", lambda *_: (_ for _ in ()).throw(OSError(19, "gone")))
        else:
            send(PRESS, SYNC)
        wait_for(lambda: requests.extend(guardian.asked()) or requests, 2.0)
        monkeypatch.undo()
    assert (requests[0].verb, requests[0].role) == ("stop", "caregiver")
    assert requests[0].origin == ("the stop switch has gone" if is_pulled else "the stop switch")
    assert "stop asked for" in (tmp_path / "console.jsonl").read_text()
    guardian.close()
