"""Who may look: this machine; or one tablet, with an address that the operator named and a token that works once."""

from __future__ import annotations

import hmac
import ipaddress
import secrets

from bci.errors import SessionError

COOKIE = "bci_display"


def is_loopback(address: str) -> bool:
    """Whether an address is reachable from this machine only.

    Raises
    ------
    SessionError
        When it is no address.
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError as error:
        raise SessionError(
            f"'{address}' is no IP address.", "Give one of this machine's own, for example 192.168.1.20."
        ) from error


class Door:
    """Decides about every request.

    Parameters
    ----------
    address, port : str, int
        Where the server listens.

    Attributes
    ----------
    token : str
        To be shown to the operator; empty on loopback, where none is needed. The first page that comes with it gets a
        cookie, and the token is worth nothing from then on.
    """

    def __init__(self, address: str, port: int) -> None:
        self.is_local = is_loopback(address)
        self.token = "" if self.is_local else secrets.token_urlsafe(16)
        self._pass = secrets.token_urlsafe(32)
        host = f"[{address}]" if ":" in address else address
        self._hosts = {f"{host}:{port}"} | ({f"localhost:{port}"} if self.is_local else set())

    def knows_host(self, host: str) -> bool:
        """Whether a request was meant for this server: a page of elsewhere that points a name here is refused."""
        return host in self._hosts

    def knows_origin(self, origin: str | None) -> bool:
        """Whether a WebSocket was opened by our own page."""
        return origin is not None and origin.removeprefix("http://") in self._hosts

    def admits(self, cookie: str | None) -> bool:
        """Whether somebody who was let in before comes again."""
        return self.is_local or (cookie is not None and hmac.compare_digest(cookie.encode(), self._pass.encode()))

    def redeem(self, token: str) -> str | None:
        """The cookie for a token; None when it is wrong or was used."""
        if not self.token or not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = ""
        return self._pass
