"""What hides in a database, worked out from what its catalogue says; real catalogues are in tests/integration."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.session.bodies import read_body
from tidegate.session.catalogue import (
    CHANGE_OF_CATALOGUE,
    EVERY_STATEMENT,
    MOST_SETTINGS,
    PG_CLASS,
    PG_EVENT_TRIGGER,
    PG_PROC,
    PG_TRIGGER,
    PG_TYPE,
    Builtin,
    Function,
    Hidden,
    everything_unknown,
    node,
)
from tidegate.session.catalogue_queries import major_version
from tidegate.session.names import NameSet
from tidegate.session.pins import PinReason
from tidegate.session.stateless import is_stateless

BUILTINS = {2078: Builtin(2078, b"set_config", b"set_config_by_name"), 1599: Builtin(1599, b"setseed", b"setseed")}
FIRST = 16384
DYNAMIC = PinReason.DYNAMIC_SET
UNREAD = PinReason.UNREAD_CODE


def function(number: int, source: str, name: str = "", language: str = "plpgsql") -> Function:
    return Function(FIRST + number, (name or f"f{number}").encode(), language.encode(), source.encode())


def worked_out(*functions: Function, more: Callable[[Hidden], None] = lambda hidden: None) -> NameSet | None:
    hidden = Hidden(BUILTINS)
    for one in functions:
        hidden.add_function(one)
    more(hidden)
    if not hidden.suspicious:
        return None
    for _ in hidden.work():
        pass
    return hidden.name_set()


def touched(names: NameSet | None, name: str) -> tuple[str, ...] | None:
    effect = names.get(name.encode()) if names is not None else None
    return None if effect is None else effect.touched


@pytest.mark.parametrize(
    ("body", "settings", "reasons"),
    [
        ("SELECT 1", (), ()),
        ("BEGIN SET app.a = 'x'; END", ("app.a",), ()),
        ("BEGIN\n SET SESSION app.a TO 'x'; SET LOCAL app.b = 'x'; END", ("app.a",), ()),
        ("BEGIN IF a THEN SET app.a = 1; ELSE RESET app.b; END IF; END", ("app.a", "app.b"), ()),
        ("BEGIN FOR i IN 1..2 LOOP SET app.a = 1; END LOOP; END", ("app.a",), ()),
        ("<<outer>> BEGIN <<inner>> SET app.a = 1; END", ("app.a",), ()),
        ("BEGIN EXCEPTION WHEN others THEN SET ROLE x; END", ("role",), ()),
        ("BEGIN UPDATE t SET a = 1; END", (), ()),
        ("BEGIN INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2; END", (), ()),
        ("DECLARE a text := set_config('app.a', 'x', false); BEGIN END", ("app.a",), ()),
        ("BEGIN a := set_config(b, 'x', false); END", (), (DYNAMIC,)),
        ("BEGIN EXECUTE 'SET app.a = 1'; END", (), (UNREAD,)),
        ("BEGIN RETURN QUERY EXECUTE a; END", (), (UNREAD,)),
        ("BEGIN CALL p(); END", (), ()),
        ("BEGIN DO $$ BEGIN END $$; END", (), (PinReason.DO_BLOCK,)),
        ("BEGIN LISTEN a; LOAD 'b'; END", (), (PinReason.LISTEN, PinReason.LOAD)),
        ("BEGIN PERFORM pg_advisory_lock(1), setseed(1); END", (), (PinReason.ADVISORY_LOCK, PinReason.SETSEED)),
        ("BEGIN CREATE TEMP TABLE t (); END", (), (PinReason.TEMP_OBJECT,)),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", (), (PinReason.HOLD_CURSOR,)),
        ("PREPARE a AS SELECT 1", (), (PinReason.SQL_PREPARE,)),
        (r"SELECT 'a\', set_config('app.a', '')'", ("app.a",), ()),
        (r"SELECT '\'; SET app.a = 1; SELECT '\'", ("app.a",), ()),
    ],
)
def test_what_a_body_says(body: str, settings: tuple[str, ...], reasons: tuple[PinReason, ...]) -> None:
    read = read_body(body.encode())
    assert (read.touched, read.reasons) == (settings, frozenset(reasons))


def test_nothing_hides() -> None:
    assert worked_out(function(1, "BEGIN RETURN f2(); END"), function(2, "BEGIN RETURN 1; END")) is None


def test_names_are_those_of_functions_that_reach_the_change() -> None:
    names = worked_out(
        function(1, "BEGIN SET app.a = 1; END"),
        function(2, "BEGIN PERFORM f1(); END"),
        function(3, "SELECT other.F2()", language="sql"),
        function(4, "SELECT f5()", language="sql"),
        function(5, 'SELECT "F1"()', language="sql"),
    )
    assert names is not None
    assert names.count == 3
    assert [touched(names, name) for name in ("f1", "f2", "f3", "f4", "f5")] == [("app.a",)] * 3 + [None] * 2


def test_functions_that_call_each_other() -> None:
    names = worked_out(
        function(1, "BEGIN SET app.a = 1; PERFORM f2(); END"),
        function(2, "BEGIN SET app.b = 1; PERFORM f1(); END"),
    )
    assert touched(names, "f1") == touched(names, "f2") == ("app.a", "app.b")


def test_functions_of_one_name_are_one() -> None:
    names = worked_out(function(1, "BEGIN SET app.a = 1; END", "f"), function(2, "BEGIN SET app.b = 1; END", "f"))
    assert touched(names, "f") == ("app.a", "app.b")


def test_change_flows_along_edges_and_through_texts_in_turn() -> None:
    def more(hidden: Hidden) -> None:
        hidden.add_edges((PG_PROC, FIRST + 1, PG_TRIGGER, 7, PG_TRIGGER, 7, PG_CLASS, 8))
        hidden.add_name(PG_CLASS, 8, b"items")
        hidden.add_name(PG_CLASS, 9, b"others")

    names = worked_out(function(1, "BEGIN SET app.a = 1; END"), function(2, "INSERT INTO items VALUES (1)"), more=more)
    assert touched(names, "items") == touched(names, "f2") == ("app.a",)
    assert touched(names, "others") is None
    assert names is not None
    effect = names.get(b"table_to_xml")
    assert effect is not None
    assert effect.pin is UNREAD


def test_unread_languages() -> None:
    names = worked_out(
        function(1, "plpy.execute('x')", language="plpython3u"),
        Function(FIRST + 2, b"f2", b"c", b"strange", b"$libdir/strange"),
        Function(FIRST + 3, b"f3", b"c", b"citextin", b"$libdir/citext"),
        Function(FIRST + 4, b"f4", b"internal", b"setseed"),
        Function(FIRST + 5, b"f5", b"internal", b"textin"),
        Function(FIRST + 6, b"f6", b"plpgsql", None),
    )
    assert names is not None
    found = {name: names.get(name) for name in (b"f1", b"f2", b"f3", b"f4", b"f5", b"f6")}
    assert {name: effect and effect.pin for name, effect in found.items()} == {
        b"f1": UNREAD,
        b"f2": UNREAD,
        b"f3": None,
        b"f4": PinReason.SETSEED,
        b"f5": None,
        b"f6": UNREAD,
    }


TREE = b"{FUNCEXPR :funcid 2078 :funcresulttype 25 :funcretset false :inputcollid 100 :args ("
CONSTANT = b"{CONST :consttype 25 :constlen -1 :constisnull false :location 29 :constvalue 9 [ 36 0 0 0 %s ]} )}"


@pytest.mark.parametrize(
    ("tree", "settings", "pin"),
    [
        (TREE + CONSTANT % b"97 112 112 46 97", ("app.a",), None),
        (TREE + CONSTANT % b"65 112 112 46 97", ("app.a",), None),
        (TREE + CONSTANT % b"115 101 101 100", (), PinReason.SETSEED),
        (TREE + CONSTANT % b"-61 -92", (), DYNAMIC),
        (TREE + b"{PARAM :paramkind 0 :paramid 1} {CONST :consttype 25 :constvalue 9 [ 36 0 0 0 97 ]} )}", (), DYNAMIC),
        (b"{FUNCEXPR :funcid 1599 :funcresulttype 2278 :args ()}", (), PinReason.SETSEED),
        (b"{FUNCEXPR :funcid 20781 :args ()}", None, None),
    ],
)
def test_stored_expressions(tree: bytes, settings: tuple[str, ...] | None, pin: PinReason | None) -> None:
    def more(hidden: Hidden) -> None:
        hidden.add_tree(node(PG_CLASS, 8), tree)
        hidden.add_name(PG_CLASS, 8, b"v")

    names = worked_out(more=more)
    effect = names.get(b"v") if names is not None else None
    assert (effect and effect.touched, effect and effect.pin) == (settings, pin)


@pytest.mark.parametrize(
    ("symbol", "operands", "by_symbol", "by_type", "always"),
    [
        (b"@@@", (25, 25), True, False, False),
        (b"@@@", (25, FIRST + 9), True, False, False),
        (b"=", (FIRST + 9, FIRST + 9), False, True, False),
        (b"~~", (25, 25), False, False, True),
    ],
)
def test_operators(symbol: bytes, operands: tuple[int, int], by_symbol: bool, by_type: bool, always: bool) -> None:
    def more(hidden: Hidden) -> None:
        hidden.add_operator(FIRST + 5, symbol, FIRST + 1, operands)
        hidden.add_name(PG_TYPE, FIRST + 9, b"own")

    names = worked_out(function(1, "BEGIN SET app.a = 1; END"), more=more)
    assert names is not None
    assert bool(names.symbols) == by_symbol
    assert (touched(names, "own") == ("app.a",)) == by_type
    assert (names.always is not None) == always


def test_operator_on_a_function_of_postgresql() -> None:
    names = worked_out(more=lambda hidden: hidden.add_operator(FIRST + 5, b"@@@", 1599, (0, 701)))
    assert names is not None
    assert [(symbol, effect.pin) for symbol, effect in names.symbols] == [(b"@@@", PinReason.SETSEED)]


def test_operator_in_a_body() -> None:
    names = worked_out(
        function(1, "BEGIN SET app.a = 1; END"),
        function(2, "SELECT 1 @@@- 2"),
        function(3, "SELECT 1 @@ 2"),
        more=lambda hidden: hidden.add_operator(FIRST + 5, b"@@@", FIRST + 1, (25, 25)),
    )
    assert touched(names, "f2") == ("app.a",)
    assert touched(names, "f3") is None


def test_casts() -> None:
    def more(hidden: Hidden) -> None:
        hidden.add_cast(FIRST + 5, FIRST + 1, (25, FIRST + 9))
        hidden.add_name(PG_TYPE, FIRST + 9, b"own")

    names = worked_out(function(1, "BEGIN SET app.a = 1; END"), more=more)
    assert touched(names, "own") == ("app.a",)
    assert names is not None
    assert names.always is None
    names = worked_out(
        function(1, "BEGIN SET app.a = 1; END"), more=lambda hidden: hidden.add_cast(FIRST + 5, FIRST + 1, (16, 1082))
    )
    assert names is not None
    assert names.always is not None


def test_event_trigger_reaches_functions_that_change_the_catalogue() -> None:
    names = worked_out(
        function(1, "BEGIN SET app.a = 1; END"),
        function(2, "BEGIN CREATE TABLE t (); END"),
        function(3, "BEGIN RETURN 1; END"),
        more=lambda hidden: hidden.add_edges((PG_PROC, FIRST + 1, PG_EVENT_TRIGGER, 3, PG_EVENT_TRIGGER, 3, 0, 1)),
    )
    assert names is not None
    assert names.on_ddl is not None
    assert node(0, 1) == CHANGE_OF_CATALOGUE != EVERY_STATEMENT
    assert touched(names, "f2") == ("app.a",)
    assert touched(names, "f3") is None


def test_severest_reason_counts() -> None:
    names = worked_out(function(1, "BEGIN PERFORM pg_advisory_lock(1); EXECUTE x; PERFORM setseed(1); END"))
    assert names is not None
    effect = names.get(b"f1")
    assert effect is not None
    assert effect.pin is PinReason.SETSEED


def test_too_many_settings_are_unknown_ones() -> None:
    names = worked_out(function(1, "BEGIN " + "".join(f"SET a.b{n} = 1;" for n in range(MOST_SETTINGS + 1)) + "END"))
    assert names is not None
    effect = names.get(b"f1")
    assert effect is not None
    assert (effect.touched, effect.pin) == ((), UNREAD)


def test_names_that_are_not_ascii() -> None:
    names = worked_out(function(1, "BEGIN SET app.a = 1; END", "größe"))
    assert names is not None
    assert names.count == 0
    assert names.foreign is not None
    assert names.foreign.touched == ("app.a",)


def test_everything_unknown() -> None:
    always = everything_unknown().always
    assert always is not None
    assert always.pin is UNREAD


@pytest.mark.parametrize(
    ("library", "symbol", "expected"),
    [
        (b"$libdir/citext", b"citextin", True),
        (b"$libdir/postgis-3", b"ST_AsText", True),
        (b"$libdir/postgis-3.4", b"ST_AsText", True),
        (b"/usr/lib/hstore.so", b"hstore_in", True),
        (b"$libdir/uuid-ossp", b"uuid_generate_v4", True),
        (b"$libdir/tablefunc", b"crosstab", False),
        (b"$libdir/tablefunc", b"normal_rand", True),
        (b"$libdir/unheard_of", b"f", False),
        (b"", b"f", False),
    ],
)
def test_libraries_of_c(library: bytes, symbol: bytes, expected: bool) -> None:
    assert is_stateless(library, symbol) == expected


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40), st.integers(0, 12))
def test_closure_is_what_a_plain_search_finds(calls: list[tuple[int, int]], source: int) -> None:
    bodies = {number: "SELECT " + ", ".join(f"f{b}()" for a, b in calls if a == number) for number in range(13)}
    bodies[source] += "; SET app.a = 1"
    names = worked_out(*(function(number, body) for number, body in bodies.items()))
    reached = {source}
    while more := {a for a, b in calls if b in reached} - reached:
        reached |= more
    assert {number for number in range(13) if touched(names, f"f{number}") is not None} == reached


@pytest.mark.parametrize(
    ("spelled", "major"),
    [(b"17.2", 17), (b"18beta1", 18), (b"16devel", 16), (b"15.4 (Debian 15.4-1)", 15), (b"", 0), (b"?", 0)],
)
def test_major_version(spelled: bytes, major: int) -> None:
    assert major_version(spelled) == major
