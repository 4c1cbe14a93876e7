"""Reading a run's results, and comparing two."""

from pathlib import Path

import pytest

from suites.errors import SuiteError
from suites.outcomes import Difference, Outcome, Result, compare, read_junit, tally

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="a.B" name="passes"/>
<testcase classname="a.B" name="fails"><failure message="AssertionError: 1 != 2">long</failure></testcase>
<testcase classname="a.B" name="skips"><skipped message="not here"/></testcase>
<testcase classname="a.B" name="breaks at its end"/>
<testcase classname="a.B" name="breaks at its end"><error message="teardown"/></testcase>
<testcase classname="a.B" name="of &lt;object at 0x7f1092ec1030&gt;"/>
</testsuite></testsuites>
"""


def test_reads_each_test_once_with_the_worst_that_became_of_it(tmp_path: Path) -> None:
    (tmp_path / "junit").write_text(JUNIT)
    assert read_junit(tmp_path / "junit") == {
        "a.B::passes": Result(Outcome.PASSED),
        "a.B::fails": Result(Outcome.FAILED, "AssertionError: 1 != 2"),
        "a.B::skips": Result(Outcome.SKIPPED, "not here"),
        "a.B::breaks at its end": Result(Outcome.ERROR, "teardown"),
        "a.B::of <object at 0x>": Result(Outcome.PASSED),
    }


@pytest.mark.parametrize("text", [None, "", JUNIT[:200]])
def test_a_run_that_was_broken_off_is_no_result(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "junit").write_text(text)
    with pytest.raises(SuiteError):
        read_junit(tmp_path / "junit")


def test_differs_what_ended_otherwise_or_failed_by_another_exception() -> None:
    passed, failed = Result(Outcome.PASSED), Result(Outcome.FAILED, "KeyError: 1 of pid 17")
    alike, other = Result(Outcome.FAILED, "KeyError: 2 of pid 18"), Result(Outcome.FAILED, "OSError: 1")
    direct = {
        "same": passed,
        "fails alike": failed,
        "fails": failed,
        "breaks": passed,
        "only here": passed,
        "mended": failed,
    }
    proxied = {"same": passed, "fails alike": alike, "fails": other, "breaks": failed, "mended": passed}
    assert compare(direct, proxied) == [
        Difference("breaks", passed, failed),
        Difference("fails", failed, other),
        Difference("mended", failed, passed),
        Difference("only here", passed, None),
    ]
    assert tally(direct) == {"skipped": 0, "passed": 3, "failed": 3, "error": 0}
