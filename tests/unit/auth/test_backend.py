"""Logging in to a database: every method, every credential, and databases that misbehave."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.backend import (
    AuthType,
    BackendLogin,
    Credential,
    PasswordCredential,
    ScramCredential,
    VerifierOutdated,
)
from tidegate.auth.md5 import md5_hash, md5_response
from tidegate.auth.scram import ScramServer
from tidegate.auth.scram_keys import ScramKeys
from tidegate.auth.verifiers import Md5Hash
from tidegate.errors import PgError, Sqlstate

KEYS = ScramKeys.from_password("right", b"salt", 1)
MECHANISMS = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"


def own_key() -> ScramCredential:
    """What a client's login with the password 'right' leaves behind."""
    database = Database(KEYS)
    database.admit(BackendLogin("ann", PasswordCredential("right")))
    return ScramCredential(database.server.client_key, KEYS)


class Database:
    """The server's side of a SCRAM login."""

    def __init__(self, keys: ScramKeys) -> None:
        self.server = ScramServer(keys)

    def challenge(self, login: BackendLogin) -> bytes:
        """The challenge that follows the client's SASLInitialResponse."""
        response = login.feed(AuthType.SASL, MECHANISMS)
        assert response is not None
        mechanism, _, rest = response.partition(b"\0")
        assert mechanism == b"SCRAM-SHA-256"
        assert int.from_bytes(rest[:4], "big") == len(rest) - 4
        return self.server.first(rest[4:])

    def admit(self, login: BackendLogin) -> None:
        proof = login.feed(AuthType.SASL_CONTINUE, self.challenge(login))
        assert proof is not None
        assert login.feed(AuthType.SASL_FINAL, self.server.final(proof)) is None
        assert not login.done
        assert login.feed(AuthType.OK, b"") is None
        assert login.done


def refusal(login: BackendLogin, auth_type: int, payload: bytes = b"") -> PgError:
    with pytest.raises(PgError) as caught:
        login.feed(auth_type, payload)
    assert not login.done
    assert caught.value.severity == "FATAL"
    assert "ann" in caught.value.message
    return caught.value


@pytest.mark.parametrize("credential", [None, PasswordCredential("right"), Md5Hash(md5_hash("ann", "right"))])
def test_a_database_that_trusts_the_proxy(credential: Credential) -> None:
    login = BackendLogin("ann", credential)
    assert login.feed(AuthType.OK, b"") is None
    assert login.done


def test_cleartext_password() -> None:
    login = BackendLogin("ann", PasswordCredential("rïght\udcff"))
    assert login.feed(AuthType.CLEARTEXT, b"") == "rïght".encode() + b"\xff\0"
    login.feed(AuthType.OK, b"")
    assert login.done


@pytest.mark.parametrize("end_point", [b"", b"end point"])
def test_a_password_that_does_not_go_in_clear(end_point: bytes) -> None:
    """Whatever listens at the database's address may ask for it, within TLS of its own, too."""
    credential = PasswordCredential("canary", in_clear=False)
    error = refusal(BackendLogin("ann", credential, end_point), AuthType.CLEARTEXT)
    assert error.sqlstate == Sqlstate.INVALID_AUTHORIZATION
    assert "encryption is not required" in error.detail and "canary" not in repr(error) + error.detail
    assert "cleartext_passwords = true" in error.hint and "pg_hba.conf" in error.hint
    assert 'sslmode = "require"' in error.hint
    md5 = BackendLogin("ann", credential)
    assert md5.feed(AuthType.MD5, b"salt") == md5_response(md5_hash("ann", "canary"), b"salt").encode() + b"\0"


@pytest.mark.parametrize("credential", [PasswordCredential("right"), Md5Hash(md5_hash("ann", "right"))])
def test_md5_password(credential: Credential) -> None:
    login = BackendLogin("ann", credential)
    answer = login.feed(AuthType.MD5, b"salt")
    assert answer == md5_response(md5_hash("ann", "right"), b"salt").encode() + b"\0"
    login.feed(AuthType.OK, b"")
    assert login.done


def test_scram_with_a_password_keeps_the_keys_for_the_next_login() -> None:
    credential = PasswordCredential("right")
    Database(KEYS).admit(BackendLogin("ann", credential))
    assert credential.derived is not None
    assert credential.derived.keys == KEYS
    assert hashlib.sha256(credential.derived.client_key).digest() == KEYS.stored_key
    Database(KEYS).admit(BackendLogin("ann", credential))
    changed_salt = ScramKeys.from_password("right", b"other", 1)
    Database(changed_salt).admit(BackendLogin("ann", credential))
    assert credential.derived.keys == changed_salt


def test_scram_with_the_clients_own_key() -> None:
    Database(KEYS).admit(BackendLogin("ann", own_key()))


def test_a_changed_password_outdates_the_clients_key() -> None:
    login = BackendLogin("ann", own_key())
    challenge = Database(ScramKeys.from_password("new", b"other", 1)).challenge(login)
    error = refusal(login, AuthType.SASL_CONTINUE, challenge)
    assert isinstance(error, VerifierOutdated)
    assert error.sqlstate == Sqlstate.INVALID_PASSWORD


def test_a_server_without_proof_is_refused() -> None:
    for signature, sqlstate in (
        (b"v=" + b"A" * 43 + b"=", Sqlstate.INVALID_AUTHORIZATION),
        (b"v=", Sqlstate.PROTOCOL_VIOLATION),
    ):
        login = BackendLogin("ann", PasswordCredential("right"))
        login.feed(AuthType.SASL_CONTINUE, Database(KEYS).challenge(login))
        assert refusal(login, AuthType.SASL_FINAL, signature).sqlstate == sqlstate
        refusal(login, AuthType.OK)


def test_ok_cannot_cut_the_servers_proof_short() -> None:
    login = BackendLogin("ann", PasswordCredential("right"))
    challenge = Database(KEYS).challenge(login)
    assert refusal(login, AuthType.OK).sqlstate == Sqlstate.PROTOCOL_VIOLATION
    login.feed(AuthType.SASL_CONTINUE, challenge)
    assert refusal(login, AuthType.OK).sqlstate == Sqlstate.PROTOCOL_VIOLATION


@pytest.mark.parametrize(("auth_type", "name"), [(2, "Kerberos"), (7, "GSSAPI"), (9, "SSPI")])
def test_foreign_methods_are_named(auth_type: int, name: str) -> None:
    error = refusal(BackendLogin("ann", PasswordCredential("right")), auth_type)
    assert name in error.detail
    assert "pg_hba.conf" in error.hint


@pytest.mark.parametrize(
    ("credential", "auth_type", "payload", "asked", "held"),
    [
        (None, AuthType.CLEARTEXT, b"", "clear text", "no password"),
        (None, AuthType.MD5, b"salt", "MD5", "no password"),
        (None, AuthType.SASL, MECHANISMS, "SCRAM", "no password"),
        (Md5Hash("md5" + "0" * 32), AuthType.CLEARTEXT, b"", "clear text", "MD5 hash"),
        (Md5Hash("md5" + "0" * 32), AuthType.SASL, MECHANISMS, "SCRAM", "MD5 hash"),
        (ScramCredential(bytes(32), KEYS), AuthType.CLEARTEXT, b"", "clear text", "SCRAM keys"),
        (ScramCredential(bytes(32), KEYS), AuthType.MD5, b"salt", "MD5", "SCRAM keys"),
    ],
)
def test_a_credential_that_cannot_answer(
    credential: Credential, auth_type: int, payload: bytes, asked: str, held: str
) -> None:
    error = refusal(BackendLogin("ann", credential), auth_type, payload)
    assert error.sqlstate == Sqlstate.INVALID_AUTHORIZATION
    assert asked in error.detail
    assert held in error.detail
    assert "configuration" in error.hint


@pytest.mark.parametrize("mechanisms", [b"SCRAM-SHA-256-PLUS\0\0", b"EXTERNAL\0\0"])
def test_unknown_mechanisms(mechanisms: bytes) -> None:
    error = refusal(BackendLogin("ann", PasswordCredential("right")), AuthType.SASL, mechanisms)
    assert "SCRAM-SHA-256" in error.detail


@pytest.mark.parametrize(
    ("auth_type", "payload"),
    [
        (AuthType.MD5, b"sal"),
        (AuthType.MD5, b"salt5"),
        (AuthType.SASL, b""),
        (AuthType.SASL, b"SCRAM-SHA-256\0"),
        (AuthType.SASL_CONTINUE, b"r=x"),
        (AuthType.SASL_FINAL, b"v=x"),
        (99, b""),
        (-1, b""),
    ],
)
def test_protocol_violations(auth_type: int, payload: bytes) -> None:
    error = refusal(BackendLogin("ann", PasswordCredential("right")), auth_type, payload)
    assert error.sqlstate == Sqlstate.PROTOCOL_VIOLATION


def test_nothing_is_answered_after_the_end() -> None:
    login = BackendLogin("ann", PasswordCredential("right"))
    login.feed(AuthType.OK, b"")
    with pytest.raises(PgError):
        login.feed(AuthType.CLEARTEXT, b"")


@given(st.lists(st.tuples(st.integers(-1, 13), st.binary(max_size=60)), max_size=5))
def test_a_hostile_database_gets_pg_errors_only(messages: list[tuple[int, bytes]]) -> None:
    login = BackendLogin("ann", own_key())
    for auth_type, payload in messages:
        try:
            login.feed(auth_type, payload)
        except PgError:
            break


def test_credentials_do_not_show_themselves() -> None:
    assert "right" not in repr(PasswordCredential("right"))
    assert repr(bytes(32)) not in repr(ScramCredential(bytes(32), KEYS))
