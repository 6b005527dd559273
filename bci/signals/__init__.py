"""Signal kernels: causal, stateful, the same bits however the samples are cut into chunks."""

from bci.compiled import ensure_cache

ensure_cache()
