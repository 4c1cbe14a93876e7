"""What a secret says of a database, and what is sent there."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tidegate.auth.scram_keys import ScramKeys
from tidegate.control.rotation import databases
from tidegate.control.rotation.databases import Account, LoginError, StatementError, account_in
from tidegate.control.services.secretsmanager.credentials import CredentialsError

FIELDS = {"host": "db.local", "username": "app", "password": "canary"}
ACCOUNT = Account("db.local", 5432, "postgres", "app", "canary", "prefer")


@pytest.mark.parametrize(
    ("more", "account"),
    [
        ({}, ACCOUNT),
        ({"port": 6000, "dbname": "shop"}, Account("db.local", 6000, "shop", "app", "canary", "prefer")),
        ({"port": "6000", "dbname": None}, Account("db.local", 6000, "postgres", "app", "canary", "prefer")),
        ({"port": "", "dbname": ""}, ACCOUNT),
        ({"ssl": True}, Account("db.local", 5432, "postgres", "app", "canary", "require")),
        ({"ssl": "TRUE"}, Account("db.local", 5432, "postgres", "app", "canary", "require")),
        ({"ssl": False}, Account("db.local", 5432, "postgres", "app", "canary", "disable")),
        ({"ssl": "false"}, Account("db.local", 5432, "postgres", "app", "canary", "disable")),
        ({"ssl": 7}, ACCOUNT),
        ({"host": "fe80::1"}, Account("fe80::1", 5432, "postgres", "app", "canary", "prefer")),
    ],
)
def test_accounts(more: dict[str, Any], account: Account) -> None:
    assert account_in({**FIELDS, **more}) == account


@pytest.mark.parametrize("host", [None, "", 5, "/var/run/postgresql", "@abstract", "a,b", "a b", "h?x=1", "x" * 256])
def test_hosts_that_are_none(host: object) -> None:
    """A folder of sockets would let a secret log in as whoever this program runs as."""
    with pytest.raises(CredentialsError, match='no key "host"'):
        account_in({**FIELDS, "host": host})


@pytest.mark.parametrize("port", [0, 65536, -1, "x", "5432 ", "٣", 5.5, True, [5432]])
def test_ports_that_are_none(port: object) -> None:
    with pytest.raises(CredentialsError, match='"port" is not a port'):
        account_in({**FIELDS, "port": port})


@pytest.mark.parametrize("name", [5, "a\0b", ["x"]])
def test_databases_that_are_none(name: object) -> None:
    with pytest.raises(CredentialsError, match='"dbname" is not'):
        account_in({**FIELDS, "dbname": name})


def test_no_password_shows_in_a_repr() -> None:
    assert "canary" not in repr(ACCOUNT)


class Spoken:
    """Stands for a connection; keeps what was said on it."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.said: list[str] = []
        self._trouble = trouble

    def execute(self, statement: Any, parameters: Any = None) -> None:
        self.said.append(statement.as_string(None))
        if self._trouble is not None:
            raise self._trouble


def test_a_changed_password_goes_as_a_verifier() -> None:
    spoken = Spoken()
    account = Account("db", 1, "postgres", 'o"dd', "canary", "prefer")
    databases.change_password(spoken, account)  # type: ignore[arg-type]
    (said,) = spoken.said
    start = 'ALTER ROLE "o""dd" PASSWORD \'SCRAM-SHA-256$4096:'
    assert said.startswith(start) and "canary" not in said
    assert ScramKeys.parse(said.split("'")[1]).verify_password("canary")


def test_what_the_database_refuses_is_told_without_the_statement() -> None:
    spoken = Spoken(psycopg.errors.SyntaxError("LINE 1: ALTER ROLE x PASSWORD 'canary'"))
    with pytest.raises(StatementError) as caught:
        databases.change_password(spoken, ACCOUNT)  # type: ignore[arg-type]
    assert str(caught.value) == "SyntaxError" and caught.value.__suppress_context__


def test_how_a_login_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def connect(**parameters: Any) -> Spoken:
        given.update(parameters)
        raise psycopg.OperationalError("connection failed:\n  FATAL:  no")

    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    with pytest.raises(LoginError) as caught:
        databases.login(ACCOUNT)
    assert str(caught.value) == "connection failed: FATAL: no"
    assert given["require_auth"] == "scram-sha-256,md5" and given["connect_timeout"] == 10
    assert (given["host"], given["user"], given["dbname"], given["sslmode"]) == (
        "db.local",
        "app",
        "postgres",
        "prefer",
    )
