"""The kernels of the live decoder: what they cost besides time."""

import tracemalloc

import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python as runtime
from synthetic import decoder_of, model_of, neurons

from bci.decoding.adaptation import learn
from bci.decoding.readout import decode


@njit
def decode_and_learn(Y, decoding, learning, n_effective, floor):
    for i in range(len(Y)):
        decode(Y[i], *decoding)
        n_effective = learn(Y[i], 1.0, 0.9999, n_effective, floor, i % Y.shape[1], *learning)


@pytest.mark.parametrize("form", ["full", "diagonal", "low_rank"])
def test_a_bin_allocates_nothing_whether_decoded_or_learned_from(form):
    """Numba counts what kernels allocate: as much for 300 bins as for one, the handles of the arrays given to them."""
    C, v_int, Y = neurons(n=100, n_bins=300)
    decoder = decoder_of(model_of(C, v_int), noise=form)
    decoder.learn(Y[0], (1.0, 0.0), 1.0, 120.0)
    arguments = (decoder.compiled, decoder._learn, decoder._n_effective, decoder._floor)
    decode_and_learn(Y, *arguments)
    runtime.memsys_enable_stats()
    try:
        counts = [runtime.memsys_get_stats_alloc()]
        for bins in (Y[:1], Y):
            decode_and_learn(bins, *arguments)
            counts.append(runtime.memsys_get_stats_alloc())
    finally:
        runtime.memsys_disable_stats()
    assert np.diff(counts)[0] == np.diff(counts)[1] > 0


def test_a_bin_leaves_nothing_behind_in_python():
    C, v_int, Y = neurons(n=400, n_bins=100)
    decoder = decoder_of(model_of(C, v_int))
    intention = (1.0, 0.0)

    def work():
        for y in Y:
            decoder.step(y)
            decoder.learn(y, intention, 1.0, 120.0)

    work()
    tracemalloc.start()
    try:
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < Y[0].nbytes / 2
