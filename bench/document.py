"""docs/benchmarks.md and its picture: replaces what lies between the two markers, leaves the prose alone."""

from __future__ import annotations

from pathlib import Path

from bench import picture
from bench.processes import BenchError
from bench.report import report
from bench.results import Results

BEGIN, END = "<!-- results: begin (written by `python -m bench --publish`) -->", "<!-- results: end -->"
_DOCS = Path(__file__).parent.parent / "docs"
PAGE, PICTURE = _DOCS / "benchmarks.md", _DOCS / "benchmarks.svg"


def publish(results: Results) -> None:
    """Write the picture and the tables of this run into docs/; BenchError when the page has lost its markers."""
    PAGE.write_text(with_results(PAGE.read_text(), report(results)))
    picture.draw(results, PICTURE)


def with_results(page: str, tables: str) -> str:
    """The page with other tables between its markers; BenchError when they are missing or repeated."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise BenchError(f"{PAGE.name} must have {BEGIN!r} and then {END!r}, once each")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"
