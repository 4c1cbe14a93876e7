"""What the scanner says of each kind of text, read whole, in two pieces and byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.session.lexical_examples import LEXICAL, UNTERMINATED
from tests.unit.session.scanner_examples import STATEMENTS, Example
from tidegate.session.facts import Facts, ScanFlag
from tidegate.session.pins import PinReason
from tidegate.session.scanner import Scanner, scan_text, trail_bytes

every_example = pytest.mark.parametrize(
    "example", [*STATEMENTS, *LEXICAL], ids=lambda example: repr(example.text)[2:-1][:60]
)


def in_chunks(chunks: list[bytes], example: Example) -> Facts:
    scanner = Scanner(example.scs, trail_bytes(example.trail))
    for chunk in chunks:
        scanner.push(chunk)
    return scanner.facts()


@every_example
def test_facts(example: Example) -> None:
    facts = scan_text(example.text, example.scs, trail_bytes(example.trail))
    assert facts.statements == example.statements
    assert facts.touched == example.touched
    assert facts.pin is example.pin
    assert ScanFlag(facts.flags) == ScanFlag(example.all_flags)
    assert facts.deallocate == example.deallocate
    assert facts.bound == example.bound
    assert facts.unlistened == example.unlistened
    assert facts.set_default == example.set_default
    assert facts.replayable is example.replayable
    assert facts.places == example.places


@every_example
def test_chunks_change_nothing(example: Example) -> None:
    whole = scan_text(example.text, example.scs, trail_bytes(example.trail))
    for i in range(len(example.text) + 1):
        assert in_chunks([example.text[:i], example.text[i:]], example) == whole
    assert in_chunks([example.text[i : i + 1] for i in range(len(example.text))], example) == whole


@pytest.mark.parametrize("text", UNTERMINATED)
def test_unterminated_text(text: bytes) -> None:
    whole = scan_text(text)
    assert whole.statements <= 1
    assert in_chunks([text[i : i + 1] for i in range(len(text))], Example(text)) == whole


@given(st.lists(st.sampled_from([*b"'\"$\\-/*;\n &()", *b"eubxntagSET=,.1\xc3\x95"]), max_size=40), st.data())
def test_hostile_bytes_in_any_chunks(codes: list[int], data: st.DataObject) -> None:
    text = bytes(codes)
    example = Example(text, scs=data.draw(st.booleans()), trail=data.draw(st.sampled_from(["UTF8", "SJIS", "GBK"])))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    chunks = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert in_chunks(chunks, example) == scan_text(text, example.scs, trail_bytes(example.trail))


@given(st.binary(max_size=200))
def test_random_bytes_do_no_harm(text: bytes) -> None:
    assert 0 <= scan_text(text).statements <= text.count(b";") + 1


def test_text_of_many_chunks() -> None:
    scanner = Scanner()
    scanner.push(b"INSERT INTO t VALUES ('")
    for _ in range(1000):
        scanner.push(b"x'';SET a=1;$$/*" * 100)
    scanner.push(b"'); SET x = 1")
    facts = scanner.facts()
    assert facts.statements == 2
    assert facts.touched == ("x",)


def test_deep_comments() -> None:
    depth = 100_000
    assert scan_text(b"/*" * depth + b"*/" * depth + b"SET x = 1").touched == ("x",)
    assert scan_text(b"/*" * depth + b"*/" * (depth - 1) + b"SET x = 1").statements == 0


def test_many_statements() -> None:
    facts = scan_text(b"BEGIN;" * 10_000)
    assert facts.statements == 10_000
    assert ScanFlag(facts.flags) == ScanFlag.BEGINS


def test_plain_texts_share_one_instance() -> None:
    plain = scan_text(b"SELECT 1")
    assert scan_text(b"UPDATE t SET a = 1 WHERE b = $1;") is plain
    assert scan_text(b"") is scan_text(b" ; ")
    assert scan_text(b"BEGIN") is scan_text(b"begin;")
    assert scan_text(b"BEGIN") is not plain


def test_the_reason_that_can_be_proved_least_wins() -> None:
    assert scan_text(b"SELECT pg_advisory_lock(1); DO ''; SELECT setseed(1); LOAD 'a'").pin is PinReason.SETSEED
    assert scan_text(b"SELECT pg_advisory_lock(1); DO ''; CALL b()").pin is PinReason.DO_BLOCK
    assert scan_text(b"SELECT pg_advisory_lock(1); CREATE TEMP TABLE b ()").pin is PinReason.ADVISORY_LOCK


def test_only_the_first_deallocate_is_named() -> None:
    assert scan_text(b"DEALLOCATE a; DEALLOCATE b").deallocate == b"a"


def test_facts_are_values_that_cannot_be_written() -> None:
    facts = scan_text(b"SET x = 1")
    assert facts == scan_text(b"set X to 1")
    assert hash(facts) == hash(scan_text(b"set X to 1"))
    assert facts != scan_text(b"SET y = 1")
    with pytest.raises(AttributeError):
        facts.touched = ()  # type: ignore[misc]


@pytest.mark.parametrize(("encoding", "mode"), [("UTF8", 0), ("EUC_JP", 0), ("GB18030", 1), ("SHIFT_JIS_2004", 2)])
def test_trail_bytes(encoding: str, mode: int) -> None:
    assert trail_bytes(encoding) == mode


@pytest.mark.parametrize("first", [0, 1])
def test_facts_that_are_shared_are_not_mixed_up(first: int) -> None:
    """Whichever text comes first: neither its flags nor its number of statements are the other's."""
    texts = [b"BEGIN; SET LOCAL search_path = a", b"BEGIN; SELECT 1; SELECT 2"]
    for text in (texts[first], texts[1 - first]):
        facts = scan_text(text)
        assert facts.statements == (2 if text == texts[0] else 3)
        assert bool(facts.flags & ScanFlag.LOCALLY) == (text == texts[0])
