"""Reading roles, and PostgreSQL's refusals in PostgreSQL's order."""

import itertools
import re
from dataclasses import replace

import pytest

from tidegate.auth.md5 import md5_hash
from tidegate.auth.roles import (
    ADMISSION_SQL,
    LOOKUP_SQL,
    RoleRecord,
    admits,
    check_auth_query,
    denial,
    empty_password,
    exchange_secret,
    parse_auth_query_row,
    parse_row,
    unreadable_roles,
)
from tidegate.auth.scram_keys import ScramKeys
from tidegate.auth.verifiers import Md5Hash, Plain
from tidegate.errors import ConfigError, PgError, Sqlstate

KEYS = ScramKeys.from_password("right", b"salt", 1)
GOOD = RoleRecord("ann", KEYS, database_exists=True, accepts_connections=True, may_connect=True)
NOW = 1000.0


def row(**changes: bytes | None) -> list[bytes | None]:
    columns: dict[str, bytes | None] = {
        "rolname": b"ann",
        "rolpassword": KEYS.text().encode(),
        "rolcanlogin": b"t",
        "rolvaliduntil": None,
        "exists": b"t",
        "datallowconn": b"t",
        "may_connect": b"t",
    }
    return list((columns | changes).values())


# Reading


@pytest.mark.parametrize(("sql", "roles"), [(LOOKUP_SQL, "pg_authid"), (ADMISSION_SQL, "pg_roles")])
def test_lookup_is_qualified_throughout(sql: str, roles: str) -> None:
    assert set(re.findall(r"\$\d", sql)) == {"$1", "$2"}
    assert not re.search(r"[^(.]=", sql)
    for name in (roles, "pg_database", "date_part", "has_database_privilege", "name "):
        assert re.findall(rf"(\S*){name}", sql + " ")
        assert all(found.endswith("pg_catalog.") for found in re.findall(rf"(\S*)\b{name}", sql + " "))


def test_what_anyone_may_read_holds_no_verifier() -> None:
    assert "rolpassword" not in ADMISSION_SQL


def test_a_row() -> None:
    assert parse_row(row()) == GOOD
    assert parse_row(row(rolcanlogin=b"f")).can_login is False
    assert parse_row(row(rolname="ä\udcff".encode("utf-8", "surrogateescape"))).name == "ä\udcff"
    missing = parse_row(row(exists=b"f", datallowconn=None, may_connect=None))
    assert missing.database_exists is False


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"1767225600.5", 1767225600.5), (b"Infinity", float("inf")), (b"-Infinity", float("-inf")), (None, None)],
)
def test_valid_until(text: bytes | None, seconds: float | None) -> None:
    assert parse_row(row(rolvaliduntil=text)).valid_until == seconds


@pytest.mark.parametrize(
    "verifier", [None, b"", b"plain text", b"SCRAM-SHA-256$broken", b"SCRAM-SHA-256$4096:\xff$:", b"MD5" + b"0" * 32]
)
def test_what_is_no_verifier_counts_as_no_password(verifier: bytes | None) -> None:
    assert parse_row(row(rolpassword=verifier)).secret is None


def test_md5_verifier() -> None:
    stored = md5_hash("ann", "right")
    assert parse_row(row(rolpassword=stored.encode())).secret == Md5Hash(stored)


@pytest.mark.parametrize("columns", [[], row()[:-1], [*row(), b"t"], row(rolname=None), row(rolcanlogin=b"yes")])
def test_rows_of_another_form(columns: list[bytes | None]) -> None:
    with pytest.raises(ValueError):
        parse_row(columns)


# auth_query


def test_auth_query_parameters() -> None:
    check_auth_query("SELECT usename, passwd FROM pg_shadow WHERE usename=$1")
    check_auth_query("SELECT * FROM pooler.look_up($1) WHERE $1 <> 'x'")
    for query in ("SELECT 'a', 'b'", "SELECT $1, $2", "SELECT f($2)", "SELECT f($11)"):
        with pytest.raises(ConfigError, match="auth_query"):
            check_auth_query(query)


def test_auth_query_rows() -> None:
    admission = row(rolpassword=None)
    assert parse_auth_query_row("ann", [b"ann", KEYS.text().encode()], admission) == GOOD
    assert parse_auth_query_row("ann", [b"ann", b"right"], admission).secret == Plain("right")
    assert parse_auth_query_row("ann", [b"ann", None], admission).secret is None
    assert parse_auth_query_row("ann", [b"ann", b""], admission).secret is None


def test_an_auth_query_does_not_overrule_the_role() -> None:
    secret = [b"ann", KEYS.text().encode()]
    assert parse_auth_query_row("ann", secret, row(rolcanlogin=b"f")).can_login is False
    assert parse_auth_query_row("ann", secret, row(rolvaliduntil=b"5.0")).valid_until == 5.0
    assert parse_auth_query_row("ann", secret, row(may_connect=b"f")).may_connect is False


def test_a_user_of_an_auth_query_need_not_be_a_role() -> None:
    record = parse_auth_query_row("ann", [b"ann", b"right"], None)
    assert record == RoleRecord("ann", Plain("right"), is_role=False)
    assert denial(record, "ann", "shop", NOW) is None, "a forced user may stand in for it"


@pytest.mark.parametrize(
    "columns",
    [[], [b"ann"], [b"ann", b"x", b"y"], [None, b"x"], [b"ANN", b"x"], [b"ann", b"SCRAM-SHA-256$broken"]],
)
def test_unusable_auth_query_rows(columns: list[bytes | None]) -> None:
    with pytest.raises(PgError) as caught:
        parse_auth_query_row("ann", columns, row())
    assert "auth_query" in caught.value.hint


# Admission: PostgreSQL's refusals, first objection first.

WRONG_PASSWORD = ("28P01", 'password authentication failed for user "ann"')
NO_ROLE = ("28000", 'role "ann" does not exist')
NO_LOGIN = ("28000", 'role "ann" is not permitted to log in')
NO_DATABASE = ("3D000", 'database "shop" does not exist')
NOT_ACCEPTING = ("55000", 'database "shop" is not currently accepting connections')
NOT_ALLOWED = ("42501", 'permission denied for database "shop"')

OBJECTIONS: list[tuple[dict[str, object], tuple[str, str]]] = [
    ({"valid_until": NOW - 1}, WRONG_PASSWORD),
    ({"secret": None}, WRONG_PASSWORD),
    ({"can_login": False}, NO_LOGIN),
    ({"database_exists": False}, NO_DATABASE),
    ({"accepts_connections": False}, NOT_ACCEPTING),
    ({"may_connect": False}, NOT_ALLOWED),
]


def told(error: PgError | None) -> tuple[str, str] | None:
    if error is None:
        return None
    assert error.severity == "FATAL"
    return str(error.sqlstate), error.message


def test_nothing_against_it() -> None:
    assert denial(GOOD, "ann", "shop", NOW) is None


def test_unknown_role_looks_like_a_wrong_password() -> None:
    assert told(denial(None, "ann", "shop", NOW)) == WRONG_PASSWORD
    assert told(denial(None, "ann", "shop", NOW, trusted=True)) == NO_ROLE


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_first_objection_is_the_answer(count: int) -> None:
    for chosen in itertools.combinations(OBJECTIONS, count):
        changes = {name: value for change, _ in chosen for name, value in change.items()}
        assert told(denial(replace(GOOD, **changes), "ann", "shop", NOW)) == chosen[0][1]  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [change for change, _ in OBJECTIONS], ids=lambda change: next(iter(change)))
def test_each_objection_shuts_a_door(change: dict[str, object]) -> None:
    assert admits(GOOD, NOW)
    assert not admits(replace(GOOD, **change), NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_trust_does_not_look_at_passwords(count: int) -> None:
    without_password = replace(GOOD, secret=None, valid_until=NOW - 1)
    assert denial(without_password, "ann", "shop", NOW, trusted=True) is None
    for chosen in itertools.combinations(OBJECTIONS[2:], count):
        changes = {name: value for change, _ in chosen for name, value in change.items()}
        record = replace(without_password, **changes)  # type: ignore[arg-type]
        assert told(denial(record, "ann", "shop", NOW, trusted=True)) == chosen[0][1]


def test_missing_connect_privilege_has_postgresqls_detail() -> None:
    error = denial(replace(GOOD, may_connect=False), "ann", "shop", NOW)
    assert error is not None
    assert error.detail == "User does not have CONNECT privilege."


def test_an_empty_password_has_words_of_its_own() -> None:
    assert told(empty_password()) == ("28P01", "empty password returned by client")


def test_secret_of_the_exchange() -> None:
    assert exchange_secret(GOOD, NOW) == KEYS
    assert exchange_secret(None, NOW) is None
    assert exchange_secret(replace(GOOD, valid_until=NOW), NOW) == KEYS
    assert exchange_secret(replace(GOOD, valid_until=NOW - 0.001), NOW) is None
    assert exchange_secret(replace(GOOD, valid_until=float("inf")), NOW) == KEYS
    assert exchange_secret(replace(GOOD, valid_until=float("-inf")), NOW) is None


def test_unreadable_roles_say_what_to_configure() -> None:
    cause = PgError("permission denied for table pg_authid", Sqlstate.INSUFFICIENT_PRIVILEGE)
    error = unreadable_roles(cause, "proxy")
    assert told(error) == ("42501", "cannot read the role's password verifier from the database")
    assert "proxy" in error.detail
    assert cause.message in error.detail
    for advice in ("auth_query", "SECURITY DEFINER", "Amazon RDS", "users"):
        assert advice in error.hint
