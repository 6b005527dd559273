"""A stream has the channels that it sends; its description is believed only where it fits them."""

import pylsl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.errors import StreamError
from bci.profile import Stream
from bci.streams.channels import check_channels, labels_of


def info(n, labels, units=(), rate_hz=250.0):
    described = pylsl.StreamInfo("EMG", "EMG", n, rate_hz, pylsl.cf_float32, "amp")
    channels = described.desc().append_child("channels")
    for i, label in enumerate(labels):
        channel = channels.append_child("channel")
        if label is not None:
            channel.append_child_value("label", label)
        if i < len(units):
            channel.append_child_value("unit", units[i])
    return described


def wanted(n=8, **fields):
    return Stream(**{"name": "EMG", "n_channels": n, "rate_hz": 250.0, **fields})


NUMBERED = tuple(f"ch{i + 1}" for i in range(8))


@given(n=st.integers(1, 12), labels=st.lists(st.sampled_from(["", None, "C3", "C4", "E1", "ch2"]), max_size=16))
def test_there_are_never_more_or_fewer_labels_than_channels(n, labels):
    described = info(n, labels)
    assert len(labels_of(described)) == n
    try:
        columns, chosen = check_channels(wanted(n), described)
    except StreamError:
        return
    assert columns is None
    assert len(chosen) == len(set(chosen)) == n


@pytest.mark.parametrize("n_described", [1, 6, 10, 80])
def test_a_description_of_another_number_of_channels_is_refused_with_both_numbers(n_described):
    described = info(8, [f"E{i}" for i in range(n_described)])
    with pytest.raises(StreamError, match=rf"labels {n_described} channels and it sends 8.*channels = \["):
        check_channels(wanted(), described)
    with pytest.raises(StreamError, match="it has no channels E1"):
        check_channels(wanted(channels=("E1",)), described)


@pytest.mark.parametrize("labels", [["E1"] * 8, [f"E{i}" for i in range(6)], [f"E{i}" for i in range(10)]])
def test_the_channels_of_such_a_stream_are_read_by_number_when_the_profile_wants_that(labels):
    assert check_channels(wanted(channels=("ch8", "ch2")), info(8, labels)) == ([7, 1], ("ch8", "ch2"))


def test_a_stream_without_labels_has_numbers_and_single_missing_ones_are_filled():
    assert check_channels(wanted(), info(8, [])) == (None, NUMBERED)
    assert check_channels(wanted(), info(8, [None] * 8)) == (None, NUMBERED)
    assert labels_of(info(3, ["C3", None, "C4"])) == ("C3", "ch2", "C4")


def test_units_are_those_of_the_chosen_channels():
    described = info(3, ["C3", "AUX", "C4"], ["microvolts", "volts", "microvolts"])
    stream = wanted(3, unit="microvolts")
    with pytest.raises(StreamError, match="its unit is volts"):
        check_channels(stream, described)
    chosen = stream.model_copy(update={"channels": ("C4", "C3")})
    assert check_channels(chosen, described)[0] == [2, 0]
    with pytest.raises(StreamError, match="its unit is no unit"):
        check_channels(stream, info(3, []))


@pytest.mark.parametrize(("rate_hz", "is_taken"), [(250.0, True), (249.98, True), (0.0, True), (256.0, False)])
def test_a_rate_that_is_not_declared_is_the_profiles_until_it_is_measured(rate_hz, is_taken):
    described = info(8, [], rate_hz=rate_hz)
    if is_taken:
        check_channels(wanted(), described)
    else:
        with pytest.raises(StreamError, match="its rate is 256 Hz"):
            check_channels(wanted(), described)
