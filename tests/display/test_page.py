"""The page in a real browser, fed by a real session's streams through a real server."""

from __future__ import annotations

import io
import shutil
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from pylsl import local_clock
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bci.configs import find_profile
from bci.display.texts import texts_in
from bci.live.children import start_child, wait_until_ready
from bci.plan import Display, create_plan
from bci.profile import load_profile
from bci.streams.latest import LatestSamples
from bci.streams.outlet import open_marker_outlet, open_outlet

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no browser (Debian: apt install chromium)")
TARGET, CURSOR = (230, 159, 0), (86, 180, 233)
WIDTH, HEIGHT = 960, 600
SIDE = 0.72 * HEIGHT
TEXTS = texts_in("en")


class Show:
    """A display process and the streams of a session that it reads."""

    def __init__(self, folder: Path, *, port: int = 0, address: str = "127.0.0.1") -> None:
        profile = load_profile(find_profile("intracortical_rates"))
        self.plan = create_plan(folder, profile, display=Display(address=address, port=port))
        labels = ["vx", "vy", "target_vx", "target_vy", "active", "assist"]
        self._world = open_outlet("bci.world", "World", labels, ["1"] * 6, self._id("world"))
        self._intents = open_outlet("bci.intents", "Intents", ["vx", "vy"], ["1/s"] * 2, self._id("intents"))
        self._cues = open_marker_outlet("bci.cues", self._id("cues"))
        self.start()

    def start(self) -> None:
        """Start the display process."""
        self.plan.ready_file("display").unlink(missing_ok=True)
        self.child = start_child("display", ["bci.display.process", str(self.plan.folder)], self.plan.folder)
        wait_until_ready(self.child, self.plan.ready_file("display"), 20.0)
        self.url = self.plan.ready_file("display").read_text()
        while not (self._world.have_consumers() and self._cues.have_consumers() and self._intents.have_consumers()):
            time.sleep(0.01)

    def world(self, position, target, *, active=1.0, assist=0.0) -> None:
        """Publish one world, and an intent of the same moment."""
        now_s = local_clock()
        self._intents.push_sample(np.zeros(2), now_s)
        self._world.push_sample(np.array([*position, *target, active, assist]), now_s)

    def cue(self, text: str) -> None:
        """Publish one cue."""
        self._cues.push_sample([text])

    def play(self, position, target, seconds: float, **flags: float) -> None:
        """Go on publishing the same world."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.world(position, target, **flags)
            time.sleep(0.02)

    def close(self) -> None:
        """End the process."""
        self.child.stop()
        shutil.rmtree(self.plan.runtime, ignore_errors=True)

    def _id(self, name: str) -> str:
        return f"bci-{self.plan.session_id}-{name}"


@pytest.fixture
def show(tmp_path):
    show = Show(tmp_path)
    yield show
    show.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, show):
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(show.url)
    yield page
    page.close()


class Player:
    """Publishes a world over and over while the browser is looked at."""

    def __init__(self, show, position, target, **flags):
        self._stop = threading.Event()
        self._arguments = (position, target), flags
        self._thread = threading.Thread(target=self._play, args=(show,))

    def _play(self, show):
        (position, target), flags = self._arguments
        while not self._stop.wait(0.02):
            show.world(position, target, **flags)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def centre_of(page, colour):
    """Middle of everything of one colour on the screen, in workspace units."""
    pixels = matplotlib.image.imread(io.BytesIO(page.screenshot()), format="png")[..., :3] * 255
    rows, columns = np.nonzero(np.abs(pixels - np.array(colour)).max(axis=2) < 12)
    assert len(rows), "nothing of this colour is on the screen"
    x = ((columns.min() + columns.max()) / 2 - (WIDTH - SIDE) / 2) / SIDE
    y = 1.0 - ((rows.min() + rows.max()) / 2 - (HEIGHT - SIDE) / 2) / SIDE
    return x, y


@needs_browser
@pytest.mark.parametrize(("position", "target"), [((0.2, 0.3), (0.8, 0.7)), ((0.75, 0.25), (0.3, 0.5))])
def test_hand_and_target_are_where_the_world_says(show, page, position, target):
    with Player(show, position, target):
        page.wait_for_selector('body[data-phase="task"]')
        page.wait_for_timeout(200)
        assert centre_of(page, TARGET) == pytest.approx(target, abs=0.01)
        assert centre_of(page, CURSOR) == pytest.approx(position, abs=0.01)


@needs_browser
def test_every_change_is_drawn_and_the_recording_learns_when(show, page):
    reader = LatestSamples(f"bci-{show.plan.session_id}-display")
    while not reader.is_open:
        time.sleep(0.01)
    show.world((0.1, 0.1), (0.5, 0.5))
    page.wait_for_selector('body[data-phase="task"]')
    reader.pull()
    for i in range(100):
        show.world((0.1 + 0.008 * i, 0.1), (0.5, 0.5))
        time.sleep(0.02)
    time.sleep(0.3)
    rows = [values for _, values in reader.pull()]
    reader.close()
    p50_ms, p95_ms, p99_ms = 1e3 * np.percentile([row[2] for row in rows], [50, 95, 99])
    print(f"\nsent to drawn: p50 {p50_ms:.1f} ms, p95 {p95_ms:.1f} ms, p99 {p99_ms:.1f} ms ({len(rows)} scenes)")
    scenes = [row[0] for row in rows]
    assert len(rows) > 50  # the others were overtaken by a newer one before the screen's next refresh
    assert scenes == sorted(set(scenes))
    assert all(0.0 < row[2] < 1.0 for row in rows)


@needs_browser
def test_silence_shows_a_calm_sentence_and_the_next_sample_ends_it(show, page):
    with Player(show, (0.2, 0.3), (0.8, 0.7)):
        page.wait_for_selector('body[data-phase="task"]')
    page.wait_for_selector('body[data-phase="lost"]', timeout=2000)
    assert page.inner_text("#text") == TEXTS["lost"]
    with Player(show, (0.2, 0.3), (0.8, 0.7)):
        page.wait_for_selector('body[data-phase="task"]')


@needs_browser
def test_a_page_survives_the_death_of_its_server_and_goes_on_with_the_next(tmp_path, browser):
    first = Show(tmp_path)
    port = int(first.url.rstrip("/").rpartition(":")[2])
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(first.url)
    page.wait_for_selector(f'#text:text-is("{TEXTS["wait"]}")')
    first.child.popen.kill()
    first.child.popen.wait()
    page.wait_for_selector(f'#text:text-is("{TEXTS["away"]}")', timeout=3000)
    second = Show(tmp_path, port=port)
    with Player(second, (0.2, 0.3), (0.8, 0.7)):
        page.wait_for_selector('body[data-phase="task"]', timeout=10000)
    page.close()
    first.close()
    second.close()


@needs_browser
def test_nothing_flickers_when_a_target_is_reached(show, page):
    """Brightness turns round at most twice: up at the success, down again, slowly (WCAG 2.3.1 allows three flashes)."""
    with Player(show, (0.5, 0.5), (0.5, 0.5)):
        page.wait_for_selector('body[data-phase="task"]')
        page.evaluate("""() => { window.levels = []; const look = () => {
            const c = document.getElementById('world'), p = c.getContext('2d');
            const d = p.getImageData(c.width / 2 - 60, c.height / 2 - 60, 120, 120).data;
            let s = 0; for (let i = 0; i < d.length; i += 16) s += d[i] + d[i + 1] + d[i + 2];
            window.levels.push(s * 16 / d.length); requestAnimationFrame(look); }; look(); }""")
        show.cue("success 1 reach")
        page.wait_for_timeout(1500)
    levels = np.array(page.evaluate("window.levels"))
    steps = np.diff(levels)
    turns = np.sign(steps[np.abs(steps) > 1.0])
    assert levels.max() > levels[0] + 5  # the success is seen
    assert np.count_nonzero(np.diff(turns)) <= 1


@needs_browser
def test_a_participant_who_wants_no_motion_gets_none(show, browser):
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
    page.goto(show.url)
    with Player(show, (0.2, 0.2), (0.8, 0.8)):
        page.wait_for_selector('body[data-phase="task"]')
        before = page.screenshot(clip={"x": 300, "y": 100, "width": 360, "height": 400})
        show.cue("success 1 reach")
        page.wait_for_selector('#score:text-is("1")')
        assert page.screenshot(clip={"x": 300, "y": 100, "width": 360, "height": 400}) == before
    page.close()


@needs_browser
def test_words_for_the_participant_are_large_and_high_in_contrast(show, page):
    show.cue("say Close your hand")
    with Player(show, (0.2, 0.2), (0.8, 0.8), active=0.0):
        page.wait_for_selector('#text:text-is("Close your hand")')
        size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('#text')).fontSize)")
        colours = page.evaluate(
            "[document.querySelector('#text'), document.body].map((e, i) => "
            "getComputedStyle(e)[i ? 'backgroundColor' : 'color'].match(/\\d+/g).slice(0, 3).map(Number))"
        )
    assert size >= 0.08 * HEIGHT
    light, dark = (luminance(colour) for colour in colours)
    assert (light + 0.05) / (dark + 0.05) >= 7.0  # WCAG 2.2, 1.4.6


def luminance(colour):
    """Relative luminance by WCAG 2.2."""
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


@needs_browser
def test_the_spectator_sees_numbers_and_the_participant_none(show, page, browser):
    spectator = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    spectator.goto(show.url + "spectator")
    with Player(show, (0.2, 0.3), (0.8, 0.7)):
        for each in (page, spectator):
            each.wait_for_selector('body[data-phase="task"]')
        spectator.wait_for_selector("#numbers:not([hidden])")
        assert "0.20  0.30" in spectator.inner_text("#numbers")
        assert page.is_hidden("#numbers")
    spectator.close()


def code_of_the_end(socket):
    """Read until the other side closes; why it did."""
    try:
        while True:
            socket.recv(timeout=5)
    except ConnectionClosed as closed:
        return closed.rcvd.code


def test_a_page_that_says_anything_but_drawn_is_shut_out(show):
    host = show.url.removeprefix("http://").rstrip("/")
    for word in ('{"arm": 1}', "stop", '{"drawn": 1, "arm": 2}', "[1]"):
        with connect(f"ws://{host}/scenes", origin=f"http://{host}") as socket:
            socket.send(word)
            assert code_of_the_end(socket) == 1008  # policy violation


def test_a_page_of_elsewhere_may_not_look(show):
    host = show.url.removeprefix("http://").rstrip("/")
    with pytest.raises(InvalidStatus):
        connect(f"ws://{host}/scenes", origin="http://evil.example")
    request = urllib.request.Request(show.url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403


def test_a_port_in_use_is_refused_in_one_sentence(show, tmp_path):
    port = int(show.url.rstrip("/").rpartition(":")[2])
    plan = create_plan(tmp_path, show.plan.profile, display=Display(port=port))
    child = start_child("display", ["bci.display.process", str(plan.folder)], plan.folder)
    assert child.popen.wait(20) == 1
    assert child.complaint() == (
        f"The display cannot listen on 127.0.0.1, port {port}: Address already in use. "
        "Choose another port, or an address of this machine."
    )
