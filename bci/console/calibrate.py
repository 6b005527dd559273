"""`bci calibrate`: guide a participant from the first signal to accepted control."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bci.configs import find_profile
from bci.console.keys import key_presses
from bci.console.screen import Screen
from bci.console.watch import DRAW_EVERY_S, ends_on_sigterm
from bci.console.wizard_view import draw_wizard, gate_text, verdict_line, what_follows
from bci.decoding.model import load_model
from bci.errors import ModelError
from bci.live.control import ask
from bci.live.session import Session
from bci.live.trouble import read_trouble
from bci.plan import Calibration, Display, Rehearsed, create_plan
from bci.profile import Profile, load_profile
from bci.streams.latest import LatestSamples
from bci.streams.network import configure
from calibration.catalogue import Catalogue
from calibration.participants import Home, home_of
from calibration.procedure import MODEL_FILE
from calibration.program import Phase, make_program, paradigm_of
from calibration.report import write_report
from calibration.wizard import Outcome, State, failed_gates, freshened, load_state, next_phase, save_state

WORDS = {" ": "pause", "\n": "continue", "\r": "continue", "q": "leave"}
LEAVE_S = 5.0


@dataclass(frozen=True)
class Wish:
    """What the operator asked for on the command line."""

    participant: str
    profile: str
    participants: Path
    language: str = "en"
    is_quick: bool = False
    is_new: bool = False
    rehearse: str | None = None
    seed: int = 1
    pace: float = 1.0
    network: bool = False
    recording: bool = True
    display: bool = False


def calibrate(wish: Wish) -> int:
    """Run a calibration to its end or until it is left; 0 accepted, 3 not accepted, 1 left before."""
    console, texts = Screen(), Catalogue(wish.language)
    path = find_profile(wish.profile)
    profile = load_profile(path)
    kind = profile.name if wish.rehearse is None else f"{profile.name}-rehearsal"  # never in the place of a person's
    home = home_of(wish.participants, wish.participant, kind)
    prior = _prior(home, wish)
    folder, state = _open(home, profile, wish)
    if state.attempts:
        console.print(f"{texts['ui.resumed']} {texts[f'phase.{state.attempts[-1].phase}.title']}")
    lsl_session_id = ""
    if wish.rehearse is not None:
        lsl_session_id = (
            f"rehearsal-{secrets.token_hex(4)}"  # out of sight: nobody is to be calibrated with its signals
        )
        stream = profile.stream.model_copy(update={"source_id": lsl_session_id})
        profile = profile.model_copy(update={"stream": stream})
    calibration = Calibration(
        participant=wish.participant,
        folder=folder,
        prior=prior,
        paradigm=state.paradigm,
        is_quick=state.is_quick,
        is_attended=console.is_terminal and sys.stdin.isatty(),
        seed=wish.seed,
        language=wish.language,
        rehearsed=None if wish.rehearse is None else Rehearsed(quality=wish.rehearse, seed=wish.seed, pace=wish.pace),
    )
    scope = "link" if wish.network else "machine"
    plan = create_plan(
        folder,
        profile,
        lsl_scope=scope,
        lsl_session_id=lsl_session_id,
        is_recorded=wish.recording,
        calibration=calibration,
        display=Display(language=wish.language) if wish.display else None,
    )
    configure(plan.lsl_scope, plan.lsl_session_id)
    session = Session(plan, "")
    try:
        with ends_on_sigterm():
            with console.status(f"{texts['ui.starting']}: '{profile.stream.name}'"):
                session.start()
            with session:
                if wish.display:
                    console.print(f"{texts['ui.page']}: {session.display_url}", soft_wrap=True, highlight=False)
                guide = Guide(session, texts, folder, wish)
                try:
                    guide.show(console)
                finally:
                    guide.close()
                    session.close()
    finally:
        outcome = _conclude(console, texts, home, folder, profile, wish)
    return {Outcome.ACCEPTED: 0, Outcome.REJECTED: 3, Outcome.OPEN: 1}[outcome]


class Guide:
    """The operator's side of a running calibration: the screen, and the keys.

    Parameters
    ----------
    session : Session
        Running.
    texts : Catalogue
        The operator's language.
    folder : Path
        Of the calibration.
    wish : Wish
        What was asked for.
    """

    def __init__(self, session: Session, texts: Catalogue, folder: Path, wish: Wish) -> None:
        self.session, self._texts, self._folder = session, texts, folder
        state = load_state(folder)
        self.program = program_of(session.plan.profile, state)
        rehearsal = f" ({wish.rehearse})" if wish.rehearse else ""
        page = f" · {session.display_url}" if wish.display else ""
        self._title = f"{state.participant} · {session.plan.profile.name}{rehearsal}{page}"
        self._wizard = LatestSamples(f"bci-{session.plan.session_id}-wizard")
        self._status: dict[str, Any] = {}
        self._n_told = len(state.attempts)
        self._trouble = ""

    def show(self, console: Console) -> None:
        """Show it until it is over, or until the operator leaves with q or Ctrl-C."""
        pressed: deque[str] = deque()
        with key_presses(pressed.extend):
            if not console.is_terminal:
                self._follow(console, None, pressed)
                return
            with Live(console=console, auto_refresh=False, screen=True) as live:
                self._follow(console, live, pressed)

    def close(self) -> None:
        """Stop reading."""
        self._wizard.close()

    def _follow(self, console: Console, live: Live | None, pressed: deque[str]) -> None:
        drawn_s = 0.0
        leaving_s: float | None = None
        while not self.session.is_over:
            self.session.check()
            while pressed:
                key = pressed.popleft()
                if key in WORDS:
                    ask(self.session.plan.runtime, WORDS[key])
                if key == "q":
                    leaving_s = time.monotonic()
            if leaving_s is not None and time.monotonic() - leaving_s > LEAVE_S:
                return
            for _, values in self._wizard.pull():
                self._status = json.loads(values[0])
            if time.monotonic() - drawn_s >= DRAW_EVERY_S:
                drawn_s = time.monotonic()
                self._draw(console, live)
            time.sleep(0.02)
        self._draw(console, live)
        self.session.check()  # over, or dead?

    def _draw(self, console: Console, live: Live | None) -> None:
        attempts = load_state(self._folder).attempts
        trouble = self._status.get("trouble") or read_trouble(self.session.plan, "recording")
        if live is not None:
            status = {**self._status, "trouble": trouble}
            live.update(draw_wizard(self._texts, self._title, self.program, attempts, status), refresh=True)
            return
        if trouble != self._trouble:
            self._trouble = trouble
            console.print(Text(trouble or self._texts["ui.found"]), soft_wrap=True)
        for n, attempt in enumerate(attempts[self._n_told :], self._n_told + 1):
            console.print(verdict_line(self._texts, attempt).plain, soft_wrap=True)
            for result in failed_gates(attempt):
                console.print(f"  {self._texts[f'gate.{result.measure}.advice']}", soft_wrap=True)
            follows = "" if attempt.is_passed else what_follows(self._texts, self.program, attempts[:n])
            if follows:
                console.print(f"  {follows}", soft_wrap=True)
        self._n_told = len(attempts)


def program_of(profile: Profile, state: State) -> tuple[Phase, ...]:
    """The steps of a calibration; the gates' limits do not depend on the stream."""
    from bci.signals.features import Extractor

    labels = profile.stream.channels or tuple(f"ch{i + 1}" for i in range(profile.stream.n_channels))
    n_features = Extractor(profile.features, labels, profile.stream.rate_hz).n_features
    return make_program(profile, state.paradigm, n_features, is_quick=state.is_quick)


def _prior(home: Home, wish: Wish) -> Path | None:
    """The participant's last model: a quick recalibration never begins from nothing."""
    if not wish.is_quick:
        return None
    if not home.model.exists():
        raise ModelError(f"There is no model of {wish.participant} yet.", "Calibrate without --quick first.")
    load_model(home.model)
    return home.model


def _open(home: Home, profile: Profile, wish: Wish) -> tuple[Path, State]:
    """The calibration to go on with, or a new one."""
    calibrations = [] if wish.is_new else home.calibrations()
    for folder in reversed(calibrations[-1:]):
        state = load_state(folder)
        is_open = next_phase(program_of(profile, state), state.attempts)[1] is Outcome.OPEN
        if is_open and state.profile_hash == profile.hash and state.is_quick == wish.is_quick:
            state = freshened(state, time.time())
            save_state(folder, state)
            return folder, state
    folder = home.new_calibration()
    state = State(wish.participant, profile.name, profile.hash, paradigm_of(profile), wish.is_quick)
    save_state(folder, state)
    return folder, state


def _conclude(console: Console, texts: Catalogue, home: Home, folder: Path, profile: Profile, wish: Wish) -> Outcome:
    """Say how it ended; put an accepted model in its place, and write the report."""
    state = load_state(folder)
    outcome = next_phase(program_of(profile, state), state.attempts)[1]
    if outcome is Outcome.OPEN:
        console.print(texts["ui.kept"])
        if not state.attempts:
            return outcome
    if outcome is Outcome.ACCEPTED:
        accepted = folder / MODEL_FILE
        if not accepted.exists():
            raise ModelError(f"The accepted model is missing in {folder}.", "Calibrate again.")
        temporary = home.model.with_suffix(".part")
        shutil.copyfile(accepted, temporary)
        temporary.replace(home.model)
        settings = load_model(home.model).tuned(profile.decoder)
        console.print(texts["ui.accepted"], style="bold green")
        console.print(f"{texts['ui.tuned']}: {settings.tau_ms:.0f} ms, {settings.beta:.2f}")
        console.print(f"{texts['ui.model']}: {home.model}", soft_wrap=True)
        console.print(f"{texts['ui.use_it']}: bci run {wish.profile} --model {home.model}", soft_wrap=True)
    elif outcome is Outcome.REJECTED:
        console.print(texts["ui.rejected"], style="bold red")
        console.print(f"{texts['ui.rejected_why']}:")
        for result in failed_gates(state.attempts[-1]):
            console.print(f"  {gate_text(texts, result)}", soft_wrap=True)
        if home.model.exists():
            console.print(texts["ui.old_model"])
    report = write_report(folder, profile, state, outcome, texts, is_rehearsal=wish.rehearse is not None)
    console.print(f"{texts['ui.report']}: {report}", soft_wrap=True)
    return outcome
