"""SCRAM-SHA-256-PLUS: both ends bind to one channel, or say that they do not."""

from __future__ import annotations

import base64

import pytest

from tests.unit.auth.test_scram import KEYS, exchange, prove
from tidegate.auth.backend import AuthType, BackendLogin, PasswordCredential
from tidegate.auth.scram import ScramClient, ScramServer
from tidegate.auth.scram_errors import ScramDowngraded, ScramMalformed

END_POINT = bytes(range(32))
OTHER = bytes(range(1, 33))
BOUND = b"p=tls-server-end-point,,"


def server(end_point: bytes = END_POINT, plus: bool = True) -> ScramServer:
    return ScramServer(KEYS, end_point=end_point, plus=plus)


def client(end_point: bytes = END_POINT, plus: bool = True) -> ScramClient:
    return ScramClient("pencil", end_point=end_point, plus=plus)


def test_both_bind() -> None:
    assert exchange(client(), server()).client_key
    first = client().first()
    assert first.startswith(BOUND + b"n=,r=")


def test_neither_binds() -> None:
    assert exchange(client(b"", False), server(b"", False)).client_key
    assert client(b"", False).first().startswith(b"n,,")


def test_a_client_that_need_not() -> None:
    """TLS without binding is allowed, as with PostgreSQL: libpq's channel_binding=disable."""
    assert exchange(client(b"", False), server(plus=False)).client_key


def test_another_channel() -> None:
    with pytest.raises(ScramMalformed, match="does not match"):
        exchange(client(), server(OTHER))


def test_an_offer_that_somebody_hid() -> None:
    """The client would bind and was told that it can't be done."""
    hidden = client(plus=False)
    assert hidden.first().startswith(b"y,,")
    with pytest.raises(ScramDowngraded):
        server(plus=False).first(b"y,,n=,r=abcdefgh")


def test_a_server_without_binding_believes_the_client() -> None:
    assert exchange(client(plus=False), server(b"", False)).client_key


@pytest.mark.parametrize(
    ("first", "plus"),
    [
        (b"p=tls-server-end-point,,n=,r=abcdefgh", False),
        (b"p=tls-unique,,n=,r=abcdefgh", True),
        (b"p=,,n=,r=abcdefgh", True),
        (b"p,,n=,r=abcdefgh", True),
        (b"n,,n=,r=abcdefgh", True),
        (b"y,,n=,r=abcdefgh", True),
        (b"p=tls-server-end-point", True),
    ],
)
def test_malformed_headers(first: bytes, plus: bool) -> None:
    with pytest.raises(ScramMalformed):
        server(plus=plus).first(first)


@pytest.mark.parametrize("bound", [BOUND, BOUND + OTHER, b"n,,", b""])
def test_what_is_bound_to_must_be_repeated(bound: bytes) -> None:
    exchange_server = server()
    first = BOUND + b"n=,r=abcdefgh"
    said = exchange_server.first(first)
    nonce = said.split(b",")[0]
    unproven = b"c=" + base64.b64encode(bound) + b"," + nonce
    with pytest.raises(ScramMalformed, match="channel-binding data"):
        exchange_server.final(prove(first, unproven, said))


@pytest.mark.parametrize(
    ("offered", "end_point", "chosen", "header"),
    [
        (b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", END_POINT, b"SCRAM-SHA-256-PLUS", BOUND),
        (b"SCRAM-SHA-256\0\0", END_POINT, b"SCRAM-SHA-256", b"y,,"),
        (b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", b"", b"SCRAM-SHA-256", b"n,,"),
    ],
)
def test_what_a_database_is_answered(offered: bytes, end_point: bytes, chosen: bytes, header: bytes) -> None:
    login = BackendLogin("me", PasswordCredential("pencil"), end_point)
    answer = login.feed(AuthType.SASL, offered)
    assert answer is not None
    mechanism, _, rest = answer.partition(b"\0")
    assert mechanism == chosen
    assert rest[4:].startswith(header)
