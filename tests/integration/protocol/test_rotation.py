"""Roles that change while the proxy remembers them (verifier_cache_ttl), and those that an auth_query finds.

What lets a client in may come from memory; before a client is refused, its role is read once more.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.support import messages as m
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.wire import PASSWORD_CLEARTEXT, RawClient, ServerError

REMEMBERED = 600  # seconds
AUTH_QUERY = "SELECT name, secret FROM rotation.secrets WHERE name = $1"

SHUT: dict[str, tuple[str, str]] = {
    "NOLOGIN": ("ALTER ROLE {role} NOLOGIN", "28000"),
    "expired": ("ALTER ROLE {role} VALID UNTIL '2001-01-01'", "28P01"),
    "dropped": ("DROP ROLE {role}", "28P01"),
    "no CONNECT": ("REVOKE CONNECT ON DATABASE {role} FROM PUBLIC", "42501"),
}


def side_of(proxy: Proxy, user: str, password: str | None = None, database: str = "postgres") -> Side:
    return Side("proxied", proxy.host, proxy.port, user, user if password is None else password, database, 2)


def refused_with(side: Side) -> str:
    with pytest.raises(ServerError) as refused:
        side.login()
    return refused.value.sqlstate


@pytest.fixture
def role(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A role of this test's own, password equal to the name."""
    name = "rotation_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:40].lower()
    postgres.add_role(name)
    return name


def remembering(postgres: Postgres, method: str = "scram-sha-256") -> Proxy:
    target = {"max_connections": 2, "verifier_cache_ttl": REMEMBERED}
    return Proxy(postgres, proxy={"auth_method": method}, target=target)


# --- a password that was changed -----------------------------------------------------------------------------------


def test_cleartext_password_changed_while_remembered(postgres: Postgres, role: str) -> None:
    """The old verifier is in memory; the new password is let in at once, the old one no longer."""
    with remembering(postgres, "password") as proxy:
        side_of(proxy, role).login().quit()
        postgres.sql(f"ALTER ROLE {role} PASSWORD 'fresh'")
        side_of(proxy, role, "fresh").login().quit()
        assert refused_with(side_of(proxy, role)) == "28P01"


def test_cleartext_password_changed_after_it_was_asked_for(postgres: Postgres, role: str) -> None:
    """As at the database, which reads the verifier when the password has come (auth.c, CheckPasswordAuth)."""
    with (
        Proxy(postgres, proxy={"auth_method": "password"}, target={"max_connections": 2}) as proxy,
        side_of(proxy, role).open() as client,
    ):
        client.send(m.startup({"user": role, "database": "postgres"}))
        assert int.from_bytes(client.read().body[:4], "big") == PASSWORD_CLEARTEXT
        postgres.sql(f"ALTER ROLE {role} PASSWORD 'fresh'")
        client.send(m.password("fresh"))
        client.read_ready()
        assert client.value("SELECT current_user") == role


def test_md5_password_changed_while_remembered() -> None:
    settings = {"password_encryption": "md5"}
    with Postgres(settings=settings, hba=("local all all trust", "host all all 127.0.0.1/32 md5")) as postgres:
        postgres.start()
        postgres.add_role("old")
        with remembering(postgres) as proxy:
            side_of(proxy, "old").login().quit()
            postgres.sql("ALTER ROLE old PASSWORD 'fresh'")
            with side_of(proxy, "old", "fresh").login() as client:
                assert client.value("SELECT current_user") == "old"
            assert refused_with(side_of(proxy, "old")) == "28P01"
            postgres.sql("SET password_encryption = 'scram-sha-256'; ALTER ROLE old PASSWORD 'third'")
            assert refused_with(side_of(proxy, "old", "third")) == "28P01"  # it was asked for the old kind of proof
            side_of(proxy, "old", "third").login().quit()


def test_scram_password_changed_while_remembered(postgres: Postgres, role: str) -> None:
    """A proof is made with the salt that was sent, so the new password is refused once; then the new salt is known."""
    with remembering(postgres) as proxy:
        side_of(proxy, role).login().quit()
        postgres.sql(f"ALTER ROLE {role} PASSWORD 'fresh'")
        assert refused_with(side_of(proxy, role, "fresh")) == "28P01"
        with side_of(proxy, role, "fresh").login() as client:
            assert client.value("SELECT current_user") == role
        assert refused_with(side_of(proxy, role)) == "28P01"


def test_scram_verifier_changed_under_the_same_salt(postgres: Postgres, role: str) -> None:
    """Then the proof fits the new verifier, and the server connection is opened with its key."""
    with remembering(postgres) as proxy:
        postgres.sql(f"ALTER ROLE {role} PASSWORD '{verifier('before')}'")
        side_of(proxy, role, "before").login().quit()
        postgres.sql(f"ALTER ROLE {role} PASSWORD '{verifier('after')}'")
        with side_of(proxy, role, "after").login() as client:
            assert client.value("SELECT current_user") == role
        assert refused_with(side_of(proxy, role, "before")) == "28P01"


def verifier(password: str) -> str:
    """A SCRAM verifier with a salt that is always the same (RFC 5803, as pg_authid holds it)."""
    salt = b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256$4096:{b64encode(salt).decode()}${b64encode(stored).decode()}:{b64encode(server).decode()}"


# --- what memory must not refuse -----------------------------------------------------------------------------------


def test_a_role_let_in_again(postgres: Postgres, role: str) -> None:
    """What shuts a door is never remembered."""
    with remembering(postgres) as proxy:
        for shut, opened in (
            (f"ALTER ROLE {role} NOLOGIN", f"ALTER ROLE {role} LOGIN"),
            (f"ALTER ROLE {role} VALID UNTIL '2001-01-01'", f"ALTER ROLE {role} VALID UNTIL 'infinity'"),
        ):
            postgres.sql(shut)
            assert refused_with(side_of(proxy, role)) in ("28000", "28P01")
            postgres.sql(opened)
            side_of(proxy, role).login().quit()
            forget_roles(proxy)


def test_a_database_made_meanwhile(postgres: Postgres, role: str) -> None:
    with remembering(postgres) as proxy:
        assert refused_with(side_of(proxy, role, database=role)) == "3D000"
        postgres.sql(f"CREATE DATABASE {role}")
        side_of(proxy, role, database=role).login().quit()


def forget_roles(proxy: Proxy) -> None:
    """Another verifier_cache_ttl makes another reader, with nothing in its memory."""
    proxy.target["verifier_cache_ttl"] = float(proxy.target["verifier_cache_ttl"]) + 1
    proxy.reload()


# --- a flood of wrong passwords ------------------------------------------------------------------------------------


def test_a_flood_of_wrong_passwords_is_no_flood_at_the_database() -> None:
    """All are refused, few reads are made, and nobody waits long for it."""
    flood, at_once = 60, 12
    settings = {"log_statement": "all", "logging_collector": "on", "log_directory": "log", "log_filename": "all"}
    with Postgres(settings=settings) as postgres:
        postgres.start()
        postgres.add_role("target")
        with remembering(postgres, "password") as proxy:
            side_of(proxy, "target").login().quit()
            answers: list[str] = []

            def knock() -> None:
                answers.extend(refused_with(side_of(proxy, "target", "wrong")) for _ in range(flood // at_once))

            before, began = lookups(postgres), time.monotonic()
            threads = [threading.Thread(target=knock) for _ in range(at_once)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.monotonic() - began
            assert answers == ["28P01"] * flood
            assert lookups(postgres) - before <= 2 * seconds + 2
            assert seconds < flood / at_once + 5
            side_of(proxy, "target").login().quit()


def lookups(postgres: Postgres) -> int:
    """Times that the proxy has read a role, from the database's log."""
    return (postgres.data / "log" / "all").read_text().count("pg_catalog.pg_authid AS r")


# --- auth_query ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secrets(postgres: Postgres) -> str:
    """A table of an application's own, and a role that may read it but not pg_authid."""
    postgres.add_role("rotation_reader")
    postgres.sql("CREATE SCHEMA rotation AUTHORIZATION rotation_reader")
    postgres.sql("CREATE TABLE rotation.secrets (name text PRIMARY KEY, secret text)")
    postgres.sql("GRANT SELECT ON rotation.secrets TO rotation_reader")
    return "rotation.secrets"


@pytest.fixture
def querying(postgres: Postgres, secrets: str, role: str) -> Iterator[Proxy]:
    postgres.sql(f"INSERT INTO {secrets} SELECT rolname, rolpassword FROM pg_authid WHERE rolname = '{role}'")
    login = {"user": "rotation_reader", "password": "rotation_reader", "auth_query": AUTH_QUERY}
    with Proxy(postgres, target={"max_connections": 2, **login}) as proxy:
        yield proxy


@pytest.mark.parametrize(("change", "sqlstate"), SHUT.values(), ids=SHUT.keys())
def test_doors_shut_with_an_auth_query(
    postgres: Postgres, querying: Proxy, role: str, change: str, sqlstate: str
) -> None:
    """The query knows a name and a secret; that the role may not log in is seen all the same, with a server open."""
    postgres.sql(f"CREATE DATABASE {role}")
    with side_of(querying, role, database=role).login() as earlier:
        assert earlier.value("SELECT current_user") == role
    postgres.sql(change.format(role=role))
    assert refused_with(side_of(querying, role, database=role)) == sqlstate


def test_a_user_that_is_no_role(postgres: Postgres, secrets: str, role: str) -> None:
    """Comes in where the server connection is opened as somebody else, and nowhere else."""
    postgres.sql(f"INSERT INTO {secrets} VALUES ('app_user', 'secret')")
    login = {"user": "rotation_reader", "password": "rotation_reader", "auth_query": AUTH_QUERY}
    forced = {"as_reader": {"database": "postgres", "user": "rotation_reader"}, "*": {}}
    with Proxy(postgres, target={"max_connections": 2, **login}, databases=forced) as proxy:
        with side_of(proxy, "app_user", "secret", "as_reader").login() as client:
            assert client.value("SELECT current_user") == "rotation_reader"
        assert refused_with(side_of(proxy, "app_user", "wrong", "as_reader")) == "28P01"
        assert refused_with(side_of(proxy, "app_user", "secret")) == "28P01"


def test_auth_query_of_plain_passwords_changed_amid_the_exchange(
    postgres: Postgres, secrets: str, querying: Proxy, role: str
) -> None:
    """A plain password's salt is the proxy's own and does not change with it, so the proof fits the new one."""
    postgres.sql(f"UPDATE {secrets} SET secret = 'before' WHERE name = '{role}'")
    postgres.sql(f"ALTER ROLE {role} PASSWORD 'after'")
    side = side_of(querying, role, "after")
    with side.open() as client:
        client.send(m.startup({"user": role, "database": "postgres"}))
        asked = client.read()
        postgres.sql(f"UPDATE {secrets} SET secret = 'after' WHERE name = '{role}'")
        answer_scram(client, "after", asked.body)
        client.read_ready()
        assert client.value("SELECT current_user") == role


def answer_scram(client: RawClient, password: str, request: bytes) -> None:
    assert request.startswith(b"\0\0\0\x0aSCRAM-SHA-256\0")
    answer = client._scram(password)
    for _ in range(2):
        answer(client.read().body[4:])


def test_unreadable_pg_authid_says_what_to_configure(postgres: Postgres, role: str, secrets: str) -> None:
    login = {"user": "rotation_reader", "password": "rotation_reader"}
    with Proxy(postgres, target={"max_connections": 2, **login}) as proxy, pytest.raises(ServerError) as refused:
        side_of(proxy, role).login()
    assert refused.value.sqlstate == "42501"
    assert "auth_query" in refused.value.fields["H"] and "Amazon RDS" in refused.value.fields["H"]
