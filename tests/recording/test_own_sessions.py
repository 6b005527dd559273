"""What our own sessions record is a recording like any other."""

import numpy as np
import pytest
from recordings import CUES, STAMPS, cues, profile, signal, write_xdf

from bci.errors import RecordingError
from bci.plan import create_plan
from bci.recording.reader import find_recording, read_recording
from calibration.intention import REACTION_S

WITHOUT_CUES = (("[training.cues]\nclose = [1.0]\nopen = [-1.0]\nrest = [0.0]\n", ""),)


def session(folder, *streams, changes=()):
    plan = create_plan(folder, profile(*changes))
    write_xdf(plan.path("recording.xdf"), *streams)
    return plan.folder


def own(name, kind, labels, stamps, values, **more):
    return {"name": name, "type": kind, "rate": 0, "format": "double64", "stamps": stamps, "values": values,
            "labels": labels, "unit": "1", "id": f"bci-x-{name}"} | more  # fmt: skip


def world(outputs=("grasp",)):
    """A task that shows a target of 0.8 for ten seconds, then rest."""
    stamps = np.arange(110.0, 130.0, 0.02)
    position = np.linspace(0.2, 0.6, len(stamps))
    target = np.where(stamps < 120.0, 0.8, 0.1)
    is_active = (stamps < 125.0).astype(float)
    return own("bci.world", "World", [*outputs, *(f"target_{o}" for o in outputs), "active", "assist"], stamps,
               np.column_stack([position, target, is_active, np.zeros(len(stamps))]))  # fmt: skip


def events():
    return own("bci.events", "Markers", ["text"], [101.0, 102.0], [["ARMED"], ["HOLD"]], format="string")


def features():
    return own("bci.features", "Features", [f"f{i}" for i in range(8)], STAMPS[::10], np.zeros((len(STAMPS[::10]), 8)),
               rate=25)  # fmt: skip


def test_the_folder_of_a_session_is_enough(tmp_path):
    folder = session(tmp_path, events(), features(), signal(), cues())
    assert find_recording(folder)[1].name == "emg8"
    for path in (folder, folder / "recording.xdf"):
        recording = read_recording(path)
        assert recording.signal.name == "EMG"
        assert recording.markers == tuple((pytest.approx(at), word) for at, word in CUES)
        assert recording.marker_name == "Cues"
        assert recording.notes == ()


def test_what_the_session_says_of_itself_is_no_cue_and_no_signal(tmp_path):
    path = write_xdf(tmp_path / "moved.xdf", events(), features(), world(), signal())
    recording = read_recording(path)
    assert recording.signal.name == "EMG"
    assert recording.markers == ()


def test_kinematics_recorded_beside_the_signal_are_found(tmp_path):
    truth = own("EMG-kinematics", "Kinematics", ["x", "vx"], STAMPS, np.column_stack([STAMPS, STAMPS]), rate=250)
    folder = session(tmp_path, truth, signal(), world())
    kinematics = read_recording(folder).kinematics
    assert kinematics.names == ("x", "vx")
    np.testing.assert_allclose(kinematics.values[:, 0], STAMPS)


def test_a_task_tells_what_was_meant_after_the_reaction_to_each_target(tmp_path):
    kinematics = read_recording(session(tmp_path, signal(), world())).kinematics
    assert kinematics.names == ("grasp",)
    stamps, meant = kinematics.stamps_s, kinematics.values[:, 0]
    assert (meant[stamps < 119.9] > 0.9).all()
    assert (meant[(stamps > 120.0) & (stamps < 124.9)] < 0).all()
    assert (meant[stamps > 125.1] == 0).all()
    for changed_s in (110.0, 120.0):
        assert not np.any((stamps >= changed_s) & (stamps < changed_s + REACTION_S - 0.02))


def test_a_folder_without_a_recording_says_so(tmp_path):
    plan = create_plan(tmp_path, profile())
    with pytest.raises(RecordingError, match="is a folder and no session with a recording; in it: no recording"):
        read_recording(plan.folder)
