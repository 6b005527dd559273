"""What stands in the way of a session, as a state that whoever looks later still finds: why nothing usable arrives."""

from __future__ import annotations

from bci.plan import Plan


def tell_trouble(plan: Plan, kind: str, text: str) -> None:
    """Say what is wrong now, whole or not at all; an empty text: nothing is, any more.

    Parameters
    ----------
    plan : Plan
        Of the session.
    kind : str
        What it is about; each kind has its own state.
    text : str
        One or two sentences with the remedy.
    """
    path = plan.runtime / f"{kind}.trouble"
    if text:
        temporary = path.with_suffix(".part")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    else:
        path.unlink(missing_ok=True)


def read_trouble(plan: Plan, kind: str) -> str:
    """What is wrong now; empty when nothing is."""
    try:
        return (plan.runtime / f"{kind}.trouble").read_text(encoding="utf-8")
    except OSError:
        return ""
