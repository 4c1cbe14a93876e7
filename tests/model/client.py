"""One client beside the model of its session: it sends, and whatever comes back is compared.

Owns the socket, the session's model, the transcript, and the order of things: the model goes first, what others must
see of a commit is announced before it is sent and settled when it is answered. Refuses to choose what to do: operations
do.
"""

from __future__ import annotations

import random
import select
import struct
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tests.support import messages as m
from tests.support.sides import Side
from tests.support.wire import ConnectionEnded, Message, RawClient

from .answers import Expected, answers, difference
from .channels import Channels, Inbox
from .features import Feature
from .lock_table import LockTable
from .session import Login, Session, Statement
from .settings import REPORTED

REMEMBERED = 150  # messages of the transcript
PATIENCE = 30.0  # seconds until a notification that has not come is taken for lost


class Difference(AssertionError):
    """The session is not as the model says."""


class Starved(Exception):
    """No server came free within the borrow timeout: the run holds too many of them at once."""


class Transport(Enum):
    """How SQL is sent."""

    SIMPLE = "simple"
    EXTENDED = "extended"
    NAMED = "named"


@dataclass
class World:
    """What all clients of one run share."""

    channels: Channels = field(default_factory=Channels)
    locks: LockTable = field(default_factory=LockTable)
    features: Collection[Feature] = ()

    @property
    def carried(self) -> frozenset[str]:
        """Of what a session holds (`Session.holds`), that which binds it to no server."""
        free = {Feature.LISTEN: "listen", Feature.PREPARE: "sql_prepare"}
        return frozenset(reason for feature, reason in free.items() if feature in self.features)


@dataclass
class Count:
    """What a client has done."""

    operations: dict[str, int] = field(default_factory=dict)
    statements: int = 0
    transactions: int = 0
    sessions: int = 0
    moves: int = 0
    moves_possible: int = 0

    def operation(self, kind: str) -> None:
        """One more of that kind."""
        self.operations[kind] = self.operations.get(kind, 0) + 1


class ModelClient:
    """`number` marks its values and names; `chance` makes all its choices."""

    def __init__(self, number: int, side: Side, logins: Sequence[Login], world: World, chance: random.Random) -> None:
        self.number, self.side, self.logins, self.world, self.chance = number, side, logins, world, chance
        self.transcript: deque[str] = deque(maxlen=REMEMBERED)
        self.count = Count()
        self.serial = 0
        self.may_pin = True
        """Whether it may begin to hold what binds it to a server (`pinned`)."""
        self.ghosts: list[str] = []
        """SQL conditions that must soon be true of what its lost sessions held."""
        self.server_pid = ""
        self.connect()

    # --- sessions -------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new session, with start-up parameters by chance."""
        login = self.chance.choice(self.logins)
        self.note(f"-- connects as {login.user} with {dict(login.parameters)}")
        self.raw: RawClient = self.side.login(login.parameters, timeout=150)
        self.session = Session(login)
        self.inbox: Inbox = self.world.channels.open(self.number)
        self.server_pid = ""
        self.idle_at = time.monotonic()
        self.count.sessions += 1
        self._check_parameters()

    def forget(self) -> None:
        """The session ends: its channels and locks are free from now on. The caller closes the socket."""
        self.world.channels.close(self.inbox)
        self.world.locks.freeing(self.session)

    # --- what operations use ----------------------------------------------------------------------------------------

    @property
    def pinned(self) -> bool:
        """Whether it holds what binds it to a server."""
        return bool(self.session.holds() - self.world.carried)

    def mark(self, what: str = "") -> str:
        """A text that no other client uses, and this one not again."""
        self.serial += 1
        return f"c{self.number}.{self.serial}{what}"

    def note(self, line: str) -> None:
        """A line of the transcript."""
        self.transcript.append(line if len(line) < 240 else line[:200] + " ...")

    def differ(self, words: str) -> None:
        """Raise Difference, with the transcript."""
        raise Difference("\n".join([f"client {self.number}: {words}", *self.transcript]))

    def exchange(self, statements: Iterable[Statement], transport: Transport = Transport.SIMPLE) -> list[Expected]:
        """Send statements as one message and compare. The iterable is taken one by one, each after the last's effect.

        After one that fails, one more is sent that must not be executed.
        """
        sent: list[Statement] = []
        expected: list[Expected] = []
        for statement in statements:
            sent.append(statement)
            expected.append(self.session.run(statement))
            if expected[-1].sqlstate:
                break
        if expected[-1].sqlstate and len(sent) > 1:
            sent.append(Statement("SET work_mem = '7777kB'", lambda session: Expected("SET")))
        self.session.end_message()
        self.session.plans.forget_unnamed(transport is Transport.SIMPLE)
        self.count.statements += len(sent)
        self.converse(self._encode(sent, expected, transport), expected, transport.value, [one.sql for one in sent])
        return expected

    def converse(self, data: bytes, expected: Sequence[Expected], how: str, sql: Sequence[str]) -> list[Message]:
        """Send one message (or what ends with one Sync) whose effect the model has had, and compare the answers."""
        for one in sql:
            self.note(f"{how:8} {one}")
        within = self.raw.status != "I"
        settle = self._announce()
        try:
            replies = self.raw.ask(data)
        except (ConnectionEnded, TimeoutError, OSError) as error:
            self.differ(f"the connection is lost: {error!r}")
        for action in settle:
            action()
        self._take_notifications(replies, within and self.raw.status != "I")
        if own := [key for key in self.inbox.due if self.world.channels.is_from(self.number, *key)]:
            self.differ(f"its own notification did not come before ReadyForQuery: {own}"[:200])
        self._compare(replies, expected)
        return replies

    def _compare(self, replies: Sequence[Message], expected: Sequence[Expected]) -> None:
        got = answers(replies)
        if got and got[-1].sqlstate == "08000":
            raise Starved(got[-1].error)
        if words := difference(expected, got):
            self.differ(words)
        if self.raw.status != self.session.status:
            self.differ(f"transaction status {self.raw.status}, not {self.session.status}")
        self._check_parameters()
        if self.session.status == "I":
            self.count.transactions += 1
            self.idle_at = time.monotonic()

    def listen_idly(self, seconds: float = 0.0) -> None:
        """Take notifications that come between messages, for so long at most or until none is due."""
        until = time.monotonic() + seconds
        while True:
            wait = until - time.monotonic() if self.inbox.due else 0.0
            if not self.raw._buffer and not select.select([self.raw.sock], [], [], max(wait, 0.0))[0]:
                break
            try:
                self._take_notifications([self.raw.read()])
            except (ConnectionEnded, OSError) as error:
                self.differ(f"the connection is lost between transactions: {error!r}")
        if self.session.status == "I" and (words := self.world.channels.overdue(self.inbox, seconds or PATIENCE)):
            self.differ(words)

    def saw_server(self, pid: str) -> None:
        """pg_backend_pid() was this, outside a transaction block that began earlier."""
        if self.server_pid and not self.pinned:
            self.count.moves_possible += 1
            self.count.moves += pid != self.server_pid
        self.server_pid = pid

    # --- the parts of that ------------------------------------------------------------------------------------------

    def _encode(self, statements: Sequence[Statement], expected: Sequence[Expected], transport: Transport) -> bytes:
        if transport is Transport.SIMPLE:
            return m.query("; ".join(one.sql for one in statements))
        parts = []
        for one in statements:
            name = "soak_driver" if transport is Transport.NAMED else ""
            parts += [m.close_statement(name)] if name else []
            parts += [m.parse(one.sql, name), m.bind(one.values, name), m.describe_portal(), m.execute()]
        return b"".join([*parts, m.sync()])

    def _announce(self) -> list[Callable[[], None]]:
        """Tell the others' models of what is about to be committed; what to call when it is."""
        channels, settle = self.world.channels, []
        events, self.session.events = self.session.events, []
        for event in events:
            if event.what == "notify":
                channels.notify(self.number, event.channel, event.payload)
                settle.append(lambda event=event: channels.settle_notify(event.channel, event.payload))
            elif event.what == "unlisten":
                ending = channels.unlisten(self.inbox, event.channel)
                settle.append(lambda ending=ending: channels.settle_unlisten(ending))
            elif begun := channels.listen(self.inbox, event.channel, self.idle_at):
                settle.append(lambda begun=begun: channels.settle_listen(begun))
        return settle

    def _take_notifications(self, replies: Iterable[Message], within_transaction: bool = False) -> None:
        for reply in replies:
            if reply.kind == "A":
                pid = struct.unpack_from("!I", reply.body)[0]
                channel, payload, _ = (part.decode() for part in reply.body[4:].split(b"\0"))
                self.note(f"<- notification {channel} {payload[:60]} of {pid}")
                if words := self.world.channels.receive(self.inbox, channel, payload):
                    self.differ(words)
                if within_transaction:
                    self.differ(f"a notification within a transaction: {channel} {payload[:60]}")
                own = self.world.channels.is_from(self.number, channel, payload)
                if own and pid != self.raw.pid and Feature.LISTEN in self.world.features:
                    self.differ(f"its own notification has process ID {pid}, not {self.raw.pid}")

    def _check_parameters(self) -> None:
        for name in REPORTED:
            if self.raw.parameters.get(name) != self.session.settings.text(name):
                told, wanted = self.raw.parameters.get(name), self.session.settings.text(name)
                self.differ(f"ParameterStatus told {name} = {told!r}, not {wanted!r}")
