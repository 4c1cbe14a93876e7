"""Clients that have sent an IAM token and wait for what the supervisor says of it.

Owns who waits, and for how long. Refuses to verify: only the supervisor holds keys, or may call STS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.errors import PgError, Sqlstate
from tidegate.proxy.control import Message, TokenVerdict, VerifyToken

if TYPE_CHECKING:
    from tidegate.engine.loop import Loop
    from tidegate.proxy.login import ClientLogin

PATIENCE = 15.0
"""Seconds that a verdict may take; a call of STS is the longest part."""


def iam_refused(user: str) -> PgError:
    """What a client is told, whatever the reason: only the log says more."""
    return PgError(
        f'IAM authentication failed for the role "{user}"; check the IAM token for this role and try again',
        Sqlstate.INVALID_PASSWORD,
        "FATAL",
    )


def no_credentials(user: str) -> PgError:
    """What a client is told whose user's secret could not be read."""
    return PgError(
        f'this proxy has no credentials for the role "{user}"; check the credentials for this role and try again',
        Sqlstate.INVALID_AUTHORIZATION,
        "FATAL",
    )


class IamLogins:
    """One worker's."""

    def __init__(self, loop: Loop, tell: Callable[[Message], None], log: Callable[[str, str], None]) -> None:
        """`log`: takes the user and the reason of a refusal."""
        self._loop = loop
        self._tell = tell
        self._log = log
        self._waiting: dict[int, ClientLogin] = {}
        self._serial = 0

    def verify(self, login: ClientLogin, proxy: str, token: str, source: str) -> None:
        """Have the token judged; `login.token_judged` follows. `source`: the client's address."""
        self._serial += 1
        serial = self._serial
        self._waiting[serial] = login
        self._tell(VerifyToken(serial=serial, proxy=proxy, user=login.user, token=token, source=source))
        self._loop.call_later(PATIENCE, lambda: self._judged(serial, "no verdict came in time"))

    def told(self, verdict: TokenVerdict) -> None:
        """The supervisor's answer."""
        self._judged(verdict.serial, verdict.refusal)

    def _judged(self, serial: int, refusal: str) -> None:
        login = self._waiting.pop(serial, None)
        if login is None:
            return
        if refusal:
            self._log(login.user, refusal)
        login.client.resume_login(lambda: login.token_judged(not refusal))
