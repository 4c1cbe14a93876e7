"""What init_query makes of a new server.

Owns the looks at the session's settings before and after it, and what follows from them: the values that every session
on such a server starts with and returns to. Refuses the order of the login's steps (`opening`).

pg_settings says of most settings whether the session has set them. It lists neither roles nor custom settings
(`app.tenant`): roles are compared with what they were before, and so are those custom settings that the text of
init_query names.
"""

from __future__ import annotations

from collections.abc import Collection

from tidegate.errors import InitQueryError, PgError
from tidegate.session.scanner import scan_text
from tidegate.session.settings import IDENTITY, look_sql, reset_sql, session_sql, told
from tidegate.wire.postgres import messages

Row = list[bytes | None]

WHERE = "The proxy's init_query failed on a new server connection."
REMEDY = "Correct the setting init_query of the proxy."


class Initialization:
    """One run of an init_query.

    `given`: names of settings that the one client of this connection set by its start-up packet. They are that
    client's own, and go before what init_query says, as they do where servers are shared.
    """

    def __init__(self, init_query: str, given: Collection[str] = ()) -> None:
        self._init_query = init_query.encode()
        self._given = given
        self._names = [*IDENTITY, *sorted(name for name in scan_text(self._init_query).touched if "." in name)]
        self._before: dict[str, bytes | None] = {}
        self._after: dict[str, bytes | None] = {}

    @property
    def queries(self) -> bytes:
        """Three queries in one write: a look, init_query itself, another look."""
        return b"".join(map(messages.query, (look_sql(self._names), self._init_query, session_sql(self._names))))

    def seen_before(self, row: Row) -> None:
        """A row of the first look's answer."""
        self._before[_name(row)] = told(row[1])

    def seen_after(self, row: Row) -> None:
        """A row of the second look's answer."""
        self._after[_name(row)] = told(row[1])

    @property
    def overridden(self) -> list[str]:
        """Settings of the client's own that init_query has changed."""
        return [name for name in self._set() if name in self._given]

    @property
    def restoring(self) -> bytes:
        """The query that gives the client's own values back."""
        return messages.query(b";".join(map(reset_sql, self.overridden)))

    @property
    def initial(self) -> dict[str, bytes]:
        """Name -> value, as the server spells it, of what init_query has set and left."""
        return {name: value for name, value in self._set().items() if name not in self._given}

    def _set(self) -> dict[str, bytes]:
        return {
            name: value
            for name, value in self._after.items()
            if value is not None and (name not in self._before or self._before[name] != value)
        }


def failure(error: PgError) -> InitQueryError:
    """What the clients are told that wait for a server of which init_query has made nothing."""
    detail = f"{WHERE} {error.detail}".rstrip()
    hint = f"{error.hint} {REMEDY}".lstrip()
    return InitQueryError(error.message, error.sqlstate, "ERROR", detail, hint)


def _name(row: Row) -> str:
    return (row[0] or b"").decode("utf-8", "surrogateescape")
