"""Settings: what replaying one set over another comes to at a server, how values are spelled, what must not idle."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import sql
from tidegate.session.scanner import trail_bytes
from tidegate.session.settings import (
    IDENTITY,
    PARSE_CONTEXT,
    REPLAYS_KEPT,
    Interned,
    context_change,
    full_probe_sql,
    identifiers,
    is_hazard,
    literal,
    milliseconds,
    probe_sql,
    quick_probe_sql,
    replay_sql,
    reset_sql,
    set_config,
    set_sql,
    told,
)

NAMES = ("application_name", "app.tenant", "role", "search_path", "session_authorization", "timezone", "work_mem")
VALUES = st.binary(max_size=12).map(lambda value: value.replace(b"\0", b""))
SETTINGS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)


def executed(text: bytes, before: dict[str, bytes]) -> dict[str, bytes]:
    """What a session has set after a simple query of the proxy's own."""
    session = sql.Session()
    session.own = dict(before)
    for statement in sql.split(text):
        session.run(statement, {})
    return session.own


@given(SETTINGS, SETTINGS)
def test_a_replay_makes_a_server_what_the_client_wants(applied: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert executed(replay_sql(applied, wanted), applied) == wanted


@given(SETTINGS)
def test_nothing_is_replayed_where_nothing_differs(values: dict[str, bytes]) -> None:
    assert replay_sql(values, dict(values)) == b""


@given(SETTINGS, SETTINGS, SETTINGS)
def test_a_wash_leaves_nothing_that_is_not_wanted(
    applied: dict[str, bytes], hidden: dict[str, bytes], wanted: dict[str, bytes]
) -> None:
    """Whatever else was set at the server; but roles are known."""
    interned = Interned()
    hidden = {name: value for name, value in hidden.items() if name not in IDENTITY}
    text = interned.wash(interned.intern(applied), interned.intern(wanted))
    assert executed(text, applied | hidden) == wanted


def parts(applied: dict[str, bytes], wanted: dict[str, bytes]) -> list[bytes]:
    return replay_sql(applied, wanted).split(b";")


def test_a_replay_that_fails_ends_the_server_not_the_clients_statement() -> None:
    first, *_, last = parts({}, {"work_mem": b"1MB"})
    assert first == b"SET exit_on_error=on"
    assert last == b"RESET exit_on_error"


def test_a_client_that_wants_exit_on_error_keeps_it() -> None:
    assert b"RESET exit_on_error" not in parts({}, {"exit_on_error": b"on"})


def test_only_what_differs_is_set() -> None:
    text = replay_sql({"a": b"1", "b": b"2", "d": b"4"}, {"a": b"1", "b": b"3", "c": b"5"})
    assert b"E'a'" not in text
    assert b"E'b',E'3'" in text
    assert b"E'c',E'5'" in text
    assert b'RESET "d"' in text


def test_a_role_is_given_up_first_and_taken_last() -> None:
    """A role may not be allowed to change what has to change."""
    said = parts({"role": b"weak", "work_mem": b"1MB"}, {"role": b"other", "search_path": b"a"})
    assert said[1] == b"RESET ROLE"
    assert said[-2].index(b"search_path") < said[-2].index(b"role")


def test_the_same_role_is_given_up_for_a_while_too() -> None:
    said = parts({"role": b"weak"}, {"role": b"weak", "work_mem": b"1MB"})
    assert said[1] == b"RESET ROLE"
    assert b"E'role',E'weak'" in said[-2]


def test_another_user_takes_its_role_with_it() -> None:
    said = parts({"session_authorization": b"a", "role": b"r"}, {"session_authorization": b"b", "role": b"r"})
    assert said[1] == b"RESET SESSION AUTHORIZATION"
    assert said[-2].index(b"session_authorization") < said[-2].index(b"E'role'")


# --- spelling -------------------------------------------------------------------------------------------------------


def as_read(constant: bytes) -> bytes:
    """The value of an E'' constant, byte by byte (PostgreSQL documentation, "C-Style Escapes")."""
    assert constant.startswith(b"E'")
    assert constant.endswith(b"'")
    inner = constant[2:-1]
    value = bytearray()
    at = 0
    while at < len(inner):
        if inner[at : at + 2] == b"\\x":
            value.append(int(inner[at + 2 : at + 4], 16))
            at += 4
            continue
        if inner[at : at + 1] in (b"'", b"\\"):
            assert inner[at : at + 1] == inner[at + 1 : at + 2], "an escape of its own, or the end"
            at += 1
        value.append(inner[at])
        at += 1
    return bytes(value)


@given(VALUES)
def test_a_literal_means_its_value(value: bytes) -> None:
    assert as_read(literal(value)) == value


@given(VALUES)
def test_a_literal_is_the_same_in_every_client_encoding(value: bytes) -> None:
    assert literal(value).isascii()


def test_no_value_ends_its_literal() -> None:
    assert literal(b"'; DROP TABLE t; --") == b"E'''; DROP TABLE t; --'"
    assert literal(b"\\' OR 1=1") == b"E'\\\\'' OR 1=1'"


def test_names_are_quoted_part_by_part() -> None:
    assert reset_sql("work_mem") == b'RESET "work_mem"'
    assert reset_sql("app.tenant") == b'RESET "app"."tenant"'
    assert reset_sql('a"; DROP TABLE t; --') == b'RESET "a""; DROP TABLE t; --"'
    assert set_sql("app.tenant", b"it's") == b"SET \"app\".\"tenant\" TO E'it''s'"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b'"$user", public', [b"$user", b"public"]),
        (b'"A b",C,"say ""x"""', [b"A b", b"c", b'say "x"']),
        (b" a ", [b"a"]),
        (b'"\xc3\xbc"', [b"\xc3\xbc"]),
        (b'""', [b""]),
        (b"", []),
        (b'"open', []),
        (b"a b", []),
    ],
)
def test_identifiers(value: bytes, names: list[bytes]) -> None:
    assert identifiers(value) == names


def test_a_list_of_identifiers_is_set_as_one() -> None:
    """One literal for all of it would be one name."""
    assert set_sql("search_path", b'"$user", public') == b"SET \"search_path\" TO E'$user',E'public'"
    assert set_sql("search_path", b"") == b"SET \"search_path\" TO E''"


@given(VALUES)
def test_what_a_probe_tells_is_read_in_either_bytea_output(value: bytes) -> None:
    escaped = b"".join(
        b"\\\\" if byte == 0x5C else b"\\%03o" % byte if not 0x20 <= byte < 0x7F else bytes((byte,)) for byte in value
    )
    assert told(b"\\x" + value.hex().encode()) == told(escaped) == value


def test_a_setting_that_is_not_there_has_no_value() -> None:
    assert told(None) is None


def test_functions_are_named_with_their_schema() -> None:
    for text in (
        set_config("a", b"b"),
        probe_sql(["a"]),
        full_probe_sql(["a"]),
        quick_probe_sql(["a"]),
        replay_sql({}, {"a": b"b"}),
    ):
        bare = text.replace(b"pg_catalog.", b"")
        assert bare.count(b"convert_to(") == text.count(b"pg_catalog.convert_to(")
        assert bare.count(b"_config(") + bare.count(b"_setting(") == text.count(b"pg_catalog.set_config(") + text.count(
            b"pg_catalog.current_setting("
        )


def test_probes_ask_for_every_name() -> None:
    names = ["a", "b.c", "it's"]
    for text in (probe_sql(names), quick_probe_sql(names), full_probe_sql(names)):
        assert [text.count(b"current_setting(" + literal(name.encode())) for name in names] == [1, 1, 1]


def test_a_parse_context_changes_by_utility_statements_alone() -> None:
    old = tuple(b"a" if name in ("search_path", "datestyle") else None for name in PARSE_CONTEXT)
    new = tuple(b"b" if name in ("search_path", "role") else None for name in PARSE_CONTEXT)
    statements = context_change(old, new)
    assert set(statements) == {b"SET \"search_path\" TO E'b'", b"SET \"role\" TO E'b'", b'RESET "datestyle"'}
    assert context_change(new, new) == []


def test_a_parse_context_takes_its_role_under_its_own_session_authorization() -> None:
    def context(role: bytes | None, authorization: bytes | None) -> tuple[bytes | None, ...]:
        values = {"role": role, "session_authorization": authorization}
        return tuple(values.get(name) for name in PARSE_CONTEXT)

    both = [b'RESET "session_authorization"', b"SET \"role\" TO E'r'"]
    assert context_change(context(None, b"a"), context(b"r", None)) == both
    assert context_change(context(b"r", b"a"), context(b"r", None)) == both
    assert context_change(context(b"r", None), context(None, b"a")) == [
        b"SET \"session_authorization\" TO E'a'",
        b'RESET "role"',
    ]


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", 0),
        (b"1500", 1500),
        (b"250ms", 250),
        (b"5s", 5000),
        (b"2min", 120_000),
        (b"1h", 3_600_000),
        (b"1d", 86_400_000),
        (b"500us", 0.5),
        (b" 5 s ", 5000),
        (b"1.5s", 1500),
        (b"-1", -1),
        (b"", 0),
        (b"s", 0),
        (b"5 weeks", 0),
        (b"\xff", 0),
    ],
)
def test_milliseconds(text: bytes, expected: float) -> None:
    assert milliseconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "hazard"),
    [
        ({}, False),
        ({"idle_session_timeout": b"1h"}, True),
        ({"idle_session_timeout": b"0"}, False),
        ({"idle_in_transaction_session_timeout": b"10s"}, True),
        ({"statement_timeout": b"999ms"}, True),
        ({"statement_timeout": b"1s"}, False),
        ({"statement_timeout": b"0"}, False),
        ({"lock_timeout": b"1ms"}, True),
        ({"transaction_timeout": b"1ms"}, True),
        ({"work_mem": b"1"}, False),
    ],
)
def test_what_an_idle_server_must_not_have(values: dict[str, bytes], hazard: bool) -> None:
    assert is_hazard(values) is hazard
    assert Interned().intern(values).hazard is hazard


# --- one object for each set ----------------------------------------------------------------------------------------


def test_equal_settings_are_one_object() -> None:
    interned = Interned()
    one = interned.intern({"a": b"1", "b": b"2"})
    assert interned.intern({"b": b"2", "a": b"1"}) is one
    assert interned.changed(interned.nothing, {"a": b"1", "b": b"2"}) is one
    assert interned.changed(interned.intern({"a": b"1", "b": b"2", "c": b"3"}), {"c": None}) is one
    assert interned.changed(one, {"b": b"3"}) is not one
    assert interned.intern({}) is interned.nothing


def test_settings_do_not_share_the_callers_dictionary() -> None:
    values = {"a": b"1"}
    settings = Interned().intern(values)
    values["a"] = b"2"
    assert settings.values == {"a": b"1"}


def test_settings_that_nobody_has_are_forgotten() -> None:
    interned = Interned()
    known = interned._known
    settings = interned.intern({"a": b"1"})
    assert len(known) == 2
    del settings
    gc.collect()
    assert len(known) == 1


def test_the_parse_context_is_that_of_the_settings_that_matter() -> None:
    interned = Interned()
    one = interned.intern({"search_path": b"a", "work_mem": b"1MB"})
    other = interned.intern({"search_path": b"a", "work_mem": b"2MB"})
    assert one.parse_context == other.parse_context != interned.nothing.parse_context


def test_how_texts_are_to_be_scanned() -> None:
    interned = Interned()
    assert (interned.nothing.scs_on, interned.nothing.trail) == (True, 0)
    assert not interned.intern({"standard_conforming_strings": b"off"}).scs_on
    assert interned.intern({"client_encoding": b"SJIS"}).trail == trail_bytes("SJIS") != trail_bytes("BIG5")


@pytest.mark.parametrize(
    ("path", "temporary"), [(b"pg_temp, public", True), (b'"PG_TEMP"', True), (b"public", False), (b"", False)]
)
def test_a_path_by_which_create_may_make_temporary_objects(path: bytes, temporary: bool) -> None:
    assert Interned().intern({"search_path": path}).temporary is temporary
    assert not Interned().intern({"app.path": path}).temporary


def test_the_idle_timeout_is_in_seconds() -> None:
    assert Interned().intern({"idle_session_timeout": b"2min"}).idle_timeout == 120.0


def test_replays_are_remembered_but_not_without_end() -> None:
    interned = Interned()
    sets = [interned.intern({"a": b"%d" % number}) for number in range(REPLAYS_KEPT + 10)]
    first = interned.replay(interned.nothing, sets[0])
    assert interned.replay(interned.nothing, sets[0]) is first
    for settings in sets:
        interned.replay(interned.nothing, settings)
    assert len(interned._replays) == REPLAYS_KEPT
