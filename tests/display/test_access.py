from __future__ import annotations

import pytest

from bci.display.access import Door
from bci.errors import SessionError


def test_this_machine_needs_no_token():
    door = Door("127.0.0.1", 8765)
    assert door.token == ""
    assert door.admits(None)


def test_another_machine_is_admitted_by_the_token_once_and_then_by_its_cookie():
    door = Door("192.168.1.20", 8765)
    assert not door.admits(None)
    token = door.token
    cookie = door.redeem(token)
    assert door.admits(cookie)
    assert door.redeem(token) is None
    assert not door.admits("guessed")


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_wrong_token_opens_nothing_and_spends_nothing(token):
    door = Door("192.168.1.20", 8765)
    assert door.redeem(token) is None
    assert door.redeem(door.token)


def test_pages_of_elsewhere_are_refused():
    door = Door("127.0.0.1", 8765)
    assert door.knows_host("127.0.0.1:8765")
    assert door.knows_host("localhost:8765")
    assert not door.knows_host("evil.example:8765")
    assert door.knows_origin("http://127.0.0.1:8765")
    assert not door.knows_origin("http://evil.example")
    assert not door.knows_origin(None)


def test_what_is_no_address_is_refused_with_an_example():
    with pytest.raises(SessionError, match=r"192\.168\.1\.20"):
        Door("everywhere", 1)
