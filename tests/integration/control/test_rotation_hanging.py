"""Rotation at a database that hangs: each step comes to an end, says why, and is done once the database is well."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.integration.control.test_rotation import TOKEN, answer, fields, run, secret, user
from tests.support.postgres import Postgres
from tests.unit.control.services.secretsmanager.desk import Desk
from tidegate.control.rotation import databases
from tidegate.control.rotation.handlers import RotationError
from tidegate.control.services.secretsmanager import works

__all__ = ["user"]  # a fixture

LIMIT = 3.0


class Hanging:
    """Stands before a database, and passes nothing on any more once a client has said the word. b"": from the start."""

    def __init__(self, postgres: Postgres, word: bytes) -> None:
        self.word: bytes | None = word
        self._database = (postgres.host, postgres.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self._held):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._database)
            self._held += [client, server]
            threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            for one, other in ((client, server), (server, client)):
                ready.register(one, selectors.EVENT_READ, other)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data or (key.fileobj is client and self.word is not None and self.word in data):
                        return
                    key.data.sendall(data)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("word", "step", "reason"),
    [
        (b"", "setSecret", "connection timeout expired"),
        (b"statement_timeout", "setSecret", "no answer"),
        (b"ALTER ROLE", "setSecret", "no answer"),
        (b"now()", "testSecret", "no answer"),
    ],
)
def test_a_step_comes_to_an_end(
    desk: Desk,
    postgres: Postgres,
    user: str,
    monkeypatch: pytest.MonkeyPatch,
    word: bytes,
    step: str,
    reason: str,
) -> None:
    monkeypatch.setattr(databases, "CONNECT_TIMEOUT", 2)
    monkeypatch.setattr(databases, "TIME_LIMIT", LIMIT)
    with Hanging(postgres, word) as hanging:
        arn = secret(desk, postgres, user, host="127.0.0.1", port=hanging.port, ssl=False)
        desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
        began = time.monotonic()
        with pytest.raises(RotationError, match=f"^{step}: .*{reason}"):
            run(desk)
        assert time.monotonic() - began < 20
        kept = desk.secret(arn).rotation
        assert kept is not None and kept.failure.startswith(f"{step}: ") and works.ROTATE in desk.tasks()
        assert desk.labels(arn)[TOKEN] == ["AWSPENDING"]
        hanging.word = None
        run(desk)
        assert answer(postgres, user, str(fields(desk)["password"])) == 42
        assert desk.labels(arn)[TOKEN] == ["AWSCURRENT"]


def test_the_set_up_is_tested_in_time(
    desk: Desk,
    postgres: Postgres,
    user: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "TIME_LIMIT", LIMIT)
    with Hanging(postgres, b"now()") as hanging:
        arn = secret(desk, postgres, user, host="127.0.0.1", port=hanging.port, ssl=False)
        desk("rotate_secret", SecretId="app", RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 2})
        run(desk, works.TEST_ROTATION)
        kept = desk.secret(arn).rotation
        assert kept is not None and kept.failure.startswith("testSecret: no answer")


def test_what_is_done_in_time_leaves_nothing_behind(postgres: Postgres, user: str) -> None:
    before = threading.active_count()
    account = databases.Account(postgres.host, postgres.port, "postgres", user, user, "disable")
    for _ in range(3):
        databases.try_out(account)
    assert threading.active_count() == before
