"""What waits for a client is told in the one order of all notifications, though two tell it."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from tidegate.session.mailbox import Mailbox, channel_of

LOST = b"N\0\0\0\x04"
FORMER, NEW = b"former", b"new"


def note(channel: bytes, payload: str, pid: int = 7) -> bytes:
    body = struct.pack("!I", pid) + channel + b"\0" + payload.encode() + b"\0"
    return b"A" + struct.pack("!I", len(body) + 4) + body


def test_channel_of() -> None:
    assert channel_of(note(b"ear", "x")) == b"ear"
    assert channel_of(LOST) is None


def test_what_is_heard_waits_in_its_order() -> None:
    box = Mailbox(1000, LOST)
    assert not box
    for payload in "abc":
        box.heard(note(FORMER, payload))
    assert box
    assert box.take() == [note(FORMER, payload) for payload in "abc"]
    assert not box


def test_too_much_is_told_to_be_lost() -> None:
    box = Mailbox(200, LOST)
    for number in range(50):
        box.heard(note(FORMER, str(number)))
        box.told(note(NEW, str(number)), False)
    box.settle()
    told = box.take()
    assert told[0] == LOST
    assert len(told) < 15
    assert LOST not in told[1:]


def test_dropped_channels_are_forgotten() -> None:
    box = Mailbox(1000, LOST)
    box.heard(note(FORMER, "a"))
    box.heard(LOST)
    box.told(note(NEW, "b"), False)
    box.drop({FORMER})
    box.settle()
    assert box.take() == [LOST, note(NEW, "b")]


def test_what_only_the_listener_missed_is_not_taken_for_another() -> None:
    """It was lost between: then what the server has told alone follows what the listener has."""
    box = Mailbox(1000, LOST)
    box.heard(note(FORMER, "a"))
    box.told(note(FORMER, "b"), True)
    box.told(note(NEW, "c"), False)
    box.server_passed_fence()
    box.listener_passed_fence()
    assert box.take() == [note(FORMER, "a"), note(NEW, "c")]


@given(
    st.lists(st.booleans(), max_size=8),
    st.lists(st.booleans(), max_size=12),
    st.lists(st.booleans(), max_size=8),
    st.data(),
)
def test_one_order(before: list[bool], between: list[bool], behind: list[bool], data: st.DataObject) -> None:
    """`True`: to a former channel. Before the server listens, from then to the fence, behind it: told at any pace."""
    everything = [
        (where, former, note(FORMER if former else NEW, data.draw(st.sampled_from("xyz"))))
        for where, flags in enumerate((before, between, behind))
        for former in flags
    ]
    listener = [(where, each) for where, former, each in everything if former or where == 2]
    listener.insert(sum(where < 2 for where, _ in listener), (-1, b""))
    server = [(former, each) for where, former, each in everything if where == 1] + [(False, b"")]
    box = Mailbox(100_000, LOST)
    while listener or server:
        if listener and (not server or data.draw(st.booleans())):
            where, each = listener.pop(0)
            box.listener_passed_fence() if where < 0 else box.heard(each)
        else:
            former, each = server.pop(0)
            box.told(each, former) if each else box.server_passed_fence()
    box.settle()
    assert box.take() == [each for where, former, each in everything if former or where > 0]
    assert not box.server_is_done
