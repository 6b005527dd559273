"""The closed loop in one process against real time: `python -m pytest benchmarks -k simulator`."""

import numpy as np
import pytest

from bci.decoding.velocity import VelocityDecoder
from bci.simulation import regressions
from bci.simulation.laboratory import calibrate, pipeline_of, profile_of

SECONDS = {"compiled": 100.0, "pipeline": 5.0}


@pytest.mark.parametrize("n", [96, 192, 256])
@pytest.mark.parametrize("way", SECONDS)
@pytest.mark.benchmark(group="closed loop with one participant")
def test_simulator(benchmark, way, n):
    loop = regressions.participant(0, 85.0, 0.8, n=n)
    profile = profile_of(loop.population, 85.0, 0.8)
    model = calibrate(loop, profile)
    decoder, pipeline = VelocityDecoder(model, profile.decoder), pipeline_of(profile, model)
    seconds = SECONDS[way]
    if way == "compiled":
        benchmark(loop.run_compiled, decoder, seconds)
    else:
        benchmark(loop.run_pipeline, pipeline, seconds)
    benchmark.extra_info["times_real_time"] = round(seconds / np.median(benchmark.stats.stats.data))
