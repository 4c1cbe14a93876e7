"""The two ends that a test compares: the database itself and the proxy before it.

Owns addresses and credentials and how to connect with them. Refuses to start anything: the fixtures do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from . import messages as m
from .transcript import Entry, Recorder
from .wire import RawClient

Play = Callable[[Recorder], None]
"""One scripted session: sends, hears, and asserts what must hold on either side."""

Compare = Callable[..., None]


@dataclass(frozen=True)
class Side:
    """Where to connect. `servers` is the number of server connections behind it (for the proxy, its limit)."""

    name: str
    host: str
    port: int
    user: str
    password: str
    database: str
    servers: int

    def open(self, timeout: float = 15.0) -> RawClient:
        """A connected socket on which nothing has been said."""
        return RawClient(self.host, self.port, timeout)

    def login(
        self,
        parameters: Mapping[str, str] | None = None,
        *,
        protocol: int = m.PROTOCOL_3_0,
        timeout: float = 15.0,
        **more: str,
    ) -> RawClient:
        """A session that is ready for queries; raises ServerError when refused."""
        client = self.open(timeout)
        try:
            client.login(self.user, self.database, self.password, protocol, {**(parameters or {}), **more})
        except BaseException:
            client.sock.close()
            raise
        return client

    def url(self, scheme: str = "postgresql", **options: str) -> str:
        """A connection URL as drivers take it."""
        query = f"?{urlencode(options, quote_via=quote)}" if options else ""
        return f"{scheme}://{quote(self.user)}:{quote(self.password)}@{self.host}:{self.port}/{self.database}{query}"

    def environment(self) -> dict[str, str]:
        """libpq's variables, for psql and pgbench."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
            "PGSSLMODE": "disable",
        }


def record(side: Side, play: Play, **parameters: str) -> list[Entry]:
    """Plays one session and returns its transcript."""
    with side.login(parameters) as client:
        recorder = Recorder(client)
        play(recorder)
        return recorder.transcript


@contextlib.contextmanager
def all_servers_held(side: Side) -> Iterator[list[RawClient]]:
    """As many clients as there are servers, each inside a transaction: so none of the servers is lost or taken."""
    holders = [side.login() for _ in range(side.servers)]
    try:
        for holder in holders:
            holder.query("BEGIN")
        yield holders
    finally:
        for holder in holders:
            holder.quit()
