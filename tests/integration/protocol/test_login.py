"""Who is let in, with pass-through logins: the database's own words, and its doors shut with pooled servers open.

Protocol documentation, "SASL Authentication"; the refusals are those of src/backend/libpq/auth.c and postinit.c.
"""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.wire import ServerError, error_fields


def as_user(side: Side, user: str, password: str, database: str | None = None) -> Side:
    return Side(side.name, side.host, side.port, user, password, database or side.database, side.servers)


def refusal(side: Side) -> tuple[str, ...]:
    """Severity, SQLSTATE and message of a refused login."""
    with pytest.raises(ServerError) as refused:
        side.login()
    return tuple(refused.value.fields[code] for code in "SVCM")


@pytest.fixture
def role(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A role of this test's own, password equal to the name."""
    name = "login_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:40].lower()
    postgres.add_role(name)
    return name


def test_wrong_password(direct: Side, proxied: Side, role: str) -> None:
    expected = refusal(as_user(direct, role, "wrong"))
    assert expected[2] == "28P01"
    assert refusal(as_user(proxied, role, "wrong")) == expected
    assert refusal(as_user(proxied, role, "")) == refusal(as_user(direct, role, ""))


def test_unknown_user_looks_like_a_wrong_password(direct: Side, proxied: Side) -> None:
    for _ in range(2):
        assert refusal(as_user(proxied, "nobody_at_all", "x")) == refusal(as_user(direct, "nobody_at_all", "x"))


def salt(side: Side, user: str) -> bytes:
    """What anyone is told who begins to log in."""
    with side.open() as client:
        client.send(m.startup({"user": user, "database": side.database}))
        assert client.read().body.startswith(b"\0\0\0\x0aSCRAM-SHA-256\0")
        first = b"n,,n=,r=abcdefghijklmnopqrstuvwx"
        client.send(m.message("p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big") + first))
        reply = client.read()
        assert reply.kind == "R", reply
        return reply.body.split(b",")[1]


def test_unknown_user_has_a_constant_salt(proxied: Side) -> None:
    """Whoever probes for users by asking twice learns nothing."""
    assert salt(proxied, "nobody_at_all") == salt(proxied, "nobody_at_all") != salt(proxied, "nobody_else")


def side_of(proxy: Proxy) -> Side:
    return Side("proxied", proxy.host, proxy.port, "wire", "wire", "wire", 2)


@pytest.mark.parametrize("listed", [False, True], ids=["pass-through", "listed users"])
def test_the_salt_outlives_the_proxy(postgres: Postgres, direct: Side, listed: bool) -> None:
    """Nor by asking another instance, or after a restart, a reload, a crash of a worker."""
    users = [{"name": direct.user, "password": direct.password}] if listed else []
    names = ["nobody_at_all", "nobody_else", *([direct.user] if listed else [])]

    def seen(proxy: Proxy) -> list[bytes]:
        return [salt(side_of(proxy), name) for name in names]

    with Proxy(postgres, users=users) as proxy, Proxy(postgres, users=users, top={"workers": 2}) as another:
        before = seen(proxy)
        assert seen(another) == seen(another) == before
        proxy.users += [{"name": "more", "password": "more"}] if listed else []
        proxy.reload()
        assert seen(proxy) == before
        proxy.stop()
        proxy.start()
        assert seen(proxy) == before


def test_the_salt_depends_on_the_proxy_s_own_password() -> None:
    """What anyone could work out would be no mock. Without any secret it is random."""
    with Postgres(hba=("local all all trust", "host all all 127.0.0.1/32 trust")) as postgres:
        postgres.start()
        salts = []
        for password in ("one", "two", "", ""):
            with Proxy(postgres, target={"max_connections": 2, "password": password}) as proxy:
                salts.append(salt(side_of(proxy), "nobody_at_all"))
        assert len(set(salts)) == 4


def test_right_password(proxied: Side, role: str) -> None:
    """The server connection is opened as that user, with a password that the proxy never had."""
    with as_user(proxied, role, role).login() as client:
        assert client.value("SELECT current_user || '/' || session_user") == f"{role}/{role}"


def test_md5_role() -> None:
    """A role with an MD5 verifier is asked for MD5, as a database does whose pg_hba.conf says md5."""
    settings = {"password_encryption": "md5"}
    with Postgres(settings=settings, hba=("local all all trust", "host all all 127.0.0.1/32 md5")) as postgres:
        postgres.start()
        postgres.add_role("old")
        with Proxy(postgres, target={"max_connections": 2}) as proxy:
            direct = Side("direct", postgres.host, postgres.port, "old", "old", "postgres", 2)
            proxied = Side("proxied", proxy.host, proxy.port, "old", "old", "postgres", 2)
            for side in (direct, proxied):
                with side.open() as client:
                    client.send(m.startup({"user": "old", "database": "postgres"}))
                    request = client.read()
                    assert request.kind == "R" and request.body[:4] == (5).to_bytes(4, "big")
                with side.login() as client:
                    assert client.value("SELECT current_user") == "old"
            assert refusal(as_user(proxied, "old", "wrong")) == refusal(as_user(direct, "old", "wrong"))


SHUT: dict[str, tuple[str, str]] = {
    "NOLOGIN": ("ALTER ROLE {role} NOLOGIN", "28000"),
    "expired": ("ALTER ROLE {role} VALID UNTIL '2001-01-01'", "28P01"),
    "dropped": ("DROP ROLE {role}", "28P01"),
    "password removed": ("ALTER ROLE {role} PASSWORD NULL", "28P01"),
    "password changed": ("ALTER ROLE {role} PASSWORD 'another'", "28P01"),
    "renamed": ("ALTER ROLE {role} RENAME TO {role}_new", "28P01"),
}


@pytest.mark.parametrize(("change", "sqlstate"), SHUT.values(), ids=SHUT.keys())
def test_shut_doors(direct: Side, proxied: Side, postgres: Postgres, role: str, change: str, sqlstate: str) -> None:
    """A server that an earlier session of the role opened still stands in the pool; the newcomer is refused."""
    with as_user(proxied, role, role).login() as earlier:
        assert earlier.value("SELECT 1") == "1"
    postgres.sql(change.format(role=role))
    expected = refusal(as_user(direct, role, role))
    assert expected[2] == sqlstate
    assert refusal(as_user(proxied, role, role)) == expected


def test_rotated_password(proxied: Side, postgres: Postgres, role: str) -> None:
    """The new password works at once; who is logged in stays, and gets new servers too."""
    with as_user(proxied, role, role).login() as old:
        old.query("SELECT 1")
        postgres.sql(f"ALTER ROLE {role} PASSWORD 'fresh'")
        with as_user(proxied, role, "fresh").login() as new:
            assert new.value("SELECT 1") == "1"
        assert old.value("SELECT 1") == "1"


def test_lost_right_to_connect(direct: Side, proxied: Side, postgres: Postgres, role: str) -> None:
    postgres.sql(f"CREATE DATABASE {role}")
    with as_user(proxied, role, role, role).login() as earlier:
        earlier.query("SELECT 1")
    postgres.sql(f"REVOKE CONNECT ON DATABASE {role} FROM PUBLIC")
    expected = refusal(as_user(direct, role, role, role))
    assert expected[2] == "42501"
    assert refusal(as_user(proxied, role, role, role)) == expected


def test_missing_database(direct: Side, proxied: Side, role: str) -> None:
    expected = refusal(as_user(direct, role, role, "nowhere"))
    assert expected[2] == "3D000"
    assert refusal(as_user(proxied, role, role, "nowhere")) == expected


def test_settings_of_role_and_database(
    direct: Side, proxied: Side, postgres: Postgres, role: str, churned: None
) -> None:
    """What ALTER ROLE and ALTER DATABASE set are the session's defaults, and reported at login."""
    postgres.sql(f"ALTER ROLE {role} SET work_mem = '7MB'")
    postgres.sql(f"ALTER ROLE {role} SET DateStyle = 'German'")
    postgres.sql(f"ALTER ROLE {role} IN DATABASE {direct.database} SET application_name = 'by role'")
    seen = []
    for side in (direct, proxied):
        with as_user(side, role, role).login() as client:
            reported = dict(client.parameters)
            client.query("SET work_mem = '5MB'; SET DateStyle = 'ISO'")
            client.query("RESET ALL")
            seen.append((reported, client.value("SHOW work_mem"), client.value("SHOW DateStyle")))
    assert seen[0] == seen[1]
    assert seen[0][1:] == ("7MB", "German, DMY")


@pytest.mark.parametrize(
    "reply",
    [
        m.message("p", b""),
        m.message("p", b"SCRAM-SHA-1\0\0\0\0\0"),
        m.message("p", b"SCRAM-SHA-256\0\0\0\0\x05n,,"),
        m.message("p", b"\xff" * 40),
    ],
    ids=["empty", "unknown mechanism", "too short", "garbage"],
)
def test_malformed_sasl(proxied: Side, reply: bytes) -> None:
    with proxied.open() as client:
        client.send(m.startup({"user": proxied.user, "database": proxied.database}))
        client.read()
        client.send(reply)
        (refused,) = client.read_to_end()
        assert (
            refused.kind == "E"
            and b"FATAL" in refused.body
            and (b"C08P01" in refused.body or b"C28P01" in refused.body)
        )


UNSUPPORTED = {
    "authorization identity": b"n,a=postgres,n=,r=abcdefghijklmnopqrstuvwx",
    "authorization identity of one's own": b"y,a=wire,n=,r=abcdefghijklmnopqrstuvwx",
    "empty authorization identity": b"n,a=,n=,r=abcdefghijklmnopqrstuvwx",
    "mandatory extension": b"n,,m=more,n=,r=abcdefghijklmnopqrstuvwx",
}


@pytest.mark.parametrize("first", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_unsupported_scram(direct: Side, proxied: Side, first: bytes) -> None:
    """What a client asks for beyond the exchange is refused in PostgreSQL's words, not passed over in silence."""
    answers = []
    for side in (direct, proxied):
        with side.open() as client:
            client.send(m.startup({"user": side.user, "database": side.database}))
            client.read()
            client.send(m.message("p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big") + first))
            (refused,) = client.read_to_end()
            answers.append({code: text for code, text in error_fields(refused).items() if code in "SVCMDH"})
    assert answers[0]["C"] == "0A000"
    assert answers[1] == answers[0]


@pytest.mark.parametrize("sent", [m.query("SELECT 1"), m.sync(), m.terminate()], ids=["Query", "Sync", "Terminate"])
def test_messages_before_the_password(proxied: Side, sent: bytes) -> None:
    """Nobody gets anything done before they have logged in."""
    with proxied.open() as client:
        client.send(m.startup({"user": proxied.user, "database": proxied.database}))
        client.read()
        client.send(sent)
        assert [reply.kind for reply in client.read_to_end()] in ([], ["E"])


METHODS = {"scram-sha-256": 10, "md5": 5, "password": 3, "trust": 0}
"""The first Authentication request of each method (protocol documentation, "Message Formats")."""


@pytest.mark.parametrize("method", METHODS)
def test_methods_with_users_from_the_configuration(postgres: Postgres, direct: Side, method: str) -> None:
    """Each asks for its own kind of proof; a wrong one and an unlisted user get the database's words."""
    users = [{"name": direct.user, "password": direct.password}]
    with Proxy(postgres, proxy={"auth_method": method}, target={"max_connections": 2}, users=users) as proxy:
        side = Side("proxied", proxy.host, proxy.port, direct.user, direct.password, direct.database, 2)
        with side.open() as client:
            client.send(m.startup({"user": side.user, "database": side.database}))
            request = client.read()
            assert (request.kind, int.from_bytes(request.body[:4], "big")) == ("R", METHODS[method])
        with side.login() as client:
            assert client.value("SELECT current_user") == direct.user
        if method != "trust":
            expected = refusal(as_user(direct, direct.user, "wrong"))
            assert refusal(as_user(side, direct.user, "wrong")) == expected
            unlisted = refusal(as_user(side, "postgres", "postgres"))
            assert unlisted == (*expected[:3], expected[3].replace(direct.user, "postgres"))


END_IDLE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s AND state = 'idle'"


def test_listed_users_are_the_operator_s_word(postgres: Postgres, role: str) -> None:
    """The database is asked when a server is opened, as docs/configuration.md says; then its words are passed on."""
    users = [{"name": role, "password": role}]
    with Proxy(postgres, target={"max_connections": 2}, users=users) as proxy:
        side = Side("proxied", proxy.host, proxy.port, role, role, "postgres", 2)
        side.login().quit()
        postgres.sql(f"ALTER ROLE {role} NOLOGIN")
        with side.login() as client:
            assert client.value("SELECT current_user") == role
        postgres.sql(END_IDLE, [role])
        with side.login() as client:
            client.send(m.query("SELECT 1"))
            (refused,) = client.read_to_end()
            assert error_fields(refused)["C"] == "28000" and "not permitted to log in" in error_fields(refused)["M"]


def test_a_role_s_new_settings_come_with_new_servers(postgres: Postgres, role: str) -> None:
    """And both ways to hasten that which docs/configuration.md names; who is logged in stays."""
    with Proxy(postgres, target={"max_connections": 2}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, role, role, "postgres", 2)
        with side.login() as client:
            before = client.value("SHOW work_mem")
            postgres.sql(f"ALTER ROLE {role} SET work_mem = '7MB'")
            assert client.value("SHOW work_mem") == before != "7MB"
            postgres.sql(END_IDLE, [role])
            assert client.value("SHOW work_mem") == "7MB"
            postgres.sql(f"ALTER ROLE {role} SET work_mem = '9MB'")
            assert client.value("SHOW work_mem") == "7MB"
            proxy.proxy["init_query"] = "SELECT 1 /* renewed */"
            proxy.reload()
            assert client.value("SHOW work_mem") == "9MB"
