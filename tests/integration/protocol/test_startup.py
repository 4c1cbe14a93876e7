"""Start-up: parameters, `options`, protocol versions, requests for encryption; equal to a direct session.

Protocol documentation, "Start-up" and "Protocol Versions"; libpq's `options` are the backend's command line.
"""

from __future__ import annotations

import struct

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Side
from tests.support.transcript import Recorder, normalise
from tests.support.wire import ServerError, rows

PER_SESSION = {"is_superuser", "session_authorization"}  # reported, and equal on both sides for one user

ACCEPTED: dict[str, dict[str, str]] = {
    "nothing": {},
    "encoding alias": {"client_encoding": "utf-8"},
    "encoding in capitals": {"client_encoding": "UNICODE"},
    "another encoding": {"client_encoding": "latin1"},
    "date style": {"DateStyle": "German"},
    "half a date style": {"datestyle": "dmy"},
    "time zone": {"TimeZone": "europe/berlin"},
    "interval style": {"IntervalStyle": "iso_8601"},
    "application name": {"application_name": "lambda"},
    "application name too long": {"application_name": "x" * 100},
    "application name not ASCII": {"application_name": "tür\t1"},
    "strings": {"standard_conforming_strings": "off"},
    "read only": {"default_transaction_read_only": "on"},
    "float digits": {"extra_float_digits": "3"},
    "search path": {"search_path": "proto_a, public"},
    "memory": {"work_mem": "9MB"},
    "custom": {"app.tenant": "x"},
    "options": {"options": "-c work_mem=9MB -c statement_timeout=5s"},
    "options without spaces": {"options": "-cwork_mem=9MB --statement_timeout=5s"},
    "options with dashes": {"options": "--work-mem=9MB"},
    "options escaped": {"options": r"-c search_path=proto_a,\ public -c app.note=back\\slash"},
    "options custom": {"options": "-c app.tenant=x"},
    "options reported": {"options": "-c DateStyle=German -c TimeZone=Asia/Tokyo"},
    "options overruled": {"options": "-c work_mem=9MB -c work_mem=10MB", "work_mem": "11MB"},
    "everything drivers send": {
        "client_encoding": "'utf-8'",
        "extra_float_digits": "2",
        "DateStyle": "ISO",
        "TimeZone": "UTC",
        "application_name": "driver",
    },
}

SHOWN = (
    "work_mem",
    "statement_timeout",
    "search_path",
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "IntervalStyle",
    "application_name",
    "standard_conforming_strings",
    "default_transaction_read_only",
    "extra_float_digits",
)

REFUSED: dict[str, dict[str, str]] = {
    "unknown": {"nosuch_setting": "1"},
    "unknown in options": {"options": "-c nosuch_setting=1"},
    "invalid value": {"work_mem": "lots"},
    "invalid value in options": {"options": "-c statement_timeout=soon"},
    "out of range": {"work_mem": "1"},
    "unknown encoding": {"client_encoding": "klingon"},
    "unknown time zone": {"TimeZone": "Atlantis/Centre"},
    "fixed at the server's start": {"options": "-c max_connections=5"},
    "not a setting's name": {"options": "-c 1=2"},
    "not an option": {"options": "--nothing"},
    "missing database": {"database": "nowhere"},
}


def show_all(talk: Recorder) -> None:
    """A custom setting that a backend has seen before reads as '' where a fresh one has NULL: counted as equal."""
    for _ in range(2):
        for name in SHOWN:
            talk.ask(m.query(f"SHOW {name}"))
        for name in ("app.tenant", "app.note"):
            talk.ask(m.query(f"SELECT coalesce(current_setting('{name}', true), '')"))


def login_reports(side: Side, parameters: dict[str, str]) -> dict[str, str]:
    """What the session's start reported, as a client sees it."""
    with side.login(parameters) as client:
        return dict(client.parameters)


@pytest.mark.parametrize("parameters", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_reports_at_login_are_the_databases(
    direct: Side, proxied: Side, churned: None, parameters: dict[str, str]
) -> None:
    expected = login_reports(direct, parameters)
    for _ in range(3):
        assert login_reports(proxied, parameters) == expected
    assert expected.keys() >= PER_SESSION


@pytest.mark.parametrize("parameters", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted_parameters_hold(same_as_direct: Compare, parameters: dict[str, str]) -> None:
    same_as_direct(show_all, **parameters)


def refusal(side: Side, parameters: dict[str, str]) -> dict[str, str]:
    client = side.open()
    database = parameters.get("database", side.database)
    try:
        with pytest.raises(ServerError) as refused:
            client.login(side.user, database, side.password, parameters=parameters)
        assert client.read_to_end() == []
    finally:
        client.sock.close()
    return {code: text for code, text in refused.value.fields.items() if code in "SVCMDH"}


@pytest.mark.parametrize("parameters", REFUSED.values(), ids=REFUSED.keys())
def test_refusals_are_the_databases(direct: Side, proxied: Side, churned: None, parameters: dict[str, str]) -> None:
    expected = refusal(direct, parameters)
    assert expected["S"] == "FATAL"
    assert refusal(proxied, parameters) == expected
    with proxied.login() as client:
        assert client.value("SELECT 1") == "1"


def back_to_the_start(talk: Recorder) -> None:
    """RESET, SET TO DEFAULT, RESET ALL and DISCARD ALL return to what the session began with."""
    for back in (
        "RESET work_mem",
        "SET work_mem TO DEFAULT",
        "SET work_mem = DEFAULT",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT 1; UNLISTEN *; RESET ALL;",  # asyncpg's reset query, in short
        "BEGIN; RESET ALL; COMMIT",
        "DO $$BEGIN EXECUTE 'RESET ALL'; END$$",
        "SELECT FROM set_config('work_mem', NULL, false)",  # what it returns is the server's own default
    ):
        talk.ask(m.query("SET work_mem = '5MB'"))
        talk.ask(m.query(back))
        assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"9MB",)]


def reported_back_to_the_start(talk: Recorder) -> None:
    for back in ("RESET TimeZone", "SET TimeZone TO DEFAULT", "SET TIME ZONE LOCAL", "RESET ALL", "DISCARD ALL"):
        talk.ask(m.query("SET TimeZone = 'UTC'"))
        replies = talk.ask(m.query(back))
        assert [reply.kind for reply in replies].count("S") >= 1
        assert rows(talk.ask(m.query("SHOW TimeZone"))) == [(b"Asia/Tokyo",)]


def custom_back_to_the_start(talk: Recorder) -> None:
    for back in ("RESET app.tenant", "SET app.tenant TO DEFAULT", "RESET ALL", "DISCARD ALL"):
        talk.ask(m.query("SET app.tenant = 'other'"))
        talk.ask(m.query(back))
        assert rows(talk.ask(m.query("SELECT current_setting('app.tenant')"))) == [(b"first",)]


def back_to_the_start_amid_a_pipeline(talk: Recorder) -> None:
    """What follows a reset among other statements without waiting for its end finds the session's own values, too."""
    for back in ("SELECT 1; RESET ALL", "RESET work_mem; SELECT 1", "DO $$BEGIN EXECUTE 'RESET ALL'; END$$"):
        for ask in (m.query("SHOW work_mem"), m.batch("SHOW work_mem")):
            talk.ask(m.query("SET work_mem = '5MB'"))
            assert rows(talk.ask(m.query(back), ask, ask, count=3))[-2:] == [(b"9MB",)] * 2


def test_return_to_start_up_values(same_as_direct: Compare) -> None:
    same_as_direct(back_to_the_start, work_mem="9MB")
    same_as_direct(back_to_the_start, options="-c work_mem=9MB")
    same_as_direct(back_to_the_start_amid_a_pipeline, options="-c work_mem=9MB")
    same_as_direct(reported_back_to_the_start, TimeZone="Asia/Tokyo")
    same_as_direct(custom_back_to_the_start, options="-c app.tenant=first")


def test_parameter_that_only_a_backends_start_takes(same_as_direct: Compare) -> None:
    def play(talk: Recorder) -> None:
        for _ in range(3):
            assert rows(talk.ask(m.query("SHOW ignore_system_indexes"))) == [(b"on",)]

    same_as_direct(play, ignore_system_indexes="on")
    same_as_direct(play, options="-c ignore_system_indexes=on")
    same_as_direct(play, options="-P")


def test_database_defaults_to_the_user(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with side.open() as client:
            client.send(m.startup({"user": side.user}))
            client.authenticate(side.user, side.password)
            assert client.value("SELECT current_database()") == side.user


@pytest.mark.parametrize("user", [None, ""], ids=["missing", "empty"])
def test_no_user(direct: Side, proxied: Side, user: str | None) -> None:
    def ask(side: Side) -> object:
        with side.open() as client:
            client.send(m.startup({"database": side.database} | ({} if user is None else {"user": user})))
            return normalise(client.read_to_end())

    assert "28000" in str(ask(direct)) and ask(proxied) == ask(direct)


def test_encryption_is_declined(proxied: Side) -> None:
    """A database that was built with GSSAPI says `G`, so this is the proxy's own answer."""
    for requests in ([m.SSL_REQUEST], [m.GSSENC_REQUEST], [m.GSSENC_REQUEST, m.SSL_REQUEST]):
        with proxied.open() as client:
            for request in requests:
                client.send(request)
                assert client.read_bytes(1) == b"N"
            client.login(proxied.user, proxied.database, proxied.password)
            assert client.value("SELECT 1") == "1"


def test_encryption_asked_twice_is_an_error(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with side.open() as client:
            client.send(m.SSL_REQUEST)
            assert client.read_bytes(1) == b"N"
            client.send(m.SSL_REQUEST)
            (refused,) = client.read_to_end()
            assert refused.kind == "E" and b"0A000" in refused.body


@pytest.mark.parametrize("major", [0, 1, 2, 4, 1000])
def test_other_major_versions_are_refused(direct: Side, proxied: Side, major: int) -> None:
    """The words count; a client of protocol 2 could not read the framing of protocol 3 anyway."""
    for side in (direct, proxied):
        with side.open() as client:
            client.send(m.startup({"user": side.user, "database": side.database}, major << 16))
            answer = client.read_rest()
            assert answer.startswith(b"E") and f"unsupported frontend protocol {major}.0".encode() in answer


def test_unknown_protocol_options_are_named(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with side.login({"_pq_.nosuch": "1", "_pq_.other": "2"}) as client:
            assert client.negotiated is not None
            assert client.negotiated.body == struct.pack("!ii", m.PROTOCOL_3_0, 2) + b"_pq_.nosuch\0_pq_.other\0"
            assert len(client.key) == 4


@pytest.mark.parametrize(
    ("asked", "answered", "key_bytes"),
    [(m.PROTOCOL_3_0, None, 4), (m.PROTOCOL_3_2, None, 32), (m.PROTOCOL_3_9999, m.PROTOCOL_3_2, 32)],
    ids=["3.0", "3.2", "3.9999"],
)
def test_the_proxy_negotiates_by_itself(proxied: Side, asked: int, answered: int | None, key_bytes: int) -> None:
    """Whatever the database speaks (17: only 3.0), the proxy's clients get up to 3.2 and its own long keys."""
    with proxied.login(protocol=asked) as client:
        assert (client.negotiated and client.negotiated.body) == (
            None if answered is None else struct.pack("!ii", answered, 0)
        )
        assert len(client.key) == key_bytes
        assert client.value("SELECT 1") == "1"


def test_newer_minor_is_negotiated_down(direct: Side) -> None:
    """The reference behaviour that the test above expects of the proxy, with the database's own newest version."""
    with direct.login(protocol=m.PROTOCOL_3_9999) as client:
        assert client.negotiated is not None


def test_login_byte_by_byte(proxied: Side) -> None:
    with proxied.open() as client:
        client.send_slowly(m.startup({"user": proxied.user, "database": proxied.database}), pause=0.001)
        client.authenticate(proxied.user, proxied.password)
        client.send_slowly(m.query("SELECT 'slow'"))
        client.send_slowly(m.batch("SELECT $1::text", ["slow"]))
        assert rows(client.read_ready(2)) == [(b"slow",), (b"slow",)]
