"""Messages of the control channel: what goes in comes out, in any pieces; what is no message is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.rds_token import SigningKeys
from tidegate.proxy import control
from tidegate.proxy.boot import Boot, Listener
from tidegate.proxy.control import (
    TYPES,
    CatalogueChanged,
    Configure,
    Configured,
    ControlError,
    CredentialLooked,
    CredentialRefused,
    Decoder,
    Message,
    OrphanSlot,
    Ready,
    Reclaim,
    Reclaimed,
    Stats,
    StatsReply,
    Stop,
    StopMode,
    Stopped,
    TokenVerdict,
    Told,
    VerifyToken,
    encode,
)
from tidegate.proxy.learnt import Checked, Learnt

LISTENER = Listener(proxy="main", address="[::1]:6432", unix=False, fd=9)
LEARNT = Learnt(
    target=1,
    pool=("d\udcff", "ä", "SET a = 1"),
    parameters={"TimeZone": "a\xff"},
    initial={"a": "1"},
    idle_session_timeout=0.5,
    checked=(Checked(name="datestyle", value="iso", canonical="ISO, MDY"),),
)
BOOT = Boot(
    worker=1,
    workers=2,
    mock_keys={"main": "00ff"},
    aws_keys={"main": SigningKeys(region="us-east-1", access_key="AKIA", secret_key="key", session_token="")},
    listeners=(LISTENER, Listener(proxy="main", address="/run/.s.PGSQL.5432", unix=True, fd=10)),
    budget_fd=3,
    targets={"main": 0},
    clients_fd=11,
    proxies={"main": 0, "other": 1},
    wake_fds=(4, 5),
    peer_fds=(6, 7),
    inbox_fd=8,
    learnt=(LEARNT,),
    config={"proxies": [{"name": "main", "init_query": "SELECT 'ä\n'"}], "shutdown_timeout": 0.5, "users": []},
)
CONFIGURE = Configure(
    round=1,
    config={"a": [1]},
    targets={"main": 3},
    proxies={"main": 0},
    mock_keys={"main": "00ff"},
    aws_keys={"main": SigningKeys(region="us-east-1", access_key="AKIA", secret_key="key", session_token="")},
    removed=("127.0.0.1:1",),
    added=(LISTENER,),
    ended=("gone",),
)
MESSAGES: list[Message] = [
    BOOT,
    replace(CONFIGURE, added=()),
    Stats(round=2),
    Stop(mode=StopMode.GRACEFUL, seconds=1.5),
    Reclaim(round=3, target="main", slots=(OrphanSlot(slot=1, pid=2, port=0), OrphanSlot(slot=2, pid=0, port=9))),
    CredentialLooked(serial=3, source="arn:aws:secretsmanager:us-east-1:123456789012:secret:app-a1b2c3"),
    TokenVerdict(serial=7, refusal="it has expired"),
    CredentialRefused(serial=3, source="iam"),
    VerifyToken(serial=7, proxy="main", user="ä", token="t", source="127.0.0.1:5"),
    Ready(pid=4711),
    Configured(round=1, error="no\nno"),
    StatsReply(round=2, stats={"clients": 1, "pools": [{"pool": "a", "servers": 2}]}),
    LEARNT,
    Told(totals={"logins": 3, "borrow_wait_seconds": 0.25}),
    CatalogueChanged(target=3, database="gr\u00f6\u00dfe\udcff"),
    Reclaimed(round=3, target="main", slots=(1, 2)),
    Stopped(),
]


def test_every_type_is_tried_here() -> None:
    assert {type(message) for message in MESSAGES} == set(TYPES.values())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_goes_in_comes_out(message: Message) -> None:
    line, fds = encode(message)
    assert line.count(b"\n") == 1
    assert fds == []
    assert Decoder().feed(line) == [message]


@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.data())
def test_pieces_of_any_size(messages: list[Message], data: st.DataObject) -> None:
    stream = b"".join(encode(message)[0] for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    decoder, found = Decoder(), []
    for start, end in pairwise([0, *cuts, len(stream)]):
        found += decoder.feed(stream[start:end])
    assert found == messages


def test_byte_by_byte() -> None:
    decoder, found = Decoder(), []
    for message in MESSAGES:
        for byte in encode(message)[0]:
            found += decoder.feed(bytes([byte]))
    assert found == MESSAGES


def test_descriptors_travel_beside_the_line() -> None:
    other = replace(LISTENER, address="127.0.0.1:6433", fd=20)
    first, second = replace(CONFIGURE, added=(LISTENER, other)), replace(CONFIGURE, round=2, added=(other,))
    (line, fds), (line_2, fds_2) = encode(first), encode(second)
    assert (fds, fds_2) == ([9, 20], [20])
    decoder = Decoder()
    assert decoder.feed(line[:10], [31, 32]) == []
    assert decoder.unclaimed == [31, 32]
    found = decoder.feed(line[10:] + line_2[:5], [33])
    assert found == [replace(first, added=(replace(LISTENER, fd=31), replace(other, fd=32)))]
    assert decoder.feed(line_2[5:]) == [replace(second, added=(replace(other, fd=33),))]
    assert decoder.unclaimed == []


def test_descriptors_that_did_not_come() -> None:
    line, _ = encode(CONFIGURE)
    with pytest.raises(ControlError, match="without its file descriptors"):
        Decoder().feed(line)


@pytest.mark.parametrize("fd", [1, -1, 7])
def test_descriptors_that_are_named_wrongly(fd: int) -> None:
    data = json.loads(encode(CONFIGURE)[0])
    data["added"][0]["fd"] = fd
    with pytest.raises(ControlError, match="without its file descriptors"):
        Decoder().feed(json.dumps(data).encode() + b"\n", [30])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"type": "dance"}',
        b'{"type": ["stats"]}',
        b'{"type": "stats"}',
        b'{"type": "stats", "round": "1"}',
        b'{"type": "stats", "round": true}',
        b'{"type": "stats", "round": 1.5}',
        b'{"type": "stats", "round": 1, "more": 1}',
        b'{"type": "stop", "mode": "later", "seconds": 1}',
        b'{"type": "reclaimed", "round": 1, "target": "main", "slots": 5}',
        b'{"type": "reclaimed", "round": 1, "target": "main", "slots": [null]}',
        b'{"type": "reclaim", "round": 1, "target": "main", "slots": [{"slot": 1}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message(line: bytes) -> None:
    with pytest.raises(ControlError, match="not a message"):
        Decoder().feed(line + b"\n")


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waits_for_its_end(noise: bytes) -> None:
    decoder = Decoder()
    if b"\n" in noise:
        with pytest.raises(ControlError):
            decoder.feed(noise)
    else:
        assert decoder.feed(noise) == []


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_LINE", 100)
    decoder = Decoder()
    assert decoder.feed(b"x" * 99) == []
    with pytest.raises(ControlError, match="longer than 100 bytes"):
        decoder.feed(b"x")
    with pytest.raises(ControlError, match="too large"):
        encode(Configured(round=1, error="x" * 100))


def test_too_many_descriptors_are_refused() -> None:
    with pytest.raises(ControlError, match="251 file descriptors"):
        encode(replace(CONFIGURE, added=(LISTENER,) * 251))


def test_boot_as_json() -> None:
    text = BOOT.to_json()
    assert "\n" not in text
    assert Boot.from_json(text) == BOOT
    with pytest.raises(ValueError, match="Boot has the fields"):
        Boot.from_json("{}")
    with pytest.raises(ValueError, match=r"Boot\.worker must be"):
        Boot.from_json(json.dumps({**json.loads(text), "worker": "1"}))
    with pytest.raises(ValueError, match="must be an object"):
        Boot.from_json("[]")
