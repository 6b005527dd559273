"""Whose a latched stop is, and what becomes of it when the disk does not take it."""

import pytest

from drivers.guardian.stopfile import StopMemory


def test_a_stop_is_known_again_by_any_of_those_whose_it_is_and_reset_for_all(tmp_path):
    assert not StopMemory(tmp_path, ("profile", "adapter")).is_latched()
    assert StopMemory(tmp_path, ("profile", "adapter")).keep("stopped by the user")
    for names in (("profile",), ("adapter",), ("other", "adapter")):
        assert StopMemory(tmp_path, names).is_latched()
    assert not StopMemory(tmp_path, ("other",)).is_latched()
    assert "stopped by the user" in (tmp_path / "profile.json").read_text()
    StopMemory(tmp_path, ("profile", "adapter")).release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["absent", "file"])
def test_a_folder_that_takes_nothing_says_so_before_there_is_power_and_at_the_stop(tmp_path, what):
    folder = tmp_path / "stops"
    if what == "file":
        folder.touch()
    stops = StopMemory(folder, ("profile",))
    assert not stops.is_latched()
    check = stops.check()
    assert not check.is_ok
    assert "forgotten by the next session" in check.found
    assert str(folder) in check.found
    assert not stops.keep("stopped")
    assert str(folder) in stops.complaint


def test_a_folder_that_takes_it_is_left_as_it_was(tmp_path):
    assert StopMemory(tmp_path, ("profile",)).check().is_ok
    assert list(tmp_path.iterdir()) == []


def test_a_stop_of_which_nothing_can_be_known_is_a_stop(tmp_path, monkeypatch):
    def refuse(self, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", refuse)
    assert StopMemory(tmp_path, ("profile",)).is_latched()
