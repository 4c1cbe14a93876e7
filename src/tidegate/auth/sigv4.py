"""AWS Signature Version 4: whether a request is signed as it claims.

Owns the canonical request, the string to sign, the signing key, and the comparison; also presigning. Refuses to know
secrets (the caller looks them up by the claim's access key), the clock (time is an argument) and which error a service
answers (`control.api`): it says what is wrong in the words of AWS's query services.

Source: AWS General Reference, "Signature Version 4".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from tidegate.auth.sigv4_claim import (
    ALGORITHM,
    TERMINATOR,
    Claim,
    Credential,
    Request,
    SignatureExpired,
    SignatureRefused,
    decoded,
    format_timestamp,
)

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
CONTENT_HASH = "x-amz-content-sha256"
MUST_BE_SIGNED = ("x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target")
"""Headers that say what is asked, when and by whom: where they are, they are under the signature."""
MUST_BE_SIGNED_ALWAYS = ("x-amz-target",)
"""Of a presigned request, too: it says which operation is meant."""
UNRESERVED = "-_.~"


def check(request: Request, claim: Claim, secret: str) -> None:
    """Pass a request that was signed with `secret` as claimed; SignatureRefused for any other."""
    signed = set(claim.signed_headers)
    missing = [name for name in claim.signed_headers if not request.values(name)]
    if missing:
        raise SignatureRefused(f"The request lacks headers that it claims to have signed: {', '.join(missing)[:200]}.")
    must = MUST_BE_SIGNED_ALWAYS if claim.presigned else MUST_BE_SIGNED
    unsigned = [name for name in must if request.values(name) and name not in signed]
    if unsigned:
        raise SignatureRefused(f"There were headers that must be signed and are not: {', '.join(unsigned)}.")
    expected = _signature(canonical_request(request, claim.signed_headers), claim.credential, claim.timestamp, secret)
    if not hmac.compare_digest(expected, claim.signature) or not _body_matches(request, signed):
        raise SignatureRefused(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )


def _body_matches(request: Request, signed: set[str]) -> bool:
    """Whether a signed hash of the body is the body's; what the caller left unsigned isn't compared."""
    told = request.values(CONTENT_HASH) if CONTENT_HASH in signed else []
    return not told or told[0] in (UNSIGNED_PAYLOAD, hashlib.sha256(request.body).hexdigest())


def check_time(claim: Claim, now: float, *, skew: int = 900, at_least: int = 0) -> None:
    """SignatureExpired unless it holds at `now`, in seconds since 1970.

    skew: seconds that the signer's clock may differ by; at_least: seconds that a presigned request holds in any case
    (15 minutes at STS, on which aws-iam-authenticator's tokens rely).
    """
    signed_at = claim.signed_at
    minutes = skew // 60
    if signed_at > now + skew:
        raise SignatureExpired(
            f"Signature not yet current: {claim.timestamp} is still later than {format_timestamp(now + skew)} "
            f"({format_timestamp(now)} + {minutes} min.)"
        )
    if claim.expires is not None:
        if now > signed_at + max(claim.expires, at_least):
            raise SignatureExpired(
                f"Signature expired: {claim.timestamp} is now earlier than "
                f"{format_timestamp(now - claim.expires)} ({format_timestamp(now)} - {claim.expires} sec.)"
            )
    elif now > signed_at + skew:
        raise SignatureExpired(
            f"Signature expired: {claim.timestamp} is now earlier than {format_timestamp(now - skew)} "
            f"({format_timestamp(now)} - {minutes} min.)"
        )


def presign(
    request: Request, credential: Credential, secret: str, *, timestamp: str, expires: int, token: str | None = None
) -> str:
    """The query of the request with what makes it presigned, in the order in which botocore has it.

    Only the Host header is signed, and the hash of the body. expires: seconds.
    """
    added = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", str(credential)),
        ("X-Amz-Date", timestamp),
        ("X-Amz-Expires", str(expires)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    if token is not None:
        added.append(("X-Amz-Security-Token", token))
    query = "&".join(
        ([request.query] if request.query else [])
        + [f"{name}={quote(value, safe=UNRESERVED)}" for name, value in added]
    )
    whole = Request(method=request.method, path=request.path, query=query, headers=request.headers, body=request.body)
    return f"{query}&X-Amz-Signature={_signature(canonical_request(whole, ('host',)), credential, timestamp, secret)}"


def canonical_request(request: Request, signed_headers: Sequence[str]) -> str:
    """The six parts that are signed, a line each. signed_headers: in lower case, sorted."""
    lines = [f"{name}:{','.join(_trimmed(value) for value in request.values(name))}" for name in signed_headers]
    body_hash = request.values(CONTENT_HASH) if CONTENT_HASH in signed_headers else []
    return "\n".join(
        (
            request.method.upper(),
            canonical_path(request.path),
            canonical_query(request.query),
            *lines,
            "",
            ";".join(signed_headers),
            body_hash[0] if body_hash else hashlib.sha256(request.body).hexdigest(),
        )
    )


def canonical_path(path: str) -> str:
    """RFC 3986's normal form of a path as it was sent, encoded once more, as all services but S3 have it."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    normal = "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
    return quote(normal.encode("utf-8", "surrogateescape"), safe="/~")


def canonical_query(query: str) -> str:
    """Parameters in the order of their encoded names, then values, without the signature.

    A plus sign is a space here, as it is to who reads the parameters: else two requests would share a signature.
    """
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature")


def _encoded(text: str) -> str:
    return quote(decoded(text), safe=UNRESERVED)


def _trimmed(value: str) -> str:
    return " ".join(value.split())


def string_to_sign(canonical: str, credential: Credential, timestamp: str) -> str:
    """What the signing key signs."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return "\n".join((ALGORITHM, timestamp, credential.scope, digest))


@lru_cache(maxsize=64)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service. date: YYYYMMDD."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


def _signature(canonical: str, credential: Credential, timestamp: str, secret: str) -> str:
    key = signing_key(secret, credential.date, credential.region, credential.service)
    text = string_to_sign(canonical, credential, timestamp)
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex()
