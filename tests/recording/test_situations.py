"""Files that laboratories really have: read right, or refused with the true reason."""

import json
import os
import signal as signals

import numpy as np
import pytest
from recordings import CUES, LABELS, STAMPS, VALUES, cues, emg, profile, signal, write_edf, write_xdf
from scipy.io import savemat
from scipy.sparse import csc_matrix

from bci.errors import RecordingError
from bci.recording.joining import join_recordings
from bci.recording.reader import read_recording
from calibration.evaluation import evaluate_plain, evaluate_profile
from calibration.offline import fit_recording

GOOD_CC = 0.9


def cc_of(path, wanted, test=None):
    held_out = None if test is None else read_recording(test, "", wanted)
    return evaluate_profile(read_recording(path, "", wanted), wanted, held_out).scores[0].cc


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_xdf(tmp_path_factory.mktemp("good") / "good.xdf", signal(), cues())


class TestSignalAgainstProfile:
    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"name": "ECG"}, r"no stream 'EMG'.*which the profile names; its streams: 1: 'ECG'"),
            ({"type": "EEG"}, r"no stream 'EMG' with type 'EMG'.*'EMG' of type 'EEG'"),
            ({"unit": "volts"}, "its unit is volts, the profile expects microvolts"),
            ({"unit": ""}, "its unit is no unit, the profile expects microvolts"),
            ({"labels": ["EMG"] * 8}, "channel labels repeat: EMG"),
            ({"rate": 256}, "its rate is 256 Hz, the profile expects 250 Hz"),
            (
                {"stamps": 100 + np.arange(len(STAMPS)) / 200},
                r"its samples come at 200\.0 Hz, declared are 250 Hz",
            ),
            ({"labels": LABELS[:6]}, None),
        ],
    )
    def test_what_differs_is_named_as_it_is_live(self, tmp_path, change, complaint):
        path = write_xdf(tmp_path / "a.xdf", signal(**change), cues())
        wanted = profile(('markers = "Cues"', 'markers = "Cues"\nunit = "microvolts"'))
        if complaint is None:
            recording = read_recording(path, "", wanted)
            assert recording.signal.labels == tuple(f"ch{i + 1}" for i in range(8))
            assert "describes 6: its labels are not used" in recording.notes[0]
            return
        with pytest.raises(RecordingError, match=complaint):
            fit_recording(read_recording(path, "", wanted), wanted, {})

    def test_only_the_marker_stream_of_the_profile_is_used(self, tmp_path, good):
        random = np.random.default_rng(5)
        at = sorted(100 + random.uniform(0, 96, 40))
        other = cues(name="Keyboard", id="k", stamps=at, values=[[["close", "open"][i % 2]] for i in range(40)])
        path = write_xdf(tmp_path / "two.xdf", signal(), cues(), other)
        assert cc_of(path, profile()) == cc_of(good, profile()) > GOOD_CC
        assert list(read_recording(path, "", profile()).other_markers) == ["Keyboard"]
        for name, complaint in (
            ("", "2 marker streams, 'Cues', 'Keyboard', and the profile names none"),
            ('markers = "Mouse"', "no marker stream 'Mouse'; it has 'Cues', 'Keyboard'"),
        ):
            with pytest.raises(RecordingError, match=complaint):
                cc_of(path, profile(('markers = "Cues"', name)))

    def test_the_channels_of_another_day_are_found_by_their_names(self, tmp_path, good):
        stamps, values, _ = emg(seed=3)
        order = [4, 5, 6, 7, 0, 1, 2, 3]
        same = write_xdf(tmp_path / "same.xdf", signal(stamps=stamps, values=values), cues())
        moved = signal(stamps=stamps, values=values[:, order], labels=[LABELS[i] for i in order])
        turned = write_xdf(tmp_path / "turned.xdf", moved, cues())
        other = write_xdf(tmp_path / "other.xdf", moved | {"labels": [f"X{i}" for i in range(8)]}, cues())
        assert cc_of(good, profile(), turned) == cc_of(good, profile(), same) > GOOD_CC - 0.05
        with pytest.raises(RecordingError, match="has no channels E1, E2"):
            cc_of(good, profile(), other)

    def test_two_amplifiers_of_one_make_are_told_apart_and_an_empty_stream_does_not_count(self, tmp_path):
        noise = np.random.default_rng(9).normal(size=VALUES.shape)
        twins = write_xdf(tmp_path / "twins.xdf", signal(id="b", values=noise, host="far"), signal(id="a"), cues())
        wanted = profile(('type = "EMG"', 'type = "EMG"\nsource_id = "a"'))
        for recording in (
            read_recording(twins, "", wanted),
            read_recording(twins, "a"),
            read_recording(twins, "here"),
            read_recording(twins, "2"),
        ):
            np.testing.assert_allclose(recording.signal.samples, VALUES, rtol=1e-5)
        with pytest.raises(RecordingError, match=r"2 regular streams called 'EMG'.*1: 'EMG'.*id 'b'"):
            read_recording(twins, "EMG")
        restarted = write_xdf(tmp_path / "again.xdf", signal(stamps=[], values=[]), signal(), cues())
        assert len(read_recording(restarted, "EMG").signal.samples) == len(STAMPS)

    def test_cues_of_another_clock_are_named_with_both_times(self, tmp_path):
        path = write_xdf(tmp_path / "a.xdf", signal(), cues(stamps=[at + 1e6 for at, _ in CUES]))
        with pytest.raises(RecordingError, match=r"cues lie at 1000102\.0 to .* signal at 100\.0 to 200\.0 s"):
            fit_recording(read_recording(path, "", profile()), profile(), {})

    def test_cues_after_the_end_of_the_signal_are_counted(self, tmp_path):
        path = write_xdf(tmp_path / "a.xdf", signal(), cues(stamps=[at + 50 for at, _ in CUES]))
        (note,) = read_recording(path, "", profile()).notes
        assert note.startswith("12 of 24 cues lie outside the signal: cues at 152.0 to 244.0 s, signal at 100.0 to")

    def test_several_days_are_learned_from_as_one(self, tmp_path, good):
        stamps, values, _ = emg(seed=4)
        order = [4, 5, 6, 7, 0, 1, 2, 3]
        second = write_xdf(
            tmp_path / "b.xdf",
            signal(stamps=stamps, values=values[:, order], labels=[LABELS[i] for i in order]),
            cues(),
        )
        days = [read_recording(path, "", profile()) for path in (good, second)]
        joined = join_recordings(days)
        assert len(joined.markers) == 2 * len(CUES)
        np.testing.assert_allclose(joined.signal.samples[len(STAMPS) :], values, rtol=1e-5)
        both, one = (fit_recording(r, profile(), {})[0].n_effective for r in (joined, days[0]))
        assert both == pytest.approx(2 * one, rel=0.02)


class TestMarkers:
    @pytest.mark.parametrize("kind", ["int32", "double64"])
    def test_numbers_are_cues_too(self, tmp_path, kind, good):
        codes = {"close": 1, "open": 2, "rest": 3}
        path = write_xdf(tmp_path / "n.xdf", signal(), cues(format=kind, values=[[codes[w]] for _, w in CUES]))
        wanted = profile(("close = ", "1 = "), ("open = ", "2 = "), ("rest = ", "3 = "))
        assert cc_of(path, wanted) == cc_of(good, profile())

    def test_the_channel_with_the_cues_is_found_or_named(self, tmp_path, good):
        rows = [[str(i), word, "open"] for i, (_, word) in enumerate(CUES)]
        path = write_xdf(tmp_path / "c.xdf", signal(), cues(values=[r[:2] for r in rows], labels=["trial", "word"]))
        assert cc_of(path, profile()) == cc_of(good, profile())
        path = write_xdf(tmp_path / "d.xdf", signal(), cues(values=rows, labels=["trial", "word", "last"]))
        with pytest.raises(RecordingError, match=r"several channels of the marker stream: word, last"):
            read_recording(path, "", profile())
        for name in ("word", "2"):
            named = profile(('"Cues"', f'"Cues"\nmarker_channel = "{name}"'))
            assert cc_of(path, named) == cc_of(good, profile())

    def test_the_key_of_a_json_marker_is_found_or_named(self, tmp_path, good):
        rows = [[json.dumps({"event": word, "trial": i, "then": "rest"})] for i, (_, word) in enumerate(CUES)]
        path = write_xdf(tmp_path / "j.xdf", signal(), cues(values=rows))
        with pytest.raises(RecordingError, match="several keys of the markers: event, then"):
            read_recording(path, "", profile())
        named = profile(('"Cues"', '"Cues"\nmarker_key = "event"'))
        assert cc_of(path, named) == cc_of(good, profile())


class TestStreamsOfNumbers:
    def test_one_that_declares_no_rate_is_used_where_it_is_even(self, tmp_path, good):
        path = write_xdf(tmp_path / "i.xdf", signal(rate=0), cues())
        assert cc_of(path, profile()) > GOOD_CC
        uneven = np.sort(np.random.default_rng(0).uniform(100, 200, len(STAMPS)))
        path = write_xdf(tmp_path / "u.xdf", signal(rate=0, stamps=uneven), cues())
        with pytest.raises(RecordingError, match="comes at no even rate, and declares none"):
            read_recording(path, "EMG")


class TestDamage:
    @pytest.mark.parametrize("where", ["end", "hole", "cut"])
    def test_what_is_whole_is_read_and_what_is_lost_is_said(self, tmp_path, good, where):
        data = good.read_bytes()
        k, j = int(len(data) * 0.7), int(len(data) * 0.4)
        damaged = {
            "end": data[:k] + bytes(len(data) - k),
            "hole": data[:j] + bytes(3000) + data[j + 3000 :],
            "cut": data[:k],
        }
        path = tmp_path / "damaged.xdf"
        path.write_bytes(damaged[where])
        recording = read_recording(path, "", profile())
        assert recording.is_damaged
        assert "The file is damaged" in recording.notes[0]
        n = len(recording.signal.samples)
        lost = len(STAMPS) - n
        assert 0 < lost < 0.35 * len(STAMPS)
        assert f"'EMG' {n:,} samples were read" in recording.notes[1]
        if where == "hole":
            assert f"{lost:,} are lost" in recording.notes[1]
        kept = np.searchsorted(STAMPS, recording.signal.stamps_s - 0.002)
        np.testing.assert_allclose(recording.signal.samples, VALUES[kept], rtol=1e-5)
        assert cc_of(path, profile()) > GOOD_CC - 0.1

    def test_a_recording_that_was_changed_since_is_told_by_its_digest(self, tmp_path):
        path = write_xdf(tmp_path / "a.xdf", signal(), cues())
        assert read_recording(path).notes == ()
        path.write_bytes(path.read_bytes().replace(b"microvolts", b"millivolts"))
        assert "digest differs" in read_recording(path).notes[0]


class TestEdf:
    def test_pauses_are_gaps_and_cues_stay_with_their_samples(self, tmp_path):
        _, values, notes = emg(start_s=0.0)
        whole = write_edf(tmp_path / "whole.edf", values=values.T, notes=notes)
        pauses = {42: 10.0, 62: 10.0}
        onsets = [r + sum(p for at, p in pauses.items() if r >= at) for r in range(len(values) // 250)]
        moved = [(t + sum(p for at, p in pauses.items() if t >= at), word) for t, word in notes]
        paused = write_edf(tmp_path / "d.edf", values=values.T, notes=moved, onsets=onsets, kind="EDF+D")
        recording = read_recording(paused, "", profile())
        assert np.sum(np.diff(recording.signal.stamps_s) > 5) == 2
        assert len(recording.markers) == len(notes)
        assert "paused 2 times, 20.0 s" in recording.notes[0]
        assert cc_of(whole, profile()) > GOOD_CC
        assert cc_of(paused, profile()) > cc_of(whole, profile()) - 0.03

    def test_channels_of_another_rate_are_left_out_and_not_interpolated(self, tmp_path):
        _, values, notes = emg(start_s=0.0)
        channels = [*values.T[:7], np.zeros(2 * len(values))]
        path = write_edf(tmp_path / "m.edf", [*LABELS[:7], "AUX"], channels, [250] * 7 + [500], notes)
        recording = read_recording(path)
        assert recording.signal.rate_hz == 250.0
        assert recording.signal.labels == tuple(LABELS[:7])
        assert recording.notes == ("Channels of other rates are left out: AUX (500 Hz).",)
        named = profile(('"Cues"', f'"Cues"\nchannels = {json.dumps(LABELS[:7])}'))
        assert cc_of(path, named) > GOOD_CC

    def test_annotations_in_latin_1_are_read_and_told(self, tmp_path):
        path = write_edf(tmp_path / "l.edf", notes=[(1.0, "geöffnet")], encoding="latin-1")
        recording = read_recording(path)
        assert recording.markers == ((1.0, "geöffnet"),)
        assert "Latin-1" in recording.notes[0]

    def test_a_file_that_ends_early_says_how_many_records_are_lost(self, tmp_path):
        path = write_edf(tmp_path / "e.edf")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        recording = read_recording(path)
        assert recording.is_damaged
        assert "data records of 1 s were read" in recording.notes[0]

    def test_values_are_those_that_mne_reads(self, tmp_path):
        import mne

        path = write_edf(tmp_path / "v.edf")
        raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
        np.testing.assert_allclose(read_recording(path).signal.samples, raw.get_data().T * 1e6, atol=1e-6)


def moving(n=1500):
    """Counts of 30 units that follow a velocity, and x, y, vx, vy."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(n + 9, 2))
    velocity = np.column_stack([np.convolve(column, np.ones(10), "valid") for column in noise.T])
    counts = random.poisson(np.exp(1 + 0.05 * velocity @ random.normal(size=(2, 30))).clip(0, 20)).astype(float)
    return counts, np.hstack([np.cumsum(velocity, axis=0) * 0.07, velocity])


class TestMatlab:
    rate, kin = moving()
    velocity = kin[:, 2:]
    n = len(rate)

    def save(self, folder, rate, kin, **more):
        savemat(folder / "day.mat", {"rate": rate, "kin": kin, **more})
        return read_recording(folder / "day.mat")

    def test_trials_in_cells_are_joined_with_gaps(self, tmp_path):
        def cells(a):
            out = np.empty(3, dtype=object)
            out[:] = [a[:400], a[400:1000], a[1000:]]
            return out

        recording = self.save(tmp_path, cells(self.rate), cells(self.kin))
        np.testing.assert_array_equal(recording.signal.samples, self.rate)
        assert np.flatnonzero(np.diff(recording.signal.stamps_s) > 0.5).tolist() == [399, 999]
        assert "3 trials" in recording.notes[0]

    def test_any_number_of_kinematic_columns_is_decoded(self, tmp_path):
        six = np.c_[self.kin, self.velocity]
        for kin, names in (
            (self.velocity, ("k1", "k2")),
            (six, ("x", "y", "vx", "vy", "k5", "k6")),
            (self.kin[:, :1], ("k1",)),
        ):
            evaluation = evaluate_plain(self.save(tmp_path, self.rate, kin))
            assert tuple(score.axis for score in evaluation.scores) == names
            assert np.isfinite([score.cc for score in evaluation.scores]).all()
            assert (evaluation.position_mse is None) == (names[0] != "x")
        recording = self.save(tmp_path, self.rate, self.velocity, kin_names=np.array(["vx", "vy"], dtype=object))
        assert recording.kinematics.names == ("vx", "vy")

    def test_sparse_counts_one_unit_and_missing_numbers_are_read(self, tmp_path):
        assert evaluate_plain(self.save(tmp_path, csc_matrix(self.rate), self.kin)).scores[2].cc > 0.5
        assert self.save(tmp_path, self.rate[:, :1], self.kin).signal.samples.shape == (self.n, 1)
        hole = self.rate.copy()
        hole[100:110, 3] = np.nan
        recording = self.save(tmp_path, hole, self.kin)
        assert len(recording.signal.samples) == self.n - 10
        assert np.sum(np.diff(recording.signal.stamps_s) > 0.1) == 1
        assert "10 bins in which a number is missing" in recording.notes[0]

    def test_a_file_of_the_other_format_says_how_to_save_it(self, tmp_path):
        (tmp_path / "day.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
        with pytest.raises(RecordingError, match=r"saved with -v7\.3.*save it with -v7") as refusal:
            read_recording(tmp_path / "day.mat")
        assert "truncated" not in str(refusal.value)

    def test_a_file_that_would_crash_the_reader_is_refused(self, tmp_path, monkeypatch):
        self.save(tmp_path, self.rate, self.kin)
        monkeypatch.setattr("bci.recording.matlab.loadmat", lambda path: os.kill(os.getpid(), signals.SIGSEGV))
        with pytest.raises(RecordingError, match="so damaged that reading it ends the process"):
            read_recording(tmp_path / "day.mat")

    def test_a_transposed_matrix_is_named(self, tmp_path):
        with pytest.raises(RecordingError, match=r"30 bins of counts and 1500 of kinematics"):
            self.save(tmp_path, self.rate.T, self.kin)


class TestPaths:
    @pytest.mark.parametrize("suffix", [".mat", ".xdf", ".edf", ".bdf", ".fif", ".set", ".vhdr", ".gdf"])
    def test_zeros_are_never_called_truncated(self, tmp_path, suffix):
        path = tmp_path / f"zeros{suffix}"
        path.write_bytes(bytes(5000))
        with pytest.raises(RecordingError) as refusal:
            read_recording(path)
        assert "truncated" not in str(refusal.value)
        assert refusal.value.remedy

    def test_a_misspelt_name_and_a_folder_tell_what_is_there(self, tmp_path, good):
        (tmp_path / "day1.xdf").write_bytes(good.read_bytes())
        with pytest.raises(RecordingError, match=r"does not exist; there is day1\.xdf"):
            read_recording(tmp_path / "day2.xdf")
        with pytest.raises(RecordingError, match=r"is a folder and no session.*day1\.xdf"):
            read_recording(tmp_path)


def test_a_fif_file_has_microvolts_cues_and_a_gap_where_it_was_paused(tmp_path):
    import mne

    info = mne.create_info(["C3", "C4"], 100.0, "eeg")
    raw = mne.io.RawArray(np.random.default_rng(0).normal(size=(2, 2000)) * 1e-5, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([2.0, 5.0], [0.0, 3.0], ["left", "BAD_ACQ_SKIP"]))
    raw.save(tmp_path / "day_raw.fif", verbose="ERROR")
    recording = read_recording(tmp_path / "day_raw.fif")
    assert recording.signal.labels == ("C3", "C4")
    assert recording.signal.unit == "microvolts"
    assert np.std(recording.signal.samples) == pytest.approx(10, rel=0.1)
    assert recording.markers == ((2.0, "left"),)
    assert np.sum(np.diff(recording.signal.stamps_s) > 2.9) == 1
