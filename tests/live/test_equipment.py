"""Whose a latched stop is: the participant's profile's and the device's, whatever its port is called."""

from types import SimpleNamespace

import pytest

from bci.configs import find_profile
from bci.live.equipment import stop_names
from bci.plan import create_plan
from bci.profile import load_profile
from drivers.dialogue import transport


@pytest.fixture
def plan(tmp_path):
    return create_plan(tmp_path, load_profile(find_profile("simulated")))


@pytest.fixture
def adapters(monkeypatch):
    """Adapters that are plugged in: from ports to serial numbers."""
    plugged = {}

    def comports():
        return [
            SimpleNamespace(
                device=port, serial_number=serial, usb_info=lambda s=serial: f"USB VID:PID=1A86:55D3 SER={s}"
            )
            for port, serial in plugged.items()
        ]

    monkeypatch.setattr(transport, "comports", comports)
    return plugged


def test_an_adapter_is_known_again_under_another_name_and_in_another_order(plan, adapters):
    adapters.update({"/dev/ttyUSB0": "A1", "/dev/ttyUSB1": "B2"})
    before = stop_names(plan, {"device": "/dev/ttyUSB0", "hand": "/dev/ttyUSB1"})
    adapters.update({"/dev/ttyUSB0": "B2", "/dev/ttyUSB1": "A1"})
    after = stop_names(plan, {"hand": "/dev/ttyUSB0", "device": "/dev/ttyUSB1"})
    assert set(before) == set(after)
    assert len(set(before)) == 3


def test_an_adapter_reached_through_a_link_is_the_same(plan, adapters, tmp_path):
    adapters["/dev/ttyUSB0"] = "A1"
    link = tmp_path / "arm"
    link.symlink_to("/dev/ttyUSB0")
    assert stop_names(plan, {"device": str(link)}) == stop_names(plan, {"device": "/dev/ttyUSB0"})


def test_a_profile_is_known_again_whatever_it_moves_and_an_adapter_whoever_it_moves(plan, adapters):
    adapters["/dev/ttyUSB0"] = "A1"
    adapters["/dev/ttyUSB9"] = None
    one, other = stop_names(plan, {"device": "/dev/ttyUSB0"}), stop_names(plan, {"device": "/dev/ttyUSB9"})
    assert len({*one} & {*other}) == 1
    renamed = plan.model_copy(update={"profile": plan.profile.model_copy(update={"name": "somebody else"})})
    assert len({*one} & {*stop_names(renamed, {"device": "/dev/ttyUSB0"})}) == 1


def test_the_names_are_safe_as_those_of_files(plan, adapters):
    odd = plan.model_copy(update={"profile": plan.profile.model_copy(update={"name": "../é /" + 300 * "x"})})
    for name in stop_names(odd, {"device": "/dev/serial/by-id/usb-../x"}):
        assert "/" not in name
        assert len(name.encode()) < 100
