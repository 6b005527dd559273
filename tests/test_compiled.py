"""Where compiled code is kept when the program's own folder, or the account's home, cannot be written to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bci
from bci import compiled
from bci.errors import BciError

CODE = """
import os, sys
import numpy as np
import bci
assert bci.__file__.startswith(sys.argv[1]), bci.__file__
from bci.signals.grid import Grid
print(len(Grid(50.0).split(np.zeros((1, 1)), np.zeros(1))), os.environ["NUMBA_CACHE_DIR"])
"""


@pytest.fixture
def closed(tmp_path):
    """A copy of the program in which no folder takes a cache: also an administrator cannot write below a file."""
    root = tmp_path / "program"
    shutil.copytree(Path(bci.__file__).parent, root / "bci", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [root / "bci", *(path for path in (root / "bci").rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    return root


@pytest.mark.parametrize("imported_before", ["", "import numba"])
def test_kernels_are_compiled_also_where_neither_program_nor_home_can_be_written_to(closed, tmp_path, imported_before):
    (tmp_path / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR",
                   "XDG_CACHE_HOME")} | {"HOME": "/proc", "TMPDIR": str(tmp_path / "tmp"),
                   "PYTHONPATH": str(closed)}  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", imported_before + CODE, str(closed)],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"1 {tmp_path}/tmp/bci-numba-")
    assert list((tmp_path / "tmp").rglob("*.nbi"))


def test_code_that_somebody_else_may_have_written_is_not_run(monkeypatch, tmp_path):
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(
        compiled, "is_writable", lambda folder: folder in (shared, own) and not own.mkdir(exist_ok=True)
    )
    monkeypatch.setattr(compiled, "_fallbacks", lambda: iter((shared, own)))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    assert compiled.ensure_cache() == own


def test_without_any_folder_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(compiled, "is_writable", lambda folder: False)
    with pytest.raises(BciError, match="Set NUMBA_CACHE_DIR"):
        compiled.ensure_cache()
