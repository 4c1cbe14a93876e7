"""Whom an AWS account knows a client as: a presigned sts:GetCallerIdentity that the client has sent as its password.

Owns the token's form, what it must be bound to, and the call. Refuses to map an ARN to a database user
(`proxy.aws`).

The proxy holds none of the account's keys, so it can't check a signature: STS does, and answers whose it is. What makes
that safe, as in HashiCorp Vault's AWS auth method and aws-iam-authenticator: the request goes to STS hosts only, for
this one action only, and it carries a signed header with the proxy's name, so that a request that was presigned for
something else, or for another proxy, proves nothing here.

    tidegate-v1.<base64url of the presigned URL, without padding>
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import OrderedDict
from collections.abc import Collection
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit
from xml.etree import ElementTree

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session

from tidegate.auth.rds_token import TokenRefused
from tidegate.auth.sigv4_claim import parse_timestamp

PREFIX = "tidegate-v1."
SERVER_ID_HEADER = "x-tidegate-server-id"
LONGEST_LIFE = 900
"""Seconds that a token may be good for; a longer X-Amz-Expires is refused."""
SKEW = 300
"""Seconds that the client's clock may be ahead."""
MAX_TOKEN_SIZE = 8192
MAX_ANSWER_SIZE = 65536
"""Bytes."""
TIMEOUT = 10.0
"""Seconds."""
CACHED = 10_000
"""Verified tokens that are remembered until they expire."""

_HOST = re.compile(r"sts(\.[a-z]{2}(-[a-z]+)+-[0-9])?\.amazonaws\.com(\.cn)?")
_PARAMETERS = frozenset(
    {
        "Action",
        "Version",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
    }
)
_ROLE_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([^/]+)/[^/]+")


class StsTokens:
    """Verifies tokens; blocking, to be called from threads. `endpoint`: an STS that is not AWS's own, or ""."""

    def __init__(self, endpoint: str = "") -> None:
        self._endpoint = urlsplit(endpoint) if endpoint else None
        self._http = URLLib3Session(timeout=TIMEOUT)
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def arn(self, token: str, server_id: str, now: float) -> str:
        """The ARN of the token's maker, a role's own for a session of it. TokenRefused says why not.

        `server_id`: what the token must have been made for; `now`: seconds since 1970.
        """
        tag = hashlib.sha256(f"{server_id}\0{token}".encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(tag)
        if known is not None and now < known[1]:
            return known[0]
        url = _decoded(token)
        expires = self._check(url, now)
        found = _role_of(self._ask(url, server_id))
        self._known[tag] = found, expires
        while len(self._known) > CACHED:
            self._known.popitem(last=False)
        return found

    def _check(self, url: str, now: float) -> float:
        """Until when the token is good, if it is what it should be."""
        parts = _parts_of(url)
        if self._endpoint is not None:
            allowed = (parts.scheme, parts.netloc) == (self._endpoint.scheme, self._endpoint.netloc)
        else:
            allowed = parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None
        if not allowed or parts.path not in ("", "/") or parts.fragment:
            raise TokenRefused("the token's URL is not STS's")
        try:
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=20)
        except ValueError:  # its text repeats what was there
            raise TokenRefused("the token's URL has no readable parameters") from None
        query = dict(pairs)
        if len(query) != len(pairs) or not query.keys() <= _PARAMETERS:
            raise TokenRefused("the token's URL has parameters that do not belong there")
        if query.get("Action") != "GetCallerIdentity" or query.get("Version") != "2011-06-15":
            raise TokenRefused("the token is not of sts:GetCallerIdentity")
        if SERVER_ID_HEADER not in query.get("X-Amz-SignedHeaders", "").split(";"):
            raise TokenRefused(f"the token's header {SERVER_ID_HEADER} is not signed")
        try:
            made, life = parse_timestamp(query["X-Amz-Date"]), int(query["X-Amz-Expires"])
        except (KeyError, ValueError):
            raise TokenRefused("the token does not say until when it is good") from None
        if not 0 < life <= LONGEST_LIFE:
            raise TokenRefused(f"the token must be good for {LONGEST_LIFE} seconds at most")
        if made > now + SKEW:
            raise TokenRefused("the token is from the future")
        if now > made + life:
            raise TokenRefused("the token has expired")
        return made + life

    def _ask(self, url: str, server_id: str) -> str:
        request = AWSRequest(method="GET", url=url, headers={SERVER_ID_HEADER: server_id}).prepare()
        try:
            answer: Any = self._http.send(request)
        except (BotoCoreError, HTTPClientError) as error:
            # Its text has the URL, which is the token.
            raise TokenRefused(f"STS can't be asked: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise TokenRefused(f"STS refuses it with status {answer.status_code}")
        return _arn_in(answer.content[:MAX_ANSWER_SIZE])


def _decoded(token: str) -> str:
    if not token.startswith(PREFIX) or len(token) > MAX_TOKEN_SIZE:
        raise TokenRefused(f"a token begins with {PREFIX} and has {MAX_TOKEN_SIZE} characters at most")
    text = token.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise TokenRefused("the token is not in base64url") from None


def _parts_of(url: str) -> SplitResult:
    """Its parts. What urlsplit would leave out (tabs, newlines) is refused: the request would be made with it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise TokenRefused("the token's URL is not STS's") from None
    if not url.isprintable():
        raise TokenRefused("the token's URL is not STS's")
    return parts


def _arn_in(content: bytes) -> str:
    """GetCallerIdentityResult.Arn."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        raise TokenRefused("STS answered something else than XML") from None
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "Arn" and element.text:
            return element.text
    raise TokenRefused("STS did not say whose the token is")


def _role_of(arn: str) -> str:
    """A session is its role, whatever it calls itself."""
    found = _ROLE_SESSION.fullmatch(arn)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else arn


def matches(arn: str, patterns: Collection[str]) -> bool:
    """Whether an ARN is one of those of a user; "*" stands for any text within one."""
    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), arn) for pattern in patterns)
