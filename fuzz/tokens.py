"""Tokens that come in a password's place: an IAM token of RDS, and one that STS vouches for.

Owns their inputs and expectations: what is no good token is a refusal with a reason, and nothing else.
"""

from __future__ import annotations

from random import Random

from fuzz.world import Finding
from tidegate.auth.providers.sts import PREFIX, StsTokens
from tidegate.auth.rds_token import SigningKeys, TokenRefused, check_token, make_token, parse_token

NOW = 1_790_000_000.0
SECRET = "wJalrXUtnFEMI"
KEYS = SigningKeys(region="eu-west-1", access_key="AKIA", secret_key=SECRET, session_token="")
PARTS = (
    "db.example:5432/?", "Action=connect", "&DBUser=app", "&X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "&X-Amz-Credential=AKIA%2F20260921%2Feu-west-1%2Frds-db%2Faws4_request", "&X-Amz-Date=20260921T000000Z",
    "&X-Amz-Expires=900", "&X-Amz-SignedHeaders=host", "&X-Amz-Signature=", "0" * 64, "&X-Amz-Security-Token=x",
    "%00", "%ff", "é", "[::1]:5432/?", "#", "&&", "=", "?", "/", "\t", "9" * 400, PREFIX, "aHR0cHM6Ly8",
)  # fmt: skip


def made_token(random: Random) -> bytes:
    """A good one half of the time, which mutations then spoil."""
    if random.random() < 0.5:
        return make_token("db.example", 5432, "app", KEYS, NOW).encode()
    return "".join(random.choices(PARTS, k=random.randrange(1, 14))).encode()


def try_token(data: bytes) -> set[object]:
    """Parsing refuses by ValueError, checking by TokenRefused; only what was signed passes, whole."""
    text = data.decode("utf-8", "surrogateescape")
    seen: set[object] = {_by_sts(text)}
    try:
        token = parse_token(text)
    except ValueError as refusal:
        return seen | {str(refusal)[:20]}
    try:
        check_token(token, SECRET, hosts=["db.example"], port=5432, user="app", region="eu-west-1", now=NOW)
    except TokenRefused as refusal:
        return seen | {str(refusal)[:20]}
    good = parse_token(make_token("db.example", 5432, "app", KEYS, NOW))
    if (token.host, token.user, token.claim) != (good.host, good.user, good.claim):
        raise Finding(f"{text!r} passes")
    return seen | {"good"}


def _by_sts(text: str) -> str:
    """Nothing that can be made here gets as far as a call of STS."""
    tokens = StsTokens()
    tokens._http = None
    try:
        tokens.arn(text, "server", NOW)
    except TokenRefused as refusal:
        return str(refusal)[:20]
    raise Finding(f"{text!r} was sent to STS")
