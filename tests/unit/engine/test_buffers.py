"""More encrypted connections than may keep their buffers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.certificates import Files
from tests.unit.engine.ends import Ends
from tests.unit.engine.test_tls import Talk, accepting
from tidegate.engine import buffers

PLACES = 256
MORE = 20


@pytest.fixture
def several() -> Iterator[list[Ends]]:
    made: list[Ends] = []
    yield made
    for each in made:
        each.close()


def connected(several: list[Ends], files: Files, count: int) -> list[Talk]:
    """Connections, each with its handshake behind it."""
    talks = []
    for _ in range(count):
        several.append(Ends())
        talk = accepting(several[-1], files)
        assert talk.shake() == ["secured"]
        talks.append(talk)
    return talks


def exchange(talk: Talk, words: bytes) -> None:
    """Both ways, once."""
    talk.events.clear()
    talk.heard = b""
    talk.say(words)
    talk.until(lambda: talk.said() == words)
    talk.ends.owner.write_soon(words[::-1])
    talk.until(lambda: talk.heard == words[::-1])


def test_who_reads_has_a_place_until_it_ends(several: list[Ends], files: Files) -> None:
    before = buffers.taken()
    (talk,) = connected(several, files, 1)
    exchange(talk, b"hello")
    assert buffers.taken() == before + 1
    exchange(talk, b"again")
    assert buffers.taken() == before + 1
    several[0].owner.close()
    assert buffers.taken() == before


def test_more_than_there_are_places(several: list[Ends], files: Files) -> None:
    before = buffers.taken()
    talks = connected(several, files, PLACES + MORE)
    for number in range(3):
        for at, talk in enumerate(talks):
            exchange(talk, b"%d of %d" % (at, number))
            exchange(talk, b"x" * 40_000)  # several records, so that some are left when others read
        assert buffers.taken() == PLACES
    for each in several:
        each.close()
    assert buffers.taken() <= before


def test_one_that_is_always_in_use_is_passed_over(several: list[Ends], files: Files) -> None:
    busy, *others = connected(several, files, PLACES + MORE)
    for talk in others:
        exchange(busy, b"busy")
        exchange(talk, b"once")
        assert several[0].owner.keeps_buffers
