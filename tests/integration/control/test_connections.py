"""What the API's connections bear: long heads and bodies, slow ones, several requests at once, and no lies about them.

What was answered must be what happened: a call that is carried out is answered, and a refusal stands for the request
that it refuses. So who sends too much is read on for a while: a connection that ends with data unread takes the answer
with it (RFC 9112, section 9.6).
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.control import ACCOUNT, REGION, ROOT, Remembering
from tests.support.control_server import RunningFront
from tidegate.control.api.arrival import MAX_BODY
from tidegate.control.api.connection import MAX_HEAD
from tidegate.control.call import Call

HEALTH = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
TOO_LARGE = b"POST / HTTP/1.1\r\nHost: h\r\n"


@pytest.fixture(autouse=True)
def _fresh(running: RunningFront) -> None:
    running.rds.outcome = running.secrets.outcome = {}
    running.rds.calls.clear()
    running.secrets.calls.clear()


def statuses(answers: bytes) -> list[bytes]:
    return [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]


def signed(operation: str, body: bytes) -> bytes:
    """A call of secretsmanager as bytes."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
    request = AWSRequest(method="POST", url="http://h/", headers={"Host": "h", **headers}, data=body)
    SigV4Auth(Credentials(ROOT.access_key, ROOT.secret), "secretsmanager", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def slow(running: RunningFront, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Has calls of secretsmanager wait for the event, in the store's thread; the loop goes on meanwhile."""
    go_on = threading.Event()

    def serve(self: Remembering, call: Call) -> dict[str, Any]:
        assert go_on.wait(20)
        return Remembering.serve(self, call)

    monkeypatch.setattr(type(running.secrets), "list_secrets", serve)
    return go_on


# Bodies.


def test_a_call_with_a_long_body_is_answered_as_it_went(running: RunningFront) -> None:
    secret = "A" * 65_536
    running.client("secretsmanager").create_secret(Name="a", SecretString=secret)
    assert running.secrets.parameters["SecretString"] == secret
    entries = [{"Description": "d" * 200, "SecretArn": f"arn:aws:secretsmanager:{n}"} for n in range(200)]
    running.client("rds").create_db_proxy(
        DBProxyName="a", EngineFamily="POSTGRESQL", Auth=entries, RoleArn="arn:aws:iam::1:role/r", VpcSubnetIds=["s"]
    )
    assert len(running.rds.parameters["Auth"]) == 200


def test_json_that_is_too_deep_is_told_so(running: RunningFront) -> None:
    with running.connect() as stream:
        stream.sendall(signed("ListSecrets", b"[" * 100_000))
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        assert (answer.status, json.load(answer)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize("size", [700, 16_384, MAX_HEAD - 1, 1024 * 1024])
def test_a_long_body_may_come_in_pieces_and_be_followed(running: RunningFront, size: int) -> None:
    call = signed("CreateSecret", json.dumps({"Name": "a", "SecretString": "A" * 65_000}).encode())
    pieces = [call[at : at + size] for at in range(0, len(call), size)]
    answers = running.raw(*pieces, HEALTH + call + HEALTH, call + LAST)
    assert statuses(answers) == [b"200", b"200", b"200", b"200", b"200", b"404"]
    assert len(running.secrets.calls) == 3


def test_a_body_that_says_that_it_is_too_large_is_not_read(
    running: RunningFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.control.api.arrival.LINGER", 0.2)
    answer = running.raw(TOO_LARGE + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"<Code>RequestEntityTooLarge</Code>" in answer
    assert b"connection: close\r\n" in answer
    target = b"X-Amz-Target: secretsmanager.CreateSecret\r\n"
    answer = running.raw(TOO_LARGE + target + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n")
    assert b'"__type": "RequestEntityTooLargeException"' in answer


def test_a_body_that_grows_too_large_is_cut_off(running: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.control.api.arrival.LINGER", 0.2)
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    answer = running.raw(TOO_LARGE + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * (MAX_BODY // 0x10000 + 2))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"<Code>RequestEntityTooLarge</Code>" in answer


def test_a_body_that_never_comes_is_given_up(running: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.control.api.arrival.BODY_TIMEOUT", 0.2)
    answer = running.raw(TOO_LARGE + b"Content-Length: 10\r\n\r\nAction=")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"<Code>RequestTimeout</Code>" in answer


@pytest.mark.parametrize("size", [0x100, 0x20000])
def test_who_still_sends_is_told_that_it_is_no_http(running: RunningFront, size: int) -> None:
    """However much of the body was taken in, and waits for whoever reads it."""
    begin = TOO_LARGE + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"a" * size + b"\r\nZZ\r\n"
    assert statuses(running.raw(begin, *[b"a" * 0x40000] * 8)) == [b"400"]


def test_a_refusal_over_tls(tmp_path: Path) -> None:
    with RunningFront(tmp_path, tls=True) as front:
        context = ssl.create_default_context(cafile=front.certificate)
        with context.wrap_socket(front.connect(), server_hostname="127.0.0.1") as stream:
            stream.sendall(HEALTH + b"GET / HTTP/1.1\r\nX-Long: " + b"a" * MAX_HEAD + b"\r\n\r\n")
            answers = b""
            while statuses(answers) != [b"200", b"431"]:
                more = stream.recv(65536)
                assert more, answers
                answers += more


@pytest.mark.parametrize("wrapping", [b"X: a\r\n" * 4096, b"X: " + b"a" * 30_000, b"1;" + b"a" * 30_000])
@pytest.mark.parametrize("path", [b"/", b"/nothing"])
def test_what_a_body_is_wrapped_in_has_an_end(
    running: RunningFront, monkeypatch: pytest.MonkeyPatch, path: bytes, wrapping: bytes
) -> None:
    """Trailers and extensions of chunks, after the answer too: nobody counts them for a body's."""
    monkeypatch.setattr("tidegate.control.api.connection.MAX_REQUEST", 200_000)
    begin = b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    last = b"" if wrapping.startswith(b"1") else b"0\r\n"
    more = wrapping.removeprefix(b"1;").removeprefix(b"X: ") if b"\r" not in wrapping else wrapping
    answer = running.raw(begin + last + wrapping, *[more] * 20, wait=0.01)
    assert statuses(answer) == [b"413" if path == b"/" else b"404"]


# Heads.


def test_a_head_that_is_too_long_is_refused_in_one_piece_and_in_many(running: RunningFront) -> None:
    begin = b"GET / HTTP/1.1\r\nHost: h\r\n"
    answer = running.raw(begin + b"X-Long: " + b"a" * MAX_HEAD + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.endswith(b"\r\n\r\nThe request's first line and headers are longer than 65536 bytes.")
    pieces = [b"a" * 16384] * (MAX_HEAD // 16384 + 2)
    assert running.raw(begin + b"X-Long: ", *pieces, wait=0.01) == answer
    assert running.raw(begin + b"".join(b"X-%d: a\r\n" % number for number in range(20000))) == answer
    assert running.raw(b"GET /" + b"a" * 2 * MAX_HEAD) == answer
    assert running.client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_a_long_head_is_refused_behind_other_requests_too(running: RunningFront) -> None:
    call = signed("CreateSecret", b'{"Name": "a"}')
    long = b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"a" * MAX_HEAD
    for pieces in (
        [HEALTH, call, long, b"aa"],  # kept alive
        [HEALTH + call + long + b"\r\n\r\n"],
        [HEALTH + call + long[:100], long[100:], b"a" * 100],
        [HEALTH + call + long, *[b"a" * 16384] * (MAX_HEAD // 16384 + 1)],
    ):
        assert statuses(running.raw(*pieces, wait=0.02)) == [b"200", b"200", b"431"], pieces[0][-20:]
    assert len(running.secrets.calls) == 4


def test_a_head_in_pieces_with_a_body_behind_it_is_judged_by_itself(running: RunningFront) -> None:
    body = json.dumps({"Name": "a", "SecretString": "A" * 65_000}).encode()
    call = signed("CreateSecret", body)
    head = len(call) - len(body)
    assert call[:17] == b"POST / HTTP/1.1\r\n"
    for at in (20, 100, head - 1, head, head + 1):
        assert statuses(running.raw(call[:at], call[at:], LAST, wait=0.02)) == [b"200", b"404"], at
    long = call[:17] + b"X-Long: " + b"a" * (MAX_HEAD - 2000) + b"\r\n" + call[17:]
    assert statuses(running.raw(long[:40_000], long[40_000:], LAST, wait=0.02)) == [b"200", b"404"]
    long = call[:17] + b"X-Long: " + b"a" * MAX_HEAD + b"\r\n" + call[17:]
    assert statuses(running.raw(long[:40_000], long[40_000:], wait=0.02)) == [b"431"]


def test_a_head_that_never_ends_is_given_up(running: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.control.api.connection.HEAD_TIMEOUT", 0.2)
    assert running.raw(b"") == b""
    assert running.raw(b"GET / HTTP/1.1\r\n") == b""
    assert running.raw(HEALTH + b"GET /heal").count(b"HTTP/1.1 200 OK") == 1
    assert running.raw(HEALTH, b"\r\n", wait=0.1).count(b"HTTP/1.1 200 OK") == 1
    assert running.raw(b"\r\n", b"\r\n", wait=0.1) == b""


# Several requests.


def test_requests_of_one_connection_are_answered_in_their_order(running: RunningFront) -> None:
    assert statuses(running.raw(HEALTH * 3 + LAST)) == [b"200", b"200", b"200", b"404"]


NOTHING_READABLE = {
    "no HTTP": (b"\x00\x01\r\n\r\n", b"400"),
    "a long head": (b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"a" * MAX_HEAD + b"\r\n\r\n", b"431"),
    "a bad chunk": (TOO_LARGE + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", b"400"),
}


@pytest.mark.parametrize(("behind", "refusal"), NOTHING_READABLE.values(), ids=NOTHING_READABLE)
@pytest.mark.parametrize("calls", [0, 1, 3])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_refusal_stands_for_what_it_refuses(
    running: RunningFront, monkeypatch: pytest.MonkeyPatch, behind: bytes, refusal: bytes, calls: int, at_once: bool
) -> None:
    """Calls that came before it are carried out, and answered as they went."""
    go_on = slow(running, monkeypatch)
    call = signed("ListSecrets", b"{}")
    threading.Timer(0.3, go_on.set).start()
    answers = running.raw(*([call * calls + behind] if at_once else [call] * calls + [behind]))
    assert statuses(answers) == [b"200"] * calls + [refusal]
    assert len(running.secrets.calls) == calls
