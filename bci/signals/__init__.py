"""Signal kernels: causal, stateful, the same bits however the samples are cut into chunks."""
