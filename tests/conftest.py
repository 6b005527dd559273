"""What every test may ask for: the real recordings, and a Lab Streaming Layer of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench

settings.register_profile("dev", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Shut this run, and every process it starts, into a Lab Streaming Layer of its own.

    liblsl reads LSLAPICFG once, before its first call: so before any test module is imported.
    """
    folder = Path(config.cache.mkdir("lsl"))  # type: ignore[union-attr]
    settings_file = folder / f"lsl_api_{os.getpid()}.cfg"
    settings_file.write_text(
        "[ports]\nIPv6 = disable\nPortRange = 128\n[multicast]\nResolveScope = machine\n"
        f"[lab]\nSessionID = test-{uuid.uuid4().hex}\n[log]\nlevel = -3\n",
        encoding="utf-8",
    )
    os.environ["LSLAPICFG"] = str(settings_file)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is installed, a skipped test of ours is a failure: BCI_SKIP_NOTHING says that it is.

    The checks that scikit-learn generates skip what they find no use for, and are left to it.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    ours = [report for report in skipped if "conventions_of_scikit_learn" not in report.nodeid]
    if os.environ.get("BCI_SKIP_NOTHING") and ours:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    Path(os.environ["LSLAPICFG"]).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Path of a file or folder among the real recordings; skips, with the reason, where they are absent."""
    root = Path(os.environ.get("BCI_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"real recording '{name}' is not at {root}; set BCI_TEST_DATA to the folder that holds it")
        return path

    return find


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A device twin on a pseudo-terminal, and everything to guard and drive it."""
    with tempfile.TemporaryDirectory(prefix="bci-test-") as folder:  # a short path: socket addresses are short
        bench = Bench(Path(folder))
        try:
            bench.start_twin()
            yield bench
        finally:
            bench.close()
