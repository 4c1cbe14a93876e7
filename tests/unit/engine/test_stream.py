"""Streams over socketpairs: what the kernel does not take at once, and what owners are told, in which order."""

from __future__ import annotations

import socket

from tests.unit.engine.ends import Ends

BIG = bytes(range(256)) * 2000


def test_what_fits_leaves_at_once(ends: Ends) -> None:
    ends.owner.write(b"hello")
    assert ends.receive() == b"hello"
    assert ends.owner.kept == 0
    assert not ends.owner.has_buffer


def test_what_does_not_fit_follows_in_order(ends: Ends) -> None:
    ends.owner.write(BIG)
    assert 0 < ends.owner.kept < len(BIG)
    ends.owner.write(b"the end")
    assert ends.drain(len(BIG) + 7) == BIG + b"the end"
    assert ends.owner.kept == 0
    assert not ends.owner.has_buffer


def test_the_owner_is_told_once_when_all_has_left(ends: Ends) -> None:
    ends.owner.write(BIG)
    ends.drain(len(BIG))
    ends.loop.run_once()
    assert ends.owner.events.count("drained") == 1


def test_bytes_kept_by_many_small_writes(ends: Ends) -> None:
    pieces = [bytes((number % 251,)) * (number % 97) for number in range(3000)]
    for piece in pieces:
        ends.owner.write(piece)
    whole = b"".join(pieces)
    assert ends.drain(len(whole)) == whole


def test_reading_until_there_is_no_more(ends: Ends) -> None:
    ends.peer.send(b"one")
    assert ends.turn() == ["readable", b"one"]
    ends.peer.send(b"two")
    assert ends.turn() == ["readable", b"two"]
    assert ends.turn() == []


def test_bytes_that_the_owner_leaves_stay(ends: Ends) -> None:
    ends.owner.reads = False
    ends.peer.send(b"later")
    assert ends.turn() == ["readable"]
    assert ends.turn() == []
    assert ends.owner.read(2) == b"la"
    assert ends.owner.read(100) == b"ter"
    assert ends.owner.read() is None


def test_the_other_end_closes_behind_its_last_bytes(ends: Ends) -> None:
    ends.peer.send(b"bye")
    ends.peer.close()
    assert ends.turn() == ["hung up", "readable", b"bye", b""]


def test_the_other_end_closes_its_sending_half(ends: Ends) -> None:
    ends.peer.shutdown(socket.SHUT_WR)
    assert ends.turn() == ["hung up", "readable", b""]
    ends.owner.write(b"still here")
    assert ends.receive() == b"still here"


def test_end_writing_leaves_reading_open(ends: Ends) -> None:
    ends.owner.end_writing()
    assert ends.peer.recv(10) == b""
    ends.peer.send(b"answer")
    assert b"answer" in ends.turn()


def test_a_write_to_nobody_is_reported_later_and_not_from_within(ends: Ends) -> None:
    ends.peer.close()
    ends.owner.write(b"x")
    ends.owner.write(b"x")
    assert ends.owner.broken
    assert ends.owner.events == []
    told = ends.turn()
    assert told[:2] == ["hung up", "readable"]
    assert told[2] in (b"", "broken")


def test_kept_bytes_are_dropped_when_the_other_end_goes(ends: Ends) -> None:
    ends.owner.write(BIG)
    ends.peer.close()
    ends.turn()
    assert ends.owner.broken
    assert ends.owner.kept == 0
    assert "drained" not in ends.owner.events


def test_a_closed_stream_does_nothing(ends: Ends) -> None:
    ends.owner.write(BIG)
    ends.owner.close()
    ends.owner.close()
    ends.owner.write(b"x")
    assert ends.owner.fd == -1
    assert ends.owner.kept == 0
    assert ends.owner.read() == "broken"
    ends.peer.close()
    assert ends.turn() == []


def test_an_owner_may_close_when_it_is_told_of_anything(ends: Ends) -> None:
    for event in ("readable", "hung up", "drained"):
        made = Ends()
        made.turn()
        made.owner.on[event] = made.owner.close
        made.owner.write(BIG)
        made.peer.send(b"x")
        if event == "drained":
            made.drain(len(BIG))
        else:
            made.peer.shutdown(socket.SHUT_WR)
        made.loop.run_once()
        assert event in made.owner.events
        assert made.owner.fd == -1
        assert made.owner.events[-1] == event
        made.peer.close()


def test_an_outgoing_connection_keeps_what_is_written_until_it_stands() -> None:
    made = Ends(connecting=True)
    made.owner.write(b"first words")
    assert made.owner.kept == 11
    assert made.receive() == b""
    assert made.turn() == [("connected", 0)]
    assert made.receive() == b"first words"
    made.close()


def test_an_owner_that_raises_is_told_so_and_the_loop_goes_on(ends: Ends) -> None:
    def fail() -> None:
        raise RuntimeError("as planned")

    ends.owner.on["readable"] = fail
    ends.peer.send(b"x")
    assert ends.turn() == ["readable", ("failed", "as planned")]
    ends.owner.on.clear()
    ends.peer.send(b"y")
    assert ends.turn()[0] == "readable"
