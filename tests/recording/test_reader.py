import numpy as np
import pytest
import scipy.io

from bci.errors import RecordingError
from bci.recording.reader import read_recording


@pytest.mark.real
def test_a_day_of_an_array_is_counts_with_kinematics(real_data):
    recording = read_recording(real_data("limblab_spike_wf_2012/Spike_07-19-12_WF_001.mat"))
    signal, kinematics = recording.signal, recording.kinematics
    assert signal.samples.shape == (24000, 96)
    assert signal.rate_hz == 20.0
    assert signal.unit == "count"
    assert signal.labels[0] == "ee01u0"
    assert np.array_equal(signal.samples, np.round(signal.samples))
    assert kinematics.names == ("x", "y", "vx", "vy")
    step = np.diff(kinematics.values[:, 0])
    assert np.corrcoef(step * 20, kinematics.values[1:, 2])[0, 1] > 0.9


@pytest.mark.real
def test_an_edf_has_standard_names_microvolts_and_cues(real_data):
    recording = read_recording(real_data("eegmmidb_S001/S001R06.edf"))
    assert recording.signal.samples.shape[1] == 64
    assert {"FC3", "FCz", "C3", "Cz", "CP4"} <= set(recording.signal.labels)
    assert recording.signal.unit == "microvolts"
    assert 5 < np.std(recording.signal.samples) < 500
    assert {text for _, text in recording.markers} == {"T0", "T1", "T2"}


@pytest.mark.real
def test_an_xdf_brings_its_markers_onto_the_signals_clock(real_data):
    recording = read_recording(real_data("xdf/magicblink_emg/three_motion_one.xdf"))
    assert recording.signal.name == "obci_eeg1"
    assert recording.signal.samples.shape == (77200, 8)
    assert len(recording.markers) == 216
    assert recording.marker_name == "MyMarkerStream"
    inside = [recording.signal.stamps_s[0] <= stamp <= recording.signal.stamps_s[-1] for stamp, _ in recording.markers]
    assert np.mean(inside) > 0.95


@pytest.mark.real
def test_a_marker_clock_four_days_away_is_brought_back(real_data):
    recording = read_recording(real_data("xdf/bci_code/sub-P001_ses-S001_task-Default_run-001_eeg.xdf"))
    start, end = recording.signal.stamps_s[[0, -1]]
    assert all(start - 60 < stamp < end + 60 for stamp, _ in recording.markers)
    assert np.all(np.diff(recording.signal.stamps_s) > 0)


@pytest.mark.real
def test_of_several_streams_one_must_be_named(real_data):
    path = real_data("xdf/muse/sub-P001_ses-S001_task-Default_run-001_eeg.xdf")
    with pytest.raises(RecordingError, match=r"3 regular streams with samples.*'Muse' of type 'EEG'"):
        read_recording(path)
    assert read_recording(path, "EEG").signal.labels[0] == "TP9"


@pytest.mark.real
def test_a_stream_without_samples_is_refused(real_data):
    path = real_data("xdf/muse/sub-P001_ses-S001_task-Default_run-001_eeg.xdf")
    with pytest.raises(RecordingError, match=r"'Muse' in .* holds no samples"):
        read_recording(path, "PPG")


@pytest.mark.parametrize("suffix", [".mat", ".xdf", ".edf"])
@pytest.mark.parametrize("content", [b"", b"garbage", bytes(5000)])
def test_an_empty_or_damaged_file_is_one_clear_sentence(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as refusal:
        read_recording(path)
    assert f"broken{suffix}" in refusal.value.problem
    assert refusal.value.remedy


@pytest.mark.real
@pytest.mark.parametrize("name", ["limblab_spike_wf_2012/Spike_07-19-12_WF_001.mat", "eegmmidb_S001/S001R06.edf"])
def test_a_truncated_recording_is_refused(real_data, tmp_path, name):
    whole = real_data(name).read_bytes()
    path = tmp_path / f"cut{name[-4:]}"
    path.write_bytes(whole[: len(whole) // 2] if name.endswith(".mat") else whole[:1000])
    with pytest.raises(RecordingError, match="cut"):
        read_recording(path)


def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path):
    with pytest.raises(RecordingError, match="does not exist"):
        read_recording(tmp_path / "no.xdf")
    with pytest.raises(RecordingError, match="no known kind"):
        read_recording(tmp_path / "no.csv")


def test_a_matlab_file_of_another_layout_says_what_it_holds(tmp_path):
    scipy.io.savemat(tmp_path / "other.mat", {"voltage": np.zeros(4)})
    with pytest.raises(RecordingError, match=r"it holds voltage"):
        read_recording(tmp_path / "other.mat")
