"""The terminal: what comes from outside (names, labels, markers, paths) is shown as it is, never taken for markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from bci.types import Recording

DAMAGED = 3  # exit code of a command whose recording could be read only in part


class Screen(Console):
    """A console that knows no markup and no names of emoji: square brackets and colons stay what they are."""

    def __init__(self) -> None:
        super().__init__(markup=False, emoji=False, highlight=False)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """The same for the line that says what is being done."""
        return super().status(Text(status) if isinstance(status, str) else status, **options)

    def tell_notes(self, *recordings: Recording) -> int:
        """Say what is wrong with recordings, each thing once; return the exit code."""
        for note in dict.fromkeys(note for recording in recordings for note in recording.notes):
            self.print(f"note: {note}", style="yellow")
        return DAMAGED if any(recording.is_damaged for recording in recordings) else 0


def styled(text: str, style: str) -> Text:
    """Text in a style, where only a part of a line has one."""
    return Text(text, style=style)
