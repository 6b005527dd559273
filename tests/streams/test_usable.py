"""That nothing usable arrives is a state with its reason, within two seconds, and ends when something does."""

import time

import pytest

from bci.streams.usable import LEAST_S, Usable


def after(what, seconds=1.5):
    usable = Usable("EMG", 0.15)
    usable.has_changed(100.0)
    what(usable)
    told = [usable.has_changed(100.0 + seconds * i / 100) for i in range(101)]
    assert sum(told) == 1, "told once"
    return usable.trouble


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda u: None, r"No samples come from 'EMG'"),
        (lambda u: u.dropped(-0.8, 99.2), "come 800 ms late"),
        (lambda u: u.wrong_rate(200.0, 256.0), "come at 200.0 Hz, declared are 256 Hz"),
        (lambda u: u.blocks(0.5, 250.0), r"blocks of 500 ms \(125 samples\).*size of the sender to 5 or fewer"),
        (lambda u: u.dropped(time.time() - 100.0, time.time()), r"Unix time \(1\d{9}\.\d+ s\).*LSL says 100\.\d+ s"),
        (lambda u: u.dropped(3600.0, 3700.0), r"a clock of its own \(3700.000 s\).*LSL says 100.000 s"),
        (lambda u: u.dropped(-90.0, 10.0), r"a clock of its own"),
    ],
)
def test_each_reason_has_its_sentence(what, reason):
    import re

    assert re.search(reason, after(what))


def test_it_ends_with_the_first_sample_that_is_used():
    usable = Usable("EMG", 0.15)
    usable.has_changed(0.0)
    assert usable.has_changed(LEAST_S + 0.1)
    assert usable.trouble
    usable.used(2.0)
    assert usable.has_changed(2.0)
    assert usable.trouble == ""
    assert not usable.has_changed(2.5)


def test_what_came_before_anybody_looked_is_no_trouble():
    usable = Usable("EMG", 0.15)
    usable.dropped(-30.0, 70.0)
    assert not usable.has_changed(100.0)
