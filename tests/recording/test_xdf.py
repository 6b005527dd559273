"""What the writer writes, the field's reader reads back to the bit."""

import hashlib
import logging

import numpy as np
import pytest
import pyxdf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bci.recording.xdf import XdfWriter

HEADER = (
    "<?xml version='1.0'?><info><name>{name}</name><type>T</type><channel_count>{n}</channel_count>"
    "<nominal_srate>{rate}</nominal_srate><channel_format>{format}</channel_format><desc/></info>"
)
FORMATS = {"float32": np.float32, "double64": np.float64, "int16": np.int16, "int32": np.int32, "int8": np.int8}


def load(path, **options):
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    streams, _ = pyxdf.load_xdf(path, **options)
    return {stream["info"]["name"][0]: stream for stream in streams}


def write(path, values, stamps, name="signal", kind="double64", rate=50):
    with XdfWriter(path) as writer:
        writer.add_stream(
            1, HEADER.format(name=name, n=values.shape[1], rate=rate, format=kind), np.dtype(FORMATS[kind])
        )
        for part in np.array_split(np.arange(len(values)), 3):
            writer.write_samples(1, values[part], stamps[part])


@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data())
def test_numbers_come_back_to_the_bit(kind, data, tmp_path_factory):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=30))
    values = data.draw(hnp.arrays(FORMATS[kind], shape))
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    stamps = 100 + np.arange(len(values)) / 50
    write(path, values, stamps, kind=kind)
    stream = load(path, synchronize_clocks=False, dejitter_timestamps=False)["signal"]
    np.testing.assert_array_equal(stream["time_series"], values)
    np.testing.assert_array_equal(stream["time_stamps"], stamps)


@given(texts=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=20))
def test_texts_come_back_as_they_were(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    with XdfWriter(path) as writer:
        writer.add_stream(7, HEADER.format(name="cues", n=1, rate=0, format="string"), None)
        writer.write_samples(7, [[text] for text in texts], np.arange(len(texts), dtype=float))
    assert load(path)["cues"]["time_series"] == [[text] for text in texts]


def test_recorded_offsets_bring_another_clock_onto_ours(tmp_path):
    with XdfWriter(tmp_path / "a.xdf") as writer:
        writer.add_stream(1, HEADER.format(name="far", n=1, rate=0, format="double64"), np.dtype(np.float64))
        for i in range(10):
            writer.write_clock_offset(1, 1000.0 + 5 * i, -900.0)
        writer.write_samples(1, np.zeros((2, 1)), np.array([1010.0, 1020.0]))
    np.testing.assert_allclose(load(tmp_path / "a.xdf")["far"]["time_stamps"], [110.0, 120.0], atol=1e-6)


def test_the_sidecar_holds_the_digest_of_the_file(tmp_path):
    path = tmp_path / "a.xdf"
    write(path, np.zeros((5, 2)), np.arange(5.0))
    digest, name = (tmp_path / "a.xdf.sha256").read_text().split()
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert name == "a.xdf"


def test_the_footer_tells_count_and_range(tmp_path):
    write(tmp_path / "a.xdf", np.zeros((5, 2)), 3 + np.arange(5.0))
    footer = load(tmp_path / "a.xdf")["signal"]["footer"]["info"]
    assert footer["sample_count"] == ["5"]
    assert float(footer["first_timestamp"][0]) == 3.0
    assert float(footer["last_timestamp"][0]) == 7.0


def test_a_file_cut_off_by_a_crash_gives_what_was_whole(tmp_path):
    path = tmp_path / "a.xdf"
    values = np.random.default_rng(0).normal(size=(300, 4))
    with XdfWriter(path) as writer:
        writer.add_stream(1, HEADER.format(name="s", n=4, rate=50, format="double64"), np.dtype(np.float64))
        for i in range(0, 300, 10):
            writer.write_samples(1, values[i : i + 10], i / 50 + np.arange(10) / 50)
        writer.mark_boundary()
        crashed = path.read_bytes()
    (tmp_path / "b.xdf").write_bytes(crashed[: len(crashed) * 2 // 3])
    kept = load(tmp_path / "b.xdf", dejitter_timestamps=False)["s"]["time_series"]
    assert 150 < len(kept) < 220
    np.testing.assert_array_equal(kept, values[: len(kept)])


def test_a_recording_is_never_overwritten(tmp_path):
    write(tmp_path / "a.xdf", np.zeros((5, 2)), np.arange(5.0))
    with pytest.raises(FileExistsError):
        XdfWriter(tmp_path / "a.xdf")
