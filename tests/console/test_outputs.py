"""What is written: found out before the work, and spelt so that each terminal can show it."""

import pytest

from bci.console import outputs
from bci.errors import BciError


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path):
    outputs.check_writable(tmp_path / "model.npz", "--model")
    outputs.check_writable(None, "--json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "complaint"),
    [("nowhere/model.npz", "nowhere: No such file"), ("file/model.npz", "file: Not a dir"), (".", "is a folder")],
)
def test_a_place_that_cannot_is_named_with_its_option(tmp_path, place, complaint):
    (tmp_path / "file").touch()
    with pytest.raises(BciError, match=rf"{complaint}.*--model"):
        outputs.check_writable(tmp_path / place, "--model")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r"])
@pytest.mark.parametrize("text", ["grasp → hand × 2 − 1 – 3 … é 日 ‘x’", "\ud800"])
def test_what_an_encoding_lacks_is_spelt_in_what_it_has(encoding, text):
    outputs.speak_plainly()
    said = text.encode(encoding, errors="bci-plain").decode(encoding)
    assert "?" not in said.replace("日", "").replace("?", "", 1)
    if "grasp" in text and encoding != "koi8-r":
        assert "grasp -> hand" in said
