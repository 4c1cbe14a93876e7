"""The list of known differences: what the page says, and what a run has to do with it."""

from pathlib import Path

from suites.catalogue import SUITES
from suites.differences import PAGE, Entry, Lists, matches, outlived, read, unlisted
from suites.outcomes import Difference, Outcome, Result

TABLE = """# A page

| `not` | `here` | it is another section |

## Published suites

### Known differences

| suite | test | reason |
|---|---|---|
| `one` | `a.B::test_x[1]` | its pid is the proxy's |
| `on*` | `a.C::*` | see `there` \\| here |

### Unsteady tests

| suite | test | reason |
|---|---|---|
| `one` | `a.D::test_y` | 3 of 10 runs fail directly |

## Another section

| `one` | `a.E::test_z` | not this one |
"""
FAILED = Result(Outcome.FAILED)


def differing(*tests: str) -> list[Difference]:
    return [Difference(test, None, FAILED) for test in tests]


def lists(tmp_path: Path) -> Lists:
    page = tmp_path / "page.md"
    page.write_text(TABLE)
    return read(page)


def test_reads_both_tables_of_the_section(tmp_path: Path) -> None:
    found = lists(tmp_path)
    assert [entry.test for entry in found.known] == ["a.B::test_x[1]", "a.C::*"]
    assert found.known[1] == Entry("on*", "a.C::*", "see `there` \\| here")
    assert [entry.test for entry in found.unsteady] == ["a.D::test_y"]


def test_only_a_star_stands_for_something_else() -> None:
    assert matches("a[1]?*", "a[1]?b")
    assert not matches("a[1]", "a1")
    assert not matches("a?", "ab")


def test_what_no_row_covers_is_unlisted(tmp_path: Path) -> None:
    found = differing("a.B::test_x[1]", "a.B::test_x[2]", "a.C::any", "a.D::test_y")
    assert unlisted("one", found, lists(tmp_path)) == differing("a.B::test_x[2]")
    assert unlisted("two", found, lists(tmp_path)) == found


def test_a_row_that_covers_nothing_has_outlived_its_reason(tmp_path: Path) -> None:
    entries = lists(tmp_path)
    assert outlived("one", differing("a.C::any"), entries) == [entries.known[0]]
    assert outlived("two", [], entries) == []
    assert outlived("once", [], entries) == [entries.known[1]]


def test_the_page_lists_only_suites_that_there_are() -> None:
    found = read()
    for entry in (*found.known, *found.unsteady):
        assert any(matches(entry.suite, name) for name in SUITES), f"{PAGE.name} names {entry.suite}"
        assert len(entry.reason) > 10
    assert len(set(found.known)) == len(found.known)
