"""The unnamed statement: whose it is, and what becomes of it where a Parse comes to nothing.

Every server has one, and it outlives the transaction; so what one client has left there must never run for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import messages as m
from tests.support.fixtures import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Play, Side
from tests.support.tidegate import Proxy
from tests.support.transcript import Recorder
from tests.support.wire import Message, RawClient, rows, sqlstates

PREPARED = m.parse("SELECT 'left behind'") + m.sync()
FAILING = m.bind(statement="nobody")
SKIPPED_PARSE = FAILING + m.parse("SELECT 'skipped'") + m.sync()
SKIPPED_QUERY = FAILING + m.query("SELECT 1") + m.sync()
MALFORMED_PARSE = m.message("P", b"\0SELECT 1\0\0\1\0") + m.sync()
MALFORMED_QUERY = m.message("Q", b"SELECT 1\0\0")
LARGE = 2 << 20  # bytes of a statement that the proxy does not keep


def outlives_a_skipped_parse(talk: Recorder) -> None:
    talk.ask(PREPARED)
    assert sqlstates(talk.ask(SKIPPED_PARSE)) == ["26000"]
    assert rows(talk.ask(m.run_prepared(""))) == [(b"left behind",)]


def outlives_two_skipped_parses_in_one_write(talk: Recorder) -> None:
    talk.ask(PREPARED)
    skipped = FAILING + m.parse("SELECT 'skipped'") + m.parse("SELECT 'skipped, too'") + m.sync()
    assert rows(talk.ask(skipped, m.run_prepared(""), count=2)) == [(b"left behind",)]


def named_beside_a_skipped_parse(talk: Recorder) -> None:
    """The server has the text under a name, and that stays so."""
    talk.ask(m.parse("SELECT 'named'", "named") + m.sync())
    talk.ask(FAILING + m.parse("SELECT 'named'") + m.sync())
    assert rows(talk.ask(m.run_prepared("named"))) == [(b"named",)]


def used_in_one_write(talk: Recorder) -> None:
    talk.ask(PREPARED)
    assert rows(talk.ask(m.run_prepared("") * 3, count=3)) == [(b"left behind",)] * 3
    assert rows(talk.ask(PREPARED + m.describe_statement("") + m.run_prepared(""), count=2)) == [(b"left behind",)]


PLAYS: list[Play] = [
    outlives_a_skipped_parse,
    outlives_two_skipped_parses_in_one_write,
    named_beside_a_skipped_parse,
    used_in_one_write,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


def test_used_behind_a_copy(direct: Side, proxied: Side) -> None:
    """The server takes it for bad data, and gives the connection up; nobody waits for what will not come."""
    for side in (direct, proxied):
        with side.login() as client:
            client.ask(PREPARED)
            client.send(m.query("COPY proto_scratch FROM STDIN") + m.run_prepared(""))
            assert sqlstates(client.read_to_end()) == ["08P01", "08P01"]


def twice(client: RawClient, sent: bytes) -> list[Message]:
    """What two batches in one write are answered."""
    client.send(sent)
    return client.read_ready(2)


def replayed_default(client: RawClient) -> None:
    client.query("SET work_mem = '6MB'")
    client.ask(m.batch("RESET work_mem"))


LEFT: dict[str, Callable[[RawClient], object]] = {
    "a statement": lambda client: client.ask(PREPARED),
    "one beside a malformed Parse": lambda client: twice(client, PREPARED + MALFORMED_PARSE),
    "one beside a skipped Parse": lambda client: twice(client, PREPARED + SKIPPED_PARSE),
    "one beside a malformed Query": lambda client: twice(client, PREPARED + MALFORMED_QUERY),
    "one beside a skipped Query": lambda client: twice(client, PREPARED + SKIPPED_QUERY),
    "a DISCARD ALL": lambda client: [client.query("SET work_mem = '6MB'"), client.ask(m.batch("DISCARD ALL"))],
    "what brings a start value back": replayed_default,
}


@pytest.fixture
def lone(postgres: Postgres, schema: None) -> Iterator[Side]:
    """A proxy with one server, which all clients share."""
    with Proxy(postgres, target={"max_connections": 1}) as proxy:
        yield proxied_side(proxy, 1)


@pytest.mark.parametrize("leave", LEFT.values(), ids=LEFT.keys())
def test_never_runs_for_another(lone: Side, leave: Callable[[RawClient], object]) -> None:
    """Who has parsed nothing has nothing to bind, also where an error before it makes void what was parsed.

    Both have set the same: a replay would end the unnamed statement.
    """
    with lone.login(work_mem="5MB") as owner, lone.login(work_mem="5MB") as stranger:
        leave(owner)
        assert sqlstates(stranger.ask(m.run_prepared(""))) == ["26000"]
        leave(owner)
        assert sqlstates(twice(stranger, SKIPPED_PARSE + m.run_prepared(""))) == ["26000", "26000"]
        leave(owner)
        assert sqlstates(twice(stranger, SKIPPED_QUERY + m.run_prepared(""))) == ["26000", "26000"]
        assert rows(stranger.ask(m.batch("SELECT 'own'"))) == [(b"own",)]


def test_too_large_to_be_kept(lone: Side) -> None:
    """It runs, and neither what the server nor what the client had before."""
    with lone.login() as owner, lone.login() as client:
        client.ask(m.parse("SELECT 'small'") + m.sync())
        owner.ask(PREPARED)
        client.ask(m.parse(f"SELECT 'large' /* {' ' * LARGE} */") + m.sync())
        for _ in range(2):
            assert rows(client.ask(m.run_prepared(""))) == [(b"large",)]
