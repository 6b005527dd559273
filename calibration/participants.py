"""Where a participant's calibrations are kept, and what a participant may be called."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from bci.errors import SessionError
from calibration.procedure import MODEL_FILE
from calibration.wizard import STATE_FILE

PSEUDONYM = re.compile(r"[A-Za-z]{1,3}[-_]?[0-9]{1,6}")
CALIBRATIONS = "calibrations"


def check_pseudonym(name: str) -> str:
    """The name, when it is a pseudonym: up to three letters and a number.

    Raises
    ------
    SessionError
        Explaining why nothing else is taken.
    """
    if not PSEUDONYM.fullmatch(name):
        raise SessionError(
            f"'{name}' is no pseudonym. It names folders, recordings and reports, which must not tell who somebody is.",
            "Use up to three letters and a number, such as P01 or sub-07, and keep the list of names elsewhere.",
        )
    return name


@dataclass(frozen=True)
class Home:
    """The folder of a participant for one profile.

    Attributes
    ----------
    folder : Path
        Holds the accepted model and all calibrations.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """The model of the last accepted calibration."""
        return self.folder / MODEL_FILE

    def calibrations(self) -> list[Path]:
        """Calibrations with a state, oldest first."""
        return sorted(path.parent for path in self.folder.glob(f"{CALIBRATIONS}/*/{STATE_FILE}"))

    def new_calibration(self) -> Path:
        """Make the folder of another calibration."""
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        folder = self.folder / CALIBRATIONS / f"{stamp}-{secrets.token_hex(2)}"
        try:
            self.folder.parent.parent.mkdir(parents=True, exist_ok=True)
            self.folder.parent.mkdir(mode=0o700, exist_ok=True)  # all that is kept of this person
            folder.mkdir(parents=True)
        except OSError as error:
            raise SessionError(
                f"The folder {folder} cannot be made: {error.strerror}.", "Choose another with --participants."
            ) from error
        return folder


def home_of(root: Path, participant: str, profile_name: str) -> Home:
    """The folder of a participant.

    Raises
    ------
    SessionError
        When the name is no pseudonym.
    """
    return Home((root / check_pseudonym(participant) / profile_name).absolute())
