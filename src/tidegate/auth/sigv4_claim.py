"""AWS Signature Version 4: what a request says that it is signed by.

Owns the parts of a signature (key, scope, time, signed headers), read from an Authorization header or from the query
of a presigned request. Refuses to judge it (`sigv4`), and to know which error a service answers (`control.api`): it
says what is wrong in the words of AWS's query services.

Source: AWS General Reference, "Signature Version 4".
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
MAX_EXPIRES = 604_800
"""Seconds that a presigned request may be valid: a week."""
MAX_SIGNED_HEADERS = 100

TIMESTAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z", re.ASCII)
HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
QUERY_PARTS = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")


class IncompleteSignature(ValueError):
    """The request cannot be judged: a part of its signature is missing or malformed."""


class SignatureRefused(ValueError):
    """The signature is whole but does not hold, for the reason given."""


class SignatureExpired(SignatureRefused):
    """It is too old, or from the future."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Who signed and for what: KEY/DATE/REGION/SERVICE/aws4_request."""

    access_key: str
    date: str
    """YYYYMMDD."""
    region: str
    service: str

    @property
    def scope(self) -> str:
        """What the signing key is bound to."""
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"

    def __str__(self) -> str:
        return f"{self.access_key}/{self.scope}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is signed. path and query are as on the wire, percent-encoded; header names in any case."""

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def values(self, name: str) -> list[str]:
        """All values of a header, by its name in lower case."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A signature as the request brings it, not checked yet."""

    credential: Credential
    timestamp: str
    """YYYYMMDDTHHMMSSZ."""
    signed_headers: tuple[str, ...]
    """In lower case, sorted."""
    signature: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    presigned: bool
    expires: int | None = None
    """Seconds from the timestamp on, of a presigned request."""

    @property
    def signed_at(self) -> float:
        """Seconds since 1970."""
        return parse_timestamp(self.timestamp)


def claim_of(request: Request) -> Claim | None:
    """What the request claims, in its Authorization header or its query; None if it isn't signed at all.

    IncompleteSignature says what is missing.
    """
    headers = request.values("authorization")
    pairs = query_pairs(request.query)
    presigned = any(name == "X-Amz-Algorithm" for name, _ in pairs)
    if len(headers) > 1 or (headers and presigned):
        raise IncompleteSignature("The request has more than one signature.")
    if presigned:
        return claim_of_query(pairs)
    if not headers or not headers[0].strip():
        return None
    return _claim_of_header(headers[0].strip(), request)


def claim_of_query(pairs: Iterable[tuple[str, str]]) -> Claim:
    """What the decoded parameters of a presigned request claim. IncompleteSignature says what is missing."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("X-Amz-"):
            if name in given:
                raise IncompleteSignature(f"AWS query-string parameter '{name}' must not be repeated.")
            given[name] = value
    if given.get("X-Amz-Algorithm") != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': only '{ALGORITHM}' is supported.")
    missing = [name for name in QUERY_PARTS if not given.get(name)]
    if missing:
        raise IncompleteSignature(" ".join(f"AWS query-string parameters must include '{name}'." for name in missing))
    expires = given["X-Amz-Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 7 and 1 <= int(expires) <= MAX_EXPIRES):
        raise IncompleteSignature(f"X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES}.")
    return _claim(
        given["X-Amz-Credential"],
        given["X-Amz-Date"],
        given["X-Amz-SignedHeaders"],
        given["X-Amz-Signature"],
        security_token=given.get("X-Amz-Security-Token") or None,
        presigned=True,
        expires=int(expires),
    )


def _claim_of_header(header: str, request: Request) -> Claim:
    algorithm, _, rest = header.partition(" ")
    # The header is not told again as it is: it may hold what somebody took for a secret.
    digest = b64encode(hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()).decode()
    told = f"Authorization (hashed with SHA-256 and encoded with Base64): '{digest}'."
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': only '{ALGORITHM}' is supported. {told}")
    given: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise IncompleteSignature(f"A part of the header is not a valid key=value pair. {told}")
        if name in given:
            raise IncompleteSignature(f"Authorization header must not repeat the '{name[:32]}' parameter. {told}")
        given[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not given.get(name)]
    problems = [f"Authorization header requires '{name}' parameter." for name in missing]
    timestamp = _timestamp_of(request)
    if timestamp is None:
        problems.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if problems or timestamp is None:
        raise IncompleteSignature(" ".join((*problems, told)))
    token = request.values("x-amz-security-token")
    return _claim(
        given["Credential"],
        timestamp,
        given["SignedHeaders"],
        given["Signature"],
        security_token=(token[0] or None) if token else None,
        presigned=False,
        expires=None,
    )


def _timestamp_of(request: Request) -> str | None:
    """X-Amz-Date, else Date, which may be of ISO 8601's basic form or as RFC 9110 has it."""
    for name in ("x-amz-date", "date"):
        values = request.values(name)
        if values:
            return _from_http_date(values[0].strip())
    return None


def _from_http_date(text: str) -> str:
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").strftime("%Y%m%dT%H%M%SZ")
    except ValueError:
        return text


def _claim(
    credential: str,
    timestamp: str,
    signed_headers: str,
    signature: str,
    *,
    security_token: str | None,
    presigned: bool,
    expires: int | None,
) -> Claim:
    names = tuple(signed_headers.lower().split(";"))
    if len(names) > MAX_SIGNED_HEADERS or len(set(names)) != len(names):
        raise IncompleteSignature("SignedHeaders names too many headers, or one of them twice.")
    if "host" not in names:
        raise IncompleteSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    try:
        parse_timestamp(timestamp)
    except ValueError:
        raise IncompleteSignature(
            "Date must be in ISO-8601 'basic format', e.g. '20150830T123600Z' (X-Amz-Date)."
        ) from None
    if not HEX_SHA256.fullmatch(signature):
        raise IncompleteSignature("Signature must be 64 hexadecimal digits in lower case.")
    return Claim(
        credential=_parse_credential(credential, timestamp),
        timestamp=timestamp,
        signed_headers=tuple(sorted(names)),
        signature=signature,
        security_token=security_token,
        presigned=presigned,
        expires=expires,
    )


def _parse_credential(text: str, timestamp: str) -> Credential:
    parts = text.split("/")
    if len(parts) != 5 or not all(parts) or not (text.isascii() and text.isprintable()):
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    access_key, date, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise SignatureRefused(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if date != timestamp[:8]:
        raise SignatureRefused(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date[:32]}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return Credential(access_key, date, region, service)


def query_pairs(query: str) -> list[tuple[str, str]]:
    """The decoded parameters, in their order; bytes that aren't UTF-8 as surrogates."""
    parts = (part.partition("=") for part in query.split("&") if part)
    return [
        (decoded(name).decode("utf-8", "surrogateescape"), decoded(value).decode("utf-8", "surrogateescape"))
        for name, _, value in parts
    ]


def decoded(text: str) -> bytes:
    """What a part of a query stands for. A plus sign is a space, as to who reads the parameters."""
    return unquote_to_bytes(text.replace("+", " ").encode("utf-8", "surrogateescape"))


def parse_timestamp(text: str) -> float:
    """Seconds since 1970 of YYYYMMDDTHHMMSSZ; ValueError if it is none."""
    found = TIMESTAMP.fullmatch(text)
    if found is None:
        raise ValueError("not a time as YYYYMMDDTHHMMSSZ")
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def format_timestamp(at: float) -> str:
    """YYYYMMDDTHHMMSSZ of seconds since 1970."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y%m%dT%H%M%SZ")
