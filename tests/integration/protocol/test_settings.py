"""Settings: what a session sets follows it from server to server, and never reaches another session.

The plays ask for the values in transactions of their own, so that through the proxy each may meet another server.
"""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.fixtures import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Play, Side
from tests.support.tidegate import Proxy
from tests.support.transcript import Recorder
from tests.support.wire import RawClient, rows, sqlstates

ASK = "SELECT current_setting('work_mem'), current_setting('lock_timeout'), current_setting('TimeZone')"


def say(*statements: str) -> Play:
    """A play that runs each statement as a simple query of its own, in order."""

    def play(talk: Recorder) -> None:
        for sql in statements:
            talk.ask(m.query(sql))

    return play


def reported(talk: Recorder) -> None:
    for sql in (
        "SET client_encoding = 'latin1'",
        "SET NAMES 'UTF8'",
        "SET DateStyle = 'German'",
        "SET DateStyle = ymd",
        "SET TIME ZONE 'Europe/Berlin'",
        "SET TimeZone TO '+03'",
        "SET application_name = 'somebody else'",
        "SET IntervalStyle = 'iso_8601'",
        "SET default_transaction_read_only = on",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET standard_conforming_strings = off",
    ):
        replies = talk.ask(m.query(sql))
        assert not sqlstates(replies)
        talk.ask(m.query("SELECT now() > '2000-01-01', '2030-12-24'::date, interval '1 day 2 hours', 'a\\b'"))
    assert talk.client.parameters["TimeZone"] == "<+03>-03"
    talk.ask(m.query("SHOW TimeZone; SHOW DateStyle; SHOW client_encoding; SHOW application_name"))


def rolled_back_by_an_error_in_one_message(talk: Recorder) -> None:
    """One simple query is one transaction: its SETs fall with it."""
    assert sqlstates(talk.ask(m.query("SET work_mem = '5MB'; SET TimeZone = 'Asia/Tokyo'; SELECT 1/0"))) == ["22012"]
    assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"4MB",)]
    talk.ask(m.query("SHOW TimeZone"))


def rolled_back_by_an_error_in_one_pipeline(talk: Recorder) -> None:
    part = [m.parse("SET work_mem = '5MB'"), m.bind(), m.execute(), m.parse("SELEC"), m.sync()]
    assert sqlstates(talk.ask(*part)) == ["42601"]
    assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"4MB",)]


def kept_from_one_message(talk: Recorder) -> None:
    talk.ask(m.query("SELECT 1; SET work_mem = '5MB'; SET TimeZone = 'Asia/Tokyo'"))
    assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"5MB",)]
    assert rows(talk.ask(m.query("SHOW TimeZone"))) == [(b"Asia/Tokyo",)]


def by_extended_query(talk: Recorder) -> None:
    talk.ask(m.batch("SET work_mem = '6MB'"))
    assert rows(talk.ask(m.batch("SHOW work_mem"))) == [(b"6MB",)]
    talk.ask(m.parse("SET work_mem = '7MB'", "seven"), m.sync())
    assert rows(talk.ask(m.batch("SHOW work_mem"))) == [(b"6MB",)]
    talk.ask(m.run_prepared("seven"))
    assert rows(talk.ask(m.batch("SHOW work_mem"))) == [(b"7MB",)]


def by_set_config_with_values(talk: Recorder) -> None:
    sql = "SELECT set_config($1, $2, $3::bool)"
    talk.ask(m.batch(sql, ["work_mem", "8MB", "false"]))
    talk.ask(m.batch(sql, ["app.user_id", "42", "false"]))
    talk.ask(m.batch(sql, ["TimeZone", "Asia/Tokyo", "true"]))
    assert rows(talk.ask(m.batch("SHOW work_mem"))) == [(b"8MB",)]
    assert rows(talk.ask(m.batch("SELECT current_setting('app.user_id')"))) == [(b"42",)]
    talk.ask(m.query("SHOW TimeZone"))


def in_one_write(talk: Recorder) -> None:
    talk.ask(
        *(m.query(sql) for sql in ("SET work_mem = '5MB'", "SHOW work_mem", "SET work_mem = '6MB'", "SHOW work_mem")),
        count=4,
    )
    assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"6MB",)]


SHOW = "SHOW work_mem"
TENANT = (
    "SELECT coalesce(current_setting('app.tenant', true), '')"  # '' and NULL: the backend's history, not the session's
)
MARK = "SET work_mem = '5MB'"

SAID: dict[str, Play] = {
    "plain": say(MARK, SHOW, SHOW, "RESET work_mem", SHOW),
    "session": say("SET SESSION work_mem TO 5120", SHOW, "SET SESSION work_mem TO DEFAULT", SHOW),
    "unchanged in value": say("SET work_mem = '4MB'", SHOW, MARK, MARK, SHOW),
    "custom": say("SET app.tenant = 'it''s \"me\"'", TENANT, TENANT, "RESET app.tenant", TENANT),
    "several": say(
        "SET work_mem='5MB'", "SET lock_timeout='1s'", "SET app.tenant='x'", ASK, TENANT, "RESET ALL", ASK, TENANT
    ),
    "committed": say("BEGIN", MARK, SHOW, "COMMIT", SHOW, SHOW),
    "rolled back": say("BEGIN", MARK, SHOW, "ROLLBACK", SHOW, SHOW),
    "fallen at commit": say("BEGIN", MARK, "SELECT 1/0", "COMMIT", SHOW),
    "savepoint rolled back": say(
        "BEGIN", MARK, "SAVEPOINT a", "SET work_mem='6MB'", SHOW, "ROLLBACK TO a", SHOW, "COMMIT", SHOW
    ),
    "savepoint released": say("BEGIN", "SAVEPOINT a", "SET work_mem='6MB'", "RELEASE a", "COMMIT", SHOW),
    "reset and rolled back": say(MARK, "BEGIN", "RESET work_mem", SHOW, "ROLLBACK", SHOW),
    "reset all and rolled back": say(MARK, "BEGIN", "RESET ALL", "ROLLBACK", SHOW),
    "local": say("BEGIN", "SET LOCAL work_mem='5MB'", SHOW, "COMMIT", SHOW),
    "local over session": say(MARK, "BEGIN", "SET LOCAL work_mem='6MB'", SHOW, "COMMIT", SHOW),
    "session under local": say("BEGIN", "SET LOCAL work_mem='6MB'", MARK, SHOW, "COMMIT", SHOW),
    "local outside": say("SET LOCAL work_mem='5MB'", SHOW),
    "failed": say(MARK, "SET work_mem='lots'", "SET nosuch_setting=1", "RESET nosuch_setting", SHOW),
    "reported in a block": say("BEGIN", "SET TimeZone='Asia/Tokyo'", "ROLLBACK", "SHOW TimeZone"),
    "reported in a kept block": say("BEGIN", "SET TimeZone='Asia/Tokyo'", "COMMIT", "SHOW TimeZone", "SHOW TimeZone"),
    "time zone interval": say("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", "SHOW TimeZone", "SHOW TimeZone"),
    "time zone number": say("SET TIME ZONE -3.5", "SHOW TimeZone", "SHOW TimeZone"),
    "search path list": say(
        "SET search_path = \"$user\", proto_a, 'proto_b'", "SHOW search_path", "SELECT tenant FROM who"
    ),
    "schema": say("SET SCHEMA 'proto_b'", "SELECT tenant FROM who", "SHOW search_path"),
    "characteristics": say(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "SHOW default_transaction_isolation",
        "SHOW transaction_read_only",
        "DELETE FROM proto_items WHERE false",
    ),
    "transaction": say(
        "BEGIN", "SET TRANSACTION READ ONLY", "SHOW transaction_read_only", "COMMIT", "SHOW transaction_read_only"
    ),
    "role": say(
        "SET ROLE pg_monitor",
        "SELECT current_user, session_user",
        "SELECT current_user",
        "RESET ROLE",
        "SELECT current_user",
    ),
    "role and reset all": say(
        "SET ROLE pg_monitor", "RESET ALL", "SELECT current_user", "DISCARD ALL", "SELECT current_user"
    ),
    "role rolled back": say("BEGIN", "SET ROLE pg_monitor", "ROLLBACK", "SELECT current_user"),
    "session authorization": say(
        "SET SESSION AUTHORIZATION pg_monitor",
        "SELECT current_user, session_user",
        "SELECT session_user",
        "RESET SESSION AUTHORIZATION",
        "SELECT session_user",
    ),
    "function": say("SELECT set_config('work_mem', '5MB', false)", SHOW, SHOW),
    "function among others": say(
        "SELECT 1, set_config('work_mem','5MB',false), set_config('app.tenant','x',false)", SHOW, TENANT
    ),
    "function local": say(
        "SELECT set_config('work_mem', '5MB', true)",
        SHOW,
        "BEGIN",
        "SELECT set_config('work_mem','5MB',true)",
        SHOW,
        "COMMIT",
        SHOW,
    ),
    "function rolled back": say("BEGIN", "SELECT set_config('work_mem', '5MB', false)", "ROLLBACK", SHOW),
    "function fallen": say("SELECT set_config('work_mem', '5MB', false), 1/0", SHOW),
    "function null": say(
        "SELECT set_config('work_mem', '5MB', false)", "SELECT set_config('work_mem', NULL, false)", SHOW
    ),
    "hidden in a block of code": say("DO $$BEGIN PERFORM set_config('work_mem', '5MB', false); END$$", SHOW, SHOW),
    "update of pg_settings": say("UPDATE pg_settings SET setting = '5120' WHERE name = 'work_mem'", SHOW, SHOW),
    "discard all": say(
        MARK, "SET app.tenant='x'", "SET TimeZone='Asia/Tokyo'", "DISCARD ALL", SHOW, TENANT, "SHOW TimeZone"
    ),
    "discard in a block": say(MARK, "BEGIN", "DISCARD ALL", "ROLLBACK", SHOW),
    "in comments and capitals": say("/* a */ sEt /* b */ work_mem -- c\n = '5MB' ;", SHOW, SHOW),
    "strings": say("SET standard_conforming_strings = off", r"SET app.tenant = 'a\\b'", TENANT, "SELECT 'x\\ty'"),
    "escape string": say(r"SET app.tenant = E'tab\tquote\''", TENANT, TENANT),
    "list value": say("SET DateStyle = 'SQL', 'DMY'", "SELECT '2030-12-24'::date", "SHOW DateStyle"),
    "memory units": say("SET work_mem = '5120kB'", SHOW, "SET statement_timeout = '1min'", "SHOW statement_timeout"),
    "xml option": say("SET XML OPTION DOCUMENT", "SHOW xmloption", "SHOW xmloption"),
    "default role of transaction": say(
        "BEGIN", "SET LOCAL ROLE pg_monitor", "SELECT current_user", "COMMIT", "SELECT current_user"
    ),
}

PLAYS: dict[str, Play] = SAID | {
    play.__name__: play
    for play in (
        reported,
        rolled_back_by_an_error_in_one_message,
        rolled_back_by_an_error_in_one_pipeline,
        kept_from_one_message,
        by_extended_query,
        by_set_config_with_values,
        in_one_write,
    )
}


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS.keys())
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


POISON = (
    "SET work_mem = '5MB'",
    "SET search_path = proto_a",
    "SET DateStyle = 'German'",
    "SET TIME ZONE 'Asia/Tokyo'",
    "SET client_encoding = 'latin1'",
    "SET default_transaction_read_only = on",
    "SET standard_conforming_strings = off",
    "SET app.tenant = 'poison'",
    "SELECT set_config('app.tenant', 'poison', false)",
    "BEGIN; SET work_mem = '5MB'; COMMIT",
    "DO $$BEGIN PERFORM set_config('work_mem', '5MB', false); END$$",
    "SET ROLE pg_monitor",
    "SET SESSION AUTHORIZATION pg_monitor",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET row_security = off",
    "SET lock_timeout = 1",
    "SET application_name = 'poison'",
)

STATE = """SELECT current_user, session_user, coalesce(current_setting('app.tenant', true), ''),
  current_setting('search_path'), current_setting('transaction_read_only'), current_setting('application_name'),
  (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings WHERE name IN
    ('work_mem', 'DateStyle', 'TimeZone', 'client_encoding', 'standard_conforming_strings', 'row_security',
     'lock_timeout', 'default_transaction_read_only'))"""


def state(client: RawClient) -> list[tuple[bytes | None, ...]]:
    replies = client.ask(m.query(STATE))
    assert not [reply for reply in replies if reply.kind == "S"], "a stranger's setting was reported"
    return rows(replies)


@pytest.mark.parametrize("stays", [True, False], ids=["poisoner stays", "poisoner leaves"])
@pytest.mark.parametrize("sql", POISON)
def test_never_reaches_a_stranger(direct: Side, proxied: Side, sql: str, stays: bool) -> None:
    """As many strangers as there are servers look at what one client has set, while it lives and after it left.

    A custom setting that a backend has once seen reads as '' instead of NULL after its reset: counted as equal.
    """
    with direct.login() as untouched:
        expected = state(untouched)
    poisoner = proxied.login()
    strangers = [proxied.login() for _ in range(proxied.servers - stays)]  # a pinned poisoner keeps its server
    try:
        poisoner.query(sql)
        if not stays:
            poisoner.quit()
        for stranger in strangers:
            stranger.ask(m.query("BEGIN"))
        for stranger in strangers:
            assert state(stranger) == expected
            stranger.ask(m.query("COMMIT"))
        with proxied.login() as newcomer:
            assert state(newcomer) == expected
    finally:
        for client in [*strangers, poisoner]:
            client.quit()


def test_other_sessions_hear_nothing(proxied: Side, churned: None) -> None:
    """ParameterStatus compares with what this client saw last, not with what its server held before."""
    with proxied.login(TimeZone="Asia/Tokyo") as a, proxied.login(TimeZone="UTC") as b:
        for _ in range(30):
            for client, zone in ((a, b"Asia/Tokyo"), (b, b"UTC")):
                replies = client.ask(m.query("SHOW TimeZone"))
                assert rows(replies) == [(zone,)] and "S" not in [reply.kind for reply in replies]


def test_start_values_are_back_before_the_next_statement(postgres: Postgres, direct: Side, schema: None) -> None:
    """The server is asked two things behind a RESET ALL among others, and what comes meanwhile waits for both."""
    with Proxy(postgres, target={"max_connections": 1}) as proxy:
        side = proxied_side(proxy, 1)
        with side.login() as first:
            first.query("CREATE TEMP TABLE settings_temp (a int)")  # so the server has a temporary schema from now on
        with side.login(search_path="proto_a") as client, direct.login() as blocker:
            client.query("SET search_path = proto_b")
            blocker.query("BEGIN")
            blocker.query("LOCK TABLE pg_settings IN ACCESS EXCLUSIVE MODE")
            client.query("SELECT 1; RESET ALL")
            client.send(m.batch("SELECT tenant FROM who"))
            assert client.silent(0.2), "nothing was asked of the server"
            blocker.query("COMMIT")
            assert rows(client.read_ready()) == [(b"a",)]
