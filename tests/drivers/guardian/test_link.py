"""What is said to the guardian arrives as it was said, or not at all."""

import math
import socket
import time

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.types import Intent
from drivers.guardian.link import GuardianClient, GuardianSocket, Request, Status, _parse


@pytest.fixture
def ends(tmp_path):
    guardian, client = GuardianSocket(tmp_path), GuardianClient(tmp_path, "loop")
    yield guardian, client
    client.close()
    guardian.close()


def test_an_intent_arrives_whole_with_its_click_hold_and_gate(ends):
    guardian, client = ends
    sent = Intent(7, 12.5, (0.25, -0.5), 1.0, True, click=0.75, hold=0.125, gate=0.5, n_clicks=3)
    client.send_intent(sent)
    client.request("stop", "user")
    (got,) = guardian.receive()
    assert got == sent
    assert guardian.asked() == [Request("stop", "user")]


def test_an_intent_that_is_not_finite_arrives_as_it_is_for_the_guardian_to_hold(ends):
    guardian, client = ends
    client.send_intent(Intent(7, math.inf, (math.nan, -math.inf), math.nan, True))
    (got,) = guardian.receive()
    assert math.isinf(got.stamp_s)
    assert math.isnan(got.velocity[0])
    assert got.velocity[1] == -math.inf


def test_an_intent_of_numpys_numbers_arrives_as_one_of_pythons(ends):
    guardian, client = ends
    client.send_intent(Intent(np.int64(7), np.float64(1.5), tuple(np.array([0.25])), np.float32(1.0), np.bool_(True)))
    assert guardian.receive() == [Intent(7, 1.5, (0.25,), 1.0, True)]


def test_an_intent_of_a_decoder_without_discrete_intents_means_none(ends):
    guardian, _ = ends
    tell(guardian, intent())
    (got,) = guardian.receive()
    assert (got.click, got.hold, got.gate, got.n_clicks) == (0.0, 0.0, 1.0, 0)


def intent(**changes):
    fields = {"index": 1, "stamp_s": 2.0, "velocity": [0.5], "nis": 1.0, "is_confident": True, **changes}
    return b"i" + msgspec.msgpack.encode({name: value for name, value in fields.items() if value != "absent"})


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\xff\xfe",
        b"i",
        b"r\x07",
        intent()[:-1],
        intent() + b"\0",
        intent(index="absent"),
        intent(velocity=3),
        intent(velocity=["0.5"]),
        intent(index=math.inf),
        intent(is_confident=1),
        intent(click=None),
        b"r" + msgspec.msgpack.encode({"verb": "arm"}),
        b"i\x81\xa1z" + b"\x91" * 50000 + b"\xc0",
        b"r\x81\xa4verb" + b"\x91" * 50000 + b"\xc0",
        b"r" + b"\x81\xa1a" * 20000 + b"\xc0",
        b"i\xdd\xff\xff\xff\xff",
    ],
)
def test_what_cannot_be_read_is_dropped(ends, nonsense):
    guardian, client = ends
    for path in (guardian._path, guardian._requests_path):
        tell(guardian, nonsense, path)
    client.request("disarm", "user")
    client.send_intent(Intent(7, 12.5, (0.25,), 1.0, True))
    assert guardian.asked() == [Request("disarm", "user")]
    assert [got.index for got in guardian.receive()] == [7]


def test_intents_are_those_of_one_sender_and_another_is_refused_and_told(ends, tmp_path, monkeypatch):
    guardian, client = ends
    other = GuardianClient(tmp_path, "other")
    for index in range(3):
        client.send_intent(Intent(index, 12.5, (0.25,), 1.0, True))
        other.send_intent(Intent(100 + index, 12.5, (-1.0,), 1.0, True))
    assert [got.index for got in guardian.receive()] == [0, 1, 2]
    assert guardian.n_refused == 3
    other.poll()
    client.poll()
    assert other.is_refused
    assert not client.is_refused
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 1.1)  # the first has been silent
    other.send_intent(Intent(0, 12.5, (0.25,), 1.0, True))
    client.send_intent(Intent(3, 12.5, (0.25,), 1.0, True))
    assert [got.velocity for got in guardian.receive()] == [(0.25,)]
    assert guardian.n_refused == 4
    other.close()


def test_an_intent_that_is_repeated_or_older_than_the_last_is_dropped(ends):
    guardian, client = ends
    for index in (5, 5, 3, 6, 6, 7):
        client.send_intent(Intent(index, 12.5, (0.25,), 1.0, True))
    assert [got.index for got in guardian.receive()] == [5, 6, 7]


def test_a_queue_full_of_intents_takes_no_stop_with_it(ends):
    guardian, client = ends
    for index in range(1000):
        client.send_intent(Intent(index, 12.5, (0.25,), 1.0, True))
    client.request("stop", "caregiver")
    assert guardian.asked() == [Request("stop", "caregiver")]


def test_requests_that_find_their_queue_full_are_said_again_in_order(ends):
    guardian, client = ends
    for _ in range(1000):
        client.request("disarm", "user")
    client.request("stop", "user")
    heard = []
    for _ in range(1000):
        heard += guardian.asked()
        client.poll()
    assert [request.verb for request in heard[:1001]] == ["disarm"] * 1000 + ["stop"]


def test_a_stop_is_repeated_until_the_guardian_has_reported_it_and_no_older_report_counts(ends):
    guardian, client = ends
    client.poll()
    guardian.receive()
    guardian.report(Status(0.0, "STOP", "of an earlier time"))
    client.request("stop", "user")
    client.poll()
    assert client.stop_asked_s is not None
    guardian.asked()
    client.poll()
    assert guardian.asked() == [Request("stop", "user")]
    guardian.report(Status(time.monotonic(), "STOP", "stopped by the user"))
    client.poll()
    assert client.stop_asked_s is None
    client.poll()
    assert guardian.asked() == []


@given(st.binary(max_size=200).map(lambda data: b"i" + data) | st.binary(max_size=200))
def test_no_bytes_whatever_bring_the_guardian_down(data):
    assert _parse(data) is None or isinstance(_parse(data), Intent | Request)


def tell(guardian, data, path=None):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(data, str(path or guardian._path))


def test_a_stop_that_is_reset_by_who_asked_is_not_repeated_after_the_reset(ends):
    guardian, client = ends
    client.request("stop", "caregiver")
    client.request("reset_stop", "caregiver")
    client.poll()
    assert guardian.asked() == [Request("stop", "caregiver"), Request("reset_stop", "caregiver")]
    assert guardian.asked() == []
