"""The advice on streams that match the same profile is followed here, and works."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.profile import Stream
from bci.streams.discover import Found, how_to_choose, matches

ONE = Found("EMG", "EMG", 8, 250.0, "pc", "amp", None)
WORDS = st.sampled_from(["", "amp-A", 'a "quoted" id', "é", "x=1"])


def followed(advice, wanted):
    """The profiles that the advice leads to."""
    lines = advice.removeprefix("Write below [stream] in the profile: ").partition("; for another")[0].rstrip(".")
    return [wanted.model_copy(update=tomllib.loads(line)) for line in lines.split(", or ")]


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=2, max_size=4))
def test_each_line_that_is_advised_chooses_exactly_one(fields):
    fitting = [Found("EMG", kind, 8, 250.0, host, source_id, None) for kind, host, source_id in fields]
    advice = how_to_choose(fitting)
    if advice.startswith("No name"):
        assert "end all but one" in advice
        return
    for wanted in followed(advice, Stream(name="EMG", n_channels=8, rate_hz=250.0)):
        assert sum(matches(stream, wanted) for stream in fitting) == 1


@pytest.mark.parametrize("field", ["source_id", "host", "type"])
def test_what_differs_is_what_is_advised(field):
    pair = [replace(ONE, **{field: "A"}), replace(ONE, **{field: "B"})]
    assert how_to_choose(pair) == f'Write below [stream] in the profile: {field} = "A", or {field} = "B".'


def test_streams_that_differ_in_nothing_are_not_told_to_be_named():
    advice = how_to_choose([ONE, ONE])
    assert "end all but one of them" in advice
    assert "profile" not in advice


def test_one_without_an_id_beside_one_with_an_id():
    advice = how_to_choose([ONE, replace(ONE, source_id="")])
    assert 'source_id = "amp"; for another of them, end all but one' in advice
