"""What the participant sees at one moment, told from the streams of the session. Pure: the time is an argument."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Phase = Literal["wait", "watch", "rest", "task", "lost", "end"]

STALE_S = 0.3  # without news for so long, the page says that the signal is lost
NO_RADIUS = 0.1  # of a target, workspaces, where the world does not tell one


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything on the page.

    Attributes
    ----------
    seq : int
        Grows with every change.
    stamp_s : float
        When the world that it shows was published; NaN before the first.
    phase : str
        ``wait`` for the session, ``watch`` a hand that moves by itself, ``rest``, ``task``, ``lost`` signal, ``end``.
    text : str
        For the participant, in large letters.
    position, target : tuple of float
        Workspace units, 0 to 1, one per decoder output.
    radius : float
        Of the target, workspaces.
    assist : float
        0 none to 1 full.
    n_successes, n_trials : int
        Score.
    """

    seq: int = 0
    stamp_s: float = math.nan
    phase: Phase = "wait"
    text: str = ""
    position: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    radius: float = NO_RADIUS
    assist: float = 0.0
    n_successes: int = 0
    n_trials: int = 0

    def to_json(self) -> str:
        """As the page reads it; the stamp stays here."""
        return json.dumps(
            {
                "seq": self.seq,
                "phase": self.phase,
                "text": self.text,
                "position": [round(value, 4) for value in self.position],
                "target": [round(value, 4) for value in self.target],
                "radius": self.radius,
                "assist": round(self.assist, 2),
                "successes": self.n_successes,
                "trials": self.n_trials,
            }
        )


class Storyteller:
    """Keeps the scene up to date.

    Parameters
    ----------
    n_outputs : int
        Decoder outputs, hence dimensions of the workspace.
    texts : dict of str to str
        What the participant reads, in the wanted language.
    """

    def __init__(self, n_outputs: int, texts: dict[str, str]) -> None:
        self._k = n_outputs
        self._texts = texts
        self._said = ""
        self._is_over = False
        self._is_active = False
        self._world: dict[str, Any] = {}
        self._n_successes = self._n_trials = 0
        self._intent_s = math.nan
        self._scene = Scene()

    def world(self, stamp_s: float, values: Sequence[float], labels: Sequence[str]) -> None:
        """Take in one sample of `bci.world`: position, target, active, assist, and a radius where it tells one."""
        k, by_label = self._k, dict(zip(labels, values, strict=False))
        self._is_active = by_label.get("active", 0.0) > 0.5
        self._world = {
            "stamp_s": stamp_s,
            "position": tuple(values[:k]),
            "target": tuple(values[k : 2 * k]),
            "radius": by_label.get("radius", NO_RADIUS),
            "assist": by_label.get("assist", 0.0),
        }

    def cue(self, cue: str) -> None:
        """Take in one text of `bci.cues`; `say TEXT` is meant for the participant, and `say` takes it back."""
        word, _, rest = cue.partition(" ")
        if word == "say":
            self._said = rest
        elif word in ("success", "timeout"):
            self._n_trials += 1
            self._n_successes += word == "success"
        elif word in ("block", "end"):
            self._said, self._is_over = "", word == "end"

    def intent(self, stamp_s: float) -> None:
        """Take in that an intent was decoded from samples of that moment."""
        self._intent_s = stamp_s

    def tell(self, now_s: float) -> Scene:
        """Return the scene of this moment; its `seq` is new when anything that can be seen is."""
        phase = self._phase(now_s)
        is_said = bool(self._said) and phase != "lost"
        scene = Scene(
            phase=phase,
            text=self._said if is_said else self._texts[phase],
            n_successes=self._n_successes,
            n_trials=self._n_trials,
            **self._world,
        )
        if replace(scene, seq=self._scene.seq, stamp_s=0.0) != replace(self._scene, stamp_s=0.0):
            self._scene = replace(scene, seq=self._scene.seq + 1)
        return self._scene

    def _phase(self, now_s: float) -> Phase:
        """Silence of the world, or of a decoder that had begun, is a lost signal."""
        if not self._world:
            return "wait"
        if self._is_over:
            return "end"
        is_watching = self._world["assist"] >= 1.0
        is_deaf = self._is_active and not is_watching and now_s - self._intent_s > STALE_S
        if now_s - self._world["stamp_s"] > STALE_S or is_deaf:
            return "lost"
        if not self._is_active:
            return "rest"
        return "watch" if is_watching else "task"
