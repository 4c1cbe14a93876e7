"""What is read from real catalogues of each PostgreSQL here: by which names a statement reaches hidden changes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.support.postgres import Postgres, available_majors
from tests.support.wire import RawClient
from tidegate.demo.postgres import PASSWORD, SUPERUSER
from tidegate.session.catalogue_queries import Memory, Reading, Row, read
from tidegate.session.names import NameSet
from tidegate.session.pins import PinReason
from tidegate.session.scanner import scan_text

TENANT = ("app.tenant",)
DYNAMIC = PinReason.DYNAMIC_SET
UNREAD = PinReason.UNREAD_CODE
FUNCTION_COLUMNS = 7

ENTER = """CREATE FUNCTION enter(tenant text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('app.tenant', tenant, false); RETURN tenant; END $$;"""
ENTER_TRIGGER = """CREATE FUNCTION enter_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF true THEN SET app.tenant = 'x'; END IF; RETURN new; END $$;"""
INTO = "CREATE FUNCTION into_type(text) RETURNS own_type LANGUAGE sql AS 'SELECT ROW(enter($1))::own_type';"

CASES: dict[str, tuple[str, str, tuple[str, ...], PinReason | None]] = {
    # what is made; a statement; what it may touch; why it would pin
    "plpgsql": (ENTER, "SELECT enter('a')", TENANT, None),
    "qualified and quoted": (ENTER, 'SELECT "public" . "enter"(\'a\')', TENANT, None),
    "upper case": (ENTER, "SELECT ENTER('a')", TENANT, None),
    "not used": (ENTER, "SELECT 'enter', center('a')", (), None),
    "sql": ("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT set_config(''a.b'', ''x'', false)'",
            "SELECT f()", ("a.b",), None),
    "set role": ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN SET ROLE x; RETURN 1; END'",
                 "SELECT f()", ("role",), None),
    "set local": ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN SET LOCAL work_mem = 1; RETURN 1; END'",
                  "SELECT f()", (), None),
    "proconfig": ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SET work_mem = '1MB' AS 'SELECT 1'",
                  "SELECT f()", (), None),
    "computed name": ("CREATE FUNCTION f(n text) RETURNS text LANGUAGE sql AS 'SELECT set_config(n, ''x'', false)'",
                      "SELECT f('a')", (), DYNAMIC),
    "execute": ("CREATE FUNCTION f(n text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE n; END'",
                "SELECT f('a')", (), UNREAD),
    "lock": ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(1)'",
             "SELECT f()", (), PinReason.ADVISORY_LOCK),
    "transaction's lock": ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(1)'",
                           "SELECT f()", (), None),
    "temp table": ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE t (a int); END'",
                   "SELECT f()", (), PinReason.TEMP_OBJECT),
    "setseed": ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT setseed(0.5)'",
                "SELECT f()", (), PinReason.SETSEED),
    "listen": ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN LISTEN c; END'",
               "SELECT f()", (), PinReason.LISTEN),
    "internal": ("CREATE FUNCTION f(text, text, bool) RETURNS text LANGUAGE internal AS 'set_config_by_name'",
                 "SELECT f('a', 'b', false)", (), DYNAMIC),
    "harmless internal": ("CREATE FUNCTION f(text) RETURNS int LANGUAGE internal AS 'textlen'",
                          "SELECT f('a')", (), None),
    "nested": (ENTER + "CREATE FUNCTION g() RETURNS text LANGUAGE sql AS 'SELECT enter(''a'')';"
               "CREATE FUNCTION h() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN g(); END'",
               "SELECT h()", TENANT, None),
    "procedure": ("CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN SET app.tenant = 1; END';"
                  "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL p(); END'",
                  "SELECT f()", TENANT, None),
    "trigger": (ENTER_TRIGGER + "CREATE TABLE t (a int);"
                "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION enter_trigger()",
                "INSERT INTO t VALUES (1)", TENANT, None),
    "trigger's table in a function": (
        ENTER_TRIGGER + "CREATE TABLE t (a int);"
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION enter_trigger();"
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'INSERT INTO t VALUES (1)'", "SELECT f()", TENANT, None),
    "trigger of a partition": (
        ENTER_TRIGGER + "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE u PARTITION OF t DEFAULT;"
        "CREATE TRIGGER g BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION enter_trigger()",
        "INSERT INTO t VALUES (1)", TENANT, None),
    "trigger behind a cascade": (
        ENTER_TRIGGER + "CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int REFERENCES t ON DELETE CASCADE);"
        "CREATE TRIGGER g BEFORE DELETE ON u FOR EACH ROW EXECUTE FUNCTION enter_trigger()",
        "DELETE FROM t", TENANT, None),
    "trigger's when": (
        ENTER + "CREATE FUNCTION n() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TABLE t (a text);"
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW WHEN (enter(new.a) = 'x') EXECUTE FUNCTION n()",
        "INSERT INTO t VALUES ('x')", TENANT, None),
    "view": (ENTER + "CREATE VIEW v AS SELECT enter('a')", "SELECT * FROM v", TENANT, None),
    "view of a view": (ENTER + "CREATE VIEW v AS SELECT enter('a') e; CREATE VIEW w AS SELECT e FROM v",
                       "SELECT * FROM w", TENANT, None),
    "view without a function": ("CREATE VIEW v AS SELECT set_config('app.tenant', 'a', false)",
                                "SELECT * FROM v", TENANT, None),
    "view with a lock": ("CREATE VIEW v AS SELECT pg_try_advisory_lock(1)",
                         "SELECT * FROM v", (), PinReason.ADVISORY_LOCK),
    "materialized view": (ENTER + "CREATE MATERIALIZED VIEW v AS SELECT enter('a')",
                          "REFRESH MATERIALIZED VIEW v", TENANT, None),
    "rule": (ENTER + "CREATE TABLE t (a text); CREATE RULE r AS ON INSERT TO t DO ALSO SELECT enter(new.a)",
             "INSERT INTO t VALUES ('a')", TENANT, None),
    "rule on pg_settings": ("CREATE TABLE t (a text); CREATE RULE r AS ON INSERT TO t DO ALSO"
                            " UPDATE pg_settings SET setting = new.a WHERE name = 'x'",
                            "INSERT INTO t VALUES ('a')", (), UNREAD),
    "default": (ENTER + "CREATE TABLE t (a int, b text DEFAULT enter('a'))", "INSERT INTO t VALUES (1)", TENANT, None),
    "default without a function": ("CREATE TABLE t (a int, b text DEFAULT set_config('app.tenant', 'a', false))",
                                   "INSERT INTO t VALUES (1)", TENANT, None),
    "check": (ENTER + "CREATE TABLE t (a text CHECK (enter(a) <> ''))", "INSERT INTO t VALUES ('a')", TENANT, None),
    "domain": (ENTER + "CREATE DOMAIN d AS text CHECK (enter(value) <> '')", "SELECT 'a'::d", TENANT, None),
    "domain's default": (ENTER + "CREATE DOMAIN d AS text DEFAULT enter('a'); CREATE TABLE t (a int, b d)",
                         "INSERT INTO t VALUES (1)", TENANT, None),
    "array of a domain in a table": (
        ENTER + "CREATE DOMAIN d AS text CHECK (enter(value) <> ''); CREATE TABLE t (a d[])",
        "INSERT INTO t VALUES ('{a}')", TENANT, None),
    "index": ("CREATE FUNCTION f(a text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN PERFORM set_config(''app.tenant'', a, false); RETURN a; END';"
              "CREATE TABLE t (a text); CREATE INDEX ON t (f(a))", "INSERT INTO t VALUES ('a')", TENANT, None),
    "policy": (ENTER + "CREATE TABLE t (a text); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
               "CREATE POLICY p ON t USING (a = enter(a))", "SELECT * FROM t", TENANT, None),
    "operator": (ENTER + "CREATE FUNCTION o(text, text) RETURNS bool LANGUAGE sql AS 'SELECT enter($1) = $2';"
                 "CREATE OPERATOR @>@ (FUNCTION = o, LEFTARG = text, RIGHTARG = text)",
                 "SELECT 'a' @>@ 'b'", TENANT, None),
    "operator in a function": (
        ENTER + "CREATE FUNCTION o(text, text) RETURNS bool LANGUAGE sql AS 'SELECT enter($1) = $2';"
        "CREATE OPERATOR @>@ (FUNCTION = o, LEFTARG = text, RIGHTARG = text);"
        "CREATE FUNCTION f() RETURNS bool LANGUAGE sql AS 'SELECT ''a'' @>@ ''b'''", "SELECT f()", TENANT, None),
    "other operators": (ENTER + "CREATE FUNCTION o(text, text) RETURNS bool LANGUAGE sql AS 'SELECT enter($1) = $2';"
                        "CREATE OPERATOR @>@ (FUNCTION = o, LEFTARG = text, RIGHTARG = text)",
                        "SELECT 1 <= 2, '{}'::jsonb @> '{}'", (), None),
    "cast": (ENTER + "CREATE TYPE own_type AS (a text);" + INTO
             + "CREATE CAST (text AS own_type) WITH FUNCTION into_type(text)",
             "SELECT cast('a'::text AS own_type)", TENANT, None),
    "cast on assignment": (ENTER + "CREATE TYPE own_type AS (a text);" + INTO
                           + "CREATE CAST (text AS own_type) WITH FUNCTION into_type(text) AS ASSIGNMENT;"
                           "CREATE TABLE t (a own_type)",
                           "INSERT INTO t SELECT 'a'::text", TENANT, None),
    "cast between PostgreSQL's own types": (
        ENTER + "CREATE FUNCTION c(bool) RETURNS date LANGUAGE sql AS 'SELECT enter(''a'')::date';"
        "CREATE CAST (bool AS date) WITH FUNCTION c(bool)", "SELECT now()", TENANT, None),
    "aggregate": (ENTER + "CREATE FUNCTION s(text, text) RETURNS text LANGUAGE sql AS 'SELECT enter($2)';"
                  "CREATE AGGREGATE every_tenant(text) (SFUNC = s, STYPE = text)",
                  "SELECT every_tenant('a')", TENANT, None),
    "argument's default": (
        ENTER + "CREATE FUNCTION f(a text DEFAULT enter('a')) RETURNS text LANGUAGE sql AS 'SELECT a'",
        "SELECT f()", TENANT, None),
    "event trigger": ("CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN SET app.tenant = 1; END';"
                      "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e()",
                      "CREATE TABLE t (a int)", TENANT, None),
    "not ASCII": ("CREATE FUNCTION \"fußweg\"() RETURNS void LANGUAGE plpgsql AS 'BEGIN SET app.tenant = 1; END'",
                  "SELECT FUßWEG()", TENANT, None),
    "view named in a string": (ENTER + "CREATE VIEW v AS SELECT enter('a')",
                               "SELECT table_to_xml('v', true, true, '')", (), UNREAD),
    "extension of C": ("CREATE EXTENSION citext; CREATE TABLE t (a citext)",
                       "SELECT a::citext FROM t ORDER BY 1", (), None),
    "C that runs text": ("CREATE EXTENSION tablefunc", "SELECT * FROM crosstab('SELECT f()')", (), UNREAD),
    "reads its own settings": (
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT current_setting(''app.tenant'')'",
        "SELECT f()", (), None),
}  # fmt: skip

STANDARD = {
    "standard body": ("CREATE FUNCTION f() RETURNS text RETURN set_config('app.tenant', 'x', false)",
                      "SELECT f()", TENANT, None),
    "standard body that calls": (ENTER + "CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT enter('a'); END",
                                 "SELECT f()", TENANT, None),
}  # fmt: skip


@pytest.fixture(scope="module", params=available_majors())
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with Postgres(request.param) as server:
        server.start()
        yield server


def carry_out(steps: Generator[bytes | None, list[Row], Reading], ask: Callable[[bytes], list[Row]]) -> Reading:
    """The answer that the steps come to."""
    sql = next(steps)
    while True:
        try:
            sql = steps.send([] if sql is None else ask(sql))
        except StopIteration as end:
            found: Reading = end.value
            return found


def reading(server: Postgres, database: str, fingerprint: bytes | None = None) -> Reading:
    """All questions, asked one after the other."""
    with RawClient(server.host, server.port) as client:
        client.login(SUPERUSER, database, PASSWORD)
        steps = read(server.major, fingerprint)
        return carry_out(steps, lambda sql: [list(row) for row in client.query(sql.decode())])


@pytest.fixture
def database(server: Postgres) -> Iterator[str]:
    server.sql("CREATE DATABASE names ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
    yield "names"
    server.sql("DROP DATABASE names")


def check(server: Postgres, database: str, case: tuple[str, str, tuple[str, ...], PinReason | None]) -> NameSet | None:
    made, statement, touched, pin = case
    with RawClient(server.host, server.port) as client:
        client.login(SUPERUSER, database, PASSWORD)
        client.query(made)
    names = reading(server, database).names
    facts = scan_text(statement.encode(), names=names)
    assert (facts.touched, facts.pin) == (touched, pin)
    return names


@pytest.mark.parametrize("name", CASES)
def test_names_of_a_real_catalogue(server: Postgres, database: str, name: str) -> None:
    check(server, database, CASES[name])


@pytest.mark.parametrize("name", STANDARD)
def test_bodies_after_the_standard(server: Postgres, database: str, name: str) -> None:
    check(server, database, STANDARD[name])


def test_nothing_hides_in_a_fresh_database(server: Postgres, database: str) -> None:
    assert reading(server, database) == Reading(reading(server, database).fingerprint, False, None, 0)


def test_only_what_has_changed_is_read_again(server: Postgres, database: str) -> None:
    memory: Memory = {}
    fetched: list[int] = []
    with RawClient(server.host, server.port) as client:
        client.login(SUPERUSER, database, PASSWORD)

        def ask(sql: bytes) -> list[Row]:
            found = [list(row) for row in client.query(sql.decode())]
            fetched.append(sum(len(row) == FUNCTION_COLUMNS for row in found))
            return found

        def again(known: Reading | None = None) -> tuple[Reading, int]:
            fetched.clear()
            found = carry_out(read(server.major, known and known.fingerprint, memory), ask)
            return found, sum(fetched)

        for number in range(250):
            client.query(f"CREATE FUNCTION f{number}() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        first, read_first = again()
        assert (first.names, first.functions, read_first) == (None, 250, 250)
        same, read_then = again(first)
        assert same.unchanged
        assert read_then == 0
        client.query(ENTER)
        client.query("CREATE OR REPLACE FUNCTION f7() RETURNS int LANGUAGE sql AS 'SELECT length(enter(''a''))'")
        client.query("DROP FUNCTION f8()")
        changed, read_then = again(first)
        assert (changed.functions, read_then) == (250, 2)
        assert changed.names is not None
        assert {name for name in (b"enter", b"f7", b"f8", b"f9") if changed.names.get(name)} == {b"enter", b"f7"}
        client.query("DROP FUNCTION enter(text)")
        gone, read_then = again(changed)
        assert (gone.names, gone.functions, read_then) == (None, 249, 0)
