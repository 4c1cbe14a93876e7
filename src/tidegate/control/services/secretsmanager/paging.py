"""Pages of a list, by a token that names the last entry shown.

Owns NextToken of this service. Refuses to remember anything: entries that come and go between two pages are shown or
not, but none is shown twice, and none that stays is left out.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tidegate.control.services.secretsmanager import errors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is wanted. order: what the list is sorted by, which may not change from page to page."""

    token: str | None
    size: int
    order: str = ""
    descending: bool = False


def paged(
    entries: Sequence[T], value: Callable[[T], float | str], name: Callable[[T], str], page: Page
) -> tuple[list[T], str | None]:
    """The page's entries, sorted by value and then name (which no two share), and the token of the next page.

    AwsError (InvalidNextTokenException) for a token that was not given for this order.
    """
    keyed = sorted(((value(entry), name(entry)), index) for index, entry in enumerate(entries))
    if page.descending:
        keyed.reverse()
    if page.token is not None:
        last = _read(page)
        try:
            keyed = [(key, index) for key, index in keyed if (key < last if page.descending else key > last)]
        except TypeError:
            raise errors.invalid_next_token() from None
    shown = [entries[index] for _, index in keyed[: page.size]]
    more = len(keyed) > page.size
    return shown, _write(page, keyed[page.size - 1][0]) if more else None


def _order(page: Page) -> str:
    return f"{page.order} {'desc' if page.descending else 'asc'}"


def _write(page: Page, last: tuple[float | str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([_order(page), *last]).encode()).decode("ascii")


def _read(page: Page) -> tuple[float | str, str]:
    try:
        order, value, name = json.loads(base64.urlsafe_b64decode((page.token or "").encode("ascii")))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise errors.invalid_next_token() from None
    if order != _order(page) or not isinstance(name, str) or not isinstance(value, (str, int, float)):
        raise errors.invalid_next_token()
    return value, name
