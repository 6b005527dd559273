"""How far this process sees on the Lab Streaming Layer: set once, before any other call of liblsl."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import pylsl

Scope = Literal["machine", "link"]

N_PORTS = (
    128  # within a machine streams are found by asking port by port; of liblsl's own 32, a third session finds none
)

_configured: list[tuple[str, str]] = []


def configure(scope: str = "machine", session_id: str = "") -> None:
    """Restrict LSL to this machine, or to the local network.

    LSL has neither authentication nor encryption: the machine is the default, the network is an explicit wish.
    A configuration file named by the environment variable ``LSLAPICFG`` wins.

    Parameters
    ----------
    scope : {"machine", "link"}
        How far streams are looked for.
    session_id : str
        Only streams with the same LSL session id see each other; empty: liblsl's default.
    """
    if "LSLAPICFG" in os.environ or _configured:
        return
    _configured.append((scope, session_id))
    pylsl.set_config_content(
        f"[ports]\nIPv6 = disable\nPortRange = {N_PORTS}\n[multicast]\nResolveScope = {scope}\n"
        f"[lab]\nSessionID = {session_id or 'default'}\n[log]\nlevel = -3\n"
    )


def unread_sentence(names: Sequence[str]) -> str:
    """What it means that nobody has found these streams of the session, and what to do about it."""
    file = os.environ.get("LSLAPICFG")
    if file:
        remedy = f"LSLAPICFG names {file}, which keeps the session's processes from each other: mend it, or unset it"
    else:
        remedy = "look whether a firewall, or another program on LSL's ports, stands between processes of this machine"
    return f"{', '.join(names)}: read by nobody, so MISSING IN THE RECORDING and on this screen; {remedy}."
