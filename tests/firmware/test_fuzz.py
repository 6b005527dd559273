"""Frames that nobody sent, and lives of devices, in plain and in sanitised builds. `fuzz.py` runs longer ones."""

import shutil
import zlib

import pytest
from fuzz import fuzz, lives, sanitized

from drivers.devices import node
from drivers.devices.node import Receiver

N_FRAMES, N_SANITIZED = 1_000_000, 50_000


def test_no_frame_that_was_not_sent_is_accepted_by_either_codec(core):
    figures = fuzz(core, N_FRAMES, seed=1)
    assert figures.n_frames == N_FRAMES
    assert (figures.accepted_by_c, figures.accepted_by_python, figures.n_answers) == (0, 0, 0)


def test_the_same_frames_would_find_a_codec_that_ignores_the_checksum(core, monkeypatch):
    decode = node.decode
    monkeypatch.setattr(node, "decode", lambda raw: decode(raw[:-4] + zlib.crc32(raw[:-4]).to_bytes(4, "little")))
    assert fuzz(core, 20_000, seed=1).accepted_by_python > 1_000


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
    life = lives(core, N_SANITIZED, 3)
    assert sanitized(compiler, N_SANITIZED, 3, tmp_path) == [0, 0, 0, *life.figures()]
    assert life.n_wrong == 0
