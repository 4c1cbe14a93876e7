"""The set of names behind which something hides, and what the scanner makes of a hit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.session.facts import Facts, ScanFlag
from tidegate.session.names import Effect, NameSet, name_hash
from tidegate.session.pins import PinReason
from tidegate.session.scanner import Scanner, scan_text

TENANT = Effect(("app.tenant",))
LOCK = Effect(pin=PinReason.ADVISORY_LOCK)
UNKNOWN = Effect(pin=PinReason.UNREAD_CODE)
MAKER = Effect(flags=ScanFlag.MAKES_CODE)

words = st.binary(min_size=1, max_size=63).map(lambda word: bytes(c & 0x7F for c in word))


@given(st.dictionaries(words, st.sampled_from([TENANT, LOCK, UNKNOWN]), max_size=300), st.lists(words))
def test_finds_what_was_put_in_and_nothing_else(names: dict[bytes, Effect], others: list[bytes]) -> None:
    made = NameSet(names)
    assert made.count == len(names)
    assert {name: made.get(name) for name in names} == names
    assert all(made.get(name) is None for name in others if name not in names)


def test_hash_is_64_bits_and_depends_on_every_byte() -> None:
    assert len({name_hash(b"enter"), name_hash(b"entre"), name_hash(b"enter "), name_hash(b"")}) == 4
    assert all(0 <= name_hash(bytes([c])) < 1 << 64 for c in range(256))


def test_empty() -> None:
    assert NameSet({}).empty
    assert not NameSet({}, symbols={b"@@": LOCK}).empty
    assert not NameSet({}, always=LOCK).empty


def test_identifiers_that_are_not_ascii_are_one() -> None:
    names = NameSet({b"plain": TENANT}, foreign=LOCK)
    assert names.get("naïve".encode()) == LOCK
    assert names.get("naïve".encode("latin-1")) == LOCK
    assert names.get(b"plain") == TENANT
    assert names.get(b"naive") is None


NAMES = NameSet(
    {b"enter": TENANT, b"lock_it": LOCK, b"MiXed": TENANT, b"make": MAKER, b"x" * 63: UNKNOWN},
    {b"@>@": TENANT},
)


@pytest.mark.parametrize(
    ("text", "touched", "pin"),
    [
        (b"SELECT enter('a')", ("app.tenant",), None),
        (b"select ENTER('a')", ("app.tenant",), None),
        (b'SELECT "enter"(1)', ("app.tenant",), None),
        (b'SELECT "ENTER"(1)', (), None),
        (b"SELECT mixed(1)", (), None),
        (b'SELECT a."MiXed"(1)', ("app.tenant",), None),
        (b"SELECT 'enter', $$enter$$ -- enter\n/* enter */", (), None),
        (b"SELECT entered, enters(1), centre", (), None),
        (b"INSERT INTO public.enter VALUES (1)", ("app.tenant",), None),
        (b"SELECT lock_it(), enter(1)", ("app.tenant",), PinReason.ADVISORY_LOCK),
        (b"SELECT " + b"x" * 63, (), PinReason.UNREAD_CODE),
        (b"SELECT " + b"X" * 80, (), PinReason.UNREAD_CODE),
        (b"SELECT " + b"x" * 62, (), None),
        (b"SELECT a @>@ b", ("app.tenant",), None),
        (b"SELECT a @>@- b", ("app.tenant",), None),
        (b"SELECT a OPERATOR(public.@>@) b", ("app.tenant",), None),
        (b"SELECT a @> @b", ("app.tenant",), None),  # taken for one: over-careful
        (b"SELECT a @> b, c @@ d", (), None),
        (b"SELECT 1; SELECT a @>@", ("app.tenant",), None),
        (b"SELECT make(); SELECT 1", (), PinReason.UNREAD_CODE),
        (b"SELECT make()", (), None),
        (b"SELECT make(); COMMIT", (), None),
        (b"SELECT setseed(1), enter(1)", ("app.tenant",), PinReason.SETSEED),
    ],
)
def test_what_a_hit_adds_to_the_facts(text: bytes, touched: tuple[str, ...], pin: PinReason | None) -> None:
    facts = scan_text(text, names=NAMES)
    assert (facts.touched, facts.pin) == (touched, pin)
    assert bool(facts.flags & ScanFlag.TOUCHES) == bool(touched)
    assert bool(facts.flags & ScanFlag.PINS) == (pin is not None)


def test_what_every_statement_reaches() -> None:
    names = NameSet({}, always=TENANT)
    assert scan_text(b"SELECT 1", names=names).touched == ("app.tenant",)
    assert scan_text(b" -- nothing", names=names).touched == ()


def test_what_a_change_of_the_catalogue_reaches() -> None:
    names = NameSet({}, on_ddl=LOCK)
    for text in (b"CREATE TABLE t ()", b"SELECT 1; GRANT a TO b", b"SELECT 1 INTO t"):
        assert scan_text(text, names=names).pin is PinReason.ADVISORY_LOCK
    assert scan_text(b"SELECT 1", names=names).pin is None


def test_next_text_is_read_without_the_names_of_the_one_before() -> None:
    assert scan_text(b"SELECT enter(1)", names=NAMES).touched
    assert not scan_text(b"SELECT enter(1)").touched


@given(st.binary(max_size=60))
def test_names_add_and_never_take_away(text: bytes) -> None:
    plain: Facts = scan_text(text)
    named = scan_text(text, names=NAMES)
    assert set(plain.touched) <= set(named.touched)
    assert plain.flags & ~named.flags == 0
    assert named.statements == plain.statements
    assert plain.pin is None or named.pin is not None


def test_text_in_pieces_is_read_without_names() -> None:
    scanner = Scanner()
    scanner.push(b"SELECT enter(1)")
    assert scanner.facts().touched == ()
