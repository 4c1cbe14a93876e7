"""Channels: who listens to what, and what a transaction has made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.session.channels import MARKER, Channels, fence_sql, listen_sql, quoted, settle, unlisten_sql

NAMES = st.sampled_from([b"a", b"b", b"c"])


def mark(number: int) -> bytes:
    return MARKER + b"%d" % number


@pytest.mark.parametrize(
    ("before", "at_server", "unlistened", "after"),
    [
        ({b"a"}, [], [], {b"a"}),
        ({b"a"}, [b"b"], [], {b"a", b"b"}),
        ({b"a"}, [], [b"a"], {b"a"}),  # UNLISTEN was rolled back
        ({b"a", b"b"}, [mark(0)], [b"a"], {b"b"}),
        ({b"a", b"b"}, [mark(1)], [b"a", b"b"], {b"a"}),  # ROLLBACK TO SAVEPOINT before the second
        ({b"a", b"b"}, [mark(0)], [None], set()),
        ({b"a", b"b"}, [mark(0), b"a"], [None], {b"a"}),  # UNLISTEN *; LISTEN a
        ({b"a"}, [mark(0), b"a"], [b"a"], {b"a"}),  # UNLISTEN a; LISTEN a
        (set(), [b"tidegate_fence_7", b"a"], [], {b"a"}),
        ({b"a"}, [mark(5), MARKER + b"x"], [b"a"], {b"a"}),  # channels of somebody's own that look like it
    ],
)
def test_settle(before: set[bytes], at_server: list[bytes], unlistened: list[bytes | None], after: set[bytes]) -> None:
    assert settle(before, at_server, unlistened, False) == after


def test_settle_by_the_whole_truth() -> None:
    assert settle({b"a", b"b"}, [b"b", b"c"], [], True) == {b"b", b"c"}
    assert settle({b"a"}, [], [], True) == set()


Step = tuple[str, bytes | None]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("listen"), NAMES), st.tuples(st.just("unlisten"), NAMES), st.just(("unlisten", None))
)


@given(st.sets(NAMES), st.lists(st.lists(st.tuples(STEPS, st.booleans()), max_size=4), max_size=4))
def test_settle_is_what_one_session_comes_to(
    before: set[bytes], runs: list[list[tuple[tuple[str, bytes], bool]]]
) -> None:
    """Steps in subtransactions, some of which are rolled back: with markers, and in a session that has it all."""
    direct, server = set(before), set[bytes]()
    unlistened: list[bytes | None] = []
    for run in runs:
        kept = all(keep for _, keep in run)
        direct_now, server_now = set(direct), set(server)
        for (verb, name), _ in run:
            for channels in (direct_now, server_now):
                if verb == "listen" and name is not None:
                    channels.add(name)
                elif name is None:
                    channels.clear()
                else:
                    channels.discard(name)
            if verb == "unlisten" and (name is None or name in before):
                server_now.add(mark(len(unlistened)))
                unlistened.append(name)
        if kept:
            direct, server = direct_now, server_now
    assert settle(before, server, unlistened, False) == direct


def test_the_registry_knows_who_listens() -> None:
    channels = Channels()
    channels.add("x", [b"a", b"b"])
    channels.add("y", [b"b"])
    assert channels.listeners(b"b") == ["x", "y"]
    assert set(channels) == {b"a", b"b"}
    assert channels.everyone() == ["x", "y"]
    channels.remove("x", [b"a", b"b", b"never"])
    assert channels.listeners(b"a") == []
    assert list(channels) == [b"b"]
    channels.remove("x", [b"b"])
    assert len(channels) == 1
    channels.remove("y", [b"b"])
    assert len(channels) == 0 and channels.everyone() == []


def test_sql_takes_any_name() -> None:
    assert quoted(b'a"b') == b'"a""b"'
    assert listen_sql([b"a", b'"']) == b'LISTEN "a";LISTEN """"'
    assert unlisten_sql([b"A b"]) == b'UNLISTEN "A b"'
    assert fence_sql(b"f", 3) == b'LISTEN "f";NOTIFY "f",\'3\''
