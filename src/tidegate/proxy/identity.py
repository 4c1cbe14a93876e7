"""Clients that are named by the process id which the proxy has given them: in statements of other clients.

Owns what becomes of such a statement, and of the client that it names, at whichever worker that is. Refuses to read the
statement (`session.backends`), and to judge by itself who may: the database does, by the roles of the two.

    id                          what is sent to the caller's server
    none that the proxy gave    the statement as it is: it is a backend's, or nobody's
    the caller's own            the statement with the id of that server
    another client's            a statement that says true, once that client has been ended, or its statement cancelled

A client that is connected to another database server than the caller is nobody there, as directly.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tidegate.errors import PgError
from tidegate.proxy.ending import cancel_session, end_session
from tidegate.proxy.keys import worker_of
from tidegate.session.backends import Act, Argument, BackendStatement, ends_what_it_finds, read_backend_statement
from tidegate.session.occupied import may_not_signal, signal_sql

if TYPE_CHECKING:
    from tidegate.proxy.relay import Relay
    from tidegate.proxy.worker import Worker

PATIENCE = 2.0
"""Seconds for another worker to answer; one that does not has no such client any more."""


def sent_instead(client: Relay, text: bytes, values: bytes | None) -> bytes | PgError | None:
    """What to send in place of a text that names a backend; the text itself where nothing is to be changed.

    values: of a Bind, what stands behind the statement's name. None: the message is to be tried again when `proceed` is
    called. PgError: the statement fails.
    """
    signal = client.clearance
    if isinstance(signal, Signal):
        return signal.outcome()
    statement = read_backend_statement(text, client.scs_on, client.trail)
    if statement is None:
        if ends_what_it_finds(text, client.scs_on, client.trail):
            client.ended_others_at = client.gate.worker.loop.now
        return text
    if statement.act is Act.TELL:
        return statement.telling(client.gate.worker.cancel_keys.pid(client))
    pid = _value(statement.arguments[0], values)
    if pid is None or not 0 <= worker_of(pid) < client.gate.worker.workers:
        return text
    if pid == client.gate.worker.cancel_keys.pid(client):
        return statement.directed(client.server_pid)
    signal = client.clearance = Signal(client, statement, text, pid)
    return signal.begin()


def own_id(client: Relay, text: bytes) -> bytes:
    """The text that is parsed for a client: its id in place of a call of pg_backend_pid()."""
    statement = read_backend_statement(text, client.scs_on, client.trail)
    if statement is None or statement.act is not Act.TELL:
        return text
    return statement.telling(client.gate.worker.cancel_keys.pid(client))


class Signal:
    """One pg_terminate_backend() or pg_cancel_backend() that names another client, until that is done."""

    def __init__(self, client: Relay, statement: BackendStatement, text: bytes, pid: int) -> None:
        self.granted = False
        self._client = client
        self._statement = statement
        self._text = text
        self._pid = pid
        self._worker = client.gate.worker
        self._outcome: bytes | PgError = text
        self._token = secrets.token_hex(8)
        self._user = ""

    def begin(self) -> bytes | PgError | None:
        """Find out whose the id is; the outcome if that is known at once."""
        config = self._client.door.config
        self._worker.signals.ask(
            self._pid, {"signal": self._token, "do": "", "host": config.host, "port": config.port}, self._found
        )
        return self.outcome() if self.granted else None

    def outcome(self) -> bytes | PgError | None:
        """What to send, or None while that is not known; given once."""
        if not self.granted:
            return None
        self._client.clearance = None
        return self._outcome

    def over(self) -> None:
        """The client goes on without it."""
        self._client.clearance = None

    def left(self) -> None:
        """The client has gone."""
        self.over()

    def cancelled(self) -> None:
        """A cancel request came: there is nothing yet that could be cancelled."""

    def _found(self, user: str | None) -> None:
        """As whom the named client is at the database; None: there is no such client."""
        if self._client.clearance is not self:
            return
        if user is None:
            self._settle(self._text)
            return
        self._user = user
        mine = self._client.role
        if mine == user:
            self._act()
        elif self._client.door.config.user:
            reader = self._worker.targets.roles_of(self._client.door)
            reader.run(
                signal_sql(mine.encode("utf-8", "surrogateescape"), user.encode("utf-8", "surrogateescape")),
                self._judged,
            )
        else:
            self._settle(may_not_signal(self._statement.act, superuser=False))

    def _judged(self, rows: Sequence[Sequence[bytes | None]], error: PgError | None) -> None:
        if self._client.clearance is not self:
            return
        if error is not None or not rows:
            self._settle(error or self._text)
        elif rows[0][0] == b"t":
            self._act()
        else:
            self._settle(may_not_signal(self._statement.act, superuser=rows[0][1] == b"t"))

    def _act(self) -> None:
        config = self._client.door.config
        act = "terminate" if self._statement.act is Act.TERMINATE else "cancel"
        message = {"signal": self._token, "do": act, "user": self._user, "host": config.host, "port": config.port}
        self._worker.signals.ask(self._pid, message, self._done)

    def _done(self, user: str | None) -> None:
        if self._client.clearance is self:
            self._settle(self._text if user is None else self._statement.done())

    def _settle(self, outcome: bytes | PgError) -> None:
        self._outcome = outcome
        self.granted = True
        self._client.proceed()


class Signals:
    """What one worker is asked of its clients, and what it asks others."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._asked: dict[tuple[str, str], Any] = {}

    def ask(self, pid: int, message: dict[str, Any], done: Any) -> None:
        """Have the worker of this id find its client, or do something to it; `done(user)` follows."""
        owner = worker_of(pid)
        message = {**message, "pid": pid, "from": self._worker.index}
        if owner == self._worker.index:
            done(self._carry_out(message))
            return
        key = message["signal"], message["do"]
        self._asked[key] = done
        self._worker.tell(owner, message, quietly=True)
        self._worker.loop.call_later(PATIENCE, lambda: self._answered(key, None))

    def told(self, message: dict[str, Any]) -> bool:
        """A datagram of another worker; False if it is about something else."""
        if "signalled" in message:
            self._answered((message["signalled"], message["do"]), message["user"])
        elif "signal" in message:
            user = self._carry_out(message)
            answer = {"signalled": message["signal"], "do": message["do"], "user": user}
            self._worker.tell(message["from"], answer, quietly=True)
        else:
            return False
        return True

    def _answered(self, key: tuple[str, str], user: str | None) -> None:
        done = self._asked.pop(key, None)
        if done is not None:
            done(user)

    def _carry_out(self, message: dict[str, Any]) -> str | None:
        """The user of the client that is named, once what is to be done to it is done; None: there is none."""
        client = self._worker.cancel_keys.client_of(message["pid"])
        if client is None or client.login is not None:
            return None
        config = client.door.config
        if (config.host, config.port) != (message["host"], message["port"]):
            return None
        user = str(client.pool.key[1])
        if message["do"] and message["user"] != user:
            return None  # another client has got its place meanwhile
        if message["do"] == "terminate":
            end_session(self._worker, client)
        elif message["do"] == "cancel":
            cancel_session(self._worker, client)
        return user


def _value(argument: Argument, values: bytes | None) -> int | None:
    """The id that an argument says; None if it is not to be told."""
    if not argument.is_parameter:
        return argument.value
    return None if values is None else bound_integer(values, argument.value)


def bound_integer(values: bytes, number: int) -> int | None:
    """The parameter of this number, from 1, in a Bind message (protocol documentation, "Message Formats").

    values: its body from the number of format codes on. None if there is none, or it is no integer.
    """
    formats, values = _shorts(values)
    if len(values) < 2:
        return None
    left, at = int.from_bytes(values[:2], "big"), 2
    while left and number:
        size = int.from_bytes(values[at : at + 4], "big", signed=True)
        value = values[at + 4 : at + 4 + max(size, 0)]
        at += 4 + max(size, 0)
        left, number = left - 1, number - 1
        if number == 0 and size > 0 and len(value) == size:
            index = int.from_bytes(values[:2], "big") - left - 1
            code = formats[index if len(formats) > 1 else 0] if formats else 0
            return _integer(value, binary=code == 1)
    return None


def _shorts(data: bytes) -> tuple[list[int], bytes]:
    """A counted list of two-byte numbers, and what is behind it."""
    count = int.from_bytes(data[:2], "big")
    end = 2 + 2 * count
    return [int.from_bytes(data[at : at + 2], "big") for at in range(2, min(end, len(data)), 2)], data[end:]


def _integer(value: bytes, binary: bool) -> int | None:
    if binary:
        return int.from_bytes(value, "big", signed=True) if len(value) in (2, 4, 8) else None
    return int(value) if value.strip().isdigit() else None
