"""A stop that was latched is remembered on disk: by the participant's profile, and by the identity of each device."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.base import Check

PROBE = ".writable"


class StopMemory:
    """Files in one folder, all of which say the same: one is enough to be stopped.

    Parameters
    ----------
    folder : Path
        Of this account.
    names : sequence of str
        Whose stop it is, as names of files without their ending.

    Attributes
    ----------
    complaint : str
        Why a stop would not survive a restart; empty when it would.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._files = [folder / f"{name}.json" for name in names]
        self.complaint = ""

    def is_latched(self) -> bool:
        """Whether somebody stopped and nobody has reset it; also when that cannot be known."""
        for file in self._files:
            try:
                file.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return True
            return True
        return False

    def keep(self, reason: str) -> bool:
        """Write it down; false when the disk refuses, and it is latched only in this process and in the device."""
        record = {"utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "reason": reason}
        self.complaint = ""
        for file in self._files:
            try:
                if not file.exists():
                    with file.open("w", encoding="utf-8") as opened:
                        opened.write(json.dumps(record) + "\n")
                        opened.flush()
                        os.fsync(opened.fileno())
            except OSError as error:
                self.complaint = f"{self._folder}: {error.strerror}"
        return not self.complaint

    def release(self) -> None:
        """Forget it; where the disk refuses, the next session begins stopped."""
        for file in self._files:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

    def check(self) -> Check:
        """Try whether a stop could be written down."""
        probe = self._folder / PROBE
        try:
            probe.write_text("", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            found = f"a stop would be forgotten by the next session: {self._folder}: {error.strerror}"
            return Check(
                "memory of stops", False, found, "Make the folder writable, or name another by XDG_STATE_HOME."
            )
        return Check("memory of stops", True, "a stop survives a restart")
