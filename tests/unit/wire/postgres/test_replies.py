# ruff: noqa: E501 - a scenario is one line, so that the table can be read
"""The reply queue: whole pipelines as the server answers them, in tables; then what it does with memory."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.support.probes import probe
from tidegate.wire.postgres.replies import OutOfStep

reply_queue = probe("reply_queue")

# A scenario is a list of events. ">X" sends a request of kind X, "r=A" is a reply r that gets action A, "r!A" one that
# also completes its entry, "E=A" an error. "|" and the words behind it are the kinds that are then left.
SCENARIOS: dict[str, str] = {
    "a query": ">QUERY T=FORWARD D=FORWARD D=FORWARD C=FORWARD Z!FORWARD |",
    "a query of two statements": ">QUERY C=FORWARD T=FORWARD D=FORWARD C=FORWARD Z!FORWARD |",
    "an empty query": ">QUERY I=FORWARD Z!FORWARD |",
    "a query that fails": ">QUERY D=FORWARD E=FORWARD |QUERY Z!FORWARD |",
    "a function call": ">QUERY V=FORWARD Z!FORWARD |",
    "a whole batch": ">PARSE >BIND >DESCRIBE >EXECUTE >SYNC 1!FORWARD 2!FORWARD T!FORWARD D=FORWARD C!FORWARD Z!FORWARD |",
    "a statement described": ">PARSE >DESCRIBE >SYNC 1!FORWARD t=FORWARD n!FORWARD Z!FORWARD |",
    "a portal suspended": ">BIND >EXECUTE >EXECUTE >SYNC 2!FORWARD D=FORWARD s!FORWARD D=FORWARD C!FORWARD Z!FORWARD |",
    "an empty statement": ">EXECUTE >SYNC I!FORWARD Z!FORWARD |",
    "a close": ">CLOSE >SYNC 3!FORWARD Z!FORWARD |",
    "a query slipped in ahead": ">QUERY:CAPTURE >QUERY D=CAPTURE C=CAPTURE Z!CAPTURE D=FORWARD C=FORWARD Z!FORWARD |",
    "a Parse slipped in ahead": ">PARSE:SWALLOW >BIND >SYNC 1!SWALLOW 2!FORWARD Z!FORWARD |",
    "notices and parameters complete nothing": ">PARSE N=FORWARD S=FORWARD A=FORWARD 1!FORWARD |",
    "an error voids the rest of the batch": ">PARSE >BIND >EXECUTE >SYNC E=FORWARD |SYNC Z!FORWARD |",
    "an error leaves the next batch alone": (
        ">PARSE >SYNC >PARSE >SYNC E=FORWARD |SYNC PARSE SYNC Z!FORWARD 1!FORWARD Z!FORWARD |"
    ),
    "an error voids a query, too": ">BIND >QUERY >SYNC E=FORWARD |SYNC Z!FORWARD |",
    "an error of a Sync": ">PARSE >SYNC 1!FORWARD E=FORWARD |SYNC Z!FORWARD |",
    "an error in the middle": ">PARSE >BIND >EXECUTE >SYNC 1!FORWARD E=FORWARD |SYNC Z!FORWARD |",
    "an error in place of the server's": ">BIND:REPLACE >EXECUTE >SYNC E=REPLACE |SYNC Z!FORWARD |",
    "COPY out": ">QUERY H=FORWARD d=FORWARD d=FORWARD c=FORWARD C=FORWARD Z!FORWARD |",
    "COPY out of a batch": ">EXECUTE >SYNC H=FORWARD d=FORWARD c=FORWARD C!FORWARD Z!FORWARD |",
    "COPY in": ">QUERY G=FORWARD >COPY_END C=FORWARD Z!FORWARD |COPY_END",
    "COPY in, and Syncs in it": ">QUERY >SYNC >SYNC G=FORWARD |QUERY >COPY_END C=FORWARD Z!FORWARD |COPY_END",
    "COPY in by a batch": ">BIND >EXECUTE 2!FORWARD G=FORWARD >COPY_END >SYNC C!FORWARD |COPY_END SYNC",
    "COPY in by a batch that has its Sync already": ">EXECUTE >SYNC G=FORWARD |EXECUTE >COPY_END >SYNC C!FORWARD |COPY_END SYNC",
    "COPY in, all in one packet": ">EXECUTE >COPY_END >SYNC G=FORWARD |EXECUTE COPY_END SYNC C!FORWARD |COPY_END SYNC",
    "COPY in, an early and a late Sync": ">EXECUTE >SYNC >COPY_END >SYNC G=FORWARD |EXECUTE COPY_END SYNC",
    "COPY in, and a batch instead of data": ">EXECUTE >SYNC >PARSE >SYNC G=FORWARD |EXECUTE PARSE SYNC E=FORWARD |SYNC",
    "COPY in, answers of the proxy's own in between": ">EXECUTE >LOCAL >SYNC >COPY_END G=FORWARD |EXECUTE LOCAL COPY_END",
    "COPY in that fails": ">EXECUTE G=FORWARD E=FORWARD |",
    "replication": ">QUERY W=FORWARD d=FORWARD C=FORWARD Z!FORWARD |",
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_pipelines(scenario: str) -> None:
    queue = reply_queue.Queue()
    events, _, left = scenario.rpartition("|")
    events, checkpoints = split_checkpoints(events)
    for at, event in enumerate(events):
        if at in checkpoints:
            assert queue.kinds == checkpoints[at], f"before {event}"
        play(queue, event)
    assert queue.kinds == left.split()


def split_checkpoints(events: str) -> tuple[list[str], dict[int, list[str]]]:
    """Events, and the kinds that are expected to be left before the event of that number."""
    found: list[str] = []
    checkpoints: dict[int, list[str]] = {}
    within = None
    for word in events.split():
        if word.startswith("|"):
            within = checkpoints.setdefault(len(found), [])
            within.extend([word[1:]] if word[1:] else [])
        elif word.isupper() and word in reply_queue.KINDS and within is not None:
            within.append(word)
        else:
            within = None
            found.append(word)
    return found, checkpoints


def play(queue: Any, event: str) -> None:
    if event.startswith(">"):
        kind, _, action = event[1:].partition(":")
        queue.push(kind, action or "FORWARD")
        return
    reply, sign, action = event[0], event[1], event[2:]
    if reply == "E":
        assert queue.fail()[0] == action
    else:
        assert queue.arrive(reply) == (action, sign == "!"), event


OUT_OF_STEP = {
    "to nothing": ([], "C"),
    "ready, to nothing": ([], "Z"),
    "a Parse answered by BindComplete": (["PARSE"], "2"),
    "a Parse answered by a row": (["PARSE"], "D"),
    "a batch answered by ReadyForQuery": (["BIND", "SYNC"], "Z"),
    "a query answered by ParseComplete": (["QUERY"], "1"),
    "a Sync answered by CommandComplete": (["SYNC"], "C"),
    "a Describe answered by CopyInResponse": (["DESCRIBE"], "G"),
    "a query answered by PortalSuspended": (["QUERY"], "s"),
}


@pytest.mark.parametrize(("sent", "reply"), OUT_OF_STEP.values(), ids=OUT_OF_STEP.keys())
def test_a_reply_that_nothing_asked_for(sent: list[str], reply: str) -> None:
    queue = reply_queue.Queue()
    for kind in sent:
        queue.push(kind)
    with pytest.raises(OutOfStep):
        queue.arrive(reply)
    assert queue.kinds == sent


def test_an_error_to_nothing() -> None:
    with pytest.raises(OutOfStep):
        reply_queue.Queue().fail()


def test_a_request_between_a_copy_and_its_data_is_taken_for_bad_data() -> None:
    """The server never answers it by itself, so it must not wait for a reply."""
    queue = reply_queue.Queue()
    queue.push("QUERY")
    queue.push("QUERY")
    queue.push("QUERY")
    queue.arrive("G")
    assert queue.kinds == ["QUERY", "QUERY"]


def flags(*events: str) -> tuple[bool, bool, bool]:
    queue = reply_queue.Queue()
    for event in events:
        play(queue, event)
    return queue.flags  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("events", "skipping", "open_batch", "copying_in"),
    [
        ("", False, False, False),
        (">QUERY", False, False, False),
        (">PARSE", False, True, False),
        (">PARSE 1!FORWARD", False, True, False),
        (">PARSE >SYNC", False, False, False),
        (">PARSE >QUERY", False, False, False),
        (">PARSE E=FORWARD", True, True, False),
        (">PARSE >QUERY E=FORWARD", True, True, False),
        (">PARSE E=FORWARD >SYNC", False, False, False),
        (">PARSE >SYNC E=FORWARD", False, False, False),
        (">QUERY E=FORWARD", False, False, False),
        (">QUERY G=FORWARD", False, False, True),
        (">QUERY G=FORWARD >COPY_END", False, False, False),
        (">QUERY >COPY_END G=FORWARD", False, False, False),
        (">QUERY G=FORWARD E=FORWARD", False, False, False),
        (">EXECUTE >SYNC G=FORWARD", False, True, True),
        (">EXECUTE >COPY_END >SYNC G=FORWARD", False, False, False),
        (">EXECUTE >COPY_END >SYNC >PARSE G=FORWARD", False, True, False),
        (">EXECUTE G=FORWARD >BIND", False, True, False),
        (">EXECUTE G=FORWARD E=FORWARD", True, True, False),
        (">EXECUTE G=FORWARD C!FORWARD", False, True, False),
    ],
)
def test_flags(events: str, skipping: bool, open_batch: bool, copying_in: bool) -> None:
    assert flags(*events.split()) == (skipping, open_batch, copying_in)


def test_notes_come_back_with_their_entries() -> None:
    queue = reply_queue.Queue()
    queue.push("PARSE", "FORWARD", "first")
    queue.push("SYNC", "FORWARD", "second")
    queue.arrive("1")
    assert queue.finished == "first"
    queue.arrive("Z")
    assert queue.finished == "second"


def test_dropped_notes_come_newest_first() -> None:
    """So that a name space is brought back by undoing the last change first."""
    queue = reply_queue.Queue()
    for note in ("a", None, "b"):
        queue.push("PARSE", "FORWARD", note)
    queue.push("LOCAL", "FORWARD", "c")
    queue.push("SYNC", "FORWARD", "kept")
    assert queue.fail() == ("FORWARD", ["c", "b", "a"])
    assert queue.pop() == "kept"


def test_local_answers_wait_for_their_turn() -> None:
    queue = reply_queue.Queue()
    queue.push("BIND")
    queue.push("LOCAL", "FORWARD", b"one")
    queue.push("LOCAL", "FORWARD", b"two")
    queue.push("SYNC")
    queue.arrive("2")
    assert queue.kinds == ["LOCAL", "LOCAL", "SYNC"]
    assert [queue.pop(), queue.pop()] == [b"one", b"two"]
    assert queue.arrive("Z") == ("FORWARD", True)


def test_the_ring_grows_wherever_it_begins() -> None:
    for used in range(8):
        queue = reply_queue.Queue()
        for _ in range(used):
            queue.push("PARSE")
            queue.arrive("1")
        for number in range(100):
            queue.push("BIND", "FORWARD", number)
        assert queue.capacity == 128
        assert [queue.pop() for _ in range(100)] == list(range(100))
        assert queue.kinds == []


class Note:
    """An object whose references are counted."""


def references(note: object) -> int:
    return sys.getrefcount(note) - 2


@pytest.mark.parametrize(
    "end",
    [
        lambda queue: [queue.arrive(reply) for reply in "122Z"],
        lambda queue: (queue.fail(), queue.arrive("Z")),
        lambda queue: queue.clear(),
        lambda queue: None,
    ],
    ids=["answered", "failed", "cleared", "freed"],
)
def test_notes_are_held_once_and_let_go(end: Any) -> None:
    note = Note()
    before = references(note)
    queue = reply_queue.Queue()
    for kind in ("PARSE", "BIND", "BIND", "SYNC"):
        queue.push(kind, "FORWARD", note)
    assert references(note) == before + 4
    end(queue)
    del queue
    assert references(note) == before


def test_notes_of_void_syncs_are_let_go() -> None:
    note = Note()
    before = references(note)
    queue = reply_queue.Queue()
    queue.push("EXECUTE", "CAPTURE", note)
    queue.push("SYNC", "CAPTURE", note)
    queue.arrive("G")
    assert references(note) == before + 1
    queue.clear()
    assert references(note) == before


def test_many_dropped_notes_take_no_quadratic_time() -> None:
    """200,000 entries at once; a list that grew at its front would take minutes."""
    queue = reply_queue.Queue()
    for number in range(200_000):
        queue.push("PARSE", "FORWARD", number)
    _, dropped = queue.fail()
    assert dropped[0] == 199_999
    assert dropped[-1] == 0
