"""What stands in the way of a session is found by whoever looks, whenever they look."""

import pytest

from bci.configs import find_profile
from bci.live import loop
from bci.live.trouble import read_trouble, tell_trouble
from bci.plan import create_plan
from bci.profile import load_profile


@pytest.fixture
def plan(tmp_path):
    return create_plan(tmp_path, load_profile(find_profile("simulated")))


def test_trouble_stands_until_it_ends_and_each_kind_for_itself(plan):
    assert read_trouble(plan, "signal") == ""
    tell_trouble(plan, "signal", "No samples come from 'é'.")
    tell_trouble(plan, "recording", "bci.events: read by nobody")
    assert read_trouble(plan, "signal") == "No samples come from 'é'."
    tell_trouble(plan, "signal", "")
    assert read_trouble(plan, "signal") == ""
    assert read_trouble(plan, "recording") == "bci.events: read by nobody"


class Published:
    """Two streams, one of which nobody finds."""

    unread = ("bci.events",)
    has_readers = False


@pytest.mark.parametrize("configuration", ["/etc/lab/lsl_api.cfg", ""])
def test_a_stream_that_nobody_finds_is_said_to_be_missing_in_the_recording(plan, monkeypatch, configuration):
    monkeypatch.setenv("LSLAPICFG", configuration)
    monkeypatch.setattr(loop, "READERS_S", 0.05)
    loop.wait_for_readers(plan, Published(), stop=False)
    said = read_trouble(plan, "recording")
    assert said.startswith("bci.events: read by nobody, so MISSING IN THE RECORDING")
    assert configuration in said
    assert ("LSLAPICFG" in said) == bool(configuration)
