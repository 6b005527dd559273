"""Files damaged at random are read, with what is wrong, or refused: no traceback, no crash, no stamp that runs back."""

import os

import numpy as np
import pytest
from recordings import cues, emg, signal, write_edf, write_xdf
from scipy.io import savemat

from bci.errors import BciError
from bci.recording.reader import read_recording

N = 400 if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    stamps, values, notes = emg(n_trials=3, start_s=0.0)
    words = {"stamps": [at for at, _ in notes], "values": [[word] for _, word in notes]}
    random = np.random.default_rng(0)
    arm = {"rate": random.poisson(2, (200, 5)).astype(float), "kin": random.normal(size=(200, 4))}
    savemat(folder / "plain.mat", arm)
    savemat(folder / "packed.mat", arm, do_compression=True)
    return {
        "xdf": write_xdf(folder / "a.xdf", signal(stamps=stamps, values=values), cues(**words)).read_bytes(),
        "edf": write_edf(folder / "a.edf", values=values.T, notes=notes).read_bytes(),
        "edf paused": write_edf(folder / "b.edf", values=values.T, notes=notes, kind="EDF+D").read_bytes(),
        "mat": (folder / "plain.mat").read_bytes(),
        "mat packed": (folder / "packed.mat").read_bytes(),
    }


def mutate(data, random):
    """Some bytes changed, the end cut off, zeros, or a stretch taken out; more often near the beginning."""
    b = bytearray(data)
    at = int(random.integers(0, 3000 if random.random() < 0.6 else len(b)))
    match random.integers(4):
        case 0:
            for _ in range(random.integers(1, 8)):
                b[int(random.integers(0, max(at, 1)))] = int(random.integers(256))
        case 1:
            del b[int(random.integers(1, len(b))) :]
        case 2:
            length = len(b[at : at + int(random.integers(1, 2000))])
            b[at : at + length] = bytes(length)
        case _:
            del b[at : at + int(random.integers(1, 300))]
    return bytes(b)


@pytest.mark.parametrize("kind", ["xdf", "edf", "edf paused", "mat", "mat packed"])
def test_a_mutated_file_is_read_or_refused_in_a_sentence(whole, tmp_path, kind):
    random = np.random.default_rng(7)
    path = tmp_path / f"mutated.{kind[:3]}"
    n_read = 0
    for _ in range(N):
        path.write_bytes(mutate(whole[kind], random))
        try:
            recording = read_recording(path)
        except BciError:
            continue
        n_read += 1
        for stamps in (recording.signal.stamps_s, np.array([at for at, _ in recording.markers])):
            assert np.isfinite(stamps).all()
            assert (np.diff(stamps) >= 0).all()
        assert recording.signal.samples.shape[1] == len(recording.signal.labels)
        assert np.isfinite(recording.signal.samples).all() or recording.notes
    assert n_read > 0 or kind == "mat packed"
