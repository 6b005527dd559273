"""What comes out of a stimulator, whatever comes in: judged at the pulses that its twin gave."""

import random
from itertools import pairwise

import pytest
from guarded import Guarded

from bci.types import Intent
from drivers.guardian.machine import ACTIVE

N_TRIALS = 20
FREQUENCY_HZ, CEILING_MA, WIDTH_US = 40.0, 12.0, 200
INTENT_S = 0.005


@pytest.mark.fault("F38")
def test_neither_the_rate_nor_the_size_of_intents_reaches_the_skin(tmp_path, monkeypatch):
    guarded = Guarded("fes", tmp_path, monkeypatch, step_s=0.001)
    pulses, random_ = guarded.twin.pulses, random.Random(38)
    for _ in range(N_TRIALS):
        guarded.arm()
        n_before, until_s = len(pulses), guarded.now_s + random_.uniform(0.8, 1.2)
        while guarded.now_s < until_s:  # 200 a second, each full effort
            guarded.index += 1
            guarded.post.inbox.append(Intent(guarded.index, guarded.now_s, (1e6,), 1.0, True))
            for _ in range(round(INTENT_S / guarded.step_s)):
                guarded.tick()
        assert guarded.state == ACTIVE
        given = pulses[n_before:]
        assert len(given) >= 20
        assert max(b[2] - a[2] for a, b in pairwise([(0, 0, 0.0, 0.0), *given])) <= CEILING_MA / 20 + 0.5
    guarded.close()
    assert min(b[0] - a[0] for a, b in pairwise(pulses)) >= 1000 / FREQUENCY_HZ - 1
    assert max(current for _, _, current, _ in pulses) <= CEILING_MA
    assert all(left_uc == 0.0 for *_, left_uc in pulses)
    for first_ms, *_ in pulses:
        charge_uc = sum(i * WIDTH_US / 1000 for ms, _, i, _ in pulses if first_ms <= ms < first_ms + 1000)
        assert charge_uc <= CEILING_MA * WIDTH_US / 1000 * (FREQUENCY_HZ + 1)
