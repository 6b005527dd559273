"""The fault log cannot be altered unseen, and is never in the way."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.guardian.faultlog import FaultLog, read_records, verify


def write(path, n, **options):
    log = FaultLog(path, **options)
    for i in range(n):
        log.write({"to": "HOLD", "reason": f"cause {i} – ä", "command": [0.1, float(i)]}, is_urgent=i % 5 == 0)
    log.close()
    return log


def test_a_log_is_whole_and_goes_on_after_a_restart(tmp_path):
    path = tmp_path / "g.jsonl"
    write(path, 7)
    write(path, 5)
    assert verify(path).n_records == 12
    assert verify(path).problem == ""
    assert [record["n"] for record in read_records(path)] == list(range(1, 13))


@pytest.mark.parametrize("harm", ["change", "remove", "swap", "forge"])
def test_altering_a_record_shows(tmp_path, harm):
    path = tmp_path / "g.jsonl"
    write(path, 9)
    lines = path.read_text().splitlines()
    if harm == "change":
        lines[4] = lines[4].replace("HOLD", "FAULT")
    elif harm == "remove":
        del lines[4]
    elif harm == "swap":
        lines[4], lines[5] = lines[5], lines[4]
    else:
        lines[4] = json.dumps({**json.loads(lines[4]), "to": "ACTIVE"})
    path.write_text("\n".join(lines) + "\n")
    verdict = verify(path)
    assert verdict.problem
    assert verdict.n_records == 4


def test_ten_files_at_most_and_the_chain_goes_through_all(tmp_path):
    path = tmp_path / "g.jsonl"
    write(path, 300, largest_bytes=3000)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 10
    assert all(file.stat().st_size <= 3000 for file in files)
    verdict = verify(path)
    assert verdict.problem == ""
    assert 60 < verdict.n_records < 300
    files[3].unlink()
    assert "missing" in verify(path).problem


def test_a_line_torn_by_a_loss_of_power_does_not_end_the_log(tmp_path):
    path = tmp_path / "g.jsonl"
    write(path, 4)
    with path.open("a") as file:
        file.write('{"n": 5, "to": "FAU')
    write(path, 3)
    assert verify(path).n_records == 7
    assert verify(path).problem == ""


def test_a_full_disk_costs_records_but_stops_nobody(tmp_path):
    """A real limit on the size of files, in a process of its own."""
    path = tmp_path / "g.jsonl"
    code = (
        "import resource, signal, sys; from pathlib import Path; from drivers.guardian.faultlog import FaultLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); soft = 2000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))\n"
        "log = FaultLog(Path(sys.argv[1]))\n"
        "for i in range(30): log.write({'to': 'HOLD', 'i': i}, i % 3 == 0)\n"
        "assert log.n_dropped > 10, log.n_dropped\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "log.write({'to': 'FAULT', 'i': 30}, True); log.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=Path.cwd())
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert verify(path).problem == ""
    last = read_records(path)[-1]
    assert last["i"] == 30
    assert last["n_dropped"] > 10


def test_a_folder_that_is_gone_costs_records_but_stops_nobody(tmp_path):
    log = write(tmp_path / "nowhere" / "g.jsonl", 3)
    assert log.n_dropped == 3
    assert verify(tmp_path / "nowhere" / "g.jsonl").problem
