"""Django's test runner, which also writes down what became of each test.

Owns the lines that it writes to SUITE_RESULTS: one JSON list a test (id, outcome, words), and `["end"]`.
"""

import json
import os
import unittest

from django.test.runner import DiscoverRunner

_LINES = open(os.environ["SUITE_RESULTS"], "w", buffering=1)  # noqa: SIM115 (for as long as the process lives)


class Result(unittest.TextTestResult):
    """Each event of a test is a line; a test that has several counts by the worst."""

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "PASSED")

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "ERROR", err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "FAILED", err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "SKIPPED", (None, reason))

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "PASSED")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "FAILED", (None, "unexpected success"))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self.note(subtest, "FAILED" if failed else "ERROR", err)

    def note(self, test, outcome, err=(None, "")):
        words = f"{err[0].__name__}: {err[1]}" if err[0] else str(err[1])
        print(json.dumps([test.id(), outcome, words[:2000]]), file=_LINES)


class Runner(DiscoverRunner):
    """The runner that `suite_settings` names."""

    def get_resultclass(self):
        return Result

    def run_suite(self, suite, **kwargs):
        result = super().run_suite(suite, **kwargs)
        print(json.dumps(["end"]), file=_LINES)
        return result
