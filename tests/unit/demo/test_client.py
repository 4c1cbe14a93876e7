"""The demo's client, fed whole, split and byte by byte; its SCRAM against the RFC's own example."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.demo.client import ClientError, Conversation, Login, Scram, message, query, salted_password

LOGIN = Login("127.0.0.1", 5432, "app", "secret", "shop")
SALT, ROUNDS = b"0123456789abcdef", 4096
OK = message(b"R", struct.pack("!I", 0))
READY = message(b"Z", b"I")


def server_first(initial: bytes) -> tuple[bytes, str]:
    """AuthenticationSASLContinue for a SASLInitialResponse, and what it says."""
    nonce = initial.split(b"r=")[1].decode() + "server"
    said = f"r={nonce},s={base64.b64encode(SALT).decode()},i={ROUNDS}"
    return message(b"R", struct.pack("!I", 11) + said.encode()), said


def server_final(initial: bytes, said: str, final: bytes) -> bytes:
    """AuthenticationSASLFinal, after the proof was verified from the stored key, as a server does."""
    without_proof, proof = final[5:].decode().split(",p=")
    signed = f"n=,r={initial.split(b'r=')[1].decode()},{said},{without_proof}".encode()
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", SALT, ROUNDS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    signature = hmac.digest(stored_key, signed, "sha256")
    client_key = bytes(a ^ b for a, b in zip(signature, base64.b64decode(proof), strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key, "wrong proof"
    verifier = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
    return message(b"R", struct.pack("!I", 12) + b"v=" + base64.b64encode(verifier))


def row(*values: bytes) -> bytes:
    return message(
        b"D", struct.pack("!H", len(values)) + b"".join(struct.pack("!i", len(value)) + value for value in values)
    )


def log_in(conversation: Conversation, pieces: int | None = None) -> bytes:
    """The whole exchange, each server message in pieces of that many bytes; returns what follows ReadyForQuery."""

    def feed(data: bytes) -> bytes:
        step = pieces or len(data)
        return b"".join(conversation.feed(data[at : at + step]) for at in range(0, len(data), step))

    assert conversation.start()[4:8] == struct.pack("!I", 0x00030000)
    initial = feed(message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"))
    continued, said = server_first(initial)
    final = feed(continued)
    assert feed(server_final(initial, said, final)) == b""
    parameters = message(b"S", b"server_version\x0017\0") + message(b"K", struct.pack("!II", 77, 1))
    return feed(OK + parameters + READY)


def test_scram_is_that_of_rfc_7677() -> None:
    scram = Scram("pencil", "user", "rOprNGfwEbeRWgbNEkqO")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    said = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert scram.final(said).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_scram_refuses_a_server_that_does_not_know_the_password() -> None:
    scram = Scram("pencil", "user", "abc")
    scram.final(b"r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    with pytest.raises(ClientError, match="signature"):
        scram.verify(b"v=" + base64.b64encode(bytes(32)))


def test_scram_refuses_a_foreign_nonce() -> None:
    with pytest.raises(ClientError, match="nonce"):
        Scram("pencil", "user", "abc").final(b"r=xyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")


@pytest.mark.parametrize("pieces", [None, 1, 2, 7, 64])
def test_a_whole_conversation(pieces: int | None) -> None:
    conversation = Conversation(LOGIN, ["BEGIN", "SELECT 1", "COMMIT"])
    assert not conversation.logged_in
    assert log_in(conversation, pieces) == query("BEGIN")
    assert conversation.logged_in
    assert conversation.backend_pid == 77
    assert conversation.feed(message(b"C", b"BEGIN\0") + READY) == query("SELECT 1")
    assert not conversation.done
    assert conversation.feed(row(b"1", b"two") + message(b"C", b"SELECT 1\0") + READY) == query("COMMIT")
    assert conversation.feed(message(b"C", b"COMMIT\0") + READY) == b""
    assert conversation.done


def test_rows_are_those_of_the_last_statement() -> None:
    conversation = Conversation(LOGIN)
    log_in(conversation)
    assert conversation.done
    assert conversation.ask("SELECT 1") == query("SELECT 1")
    conversation.feed(row(b"1", b"") + READY)
    assert conversation.rows == [["1", ""]]
    conversation.ask("SELECT 2")
    conversation.feed(row(b"2") + READY)
    assert conversation.rows == [["2"]]


def test_an_error_names_sqlstate_and_message() -> None:
    conversation = Conversation(LOGIN)
    refusal = message(b"E", b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0")
    assert conversation.feed(refusal[:9]) == b""
    with pytest.raises(ClientError) as caught:
        conversation.feed(refusal[9:])
    assert caught.value.reason == "53300 sorry, too many clients already"


def test_other_authentication_is_refused() -> None:
    with pytest.raises(ClientError, match="authentication 5"):
        Conversation(LOGIN).feed(message(b"R", struct.pack("!I", 5) + b"salt"))


@given(st.binary(min_size=1, max_size=40))
def test_nothing_is_taken_before_a_message_is_whole(body: bytes) -> None:
    conversation = Conversation(LOGIN)
    whole = message(b"N", body)
    assert conversation.feed(whole[:-1]) == b""
    assert conversation.feed(whole[-1:] + OK) == b""
    assert not conversation.logged_in


def test_salted_password_is_computed_once() -> None:
    salted_password.cache_clear()
    for _ in range(3):
        log_in(Conversation(LOGIN))
    assert salted_password.cache_info().misses == 1
