"""PostgreSQL's own parser judges the scanner: what its tree says, the scanner must say too (it may say more).

Texts are the examples, templates in random spelling (case, comments, quoting, line breaks), such templates disturbed,
and loose tokens; those that PostgreSQL refuses are dropped.
"""

import os
import re

import pglast
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.session.lexical_examples import LEXICAL
from tests.unit.session.postgresql_truth import Truth
from tests.unit.session.scanner_examples import STATEMENTS
from tidegate.session.facts import Facts, Place, PlaceKind
from tidegate.session.scanner import scan_text


def judge(text: str) -> bool:
    """Compares the scanner with PostgreSQL's parser; False when that refuses the text."""
    try:
        truth = Truth(text)
    except pglast.Error:
        return False
    facts = scan_text(text.encode())
    assert facts.statements >= truth.statements
    assert facts.flags & truth.flags == truth.flags
    assert facts.pin is not None or not truth.pins
    assert facts.pin is not None or truth.touched <= set(facts.touched)
    if facts.pin is None:
        assert truth.bound <= set(facts.bound)
        assert b"" in facts.unlistened or facts.unlistened == tuple(truth.unlistened)
    single = truth.statements == facts.statements == 1
    if single and facts.pin is None:
        assert facts.set_default == truth.set_default
    assert single or (facts.set_default is None and not facts.replayable)
    assert truth.constant or not facts.replayable
    judge_places(text.encode(), facts, truth)
    return True


def judge_places(text: bytes, facts: Facts, truth: Truth) -> None:
    """The names of prepared statements and where they stand are right, or not told: never wrong."""
    if not facts.places:
        assert PlaceKind.PREPARES not in {kind for kind, _ in truth.named} or facts.pin is not None
        return
    steps = [(kind, name) for kind, name in truth.named if kind != PlaceKind.EXECUTES]
    found = [place for place in facts.places if place.kind != PlaceKind.EXECUTES]
    assert [place.kind for place in found] == [kind for kind, _ in steps]
    for place, (kind, name) in zip(found, steps, strict=True):
        if place.name is not None:
            assert place.name.decode() == name
        assert place.name is not None or kind != PlaceKind.PREPARES or facts.pin is not None
    names = [name for kind, name in truth.named if kind == PlaceKind.EXECUTES]
    for place in facts.places:
        if place.kind == PlaceKind.EXECUTES:
            assert place.name is not None
            while names.pop(0) != place.name.decode():
                pass
    exchanged = Truth(exchange_names(text, facts.places).decode())
    named = iter(truth.named)
    for kind, name in exchanged.named:
        kind_before, name_before = next(named)
        assert kind == kind_before
        assert name == name_before or (name or "").startswith("tidegate ")
    told = [place for place in facts.places if place.name is not None]
    assert [name for _, name in exchanged.named if (name or "").startswith("tidegate ")] == [
        f"tidegate {number}" for number in range(len(told))
    ]
    for place in told:
        if place.kind == PlaceKind.PREPARES:
            alone = Truth('PREPARE "x"' + text[place.end : place.stop].decode())
            assert alone.named == [(PlaceKind.PREPARES, "x")]


def exchange_names(text: bytes, places: tuple[Place, ...]) -> bytes:
    """The text with `tidegate 0`, `tidegate 1`, ... in place of the names that were told."""
    told = [place for place in places if place.name is not None]
    for number, place in reversed(list(enumerate(told))):
        text = text[: place.start] + b'"tidegate %d"' % number + text[place.end :]
    return text


# Spelling: {n} a name, {s} a setting, {l} a string literal, {e} an expression, {v} a value of a setting.
TEMPLATES = [
    "UNLISTEN *", "UNLISTEN {s}",
    "SET {s} = {v}", "SET {s} TO {v} , {v}", "SET SESSION {s} TO {v}", "SET LOCAL {s} = {v}", "SET {s} TO DEFAULT",
    "SET {s} . {n} . {s} = {v}", "SET SESSION {s} . {s} = {v}", "SET LOCAL {s} . {s} = {v}", "SET {s} FROM CURRENT",
    "SET TIME ZONE {v}", "SET SESSION TIME ZONE LOCAL", "SET LOCAL TIME ZONE DEFAULT", "SET NAMES {l}", "SET NAMES",
    "SET ROLE {n}", "SET SESSION ROLE {l}", "SET LOCAL ROLE NONE", "SET SCHEMA {l}", "SET XML OPTION CONTENT",
    "SET SESSION AUTHORIZATION {n}", "SET LOCAL SESSION AUTHORIZATION {l}", "SET SESSION SESSION AUTHORIZATION DEFAULT",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE",
    "SET CONSTRAINTS ALL DEFERRED", "SET TIME ZONE INTERVAL {l} HOUR TO MINUTE",
    "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "RESET {s}", "RESET {s} . {s}", "RESET TIME ZONE",
    "RESET SESSION AUTHORIZATION", "RESET ALL", "RESET TRANSACTION ISOLATION LEVEL", "DISCARD ALL", "DISCARD TEMP",
    "DISCARD PLANS", "DEALLOCATE {s}", "DEALLOCATE PREPARE {s}", "DEALLOCATE ALL", "DEALLOCATE PREPARE ALL",
    "PREPARE {s} AS SELECT {e}", "PREPARE {s} ( int , text ) AS SELECT {e}", "PREPARE TRANSACTION {l}",
    "EXECUTE {s} ( {e} )", "EXECUTE {s}", "EXECUTE {s} ( ( {e} ) , ( SELECT ( {e} ) ) )", "DEALLOCATE {n}",
    "PREPARE {n} ( numeric ( 10 , 2 ) , text [ ] ) AS INSERT INTO {n} VALUES ( {e} )", "PREPARE {n} AS TABLE {n}",
    "EXPLAIN EXECUTE {n} ( {e} )", "EXPLAIN ANALYZE VERBOSE EXECUTE {s}", "EXPLAIN VERBOSE EXECUTE {n}",
    "EXPLAIN ( ANALYZE , COSTS off ) EXECUTE {s} ( {e} )", "EXPLAIN CREATE TABLE {n} AS EXECUTE {s} ( {e} )",
    "CREATE UNLOGGED TABLE IF NOT EXISTS {n} . {n} ( {n} , {s} ) AS EXECUTE {n} ( {e} ) WITH NO DATA",
    "CREATE TABLE {n} USING {n} WITH ( {s} = 1 ) ON COMMIT DROP TABLESPACE {n} AS EXECUTE {s}",
    "CREATE TABLE {n} AS SELECT {e} AS execute FROM {n} AS execute", "CREATE SEQUENCE {n} AS execute INCREMENT 1",
    "CREATE TABLE {n} ( {n} int GENERATED ALWAYS AS ( {e} ) STORED )", "CREATE VIEW {n} AS SELECT {e} AS execute",
    "CREATE TRIGGER {n} BEFORE INSERT ON {n} EXECUTE FUNCTION {s} ( )", "GRANT EXECUTE ON FUNCTION {n} TO {n}",
    "SELECT {e} , {e}", "SELECT {e} AS {s} FROM {n} {s} WHERE {e} = {e}", "VALUES ( {e} , {e} )",
    "TABLE {n}", "WITH {n} AS ( SELECT {e} ) SELECT {e} FROM {n}", "( SELECT {e} ) UNION SELECT {e}",
    "SELECT {e} INTO TEMP {s} FROM {n}", "SELECT {e} INTO LOCAL TEMPORARY TABLE {n}", "SELECT {e} INTO pg_temp . {n}",
    "INSERT INTO {s} VALUES ( {e} )", "UPDATE {n} SET {s} = {e} WHERE {e}", "DELETE FROM {n} WHERE {e} = {e}",
    "INSERT INTO {n} VALUES ( {e} ) ON CONFLICT DO NOTHING RETURNING {e}",
    "MERGE INTO {n} USING {n} ON {e} WHEN MATCHED THEN DO NOTHING", "CREATE TABLE {n} ( {s} int DEFAULT {e} )",
    "CREATE TEMP TABLE {n} ( )", "CREATE LOCAL TEMPORARY TABLE {n} ( )",
    "CREATE GLOBAL TEMP TABLE IF NOT EXISTS {n} AS SELECT {e}", "CREATE TABLE pg_temp . {n} ( )",
    "CREATE OR REPLACE TEMP VIEW {n} AS SELECT {e}", "CREATE TEMPORARY SEQUENCE {n}", "CREATE TABLE {n} AS EXECUTE {s}",
    "CREATE VIEW pg_temp . {n} AS SELECT {e}", "CREATE TEMP RECURSIVE VIEW {n} ( {n} ) AS SELECT {e}",
    "CREATE FUNCTION {n} ( ) RETURNS int LANGUAGE sql AS {l}", "CREATE INDEX ON {n} ( ( {e} ) )",
    "CREATE FUNCTION {n} ( ) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT {e} ; SELECT {e} ; END",
    "CREATE RULE {n} AS ON INSERT TO {n} DO ALSO ( DELETE FROM {n} ; SELECT {e} )",
    "EXPLAIN ANALYZE CREATE TEMP TABLE {n} AS SELECT {e}", "EXPLAIN SELECT {e}", "EXPLAIN ( ANALYZE ) EXECUTE {s}",
    "DECLARE {s} CURSOR WITH HOLD FOR SELECT {e}", "DECLARE {n} BINARY SCROLL CURSOR WITHOUT HOLD FOR SELECT {e}",
    "DO {l}", "DO LANGUAGE plpgsql {l}", "CALL {n} ( {e} )", "LISTEN {n}", "UNLISTEN {n}", "NOTIFY {n} , {l}",
    "LOAD {l}", "BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK TO SAVEPOINT {n}", "ABORT", "ROLLBACK",
    "SAVEPOINT {s}", "COPY {n} FROM STDIN", "COPY ( SELECT {e} ) TO STDOUT", "ALTER ROLE {n} SET {s} = {v}",
    "GRANT {n} TO {n}",
]  # fmt: skip
EXPRESSIONS = [
    "1", "{l}", "{n}", "$1", "{n} . {n}", "( {e} )", "( SELECT {e} )", "- {e}", "{e} + {e}", "{e} - {e}", "{e} / {e}",
    "{e} * - {e}", "{e} :: text", "{e} & {n}", "{n} ( {e} )", "CASE WHEN {e} THEN {e} END", "ARRAY [ {e} ]",
    "set_config ( {l} , {l} , false )", "pg_catalog . set_config ( {l} , {e} , true )",
    "set_config ( {e} , {l} , false )", "pg_advisory_lock ( 1 )", "pg_catalog . pg_try_advisory_lock ( {e} )",
    "pg_advisory_xact_lock ( 1 )", "setseed ( 0.5 )", "'set_config(1)'", "1.5e3", "0x1F", "B'01'", "N'a'", "date {l}",
]  # fmt: skip
NAMES = [
    "t", "x1", "a$b", "_", "\u00e9t\u00e9", "set_config", "pg_advisory_lock", "pg_temp", "temp", "e", "u", "b",
    "n" * 70,
]  # fmt: skip
SETTINGS = [
    "x", "app", "work_mem", "local", "session", "role", "names", "schema", "time", "zone", "xml", "option",
    "transaction", "constraints", "characteristics", "prepare", "temp", "hold", "seed", "transaction_isolation",
    "\u00e9", "plans",
]  # fmt: skip
VALUES = ["1", "- 1", "+ 2.5", "on", "true", "local", "none", "default", "{l}", "{n}", "1e5", "{v} , {v}", "DEFAULT"]
LITERALS = [
    "'x'", "''", "'it''s'", "'a;b--/*'", "'back\\slash'", "'a' \n 'b'", "'a' -- '\n  'b'", "E'\\''", "e'a\\\\'",
    "$$'$$", "E'x' \n '\\''", "$a$ $$ $b$ ' $a$", "$\u00e9$;$\u00e9$", "U&'\\0061'", "'$a$'", "'\"'", "'work_mem'",
    "E'app.x'",
]  # fmt: skip
GAPS = [" "] * 6 + ["\n", "\t", "/**/", "/* ; ' /* */ \" */", "-- ' ; /*\n", "/*/ */"]

PARTS = {"n": NAMES, "s": SETTINGS, "l": LITERALS, "v": VALUES, "e": EXPRESSIONS}


@st.composite
def words(draw: st.DrawFn, template: str, depth: int = 0) -> list[str]:
    """The template's words with its parts filled in."""
    found: list[str] = []
    for word in re.split(r" (?!\n|-- '|')", template):
        part = re.fullmatch(r"\{(\w)\}", word)
        if part is None:
            found.append(word)
        else:
            choices = PARTS[part[1]] if depth < 4 else [choice for choice in PARTS[part[1]] if "{" not in choice]
            choice = draw(st.sampled_from(choices))
            found += [choice] if part[1] == "l" else draw(words(choice, depth + 1))
    return found


@st.composite
def spelled(draw: st.DrawFn, word: str) -> str:
    """The word in another spelling that means the same, or nearly."""
    if not re.fullmatch(r"\w+", word) or word[0].isdigit():
        return word
    spelling = draw(st.sampled_from(["as is", "as is", "upper", "title", "quoted", "unicode"]))
    if spelling == "quoted":
        return f'"{word}"'
    if spelling == "unicode":
        return f'U&"\\{ord(word[0]):04x}{word[1:]}"'
    return {"upper": word.upper(), "title": word.title()}.get(spelling, word)


@st.composite
def joined(draw: st.DrawFn, tokens: list[str], respell: bool) -> str:
    text = ""
    for token in tokens:
        text += (draw(spelled(token)) if respell else token) + draw(st.sampled_from(GAPS))
    return text


@st.composite
def statements(draw: st.DrawFn) -> str:
    text = ""
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        tokens = draw(words(draw(st.sampled_from(TEMPLATES))))
        text += draw(joined(tokens, respell=draw(st.booleans()))) + draw(st.sampled_from([";", ";;", "; "]))
    return text if draw(st.booleans()) else text.rstrip("; ")


SOUP = sorted(
    {word for template in TEMPLATES for word in template.split() if "{" not in word}
    | {*"()*,;.=-+/&:$\"'\n", "E'", "$$", "$a$", "/*", "*/", "--", "\\", "::", "U&'", 'U&"', "1", "$1"}
    | {*NAMES, *LITERALS}
)
# For a long run: TIDEGATE_SCANNER_EXAMPLES=20000
quick = settings(
    max_examples=int(os.environ.get("TIDEGATE_SCANNER_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def test_the_examples_are_as_postgresql_parses_them() -> None:
    texts = [
        example.text.decode(errors="replace")
        for example in [*STATEMENTS, *LEXICAL]
        if example.scs and example.trail == "UTF8"
    ]
    assert sum(map(judge, texts)) > 200


@quick
@given(statements())
def test_reports_what_postgresql_parses(text: str) -> None:
    assume(judge(text))


@quick
@given(st.lists(st.sampled_from(SOUP), max_size=8), st.lists(st.sampled_from(["", " "]), min_size=8, max_size=8))
def test_reports_what_postgresql_parses_in_loose_tokens(tokens: list[str], gaps: list[str]) -> None:
    soup = "".join(token + gap for token, gap in zip(tokens, gaps, strict=False))
    assume(judge(f"SET x = 1; SELECT {soup}; SET y = 2"))


@st.composite
def disturbed(draw: st.DrawFn) -> str:
    """A template with a word dropped, doubled, exchanged with its neighbour or replaced."""
    tokens = draw(words(draw(st.sampled_from(TEMPLATES))))
    for _ in range(draw(st.integers(1, 2))):
        i = draw(st.integers(0, len(tokens) - 1))
        change = draw(st.sampled_from(["drop", "double", "swap", "replace"]))
        replacement = {
            "drop": [],
            "double": [tokens[i], tokens[i]],
            "swap": [*tokens[i + 1 : i + 2], tokens[i]],
            "replace": [draw(st.sampled_from(SOUP))],
        }[change]
        tokens[i : i + (2 if change == "swap" else 1)] = replacement
        assume(tokens)
    return draw(joined(tokens, respell=False))


@quick
@given(disturbed())
def test_reports_what_postgresql_parses_of_disturbed_statements(text: str) -> None:
    assume(judge(text))
