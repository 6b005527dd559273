import numpy as np
import pytest

from bci.live.latency import LatencyLog


def test_intervals_are_measured_between_the_points_that_were_reached():
    log = LatencyLog(100)
    for i in range(50):
        log.decoded(i, i * 0.02, i * 0.02 + 0.001, i * 0.02 + 0.002)
        if i % 2:
            log.actuated(i, i * 0.02 + 0.003, i * 0.02 + 0.005)
    assert log.interval("sample", "intent").p50_ms == pytest.approx(2.0)
    acknowledged = log.interval("sample", "acknowledged")
    assert acknowledged.n_bins == 25
    assert acknowledged.max_ms == pytest.approx(5.0)


def test_the_log_never_grows_and_late_reports_of_forgotten_bins_are_ignored():
    log = LatencyLog(10)
    for i in range(25):
        log.decoded(i, 0.0, 0.0, 0.001)
    log.actuated(3, 1.0, 2.0)
    assert log.interval("sample", "sent").n_bins == 0
    assert sorted(log.index) == list(range(15, 25))


def test_a_saved_log_is_in_order(tmp_path):
    log = LatencyLog(10)
    for i in range(13):
        log.decoded(i, float(i), i + 0.001, i + 0.002)
    log.save(tmp_path / "latency.npz")
    with np.load(tmp_path / "latency.npz") as saved:
        assert saved["index"].tolist() == list(range(3, 13))
        assert saved["points"].tolist() == ["sample", "arrival", "intent", "sent", "acknowledged"]


def test_nothing_measured_is_not_a_number():
    assert np.isnan(LatencyLog(5).interval("sample", "intent").p50_ms)
