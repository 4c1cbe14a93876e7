"""What follows from the looks at a server's settings before and after init_query, and the steps of a login with it."""

from __future__ import annotations

import pytest

from tidegate.errors import InitQueryError, PgError
from tidegate.proxy.initializing import Initialization
from tidegate.proxy.opening import ServerLogin
from tidegate.wire.postgres import messages

Row = tuple[str, str | None]

NOTHING_SET: tuple[Row, ...] = (("role", "none"), ("session_authorization", "joe"))


def bytea(value: str | None) -> bytes | None:
    return None if value is None else b"\\x" + value.encode().hex().encode()


def looked(
    init_query: str, after: tuple[Row, ...], before: tuple[Row, ...] = NOTHING_SET, given: tuple[str, ...] = ()
) -> Initialization:
    initialization = Initialization(init_query, given)
    for name, value in before:
        initialization.seen_before([name.encode(), bytea(value)])
    for name, value in after:
        initialization.seen_after([name.encode(), bytea(value)])
    return initialization


def test_what_the_session_has_set_is_the_initial_state() -> None:
    found = looked("SET work_mem = '7MB'", (("work_mem", "7MB"), *NOTHING_SET))
    assert found.initial == {"work_mem": b"7MB"}
    assert found.overridden == []


def test_roles_and_custom_settings_are_compared_with_what_they_were() -> None:
    before = (*NOTHING_SET, ("app.a", None), ("app.b", "b"), ("app.c", "c"))
    after = (("role", "ann"), ("session_authorization", "joe"), ("app.a", "ü"), ("app.b", "b"), ("app.c", ""))
    found = looked("SET app.a = 'ü'; SELECT set_config('app.b', 'b', false); SET app.c = ''", after, before)
    assert found.initial == {"role": b"ann", "app.a": "ü".encode(), "app.c": b""}
    for name in (b"app.a", b"app.b", b"app.c"):
        assert found.queries.count(b"E'" + name + b"'") == 2 * 2  # named and read, before and after


def test_a_clients_own_settings_are_given_back() -> None:
    after = (("work_mem", "7MB"), ("timezone", "UTC"), ("role", "ann"), ("session_authorization", "joe"))
    found = looked("", after, given=("timezone", "role", "datestyle"))
    assert found.initial == {"work_mem": b"7MB"}
    assert found.overridden == ["timezone", "role"]
    assert found.restoring == messages.query(b'RESET "timezone";RESET "role"')


class Server:
    """The other side of a ServerLogin, by hand."""

    def __init__(self, given: tuple[str, ...] = ()) -> None:
        self.login = ServerLogin("joe", None, {}, curious=False, initialization=Initialization("SET a.b = 'x'", given))
        self.says("R", (0).to_bytes(4, "big"))
        self.sent = self.says("Z", b"I")

    def says(self, kind: str, body: bytes) -> bytes | None:
        return self.login.feed(ord(kind), body)

    def rows(self, *rows: Row) -> bytes | None:
        for name, value in rows:
            cells = [name.encode(), bytea(value)]
            body = b"".join(b"\xff" * 4 if one is None else len(one).to_bytes(4, "big") + one for one in cells)
            self.says("D", b"\0\2" + body)
        self.says("C", b"SELECT\0")
        return self.says("Z", b"I")


def error(severity: str, code: str) -> bytes:
    return f"S{severity}\0V{severity}\0C{code}\0Mit broke\0DSo it is.\0HMend it.\0\0".encode()


def test_three_queries_in_one_write_and_then_done() -> None:
    server = Server()
    assert server.sent is not None
    assert server.sent.count(b"SET a.b = 'x'") == 1
    assert server.rows(*NOTHING_SET, ("a.b", None)) is None
    server.says("S", b"TimeZone\0UTC\0")
    server.says("A", b"\0\0\0\1channel\0\0")
    assert not server.login.done
    server.says("Z", b"I")
    assert server.rows(*NOTHING_SET, ("a.b", "x")) is None
    assert server.login.done
    assert server.login.initial == {"a.b": b"x"}
    assert server.login.parameters == {"TimeZone": b"UTC"}


def test_one_more_step_where_the_client_has_said_otherwise() -> None:
    server = Server(("a.b",))
    server.rows(*NOTHING_SET, ("a.b", "mine"))
    server.says("Z", b"I")
    assert server.rows(*NOTHING_SET, ("a.b", "x")) == messages.query(b'RESET "a"."b"')
    assert not server.login.done
    server.says("Z", b"I")
    assert server.login.done
    assert server.login.initial == {}


def test_its_errors_say_whose_they_are() -> None:
    server = Server()
    server.rows(*NOTHING_SET)
    assert server.login.initializing
    with pytest.raises(InitQueryError) as caught:
        server.says("E", error("ERROR", "22012"))
    assert (caught.value.message, caught.value.sqlstate, caught.value.severity) == ("it broke", "22012", "ERROR")
    assert caught.value.detail == "The proxy's init_query failed on a new server connection. So it is."
    assert caught.value.hint == "Mend it. Correct the setting init_query of the proxy."


def test_a_server_that_ends_meanwhile_is_no_failure_of_init_query() -> None:
    server = Server()
    with pytest.raises(PgError) as caught:
        server.says("E", error("FATAL", "57P01"))
    assert not isinstance(caught.value, InitQueryError)


@pytest.mark.parametrize(("kind", "body"), [("G", b"\0\0\0"), ("Z", b"T"), ("H", b"\0\0\0")])
def test_what_init_query_may_not_do(kind: str, body: bytes) -> None:
    server = Server()
    server.rows(*NOTHING_SET)
    with pytest.raises(InitQueryError):
        server.says(kind, body)
