"""Greetings that are given without asking a server, and until when they are right."""

from __future__ import annotations

from tidegate.proxy.learnt import Learnt
from tidegate.proxy.poolinfo import GREETINGS_KEPT, PACKET_KEPT, PoolInfo
from tidegate.session.settings import Interned

POOL = ("app", "app", "")
REPORTED = {"server_version": b"17.2", "DateStyle": b"ISO, MDY", "application_name": b""}


def known() -> tuple[Interned, PoolInfo]:
    interned = Interned()
    info = PoolInfo(interned, 0, POOL, [].append)
    info.based_on(interned.intern(REPORTED), interned.nothing, 0.0)
    return interned, info


def test_no_greeting_before_a_server_has_reported() -> None:
    assert PoolInfo(Interned(), 0, POOL, [].append).greeting_for({}) is None


def test_a_client_without_wishes_sees_what_a_fresh_server_says() -> None:
    interned, info = known()
    greeting = info.greeting_for({})
    assert greeting is not None
    assert greeting.defaults is greeting.given is interned.nothing
    assert greeting.seen.values == REPORTED
    assert greeting.messages.startswith(b"S\x00\x00\x00\x18server_version\x0017.2\0")


def test_a_wish_is_granted_once_a_server_has_taken_it() -> None:
    _, info = known()
    wanted = {"datestyle": b"german"}
    assert info.greeting_for(wanted) is None
    info.learn(wanted, [b"German, DMY"])
    greeting = info.greeting_for(wanted)
    assert greeting is not None
    assert greeting.given.values == {"datestyle": b"German, DMY"}
    assert greeting.seen.values["DateStyle"] == b"German, DMY"


def test_plain_application_names_need_no_server() -> None:
    _, info = known()
    greeting = info.greeting_for({"application_name": b"x" * 70})
    assert greeting is not None
    assert greeting.seen.values["application_name"] == b"x" * 63
    for odd in (b"\xc3\xa9", b"tab\t", b"\x7f"):
        assert info.greeting_for({"application_name": odd}) is None


def test_the_same_packet_gets_the_same_greeting_until_servers_report_something_else() -> None:
    interned, info = known()
    greeting = info.greeting_for({})
    assert greeting is not None
    info.remember(b"packet", greeting)
    assert info.known_greeting(b"packet") is greeting
    assert info.known_greeting(b"Packet") is None
    info.based_on(interned.intern(REPORTED), interned.nothing, 5.0)
    assert info.known_greeting(b"packet") is greeting
    info.based_on(interned.intern({**REPORTED, "server_version": b"17.3"}), interned.nothing, 0.0)
    assert info.known_greeting(b"packet") is None


def test_what_init_query_sets_lies_under_what_the_client_gave() -> None:
    interned, info = known()
    initial = interned.intern({"work_mem": b"7MB", "application_name": b"from init_query"})
    info.based_on(interned.intern(REPORTED), initial, 0.0)
    greeting = info.greeting_for({"application_name": b"own"})
    assert greeting is not None
    assert greeting.given.values == {"application_name": b"own"}
    assert greeting.defaults.values == {"work_mem": b"7MB", "application_name": b"own"}
    info.remember(b"packet", greeting)
    info.based_on(interned.intern(REPORTED), interned.nothing, 0.0)
    assert info.known_greeting(b"packet") is None


def test_what_is_remembered_of_packets_is_bounded() -> None:
    _, info = known()
    greeting = info.greeting_for({})
    assert greeting is not None
    info.remember(b"x" * (PACKET_KEPT + 1), greeting)
    assert info.known_greeting(b"x" * (PACKET_KEPT + 1)) is None
    packets = [b"%d" % number for number in range(3 * GREETINGS_KEPT)]
    for packet in packets:
        info.remember(packet, greeting)
    kept = [packet for packet in packets if info.known_greeting(packet)]
    assert 0 < len(kept) <= GREETINGS_KEPT
    assert packets[-1] in kept


def test_what_one_worker_learns_another_greets_by() -> None:
    told: list[Learnt] = []
    here, there = Interned(), Interned()
    info = PoolInfo(here, 0, POOL, told.append)
    other = PoolInfo(there, 0, POOL, told.append)
    info.based_on(here.intern(REPORTED), here.intern({"work_mem": b"7MB"}), 5.0)
    info.learn({"datestyle": b"german"}, [b"German, DMY"])
    info.learn({"datestyle": b"german"}, [b"German, DMY"])
    assert len(told) == 2
    for one in told[:2]:
        other.learnt(one)
    assert len(told) == 2, "what was told is not told again"
    greeting = other.greeting_for({"datestyle": b"german"})
    assert greeting is not None
    assert greeting.messages == getattr(info.greeting_for({"datestyle": b"german"}), "messages", None)
    assert greeting.defaults.values == {"work_mem": b"7MB", "datestyle": b"German, DMY"}
    assert other.idle_session_timeout == 5.0
