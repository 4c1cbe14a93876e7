"""The parameters of a query request: from its query string and its form to names and values.

Owns their decoding and limits. Refuses their meaning (`parsing`).

A parameter that comes twice is refused: which of them counts is a matter of taste, and has been of security.
"""

from __future__ import annotations

import re
from functools import cached_property

from tidegate.auth.sigv4_claim import decoded
from tidegate.control.api import refusals
from tidegate.control.errors import AwsError

MAX_PARAMETERS = 4000
"""The longest request that any of our models allows (CreateDBProxy with 200 entries of Auth) has some 1,500."""
MAX_NAME = 512
MAX_DOTS = 32
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry: a resource with one in its name could never be described."""
FORM = "application/x-www-form-urlencoded"


class Params(dict[str, str]):
    """Names ("Tags.member.1.Key") and values."""

    @cached_property
    def prefixes(self) -> frozenset[str]:
        """All names, and what they begin with, up to each dot."""
        found = set(self)
        for name in self:
            end = name.rfind(".")
            while end > 0 and name[:end] not in found:
                found.add(name[:end])
                end = name.rfind(".", 0, end)
        return frozenset(found)


def read_params(query: str, body: bytes, content_type: str) -> Params:
    """Both sources together, without what presigning has added. AwsError if they can't be read."""
    sources = [query]
    if body and content_type.partition(";")[0].strip().lower() in (FORM, ""):
        sources.append(body.decode("utf-8", "surrogateescape"))
    parts = [part for source in sources for part in source.split("&", MAX_PARAMETERS + 1) if part]
    if len(parts) > MAX_PARAMETERS:
        raise refusals.malformed_query(f"it has more than {MAX_PARAMETERS} parameters")
    params = Params()
    for part in parts:
        raw_name, _, raw_value = part.partition("=")
        name = _text(raw_name)
        if name.startswith("X-Amz-"):
            continue
        if len(name) > MAX_NAME or name.count(".") > MAX_DOTS:
            raise refusals.malformed_query("the name of a parameter is too long")
        if name in params:
            raise refusals.malformed_query("a parameter is given more than once")
        params[name] = _text(raw_value)
    return params


def _text(part: str) -> str:
    try:
        text = decoded(part).decode("utf-8")
    except UnicodeDecodeError:
        raise refusals.malformed_query("it is not UTF-8") from None
    if NOT_XML.search(text):
        raise AwsError("InvalidParameterValue", "A parameter contains a character that XML cannot carry.", 400)
    return text
