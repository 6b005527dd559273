import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bci.signals.grid import Grid


def split(stamps, rate_hz=50.0, cuts=()):
    grid = Grid(rate_hz)
    chunks = []
    for part in np.split(np.asarray(stamps, dtype=float), cuts):
        chunks += grid.split(part[:, None], part)
    return chunks


def test_an_even_stream_passes_unchanged():
    stamps = 100 + np.arange(50) / 50
    (chunk,) = split(stamps)
    np.testing.assert_allclose(chunk.stamps_s, stamps, atol=1e-9)
    assert chunk.n_lost == 0


@given(n_lost=st.integers(1, 500), at=st.integers(1, 40), rate_hz=st.sampled_from([20.0, 50.0]))
def test_lost_samples_are_counted_where_they_are_missing(n_lost, at, rate_hz):
    ticks = np.arange(60)
    ticks[at:] += n_lost
    chunks = split(ticks / rate_hz, rate_hz)
    assert [chunk.n_lost for chunk in chunks] == [0, n_lost]
    assert len(chunks[0].samples) == at
    np.testing.assert_array_equal(chunks[1].samples[:, 0], ticks[at:] / rate_hz)


def test_a_burst_of_jitter_below_twelve_milliseconds_is_no_gap_at_250_hz():
    random = np.random.default_rng(1)
    stamps = np.arange(5000) / 250 + random.uniform(-0.005, 0.005, 5000)
    (chunk,) = split(stamps, 250.0)
    assert np.all(np.diff(chunk.stamps_s) > 0)
    assert np.max(np.abs(chunk.stamps_s[500:] - np.arange(500, 5000) / 250)) < 0.003


def test_a_source_clock_off_by_a_thousandth_is_followed():
    stamps = np.arange(20000) / 250 * 1.001
    (chunk,) = split(stamps, 250.0)
    assert np.max(np.abs(chunk.stamps_s - stamps)) < 0.001


def test_stamps_that_jump_backwards_never_move_the_grid_backwards():
    stamps = np.concatenate([np.arange(100) / 50, np.arange(90, 200) / 50])
    for chunk in split(stamps):
        assert np.all(np.diff(chunk.stamps_s) > 0)


@given(cuts=st.lists(st.integers(0, 300), max_size=10).map(sorted), seed=st.integers(0, 99))
def test_cutting_the_same_samples_elsewhere_gives_the_same_grid_to_the_bit(cuts, seed):
    random = np.random.default_rng(seed)
    ticks = np.cumsum(random.choice([1, 1, 1, 1, 7], 300))
    stamps = ticks / 50 + random.uniform(-0.003, 0.003, 300)
    whole = split(stamps)
    pieces = split(stamps, cuts=cuts)
    np.testing.assert_array_equal(
        np.concatenate([c.stamps_s for c in whole]), np.concatenate([c.stamps_s for c in pieces])
    )
    assert sum(c.n_lost for c in whole) == sum(c.n_lost for c in pieces)
