"""Tables of the documentation, for tests that compare them with the code.

Owns the reading of Markdown tables whose first column has names in backquotes. Refuses to know what they are names of.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def table(page: Path, head: str) -> list[tuple[Any, ...]]:
    """The rows of all tables whose first column has this heading: (names of the first column, text, ...)."""
    rows: list[tuple[Any, ...]] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else []
        if not cells or line.startswith("|---"):
            inside = inside and bool(cells)
        elif not inside:
            inside = cells[0] == head
        else:
            rows.append((tuple(re.findall(r"`([^`]+)`", cells[0])), *cells[1:]))
    return rows
