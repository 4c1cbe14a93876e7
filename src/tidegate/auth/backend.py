"""Logging in to a database: the answers to its Authentication messages.

Owns the frontend's side of the protocol documentation's "Start-up" flow, from the first AuthenticationXXX to
AuthenticationOk. Refuses sockets and message framing: bodies in, bodies out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import ClassVar, TypeAlias

from tidegate.auth.md5 import SALT_BYTES, md5_hash, md5_response
from tidegate.auth.scram import MECHANISM, MECHANISM_PLUS, ScramClient
from tidegate.auth.scram_errors import ScramError, ScramFailure, ScramMismatch
from tidegate.auth.scram_keys import ScramKeys
from tidegate.auth.verifiers import Md5Hash
from tidegate.errors import PgError, Sqlstate


class AuthType(IntEnum):
    """The number that begins an Authentication message (protocol documentation, "Message Formats")."""

    OK = 0
    KERBEROS_V5 = 2
    CLEARTEXT = 3
    MD5 = 5
    GSS = 7
    GSS_CONTINUE = 8
    SSPI = 9
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12


_FOREIGN = {AuthType.KERBEROS_V5: "Kerberos V5", AuthType.GSS: "GSSAPI", AuthType.SSPI: "SSPI"}


@dataclass(slots=True)
class PasswordCredential:
    """A password: answers every method. Share one object among logins: it keeps the keys that PBKDF2 gave."""

    password: str = field(repr=False)
    derived: ScramCredential | None = field(default=None, repr=False, compare=False)
    in_clear: bool = field(default=True, compare=False)
    """Whether it may be sent in clear (within TLS, where there is any) to a database that asks for it so."""


@dataclass(frozen=True, slots=True)
class ScramCredential:
    """What a client's own SCRAM login left behind (`ScramServer.client_key`): answers SCRAM with the same verifier."""

    client_key: bytes = field(repr=False)
    keys: ScramKeys


Credential: TypeAlias = PasswordCredential | ScramCredential | Md5Hash | None
"""None: nothing is known; only a database that trusts the proxy lets it in."""


class VerifierOutdated(PgError):
    """The database's verifier is not the one that the credential was made with: read it again."""


class _Step(Enum):
    BEGIN = auto()
    PASSWORD_SENT = auto()
    SASL_STARTED = auto()
    PROOF_SENT = auto()
    SERVER_PROVEN = auto()
    DONE = auto()


class BackendLogin:
    """One login as `user`; feed it each Authentication message until `done`.

    The server's proof is not optional: once it has begun SASL, AuthenticationOk without a right signature is an error.
    """

    def __init__(self, user: str, credential: Credential, end_point: bytes = b"") -> None:
        """`end_point`: what SCRAM can be bound to, the database's tls-server-end-point; b"": nothing."""
        self.user = user
        self.end_point = end_point
        self._credential = credential
        self._step = _Step.BEGIN
        self._scram: ScramClient | None = None

    @property
    def done(self) -> bool:
        """Whether the database has let the user in."""
        return self._step is _Step.DONE

    def feed(self, auth_type: int, payload: bytes) -> bytes | None:
        """Take an Authentication message's number and the bytes after it; return what to send, or None.

        What is returned is the body of one message of type 'p' (PasswordMessage, SASLInitialResponse or SASLResponse),
        WITHOUT the type byte and the length.

        Raises PgError (FATAL) when the login can't go on; VerifierOutdated, a kind of it, when the credential's keys
        belong to an older password. The first SCRAM login with a PasswordCredential takes milliseconds of CPU.
        """
        handler = self._TRANSITIONS.get((self._step, auth_type))
        if handler is None:
            raise self._out_of_place(auth_type)
        try:
            return handler(self, payload)
        except ScramMismatch as mismatch:
            raise VerifierOutdated(
                f'password of role "{self.user}" was changed', Sqlstate.INVALID_PASSWORD, "FATAL", detail=str(mismatch)
            ) from mismatch
        except ScramFailure as failure:
            raise self._refusal(f"The database could not prove that it knows the password: {failure}") from failure
        except ScramError as malformed:
            raise self._violation(str(malformed)) from malformed

    def _ok(self, payload: bytes) -> None:
        self._step = _Step.DONE

    def _cleartext(self, payload: bytes) -> bytes:
        if not isinstance(self._credential, PasswordCredential):
            raise self._unable("the password in clear text")
        if not self._credential.in_clear:
            raise self._refusal(
                "The database asks for the password in clear text, and encryption is not required.",
                "Let the database's pg_hba.conf ask the proxy's address for scram-sha-256; or let it offer TLS (ssl = "
                'on), and set sslmode = "require" or stricter in the configuration\'s [[target]]. To send the password '
                "all the same, set cleartext_passwords = true there.",
            )
        self._step = _Step.PASSWORD_SENT
        return _octets(self._credential.password) + b"\0"

    def _md5(self, payload: bytes) -> bytes:
        if len(payload) != SALT_BYTES:
            raise self._violation("The salt of an MD5 challenge has 4 bytes.")
        match self._credential:
            case PasswordCredential(password):
                stored = md5_hash(self.user, password)
            case Md5Hash(text):
                stored = text
            case _:
                raise self._unable("an MD5 password")
        self._step = _Step.PASSWORD_SENT
        return md5_response(stored, payload).encode("ascii") + b"\0"

    def _sasl(self, payload: bytes) -> bytes:
        if not payload.endswith(b"\0\0"):
            raise self._violation("The list of SASL mechanisms has no end.")
        offered = payload[:-2].split(b"\0")
        plus = bool(self.end_point) and MECHANISM_PLUS.encode() in offered
        mechanism = MECHANISM_PLUS if plus else MECHANISM
        if mechanism.encode() not in offered:
            raise self._refusal(f"The database offers no SASL mechanism that Tidegate knows ({MECHANISM}).")
        match self._credential:
            case PasswordCredential(password, None):
                scram = ScramClient(password, end_point=self.end_point, plus=plus)
            case PasswordCredential(password, ScramCredential(key, keys)):
                scram = ScramClient(password, client_key=key, keys=keys, end_point=self.end_point, plus=plus)
            case ScramCredential(key, keys):
                scram = ScramClient(client_key=key, keys=keys, end_point=self.end_point, plus=plus)
            case _:
                raise self._unable("SCRAM-SHA-256")
        self._scram = scram
        self._step = _Step.SASL_STARTED
        first = scram.first()
        return mechanism.encode() + b"\0" + len(first).to_bytes(4, "big") + first

    def _sasl_continue(self, payload: bytes) -> bytes:
        assert self._scram is not None
        self._step = _Step.PROOF_SENT
        return self._scram.final(payload)

    def _sasl_final(self, payload: bytes) -> None:
        scram = self._scram
        assert scram is not None
        scram.verify(payload)
        self._step = _Step.SERVER_PROVEN
        if isinstance(self._credential, PasswordCredential) and scram.keys is not None and scram.client_key is not None:
            self._credential.derived = ScramCredential(scram.client_key, scram.keys)

    _TRANSITIONS: ClassVar[dict[tuple[_Step, int], Callable[[BackendLogin, bytes], bytes | None]]] = {
        (_Step.BEGIN, AuthType.OK): _ok,
        (_Step.BEGIN, AuthType.CLEARTEXT): _cleartext,
        (_Step.BEGIN, AuthType.MD5): _md5,
        (_Step.BEGIN, AuthType.SASL): _sasl,
        (_Step.PASSWORD_SENT, AuthType.OK): _ok,
        (_Step.SASL_STARTED, AuthType.SASL_CONTINUE): _sasl_continue,
        (_Step.PROOF_SENT, AuthType.SASL_FINAL): _sasl_final,
        (_Step.SERVER_PROVEN, AuthType.OK): _ok,
    }

    def _out_of_place(self, auth_type: int) -> PgError:
        foreign = _FOREIGN.get(auth_type)  # type: ignore[call-overload]
        if foreign is None:
            return self._violation(f"Authentication request {auth_type} came out of place or is unknown.")
        return self._refusal(
            f"The database asks for {foreign} authentication, which Tidegate does not speak.",
            "Let the database's pg_hba.conf ask the proxy's address for scram-sha-256.",
        )

    def _unable(self, asked: str) -> PgError:
        held = {
            ScramCredential: "SCRAM keys, which answer SCRAM-SHA-256 only",
            Md5Hash: "an MD5 hash, which answers MD5 only",
        }.get(type(self._credential), "no password")
        return self._refusal(
            f"The database asks for {asked}; for this user Tidegate has {held}.",
            "Give this user a password in the configuration's users (by the AWS API: a secret in the proxy's Auth), "
            "or let the database's pg_hba.conf ask the proxy's address for scram-sha-256 and the role "
            "have a SCRAM verifier.",
        )

    def _refusal(self, detail: str, hint: str = "") -> PgError:
        message = f'cannot log in to the database as "{self.user}"'
        return PgError(message, Sqlstate.INVALID_AUTHORIZATION, "FATAL", detail, hint)

    def _violation(self, detail: str) -> PgError:
        message = f'protocol violation by the database while logging in as "{self.user}"'
        return PgError(message, Sqlstate.PROTOCOL_VIOLATION, "FATAL", detail)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
