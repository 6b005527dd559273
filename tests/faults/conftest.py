"""Every test of a fault names its row, `@pytest.mark.fault("F4")`, and gives the times it measured to `judge`.

After the run the table is printed; when every row was tested it is also written to `docs/safety/fault-table.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulated import chip, emulator, make_chip
from table import FAULTS, LEAST_TRIALS, Result, lines

__all__ = ["chip", "emulator", "judge", "make_chip"]

PAGE = Path(__file__).parents[2] / "docs" / "safety" / "fault-table.md"
HEAD = """# Fault table

Written by `python -m pytest tests/faults`, which breaks each of these things on purpose. Times are from the injection
to the last effect at the device: its pins on an emulated chip, or the trace of its twin's true position, never the log
of the host. The worst of all trials is stated. Which hazard each row controls: [hazards](hazards.md).

"""
RESULTS = pytest.StashKey[dict[str, Result]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = {}


def _result(item: pytest.Item) -> Result | None:
    marker = item.get_closest_marker("fault")
    return None if marker is None else item.config.stash[RESULTS].setdefault(marker.args[0], Result())


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[[Sequence[float]], None]:
    """Judge 20 or more times, in milliseconds, against the bound of the test's row or a stricter one."""
    fault = FAULTS[request.node.get_closest_marker("fault").args[0]]
    result = _result(request.node)

    def judge(times_ms: Sequence[float], bound_ms: float | None = None) -> None:
        bound = fault.bound_ms if bound_ms is None else min(bound_ms, fault.bound_ms or bound_ms)
        assert bound is not None
        assert len(times_ms) >= LEAST_TRIALS
        result.n_trials += len(times_ms)
        result.worst_ms = max([*times_ms, *([] if result.worst_ms is None else [result.worst_ms])])
        assert max(times_ms) <= bound, f"worst {max(times_ms):.1f} ms of {len(times_ms)}, bound {bound:g} ms"

    return judge


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    result = _result(item)
    if result is not None:
        if report.when == "call":
            result.tests.append(item.nodeid)
        result.failed |= report.failed
        result.skipped |= report.skipped
    return report


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    results = config.stash[RESULTS]
    if not results:
        return
    terminalreporter.section("fault table")
    for line in lines(results):
        terminalreporter.write_line(line)
    if all(name in results and results[name].verdict == "holds" for name in FAULTS):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(HEAD + "\n".join(lines(results)) + "\n", encoding="utf-8")
