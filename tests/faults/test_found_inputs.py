"""What the fuzzer once found, and its corpus, tried again on the ordinary build; each of its targets, on nothing."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from fuzz import campaign
from fuzz.distil import chosen, distil, name_of
from fuzz.targets import TARGETS

FOUND = sorted(campaign.FOUND.iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_found_input(path: Path) -> None:
    TARGETS[path.name.rpartition("-")[0]].attempt(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    paths = sorted((campaign.CORPUS / name).iterdir())
    assert paths
    for path in paths:
        TARGETS[name].attempt(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_campaign_begins_with_the_corpus_and_what_was_found(name: str) -> None:
    found = [path for path in FOUND if path.name.rpartition("-")[0] == name]
    kept = [*sorted((campaign.CORPUS / name).iterdir()), *found]
    first = islice(campaign.inputs(name, Random(1), []), len(kept))
    assert list(first) == [path.read_bytes() for path in kept]


@pytest.mark.parametrize("name", TARGETS)
def test_empty_input(name: str) -> None:
    """Notices a target that no longer fits what it tries."""
    TARGETS[name].attempt(b"")


def bits(data: bytes) -> set[object]:
    """A target for the choice of a corpus: what happens are its bytes; "!" is a finding."""
    if b"!" in data:
        raise AssertionError("found")
    return set(data)


def test_a_corpus_is_the_few_inputs_that_show_all() -> None:
    assert chosen(bits, [b"a", b"ab", b"cc", b"abab", b"abc!", b"c", b"x" * 5000]) == [b"ab", b"c"]


def test_what_adds_nothing_leaves_the_corpus(tmp_path: Path) -> None:
    corpus, new = tmp_path / "corpus", tmp_path / "new"
    corpus.mkdir()
    (corpus / name_of(b"a")).write_bytes(b"a")
    new.write_bytes(b"ab")
    distil(bits, [*corpus.iterdir(), new], corpus)
    assert [path.read_bytes() for path in corpus.iterdir()] == [b"ab"]
