"""Bytes that no client should send: the error is the protocol's, the session ends, nobody else notices.

The table is played directly too: where the database answers with an error and goes on, the proxy may go on as well or
close; where the database closes, the proxy closes.
"""

from __future__ import annotations

import random
import struct

import pytest

from tests.faults.conftest import Recovered
from tests.support import messages as m
from tests.support.counted import USER
from tests.support.sides import Side, all_servers_held
from tests.support.wire import ConnectionEnded, Message, RawClient, errors, rows

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1


def framed(length: int, code: int = m.PROTOCOL_3_0, body: bytes = b"") -> bytes:
    return struct.pack("!ii", length, code) + body


PARAMETERS = b"user\0wire\0database\0wire\0"

START_UP: dict[str, bytes] = {
    "nothing at all": b"",
    "one byte": b"\0",
    "length zero": framed(0),
    "length three": framed(3),
    "length seven": framed(7),
    "length minus one": framed(-1),
    "most negative length": framed(INT_MIN),
    "length of 2 GB": framed(INT_MAX),
    "longer than allowed": framed(10001, body=b"x" * 9993),
    "no parameters and no end": framed(8),
    "without its end": framed(8 + len(PARAMETERS), body=PARAMETERS),
    "name without a value": framed(8 + len(PARAMETERS) + 6, body=PARAMETERS + b"alone\0"),
    "name without an end": framed(8 + len(PARAMETERS) + 5, body=PARAMETERS + b"alone"),
    "bytes after its end": framed(8 + len(PARAMETERS) + 5, body=PARAMETERS + b"\0more"),
    "only zeros": bytes(64),
    "only ones": b"\xff" * 64,
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS without asking": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "MySQL": bytes.fromhex("200000018da600000000000121") + bytes(23),
    "a query": m.query("SELECT 1"),
    "an SSLRequest that is too long": struct.pack("!ii", 12, 80877103) + bytes(4),
    "a CancelRequest without a key": struct.pack("!ii", 8, m.CANCEL_REQUEST_CODE),
    "a CancelRequest without half a key": struct.pack("!iiih", 14, m.CANCEL_REQUEST_CODE, 1, 1),
    "a CancelRequest with too long a key": m.cancel_request(1, bytes(257)),
    "a CancelRequest of 2 GB": struct.pack("!ii", INT_MAX, m.CANCEL_REQUEST_CODE),
    "a request code from nowhere": framed(8, 80877199),
}


@pytest.mark.parametrize("sent", START_UP.values(), ids=START_UP.keys())
def test_start_up(fragile: Side, recovered: Recovered, sent: bytes) -> None:
    """Whatever comes back is at most an error; the connection is closed."""
    client = fragile.open()
    client.send(sent)
    client.half_close()
    try:
        answer = client.read_rest()
    except ConnectionResetError:
        answer = b""
    assert answer in (b"", b"N") or answer.startswith((b"E", b"R"))
    client.sock.close()
    recovered()


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_start_up_cut_off(fragile: Side, length: int) -> None:
    """Every prefix of a StartupMessage, followed by the end."""
    client = fragile.open()
    client.send(m.startup({"user": USER, "database": USER})[:length])
    client.half_close()
    assert client.read_rest()[:1] in (b"", b"R", b"E")
    client.sock.close()


BIND_HEAD = b"\0\0"  # unnamed portal, unnamed statement

SESSION: dict[str, bytes] = {
    "length zero": b"Q" + struct.pack("!i", 0),
    "length three": b"Q" + struct.pack("!i", 3),
    "length minus one": b"Q" + struct.pack("!i", -1),
    "most negative length": b"Q" + struct.pack("!i", INT_MIN) + b"SELECT 1\0",
    "length of 2 GB": b"Q" + struct.pack("!i", INT_MAX) + b"SELECT 1\0",
    "Parse of 2 GB": b"P" + struct.pack("!i", INT_MAX) + b"\0SELECT 1\0",
    "Sync of 2 GB": b"S" + struct.pack("!i", INT_MAX),
    "Terminate of 2 GB": b"X" + struct.pack("!i", INT_MAX),
    "unknown type": m.message("!", b"what"),
    "type zero": m.message("\0", b""),
    "type above ASCII": b"\xff" + struct.pack("!i", 4),
    "second StartupMessage": m.startup({"user": USER, "database": USER}),
    "SSLRequest": m.SSL_REQUEST,
    "CancelRequest": m.cancel_request(1, b"1234"),
    "password": m.password("late"),
    "SASL response": m.message("p", b"SCRAM-SHA-256\0\0\0\0\0"),
    "ReadyForQuery": m.message("Z", b"I"),
    "AuthenticationOk": m.message("R", bytes(4)),
    "RowDescription": m.message("T", b"\0\0"),
    "Query without its end": m.message("Q", b"SELECT 1"),
    "Query with bytes after its end": m.message("Q", b"SELECT 1\0SELECT 2\0"),
    "empty Query without its end": m.message("Q", b""),
    "Sync with a body": m.message("S", b"extra") + m.query("SELECT 1"),
    "Flush with a body": m.message("H", b"extra") + m.sync(),
    "Parse without its end": m.message("P", b"name") + m.sync(),
    "Parse without types": m.message("P", b"\0SELECT 1\0") + m.sync(),
    "Parse with too many types": m.message("P", b"\0SELECT 1\0" + struct.pack("!h", 100)) + m.sync(),
    "Parse with minus one types": m.message("P", b"\0SELECT 1\0" + struct.pack("!h", -1)) + m.sync(),
    "Parse with bytes after its end": m.message("P", b"\0SELECT 1\0\0\0more") + m.sync(),
    "named Parse without types": m.message("P", b"bad\0SELECT 1\0") + m.sync(),
    "Bind of nothing": m.message("B", b"") + m.sync(),
    "Bind cut off": m.parse("SELECT 1") + m.message("B", BIND_HEAD) + m.sync(),
    "Bind with too many formats": m.parse("SELECT 1") + m.message("B", BIND_HEAD + struct.pack("!h", 30000)) + m.sync(),
    "Bind with too many values": m.parse("SELECT $1::int")
    + m.message("B", BIND_HEAD + struct.pack("!hh", 0, 30000))
    + m.sync(),
    "Bind with a value of 2 GB": m.parse("SELECT $1::text")
    + m.message("B", BIND_HEAD + struct.pack("!hhi", 0, 1, INT_MAX) + b"x")
    + m.sync(),
    "Bind with a value of length -2": m.parse("SELECT $1::text")
    + m.message("B", BIND_HEAD + struct.pack("!hhih", 0, 1, -2, 0))
    + m.sync(),
    "Bind with format 7": m.parse("SELECT $1::text") + m.bind(["x"], formats=[7]) + m.sync(),
    "Describe of nothing": m.message("D", b"") + m.sync(),
    "Describe of a third kind": m.message("D", b"Xname\0") + m.sync(),
    "Describe without its end": m.message("D", b"Sname") + m.sync(),
    "Close of a third kind": m.message("C", b"Xname\0") + m.sync(),
    "Close without its end": m.message("C", b"Sname") + m.sync(),
    "Execute cut off": m.message("E", b"\0\0") + m.sync(),
    "Execute of nothing": m.message("E", b"") + m.sync(),
    "FunctionCall of nothing": m.message("F", b""),
    "FunctionCall cut off": m.message("F", struct.pack("!Ihh", 177, 0, 2) + struct.pack("!i", 100)),
    "FunctionCall with too many arguments": m.message("F", struct.pack("!Ihhh", 177, 1, 1, 30000)),
    "text that is not UTF-8": m.message("Q", b"SELECT '\xc3\x28'\0"),
    "statement name that is not UTF-8": m.message("P", b"\xff\xfe\0SELECT 1\0\0\0") + m.sync(),
    "Query amid COPY": m.query("COPY faults_rows FROM STDIN") + m.query("SELECT 1"),
    "Parse amid COPY": m.query("COPY faults_rows FROM STDIN") + m.parse("SELECT 1"),
    "unknown type amid COPY": m.query("COPY faults_rows FROM STDIN") + m.message("!", b""),
    "CopyFail without its end amid COPY": m.query("COPY faults_rows FROM STDIN") + m.message("f", b"no end"),
    "CopyData of 2 GB amid COPY": m.query("COPY faults_rows FROM STDIN") + b"d" + struct.pack("!i", INT_MAX),
    "CopyDone with a body amid COPY": m.query("COPY faults_rows FROM STDIN") + m.message("c", b"body"),
}


LENIENT = ["statement name that is not UTF-8"]
"""Names that the database never sees, since the proxy gives statements its own: it may let them pass."""


def reaction(side: Side, sent: bytes, before: bytes = b"", holder: RawClient | None = None) -> tuple[list[str], bool]:
    """SQLSTATEs that came back, and whether the session went on.

    Behind the bad bytes stands a Query whose answer shows that it did. One that hangs fails by its time-out. All of it
    waits in the queue until the holder, if there is one, gives its server back.
    """
    client = side.login(timeout=4)
    replies: list[Message] = []
    try:
        if before:
            client.ask(before)
        client.send(sent, m.sync(), m.query("ROLLBACK"), m.query("SELECT 'went on'"))
        if holder is not None:
            assert client.silent(0.05), "all servers are held"
            holder.query("COMMIT")
        while rows(replies[-1:]) != [(b"went on",)]:
            replies.append(client.read())
    except (ConnectionEnded, BrokenPipeError, ConnectionResetError):
        return [fields["C"] for fields in errors(replies)], False
    finally:
        client.sock.close()
    return [fields["C"] for fields in errors(replies)], True


@pytest.mark.parametrize("before", [b"", m.query("BEGIN")], ids=["idle", "in a transaction"])
@pytest.mark.parametrize("sent", SESSION.values(), ids=SESSION.keys())
def test_session(
    direct: Side, fragile: Side, recovered: Recovered, request: pytest.FixtureRequest, sent: bytes, before: bytes
) -> None:
    expected, expected_to_go_on = reaction(direct, sent, before)
    codes, went_on = reaction(fragile, sent, before)
    if went_on:
        lenient = any(name in request.node.name for name in LENIENT)
        assert expected_to_go_on and (codes == expected or (lenient and codes == []))
    else:
        assert codes[:1] in ([], ["08P01"], expected[:1])
    recovered()


@pytest.mark.parametrize("sent", SESSION.values(), ids=SESSION.keys())
def test_session_in_the_queue(fragile: Side, sent: bytes) -> None:
    """What a client sent while it waited is dealt with in somebody else's turn; it is still its own fault."""
    expected = reaction(fragile, m.query("SELECT 1") + sent)
    with all_servers_held(fragile) as holders:
        assert reaction(fragile, m.query("SELECT 1") + sent, holder=holders[0]) == expected
        for holder in holders:
            assert holder.value("SELECT 1") == "1"


def test_end_amid_a_message(fragile: Side, recovered: Recovered) -> None:
    """Of a message that is too long to be kept, the server has the beginning: nobody will ever send it the rest."""
    for kind in "QPBF":
        client = fragile.login()
        client.send(m.message(kind, b"\0\0" + bytes(2_000_000))[:200_000])
        client.half_close()
        client.read_rest()
        client.sock.close()
    recovered()


def test_everything_that_is_no_message(fragile: Side, bystander: RawClient) -> None:
    """Every type byte that the protocol doesn't give to clients ends the session with 08P01."""
    for code in sorted(set(range(256)) - set(b"BCDEFHPQSXcdf")):
        client = fragile.login()
        client.send(bytes([code]) + struct.pack("!i", 8) + b"body")
        assert [fields["C"] for fields in errors(client.read_to_end())] == ["08P01"], f"type {code:#x}"
        client.sock.close()


VALID = [
    m.query("SELECT 1"),
    m.batch("SELECT $1::int", ["1"]),
    m.parse("SELECT 2", "s") + m.bind([], "s") + m.execute("", 1) + m.flush() + m.close_statement("s") + m.sync(),
    m.query("BEGIN") + m.query("INSERT INTO faults_rows VALUES (1)") + m.query("ROLLBACK"),
    m.query("COPY faults_rows FROM STDIN") + m.copy_data(b"1\n") + m.copy_fail("no"),
    m.function_call(177, [b"1", b"2"], binary=False),
    m.query("COPY (SELECT 1) TO STDOUT"),
]


def mutated(chance: random.Random) -> bytes:
    """A valid session with a few bytes changed, dropped, doubled or inserted; never a COMMIT, so nothing stays."""
    data = bytearray(b"".join(chance.choices(VALID, k=4)))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 6)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 6))
            case _:
                data[at:at] = data[at : at + chance.randint(1, 12)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_sessions(fragile: Side, recovered: Recovered, seed: int) -> None:
    """Each ends soon after its last byte, whatever it made of itself."""
    chance = random.Random(seed)
    for _ in range(40):
        client = fragile.login(timeout=8)
        try:
            client.send(m.query("BEGIN"), mutated(chance))
            client.half_close()
            client.read_rest()
        except (ConnectionResetError, BrokenPipeError):
            pass  # closed with our bytes unread: an end as good as any
        finally:
            client.sock.close()
    recovered()


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(fragile: Side, recovered: Recovered, seed: int) -> None:
    chance = random.Random(seed)
    for logged_in in (False, True) * 15:
        client = fragile.login(timeout=8) if logged_in else fragile.open(timeout=8)
        try:
            client.send(chance.randbytes(chance.randint(1, 3000)))
            client.half_close()
            client.read_rest()
        except (ConnectionResetError, BrokenPipeError):
            pass  # as above
        finally:
            client.sock.close()
    recovered()


def test_byte_by_byte(fragile: Side, bystander: RawClient) -> None:
    """A slow client is served like any other, and holds its server only inside its transaction."""
    with fragile.login() as client:
        client.send_slowly(m.parse("SELECT $1::int", "slow") + m.sync(), pause=0.001)
        client.read_ready()
        for _ in range(3):
            client.send_slowly(m.run_prepared("slow", ["7"]))
            assert rows(client.read_ready()) == [(b"7",)]
        client.send_slowly(m.query("COPY faults_rows FROM STDIN") + m.copy_data(b"1\n") + m.copy_fail("no"))
        assert [fields["C"] for fields in errors(client.read_ready())] == ["57014"]
