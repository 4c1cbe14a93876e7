"""Lists in pages: MaxItems, Marker, IsTruncated.

Owns the marker: the last item's key, so that what comes or goes between two pages moves nothing else. Refuses what is
listed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tidegate.control.call import Call
from tidegate.control.services.iam.errors import invalid

DEFAULT_ITEMS = 100
T = TypeVar("T")


def page(call: Call, items: Iterable[T], key: Callable[[T], str]) -> tuple[list[T], dict[str, Any]]:
    """The items that the call asks for, in the order of their unique keys; and the answer's other members."""
    limit = call.parameters.get("MaxItems", DEFAULT_ITEMS)
    after = _read(call.parameters.get("Marker"))
    rest = sorted((item for item in items if after is None or key(item) > after), key=key)
    if len(rest) <= limit:
        return rest, {"IsTruncated": False}
    return rest[:limit], {"IsTruncated": True, "Marker": _write(key(rest[limit - 1]))}


def _write(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _read(marker: str | None) -> str | None:
    if marker is None:
        return None
    try:
        return base64.urlsafe_b64decode(marker.encode("ascii")).decode()
    except (binascii.Error, ValueError):
        raise invalid("Invalid Marker.") from None
