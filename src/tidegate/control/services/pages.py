"""A page of a list, where a marker names the last item that was seen.

Owns the marker, which callers hand back as it is. Pages neither repeat nor skip what was there all the time. Refuses
what an API says of them: the names of its parameters, their bounds, and the error for a marker that is none.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def page_after(
    marker: str | None, items: Sequence[T], key: Callable[[T], str], most: int
) -> tuple[Sequence[T], str | None]:
    """Those after the marker of items in the order of their keys, which no two share; and the next page's marker.

    None is before the first page and after the last. ValueError for a marker that is none.
    """
    if marker:
        last = base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
        items = [item for item in items if key(item) > last]
    if len(items) <= most:
        return items, None
    return items[:most], base64.urlsafe_b64encode(key(items[most - 1]).encode()).decode()
