"""`bci display`: the participant's page for a session that runs."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from bci.console.screen import Screen
from bci.display.access import is_loopback
from bci.display.process import serve
from bci.errors import SessionError
from bci.plan import PLAN_FILE, read_plan
from bci.process import StopFlag

BROWSERS = ("chromium", "google-chrome", "chromium-browser", "microsoft-edge")


def run_display(session: Path, address: str, port: int, language: str, kiosk: bool) -> None:
    """Serve the page of a session until Ctrl-C.

    Raises
    ------
    SessionError
        When there is no such session, it is over, the address cannot be had, or there is no browser to open.
    """
    folder = _newest(session)
    plan = read_plan(folder)
    if not plan.runtime.exists():
        raise SessionError(f"The session in {folder} is over.", "Start one, then give its folder.")
    browser = _browser() if kiosk else ""
    console = Screen()
    stop = StopFlag()
    with contextlib.ExitStack() as opened:

        def tell(url: str) -> None:
            console.print(f"participant  {url}", soft_wrap=True, highlight=False)
            if is_loopback(address):
                console.print(f"spectator    {url}spectator", soft_wrap=True, highlight=False)
            else:
                console.print("The address works once: open it on the tablet. The page is not encrypted on its way.")
            console.print("Ctrl-C ends it; the session goes on.")
            if browser:
                _open(browser, url, opened)

        serve(plan, stop, address, port, language, tell)


def _newest(session: Path) -> Path:
    """The folder itself, or the newest session inside it."""
    if (session / PLAN_FILE).exists():
        return session
    inside = sorted(session.glob(f"*/{PLAN_FILE}"))
    if not inside:
        raise SessionError(f"There is no session in {session}.", "Give the session's folder; it is shown at its start.")
    return inside[-1].parent


def _browser() -> str:
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    raise SessionError(
        f"None of {', '.join(BROWSERS)} is installed.", "Open the address by hand, in any browser, and press a key."
    )


def _open(browser: str, url: str, opened: contextlib.ExitStack) -> None:
    """Full screen, with a profile of its own that is deleted afterwards."""
    profile = opened.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    arguments = ["--kiosk", "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"]
    child = subprocess.Popen(
        [browser, *arguments, f"--app={url}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    opened.callback(child.wait)
    opened.callback(child.terminate)
