"""The SCRAM-SHA-256 exchange: RFC 7677's example, both ends against each other, and every way to break it."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.auth.scram import MAX_ITERATIONS, ScramClient, ScramServer
from tidegate.auth.scram_errors import ScramError, ScramFailure, ScramMalformed, ScramMismatch, ScramUnsupported
from tidegate.auth.scram_keys import ScramKeys
from tidegate.auth.scram_syntax import MAX_MESSAGE_BYTES, MAX_NONCE_BYTES

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
KEYS = ScramKeys.from_password("pencil", SALT)
SERVER_NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_NONCE = b"rOprNGfwEbeRWgbNEkqO"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
UNPROVEN = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FINAL = UNPROVEN + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def digest(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def challenged(keys: ScramKeys = KEYS, first: bytes = CLIENT_FIRST) -> ScramServer:
    """A server that awaits client-final-message."""
    server = ScramServer(keys, SERVER_NONCE)
    server.first(first)
    return server


def prove(first: bytes, unproven: bytes, server_first: bytes = SERVER_FIRST) -> bytes:
    """A right client-final-message for any pair of messages, by Python's own HMAC."""
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", SALT, 4096)
    client_key = digest(salted, b"Client Key")
    bare = first.split(b",", 2)[2]
    signature = digest(hashlib.sha256(client_key).digest(), b",".join((bare, server_first, unproven)))
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return unproven + b",p=" + base64.b64encode(proof)


def exchange(client: ScramClient, server: ScramServer) -> ScramServer:
    client.verify(server.final(client.final(server.first(client.first()))))
    return server


# The server


def test_rfc_7677_example() -> None:
    server = ScramServer(KEYS, SERVER_NONCE)
    assert server.first(CLIENT_FIRST) == SERVER_FIRST
    assert server.final(CLIENT_FINAL) == SERVER_FINAL
    assert hashlib.sha256(server.client_key).digest() == KEYS.stored_key


def test_nonces_are_fresh() -> None:
    assert ScramServer(KEYS).first(CLIENT_FIRST) != ScramServer(KEYS).first(CLIENT_FIRST)
    assert ScramClient("x").first() != ScramClient("x").first()


@pytest.mark.parametrize("header", [b"n,,", b"y,,"])
def test_gs2_headers_without_channel_binding_are_accepted(header: bytes) -> None:
    first = header + b"n=,r=rOprNGfwEbeRWgbNEkqO"
    unproven = UNPROVEN.replace(b"biws", base64.b64encode(header))
    assert challenged(first=first).final(prove(first, unproven)).startswith(b"v=")


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        (b"n,a=alice,n=,r=rOprNGfwEbeRWgbNEkqO", "authorization identity"),
        (b"y,a=,n=,r=rOprNGfwEbeRWgbNEkqO", "authorization identity"),
        (b"n,a", "authorization identity"),
        (b"n,,m=x,n=,r=rOprNGfwEbeRWgbNEkqO", "extension"),
    ],
)
def test_what_goes_beyond_the_exchange_is_not_supported(first: bytes, asked: str) -> None:
    with pytest.raises(ScramUnsupported, match=asked):
        challenged(first=first)


def test_optional_extensions_are_passed_over_but_proven() -> None:
    first = CLIENT_FIRST + b",x=any thing,Y="
    assert challenged(first=first).final(prove(first, UNPROVEN + b",z=1,t=")).startswith(b"v=")
    with pytest.raises(ScramFailure):
        challenged(first=first).final(prove(CLIENT_FIRST, UNPROVEN))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=",
        b"n,,n=,",
        b"n,,n=,r",
        b"n,,n=,r=",
        b"n,,r=abc",
        b",,n=,r=abc",
        b"p=tls-server-end-point,,n=,r=abc",
        b"x,,n=,r=abc",
        b"n,n=,r=abc",
        b"n,b=c,n=,r=abc",
        b"n,,n=,r=a b",
        b"n,,n=,r=a\x7fb",
        b"n,,n=,r=a\xffb",
        b"n,,n=,r=abc\0",
        b"n,,n=,r=abc,",
        b"n,,n=,r=abc,xy",
        b"n,,n=,r=abc,1=2",
        b"n,,n=,r=abc,x=1,",
        b"n,,n=,r=" + b"a" * (MAX_NONCE_BYTES + 1),
        b"n,,n=,r=abc,x=" + b"a" * MAX_MESSAGE_BYTES,
    ],
)
def test_malformed_first_message(message: bytes) -> None:
    with pytest.raises(ScramMalformed):
        ScramServer(KEYS).first(message)


def test_longest_nonce_is_accepted() -> None:
    assert ScramServer(KEYS).first(b"n,,n=,r=" + b"a" * MAX_NONCE_BYTES).startswith(b"r=aaa")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"c=biws",
        UNPROVEN,
        UNPROVEN + b",",
        UNPROVEN + b",p=",
        CLIENT_FINAL[:-1],
        CLIENT_FINAL + b"A",
        CLIENT_FINAL + b",x=1",
        CLIENT_FINAL.replace(b"Q=", b"=="),
        CLIENT_FINAL.replace(b"VQ=", b"VR="),  # the same proof with unused bits set
        CLIENT_FINAL.replace(b"p=d", b"p=\n"),
        CLIENT_FINAL.replace(b"biws", b"eSws"),
        CLIENT_FINAL.replace(b"c=biws,", b""),
        CLIENT_FINAL.replace(b"r=rOpr", b"r=rOpR"),
        CLIENT_FINAL.replace(b"$k0", b"$k"),
        CLIENT_FINAL.replace(b"$k0", b"$k01"),
        CLIENT_FINAL.replace(SERVER_NONCE, b""),
        CLIENT_FINAL.replace(b",p=", b",1=2,p="),
        CLIENT_FINAL + b"\0",
        UNPROVEN + b",x=" + b"a" * MAX_MESSAGE_BYTES + CLIENT_FINAL[len(UNPROVEN) :],
    ],
)
def test_malformed_final_message(message: bytes) -> None:
    with pytest.raises(ScramMalformed):
        challenged().final(message)


@given(st.integers(0, 31), st.integers(1, 255))
def test_any_change_of_the_proof_is_a_failure(index: int, flip: int) -> None:
    proof = bytearray(base64.b64decode(CLIENT_FINAL[len(UNPROVEN) + 3 :]))
    proof[index] ^= flip
    server = challenged()
    with pytest.raises(ScramFailure):
        server.final(UNPROVEN + b",p=" + base64.b64encode(proof))
    with pytest.raises(RuntimeError):
        _ = server.client_key


def test_an_exchange_is_not_tried_twice() -> None:
    server = challenged()
    with pytest.raises(ScramFailure):
        server.final(UNPROVEN + b",p=" + base64.b64encode(bytes(32)))
    with pytest.raises(ScramMalformed):
        server.final(CLIENT_FINAL)


def test_a_wrong_proof_may_fit_newer_keys_of_the_same_salt() -> None:
    server = challenged(ScramKeys.from_password("pen", SALT))
    with pytest.raises(ScramFailure):
        server.final(CLIENT_FINAL)
    assert server.renew(KEYS)
    assert server.final(CLIENT_FINAL) == SERVER_FINAL
    assert server.keys is KEYS
    assert hashlib.sha256(server.client_key).digest() == KEYS.stored_key


def test_newer_keys_may_be_wrong_too() -> None:
    server = challenged(ScramKeys.from_password("pen", SALT))
    for password in ("penc", "penci"):
        with pytest.raises(ScramFailure):
            server.final(CLIENT_FINAL)
        assert server.renew(ScramKeys.from_password(password, SALT))
    with pytest.raises(ScramFailure):
        server.final(CLIENT_FINAL)


@pytest.mark.parametrize(
    "keys", [ScramKeys.from_password("pencil", b"another salt"), ScramKeys.from_password("pencil", SALT, 4095)]
)
def test_a_proof_never_fits_keys_of_another_salt(keys: ScramKeys) -> None:
    server = challenged(ScramKeys.from_password("pen", SALT))
    with pytest.raises(ScramFailure):
        server.final(CLIENT_FINAL)
    assert not server.renew(keys)
    with pytest.raises(ScramMalformed):
        server.final(CLIENT_FINAL)


def test_only_a_wrong_proof_is_tried_again() -> None:
    verified, malformed = challenged(), challenged()
    verified.final(CLIENT_FINAL)
    with pytest.raises(ScramMalformed):
        malformed.final(b"garbage")
    for server in (ScramServer(KEYS), challenged(), verified, malformed):
        assert not server.renew(KEYS)


def test_messages_out_of_turn() -> None:
    with pytest.raises(ScramMalformed):
        ScramServer(KEYS).final(CLIENT_FINAL)
    with pytest.raises(ScramMalformed):
        challenged().first(CLIENT_FIRST)
    done = challenged()
    done.final(CLIENT_FINAL)
    with pytest.raises(ScramMalformed):
        done.final(CLIENT_FINAL)


@pytest.mark.parametrize("password", ["pencil", "", "nobody"])
def test_a_mock_never_verifies(password: str) -> None:
    client, server = ScramClient(password), ScramServer(ScramKeys.mock(b"nobody", b"secret"))
    with pytest.raises(ScramFailure):
        server.final(client.final(server.first(client.first())))


# The client


@pytest.mark.parametrize("password", ["pencil", "", "pässwörd", "a,b=c", "\udcff\udcfe", "x" * 2000])
def test_client_and_server_agree(password: str) -> None:
    keys = ScramKeys.from_password(password, iterations=2)
    server = exchange(ScramClient(password), ScramServer(keys))
    assert hashlib.sha256(server.client_key).digest() == keys.stored_key


def test_a_clients_own_key_logs_in_again() -> None:
    relayed = exchange(ScramClient("pencil"), ScramServer(KEYS))
    again = exchange(ScramClient(client_key=relayed.client_key, keys=KEYS), ScramServer(KEYS))
    assert again.client_key == relayed.client_key


def test_client_says_what_rfc_5802_says() -> None:
    client = ScramClient("pencil", nonce=CLIENT_NONCE)
    first = client.first()
    assert first == b"n,,n=,r=" + CLIENT_NONCE
    assert client.final(SERVER_FIRST) == prove(first, UNPROVEN)


def test_wrong_password() -> None:
    client, server = ScramClient("pencl"), ScramServer(KEYS)
    with pytest.raises(ScramFailure):
        server.final(client.final(server.first(client.first())))


def test_keys_of_an_older_password_are_a_mismatch() -> None:
    client_key = exchange(ScramClient("pencil"), ScramServer(KEYS)).client_key
    for current in (ScramKeys.from_password("pencil"), ScramKeys.from_password("pencil", SALT, 4097)):
        client = ScramClient(client_key=client_key, keys=KEYS)
        with pytest.raises(ScramMismatch):
            client.final(ScramServer(current).first(client.first()))


def test_password_serves_where_the_kept_keys_do_not() -> None:
    first = ScramClient("pencil")
    exchange(first, ScramServer(KEYS))
    assert first.keys == KEYS
    changed = ScramKeys.from_password("pencil", b"other salt", 10)
    second = ScramClient("pencil", client_key=first.client_key, keys=first.keys)
    exchange(second, ScramServer(changed))
    assert second.keys == changed


def test_client_needs_something_to_prove() -> None:
    for arguments in ({}, {"keys": KEYS}, {"client_key": bytes(32)}, {"client_key": bytes(31), "keys": KEYS}):
        with pytest.raises(ValueError):
            ScramClient(**arguments)


def awaiting_challenge() -> ScramClient:
    client = ScramClient("pencil", nonce=CLIENT_NONCE)
    client.first()
    return client


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=rOprNGfwEbeRWgbNEkqO,s=QSXCR+Q6sek8bf92,i=4096",  # a server that adds nothing to the nonce
        SERVER_FIRST.replace(b"rOpr", b"rOpR"),
        b"m=x," + SERVER_FIRST,
        b"e=other-error",
        SERVER_FIRST.replace(b"i=4096", b"i=0"),
        SERVER_FIRST.replace(b"i=4096", b"i=-1"),
        SERVER_FIRST.replace(b"i=4096", b"i=04096"),
        SERVER_FIRST.replace(b"i=4096", b"i="),
        SERVER_FIRST.replace(b"i=4096", b"i=99999999999999999999"),
        SERVER_FIRST.replace(b"i=4096", b"i=4294967297"),
        SERVER_FIRST.replace(b"i=4096", b"i=%d" % (MAX_ITERATIONS + 1)),
        SERVER_FIRST.replace(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s="),
        SERVER_FIRST.replace(b"gQ==", b"gQ="),
        SERVER_FIRST.replace(b"gQ==", b"g==="),
        SERVER_FIRST + b",",
        SERVER_FIRST.replace(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s=" + b"AAAA" * 200),
    ],
)
def test_malformed_challenge(message: bytes) -> None:
    with pytest.raises(ScramMalformed):
        awaiting_challenge().final(message)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"v=" + base64.b64encode(bytes(32)), ScramFailure),
        (b"e=invalid-proof", ScramFailure),
        (b"v=AAAA", ScramMalformed),
        (b"", ScramMalformed),
        (b"x=1", ScramMalformed),
    ],
)
def test_a_server_that_does_not_prove_itself(message: bytes, error: type[ScramError]) -> None:
    client = awaiting_challenge()
    client.final(SERVER_FIRST)
    with pytest.raises(error):
        client.verify(message)


def test_client_steps_out_of_turn() -> None:
    client = ScramClient("pencil")
    with pytest.raises(ScramMalformed):
        client.final(SERVER_FIRST)
    with pytest.raises(ScramMalformed):
        client.verify(SERVER_FINAL)
    client.first()
    with pytest.raises(ScramMalformed):
        client.first()


# Hostile bytes: never anything but the documented errors.

SYNTAX = b"n y p , = a= n= r= c= s= i= v= e= m= biws =2C \0".split(b" ")
EXAMPLES = [CLIENT_NONCE, SERVER_NONCE, CLIENT_FIRST, CLIENT_FINAL, SERVER_FIRST, SERVER_FINAL, UNPROVEN]
PIECES = st.sampled_from([*SYNTAX, *EXAMPLES])
HOSTILE = st.one_of(
    st.binary(max_size=1200),
    st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=12).map(b"".join),
)


@settings(max_examples=300, deadline=None)
@given(HOSTILE, HOSTILE)
@example(CLIENT_FIRST, UNPROVEN + b",p")
def test_server_survives_hostile_messages(first: bytes, final: bytes) -> None:
    server = ScramServer(KEYS, SERVER_NONCE)
    try:
        server.first(first)
    except (ScramMalformed, ScramUnsupported):
        server = challenged()
    if final != CLIENT_FINAL:
        with pytest.raises((ScramMalformed, ScramFailure)):
            server.final(final)


@settings(max_examples=300, deadline=None)
@given(HOSTILE, HOSTILE)
def test_client_survives_hostile_messages(first: bytes, final: bytes) -> None:
    client = ScramClient(client_key=bytes(32), keys=KEYS, nonce=CLIENT_NONCE)
    client.first()
    try:
        client.final(first)
    except (ScramMalformed, ScramMismatch):
        client = awaiting_challenge()
        client.final(SERVER_FIRST)
    with pytest.raises((ScramMalformed, ScramFailure)):
        client.verify(final if final != SERVER_FINAL else b"v=")


@given(st.integers(0, len(CLIENT_FIRST) - 1), st.integers(0, len(CLIENT_FINAL) - 1))
def test_truncated_messages(first_size: int, final_size: int) -> None:
    shortest = CLIENT_FIRST.index(b"r=") + 3
    if first_size < shortest:
        with pytest.raises(ScramMalformed):
            ScramServer(KEYS).first(CLIENT_FIRST[:first_size])
    with pytest.raises(ScramMalformed):
        challenged().final(CLIENT_FINAL[:final_size])
