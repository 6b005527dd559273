"""A wire that gives back what is sent: its echo is no answer, and behind it a device is read rightly."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import DRIVERS, LEASE_S, MemoryBench

from bci.console.lists import list_devices
from bci.errors import DeviceError
from drivers.base import ON
from drivers.devices import dynamixel, feetech, fes, node_host, robotiq
from drivers.devices.feetech import READ, Instruction, Reply, encode
from drivers.dialogue.exchange import EchoError, Exchange, converse
from drivers.dialogue.steps import Pause, Request
from drivers.dialogue.transport import Port
from drivers.trial import probe as probe_module
from drivers.trial.probe import probe
from drivers.twins.node import NodeDevice
from drivers.twins.terminal import on_terminal


class Scripted:
    """A port whose answers come in pieces, one at each reading."""

    latency_s = 0.004

    def __init__(self, pieces):
        self.pieces, self.is_told = list(pieces), False

    def read(self):
        return self.pieces.pop(0) if self.is_told and self.pieces else b""

    def write(self, data):
        self.is_told = True


QUESTION = encode(Instruction(1, READ, bytes((56, 2))))
ANSWER = encode(Reply(1, 0, b"\x08\x07"))


def asked(pieces):
    """What a question for two bytes is answered with, when these pieces arrive after it."""
    heard, port = [], Scripted(pieces)
    exchange = Exchange(port, 1_000_000)

    def dialogue():
        return (yield Request(QUESTION, 8, lambda data: feetech.decode(data) or None))

    exchange.begin(dialogue(), heard.append, 0.0)
    for _ in pieces:
        exchange.advance(0.0)
    exchange.advance(1.0)
    return heard[0], exchange


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if b > a]


@given(st.lists(st.integers(0, 100), max_size=5))
def test_an_echo_in_whatever_pieces_is_no_answer_and_the_answer_behind_it_is(places):
    replies, exchange = asked(cut(QUESTION + ANSWER, places))
    assert replies == [Reply(1, 0, b"\x08\x07")]
    assert exchange.is_echoing
    nothing, exchange = asked(cut(QUESTION, places))
    assert nothing is None
    assert (exchange.n_silent, exchange.n_bad) == (1, 0)


@given(st.lists(st.integers(0, 100), max_size=5))
def test_a_wire_without_echo_is_heard_as_it_is(places):
    replies, exchange = asked(cut(ANSWER, places))
    assert replies == [Reply(1, 0, b"\x08\x07")]
    assert not exchange.is_echoing


def echoing(bench, is_alone=False):
    """Tie sending to hearing."""
    feed = bench.twin.feed
    bench.twin.feed = lambda data, now_ms: data + (b"" if is_alone else feed(data, now_ms))
    return bench


@pytest.mark.parametrize("name", DRIVERS)
def test_every_device_behind_an_echo_is_prepared_armed_and_moved_as_without(name):
    bench = echoing(MemoryBench(name)).armed()
    plain = MemoryBench(name).armed()
    assert bench.host.checks == plain.host.checks
    bench.guard(0.4, bench.speeds(0.5))
    plain.guard(0.4, plain.speeds(0.5))
    assert list(bench.twin.positions) == pytest.approx(list(plain.twin.positions), abs=0.02)
    assert bench.host.report.positions == pytest.approx(plain.host.report.positions, abs=0.02)
    assert bench.host.n_bad == 0
    bench.host.stand(bench.now_s)
    bench.host.watch(bench.now_s)
    assert bench.still()
    assert bench.host.phase == ON


@pytest.mark.parametrize("name", DRIVERS)
def test_an_echo_alone_is_no_device(name):
    bench = echoing(MemoryBench(name), is_alone=True)
    bench.guard(0.2)
    assert bench.host.report is None
    bench.host.prepare(LEASE_S, bench.now_s)
    bench.guard(1.5)
    assert bench.host.phase == "off"
    assert "answer" in bench.host.checks[-1].found


class Slow(NodeDevice):
    """A node whose answers come late, or never from its second axis on."""

    def feed(self, data, now_ms):
        answer = super().feed(data, now_ms)
        time.sleep(0.5)
        return answer


def test_opening_a_slow_node_of_four_axes_takes_no_longer_than_is_promised():
    with on_terminal(Slow()) as path:
        begun_s = time.monotonic()
        with pytest.raises(DeviceError, match=r"within 2\.5 s|speaks node"):
            node_host.DRIVER.open({"port": path, "baud": 115200})
        assert time.monotonic() - begun_s < 3.5


def test_a_dialogue_without_end_is_given_up():
    def dialogue():
        while True:
            yield Pause(0.05)

    with on_terminal(Loop()) as path, Port(path, 1_000_000) as port, pytest.raises(DeviceError, match="not done"):
        converse(port, 1_000_000, dialogue())


class Loop:
    """TX tied to RX, and nobody on the wire."""

    axes, positions, is_moving = (), (), False

    def feed(self, data, now_ms):
        return data

    def step(self, now_ms, dt_s):
        pass


@pytest.fixture
def echo_path():
    with on_terminal(Loop()) as path:
        yield path


def test_a_probe_says_that_it_hears_only_itself(echo_path):
    assert "gives back what is sent" in probe(echo_path)


@pytest.mark.parametrize(("vendor", "may_ask", "is_asked"),
                         [(0x0403, False, False), (None, False, False), (0x0403, True, True), (0x2341, False, True),
                          (0x1FFB, True, False)])  # fmt: skip
def test_what_its_usb_id_does_not_name_is_asked_only_on_word(vendor, may_ask, is_asked, echo_path, monkeypatch, capsys):
    written, write = [], Port.write
    monkeypatch.setattr(Port, "write", lambda port, data: written.append(data) or write(port, data))
    monkeypatch.setattr(probe_module, "find_ports", lambda: [probe_module.Found(echo_path, "adapter", vendor, 1)])
    list_devices(may_ask)
    assert bool(written) is is_asked
    assert "adapter" in capsys.readouterr().out


@pytest.mark.parametrize("scan", [feetech.scan, dynamixel.scan, robotiq.scan, fes.scan])
def test_a_scan_tells_an_echo_from_a_device(scan, echo_path):
    with Port(echo_path, 1_000_000) as port, pytest.raises(EchoError, match="gives back what is sent"):
        converse(port, 1_000_000, scan())
