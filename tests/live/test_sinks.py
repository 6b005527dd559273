"""Intents for other software, as their readers see them."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pylsl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.live.sinks import open_sinks, read_datagram
from bci.profile import parse_profile
from bci.types import Intent

ROOT = Path(__file__).parents[2]
SIMULATED = (ROOT / "configs" / "simulated.toml").read_text(encoding="utf-8")
INTENT = Intent(7, 123.5, (0.25, -0.5, 0.0, 1.0), 1.0, True, 0.75, 0.125, 0.5, 3)


def profile_with(sink):
    return parse_profile(f"{SIMULATED}\n[[sinks]]\n{sink}\n", "sinks")


@pytest.fixture
def reader():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
        reader.bind(("127.0.0.1", 0))
        reader.settimeout(5)
        yield reader


def test_a_reader_gets_every_intent_as_it_was(reader):
    (sink,) = open_sinks(profile_with(f'kind = "udp"\nport = {reader.getsockname()[1]}'))
    sink.send(INTENT)
    got = read_datagram(reader.recv(4096))
    assert (got.index, got.stamp_s, got.velocity, got.is_confident) == (7, 123.5, INTENT.velocity, True)
    assert (got.click, got.hold, got.gate, got.n_clicks) == (0.75, 0.125, 0.5, 3)
    sink.close()


def test_nobody_need_be_there():
    (sink,) = open_sinks(profile_with('kind = "udp"\nport = 9'))
    for _ in range(100):
        sink.send(INTENT)
    sink.close()


def test_the_reader_of_the_documentation_reads_it(reader):
    page = (ROOT / "docs" / "reference" / "devices.md").read_text(encoding="utf-8")
    program = re.search(r"```python reader\n(.*?)```", page, re.DOTALL)[1]
    port = reader.getsockname()[1]
    reader.close()
    process = subprocess.Popen(
        [sys.executable, "-c", program.replace("17571", str(port))], stdout=subprocess.PIPE, text=True
    )
    (sink,) = open_sinks(profile_with(f'kind = "udp"\nport = {port}'))
    line = ""
    try:
        for _ in range(500):  # until the reader has bound its port
            sink.send(INTENT)
            if process.poll() is not None:
                break
            try:
                line = process.communicate(timeout=0.02)[0]
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        process.kill()
        process.wait()
    assert line.split() == ["7", "(0.25,", "-0.5,", "0.0,", "1.0)", "True"]


@given(st.binary(max_size=120))
def test_what_is_no_datagram_of_ours_is_refused(data):
    assert read_datagram(data) is None or data[:4] == b"bciI"


def test_an_lsl_reader_finds_the_stream_by_its_name_with_labels_and_stamps():
    (sink,) = open_sinks(profile_with('kind = "lsl"\nname = "game"'))
    (info,) = pylsl.resolve_byprop("name", "game", timeout=5)
    inlet = pylsl.StreamInlet(info)
    inlet.open_stream(timeout=5)
    assert inlet.info().get_channel_labels()[:4] == ["vx", "vy", "vz", "grasp"]
    assert info.source_id() == "bci-simulated-game"
    sample = None
    for _ in range(100):
        sink.send(INTENT)
        sample, stamp_s = inlet.pull_sample(timeout=0.1)
        if sample:
            break
    assert sample == [0.25, -0.5, 0.0, 1.0, 0.75, 0.125, 0.5, 3.0, 1.0, 7.0]
    assert stamp_s == pytest.approx(123.5)
    sink.close()
