"""What can go wrong at the boundary; every message says what, where, and what to do.

Inside the real-time loop nothing raises: it degrades in steps, and each step is an event.
"""

from __future__ import annotations


class BciError(Exception):
    """Anything the operator can act on; the command line prints it without a traceback.

    Parameters
    ----------
    problem : str
        What is wrong and where, in one sentence.
    remedy : str, optional
        What to do about it, in one sentence.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy


class ProfileError(BciError):
    """A profile has wrong, missing or contradictory fields."""


class StreamError(BciError):
    """A stream is absent, ambiguous, or not what the profile and the model expect."""


class RecordingError(BciError):
    """A recording is missing, empty, truncated or in a layout that is not known."""


class ModelError(BciError):
    """A model file is damaged or does not fit the stream, the features or the device."""


class DeviceError(BciError):
    """A device or its port is absent, busy, gone, or answers what it should not."""


class SessionError(BciError):
    """A session's process could not start, died, or did not stop."""


class ArgumentError(ModelError, ValueError):
    """An array or a setting that a function was given does not fit: its shape, its type, its range."""
