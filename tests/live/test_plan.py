import contextlib
import os
import shutil
import stat
import tempfile

import pytest

from bci.configs import find_profile
from bci.errors import SessionError
from bci.live.children import start_child
from bci.plan import Demonstration, create_plan, make_runtime, read_plan, write_json
from bci.profile import load_profile
from calibration.participants import home_of
from drivers.guardian.link import GuardianClient

PROFILE = load_profile(find_profile("simulated"))


def test_what_is_planned_is_what_every_process_reads(tmp_path):
    plan = create_plan(tmp_path, PROFILE, demonstration=Demonstration(seed=1, observation_s=15.0, closed_loop_s=45.0))
    assert read_plan(plan.folder) == plan
    assert plan.folder.name.endswith("-simulated")


def test_the_folder_of_sockets_is_private_and_its_path_short(tmp_path):
    runtime = create_plan(tmp_path, PROFILE).runtime
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    assert len(str(runtime / "guardian.sock")) < 100


def test_what_a_session_or_a_participant_leaves_is_read_by_its_operator_only(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    written = tmp_path / "written"
    (tmp_path / "writer.py").write_text(f"open({str(written)!r}, 'w').close()")
    before = os.umask(0o022)  # what most machines have
    try:
        folder = create_plan(tmp_path / "sessions", PROFILE).folder
        assert start_child("writer", ["writer"], folder).popen.wait() == 0
        calibration = home_of(tmp_path / "participants", "P01", "simulated").new_calibration()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "participants" / "P01").stat().st_mode) == 0o700
    assert calibration.is_dir()


def test_two_sessions_never_share_a_folder(tmp_path):
    assert create_plan(tmp_path, PROFILE).folder != create_plan(tmp_path, PROFILE).folder


def test_a_place_that_cannot_be_written_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match=r"cannot be made.*--sessions"):
        create_plan(tmp_path / "file", PROFILE)


def test_json_appears_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1\n}\n'


def test_a_long_tmpdir_leaves_room_for_the_names_of_sockets(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    runtime = create_plan(tmp_path, PROFILE).runtime
    with contextlib.closing(GuardianClient(runtime, "a-client-with-a-long-name")):
        assert list(runtime.iterdir())
    shutil.rmtree(runtime)


def test_without_a_folder_for_sockets_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr("bci.plan.LONGEST_ROOT", 0)
    with pytest.raises(SessionError, match="Set TMPDIR to a short path"):
        make_runtime()
