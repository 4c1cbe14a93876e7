"""A client's CREATE, DROP or ALTER DATABASE, held until nothing of the proxy's own is in its way.

Owns the statement's wait, from its arrival to the end of its transaction. Refuses to read it (`session.databases`), to
know what PostgreSQL checks and says (`session.occupied`), and to close connections (`vacating`).

PostgreSQL refuses such a statement while others are connected to its database, after it has waited PATIENCE for them to
go. A client of the proxy is connected, whether or not a server works for it. So the statement is sent

- as soon as there is neither a client nor a server connection of the proxy's in the database, on any worker;
- at once if the database would refuse it for another reason: the client's own server is asked, in its own session;
- when PATIENCE is over and there are only server connections left: the database will say what it thinks of them.

While other clients stay, it waits for as long as PostgreSQL would, and is then refused in the same words. Clients that
the statement itself is to end (WITH (FORCE)), or that have been idle since the same session called
pg_terminate_backend() on what pg_stat_activity shows, are ended, if the database says that its role may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.errors import PgError, Sqlstate
from tidegate.proxy.vacating import Place, Vacancy
from tidegate.session.databases import Act, DatabaseStatement
from tidegate.session.occupied import Judgement, in_use, judge_sql, may_not_end, read_judgement

if TYPE_CHECKING:
    from tidegate.proxy.relay import Relay

PATIENCE = 5.0
"""Seconds that PostgreSQL waits for others to disconnect (procarray.c, CountOtherDBBackends)."""

PAUSE_FIRST, PAUSE_MOST = 0.002, 0.1
"""Seconds between two looks; each pause is twice the one before. PostgreSQL looks every 0.1 s."""

RENEW = 1.0
"""Seconds after which the hold on the database is prolonged, or who has not answered is asked again."""


class Clearance:
    """`granted`: the statement may go out. From then on until `over` or `left` the database stays as it is."""

    def __init__(self, client: Relay, statement: DatabaseStatement) -> None:
        self.granted = False
        self._client = client
        self._statement = statement
        self._worker = client.gate.worker
        self._since = self._worker.loop.now
        self._pause = PAUSE_FIRST
        self._judgement: Judgement | None = None
        self._judged_at = 0.0
        self._judging = False
        self._ended = False
        self._shut = False
        config = client.door.config
        place = Place(config.host, config.port, statement.database.decode("utf-8", "surrogateescape"))
        self._vacancy = self._worker.vacancies.begin(place, client, self._consider)

    def begin(self) -> bool:
        """Ask for the first time; whether the statement may go out at once."""
        self._ask()
        return self.granted

    def over(self) -> None:
        """What was held has been answered."""
        self._client.clearance = None
        also = self._statement.other if self._statement.act in (Act.COPY, Act.RENAME) else b""
        self._vacancy.release(also.decode("utf-8", "surrogateescape"))

    def left(self) -> None:
        """The client has gone, or its server has."""
        self.over()

    def cancelled(self) -> None:
        """A cancel request came; what has been sent is the server's to cancel."""
        if not self.granted:
            self._refuse(PgError("canceling statement due to user request", Sqlstate.QUERY_CANCELED))

    @property
    def _waited(self) -> bool:
        return self._worker.loop.now - self._since >= PATIENCE

    @property
    def _is_over(self) -> bool:
        return self._client.clearance is not self

    def _ask(self, end: float | None = None) -> None:
        self._vacancy.ask(self._shut, end)
        turn = self._vacancy.turn
        self._worker.loop.call_later(RENEW, lambda: self._renew(turn))

    def _renew(self, turn: int) -> None:
        """A second has passed since this question: prolong the hold, or ask again who has not answered."""
        if self._is_over or turn != self._vacancy.turn:
            return
        if not self.granted and self._waited:
            self._consider()
        if not self._is_over:
            self._ask()

    def _look_again(self) -> None:
        self._worker.loop.call_later(self._pause, self._look)
        self._pause = min(2 * self._pause, PAUSE_MOST)

    def _look(self) -> None:
        if not self._is_over and not self.granted:
            self._ask()

    def _consider(self) -> None:
        """All have answered, or have had their time."""
        if self.granted or self._judging:
            return
        vacancy = self._vacancy
        if vacancy.clients == 0:
            self._leave(vacancy)
            return
        self._shut = False  # who is there goes on until there is nobody
        if self._judgement is None or (self._waited and self._judged_at - self._since < PATIENCE):
            self._judge()
        elif not self._judgement.allowed:
            self._grant()
        elif not self._ended and self._ends_clients is not None and self._judgement.may_end:
            self._ended = self._shut = True
            self._ask(self._ends_clients)
        elif self._statement.force and not self._judgement.may_end:
            self._refuse(may_not_end())
        elif self._waited:
            self._refuse_in_use(self._judgement)
        else:
            self._look_again()

    def _leave(self, vacancy: Vacancy) -> None:
        """There are no clients: go on when there are no server connections either."""
        if not self._shut:
            self._shut = True
            self._ask()
        elif (vacancy.going == 0 and not vacancy.missing) or self._waited:
            self._grant()
        else:
            self._look_again()

    @property
    def _ends_clients(self) -> float | None:
        """By how many seconds clients must have been idle to be ended; None: they are not."""
        if self._statement.force:
            return 0.0
        ended_at = self._client.ended_others_at
        return self._worker.loop.now - ended_at if ended_at else None

    def _grant(self) -> None:
        self.granted = True
        self._client.proceed()

    def _judge(self) -> None:
        """Ask the database, as the client, what it thinks of the statement but for the proxy's clients."""
        self._judging = True
        users = [user.encode("utf-8", "surrogateescape") for user in self._vacancy.users]
        self._client.ask_aside(judge_sql(self._statement, users), self._judged)

    def _judged(self, rows: Sequence[Sequence[bytes | None]], error: PgError | None) -> None:
        self._judging = False
        if self._is_over:
            return
        if error is not None or len(rows) != 1:
            self._judgement = Judgement(allowed=False, may_end=False, sessions=0, prepared=0)
        else:
            self._judgement = read_judgement(rows[0])
        self._judged_at = self._worker.loop.now
        self._worker.loop.call_later(0, self._look)

    def _refuse_in_use(self, judgement: Judgement) -> None:
        others = max(judgement.sessions - self._vacancy.lent - self._vacancy.going, 0)
        self._refuse(in_use(self._statement, self._vacancy.clients + others, judgement.prepared))

    def _refuse(self, error: PgError) -> None:
        client = self._client
        self.over()
        client.refuse_held(error)
