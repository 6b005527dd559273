"""The length of the blocks in which samples come."""

import pytest

from bci.streams.blocks import BlockWatch


def watched(rate_hz, arrivals):
    watch = BlockWatch(rate_hz)
    for now_s, n in arrivals:
        watch.count(now_s, n)
    return watch.length_s


@pytest.mark.parametrize("block_s", [0.02, 0.04, 0.2, 0.5, 1.0])
def test_equal_blocks_are_measured_within_four_of_them(block_s):
    n = round(250 * block_s)
    assert watched(250.0, [(i * block_s, n) for i in range(5)]) == pytest.approx(block_s)


def test_a_block_that_the_transport_cuts_is_one():
    arrivals = [(i * 0.5 + 0.001 * piece, 25) for i in range(5) for piece in range(5)]
    assert watched(250.0, arrivals) == pytest.approx(0.5, abs=0.01)


def test_samples_that_come_one_by_one_are_no_block_also_when_nobody_looked_for_a_moment():
    arrivals = [(0.001 * i, 1) for i in range(5000)]
    arrivals = [(t + 0.01 * (t // 0.5), n) for t, n in arrivals]
    assert watched(1000.0, arrivals) < 0.02


def test_a_backlog_after_an_absence_is_no_sender_of_blocks():
    arrivals = [(0.04 * i, 10) for i in range(100)]
    arrivals += [(7.0, 750)] + [(7.0 + 0.04 * i, 10) for i in range(1, 3)]
    assert watched(250.0, arrivals) == pytest.approx(0.04)
