"""Frames that nobody sent, and lives of devices, in plain and in sanitised builds. `fuzz.py` runs longer ones."""

import shutil
import subprocess

import pytest
from fuzz import fuzz
from node_core import compile_bench

from drivers.node import Receiver

N_FRAMES = 40_000


def test_no_frame_that_was_not_sent_is_accepted_by_either_codec(core):
    figures = fuzz(core, N_FRAMES, seed=1, with_python=True)
    assert figures.n_frames == N_FRAMES
    assert (figures.accepted_by_c, figures.accepted_by_python, figures.n_answers) == (0, 0, 0)


def test_whatever_happens_between_good_frames_a_device_takes_only_what_is_new_and_sent(core):
    life = core.lives(seed=2, n_lives=40, n_frames=2000)
    assert life.n_wrong == 0
    assert life.n_unsent > 10_000
    assert life.n_replayed > 10_000
    assert life.n_answers > 40_000  # and it is not refused what was good
    assert life.n_active > 2_000


@pytest.mark.parametrize("stream", [b"\xff" * 4096, bytes(4096), b"\1" * 4096, bytes(range(256)) * 16])
def test_after_any_stream_the_next_frame_is_understood(core, stream):
    good = core.seal(b"\1\1\1\0\0\0\0\0" + b"abcd")
    device = core.device()
    assert device.feed(stream + b"\0", 5) == b""
    assert len(Receiver().feed(device.feed(good, 6))) == 1


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_address_and_undefined_behaviour_sanitisers_find_nothing_in_the_same_corpus(core, compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}: apt-get install {compiler} (clang needs libclang-rt-14-dev too)")
    program = tmp_path / "bench"
    checks = "-fsanitize=address,undefined"
    compile_bench(program, "-g", "-O1", checks, "-fno-sanitize-recover=all", "-DBENCH_PROGRAM", compiler=compiler)
    result = subprocess.run([program, "3", str(N_FRAMES)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[:2000]
    life = core.lives(3, 20, N_FRAMES // 20)
    words = [getattr(life, name) for name, _ in life._fields_]
    assert result.stdout.split() == ["0", "0", "0", *map(str, words)]
    assert life.n_wrong == 0
