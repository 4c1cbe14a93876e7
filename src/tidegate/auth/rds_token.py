"""IAM authentication tokens for databases: a presigned request, without its scheme, sent as the password.

Owns reading, making and checking one. Refuses to know secrets and policies: whoever holds the keys looks the secret up
by the token's access key, and judges `rds-db:connect` (`control`); and to read the clock.

Nothing in a token keeps it from being used again within its 15 minutes, at the database of RDS as here.
Source: Amazon RDS User Guide, "IAM database authentication"; botocore's `generate_db_auth_token` makes the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote

from tidegate.auth import sigv4
from tidegate.auth.sigv4_claim import (
    Claim,
    Credential,
    Request,
    SignatureRefused,
    claim_of_query,
    format_timestamp,
    query_pairs,
)

SERVICE = "rds-db"
ACTION = "connect"
MAX_TOKEN_SIZE = 8192
"""Characters. Session tokens take most of it; STS says that theirs are below 4096 (encoded, a little more)."""
LIFETIME = 900
"""Seconds that a token lives."""
HTTPS_PORT = 443
"""The only port that isn't part of what is signed: it is the default of https, under which tokens are signed."""


class TokenRefused(Exception):
    """A well-formed token that must not let its bearer in, for the reason given; it holds nothing secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """What signs tokens: a key pair, and the region that the tokens are for."""

    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    """"" for a long-term key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RdsToken:
    """A token as it came, not checked yet."""

    host: str
    """As the token has it, in lower case, brackets around an IPv6 address."""
    port: int
    action: str
    user: str
    """DBUser: whom it lets in as."""
    claim: Claim = field(repr=False)
    query: str = field(repr=False)

    @property
    def access_key(self) -> str:
        """Whose key has signed it."""
        return self.claim.credential.access_key

    @property
    def region(self) -> str:
        """The region that it is for."""
        return self.claim.credential.region

    @property
    def service(self) -> str:
        """The service that it is for: rds-db."""
        return self.claim.credential.service

    @property
    def signed_at(self) -> float:
        """Seconds since 1970."""
        return self.claim.signed_at

    @property
    def expires(self) -> int:
        """Seconds from signed_at on that it says it lives."""
        return self.claim.expires or 0

    @property
    def signed_headers(self) -> tuple[str, ...]:
        """In lower case, sorted."""
        return self.claim.signed_headers

    @property
    def security_token(self) -> str | None:
        """The session token, of temporary keys."""
        return self.claim.security_token

    @property
    def signature(self) -> str:
        """Hexadecimal."""
        return self.claim.signature


def looks_like_token(password: str) -> bool:
    """Whether somebody meant this as a token, to tell in a refusal what is wrong with it. It decides nothing else."""
    return "X-Amz-Signature=" in password and "Action=" in password


def parse_token(text: str) -> RdsToken:
    """Read a token. ValueError says what is wrong with it, without repeating any of it."""
    if len(text) > MAX_TOKEN_SIZE:
        raise ValueError(f"the token is longer than {MAX_TOKEN_SIZE} characters")
    if not text.isascii() or not text.isprintable():
        raise ValueError("the token has characters that no token has")
    address, slash, query = text.partition("/?")
    if not slash:
        raise ValueError("the token is not of the form HOST:PORT/?Action=connect&...")
    host, port = _parse_address(address)
    pairs = query_pairs(query)
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("the token repeats a parameter")
    given = dict(pairs)
    for name in ("Action", "DBUser"):
        if not given.get(name):
            raise ValueError(f"the token has no {name}")
    try:
        claim = claim_of_query(pairs)
    except SignatureRefused:
        raise ValueError("the token's credential does not fit its date") from None
    return RdsToken(host=host, port=port, action=given["Action"], user=given["DBUser"], claim=claim, query=query)


def _parse_address(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise ValueError("the token does not begin with HOST:PORT")
    return host.lower(), int(port)


def check_token(
    token: RdsToken,
    secret: str,
    *,
    hosts: Collection[str],
    port: int,
    user: str,
    region: str,
    now: float,
    skew: int = 300,
) -> None:
    """Pass the token, or raise TokenRefused.

    hosts: all that clients may call this endpoint, in any case; user: as whom the client logs in; now: seconds since
    1970; skew: seconds that the signer's clock may be ahead. The key's own validity and session token, and its
    policies, are the caller's to check.
    """
    if token.action != ACTION:
        raise TokenRefused(f'the token is not for Action "{ACTION}"')
    if token.host not in {name.lower() for name in hosts}:
        raise TokenRefused("the token was made for another host")
    if token.port != port:
        raise TokenRefused(f"the token was made for port {token.port}, not {port}")
    if token.user != user:
        raise TokenRefused(f'the token was made for another user than "{user}"')
    if token.service != SERVICE:
        raise TokenRefused(f'the token is not for the service "{SERVICE}"')
    if token.region != region:
        raise TokenRefused(f'the token was made for another region than "{region}"')
    if token.signed_headers != ("host",):
        raise TokenRefused("the token signs other headers than host")
    if token.expires > LIFETIME:
        raise TokenRefused(f"the token wants to live longer than {LIFETIME} seconds")
    if token.signed_at > now + skew:
        raise TokenRefused("the token is from the future: check the clocks")
    if now > token.signed_at + token.expires:
        raise TokenRefused("the token has expired")
    request = Request(method="GET", path="/", query=token.query, headers=[_host_header(token.host, token.port)])
    try:
        sigv4.check(request, token.claim, secret)
    except SignatureRefused:
        raise TokenRefused("the token's signature does not match") from None


def make_token(host: str, port: int, user: str, keys: SigningKeys, now: float) -> str:
    """A token for `user`, good for 15 minutes from `now` on (seconds since 1970)."""
    timestamp = format_timestamp(now)
    query = f"Action={ACTION}&DBUser={quote(user, safe=sigv4.UNRESERVED)}"
    credential = Credential(keys.access_key, timestamp[:8], keys.region, SERVICE)
    request = Request(method="GET", path="/", query=query, headers=[_host_header(host.lower(), port)])
    signed = sigv4.presign(
        request, credential, keys.secret_key, timestamp=timestamp, expires=LIFETIME, token=keys.session_token or None
    )
    return f"{host}:{port}/?{signed}"


def _host_header(host: str, port: int) -> tuple[str, str]:
    return "host", host if port == HTTPS_PORT else f"{host}:{port}"
