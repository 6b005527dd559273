"""What is said to the guardian arrives as it was said, or not at all."""

import json
import socket

import pytest

from bci.types import Intent
from drivers.link import GuardianClient, GuardianSocket, Request


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
    got, request = guardian.receive()
    assert {**_fields(got), "nis": 1.0} == _fields(sent)
    assert request == Request("stop", "user")


def test_an_intent_of_a_decoder_without_discrete_intents_means_none(ends):
    guardian, _ = ends
    message = {"kind": "intent", "index": 1, "stamp_s": 2.0, "velocity": [0.5], "is_confident": True}
    tell(guardian, json.dumps(message).encode())
    (got,) = guardian.receive()
    assert (got.click, got.hold, got.gate, got.n_clicks) == (0.0, 0.0, 1.0, 0)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"kind": "intent"}',
        b'{"kind": "intent", "index": 1, "stamp_s": 1, "velocity": 3, "is_confident": true}',
        b'{"kind": "intent", "index": Infinity, "stamp_s": 1, "velocity": [0], "is_confident": true}',
        b'{"kind": "intent", "index": 1, "stamp_s": 1, "velocity": [0], "is_confident": true, "click": null}',
    ],
)
def test_what_cannot_be_read_is_dropped(ends, nonsense):
    guardian, client = ends
    tell(guardian, nonsense)
    client.request("disarm", "user")
    assert guardian.receive() == [Request("disarm", "user")]


def tell(guardian, data):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(data, str(guardian._path))


def _fields(intent):
    return {name: getattr(intent, name) for name in Intent.__slots__}
