"""docs/configuration.md says of every setting what the model says: name, default, unit, bounds; both ways."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tidegate.config.load import load
from tidegate.config.model import Config, DatabaseConfig, PoolMode, ProxyConfig, TargetConfig, UserConfig
from tidegate.config.problems import bounds, number, shown
from tidegate.config.shape import known_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type] = {
    "Top of the file": Config,
    "`[[proxy]]`": ProxyConfig,
    "`[proxy.databases.NAME]`": DatabaseConfig,
    "`[[target]]`": TargetConfig,
    "`[[user]]`": UserConfig,
}
ARE_SECTIONS = {"proxies", "targets", "users"}
"""Fields of Config that are sections of the page, not settings in one."""


def section(title: str) -> str:
    _, _, rest = PAGE.partition(f"\n## {title}\n")
    return rest.split("\n## ")[0]


def entries(title: str) -> dict[str, dict[str, str]]:
    """The page's settings in one section, each with the facts of its first line."""
    found: dict[str, dict[str, str]] = {}
    for entry in section(title).split("\n### ")[1:]:
        heading, facts, meaning = entry.split("\n\n", 2)
        name = heading.strip("`")
        assert name not in found, f"{title} has {name} twice"
        assert meaning.strip(), f"{title} says nothing of {name}"
        found[name] = dict(fact.split(": ", 1) for fact in facts.split(" | "))
    return found


def expected(one: Field[Any]) -> dict[str, str]:
    """The facts that the model knows of a setting, in the page's words."""
    known = known_of(one)
    facts = {"Default": known.default_shown or default_in_words(one.default)}
    if one.default is MISSING and one.default_factory is MISSING:
        facts["Default"] = "required"
    if known.unit:
        facts["Unit"] = known.unit
    if known.least is not None:
        facts["Bounds"] = bounds(known).removesuffix(known.unit).strip()
    return facts


def default_in_words(default: object) -> str:
    if isinstance(default, StrEnum):
        return default.value
    if isinstance(default, bool):
        return shown(default)
    if isinstance(default, int | float):
        return number(default)
    return str(default) or "none"


def test_page_has_exactly_the_models_sections() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(SECTIONS)


@pytest.mark.parametrize("title", SECTIONS)
def test_page_and_model_agree(title: str) -> None:
    model = {one.name: expected(one) for one in fields(SECTIONS[title]) if one.name not in ARE_SECTIONS}
    page = entries(title)
    assert list(page) == list(model)
    for facts in page.values():
        facts.pop("Elsewhere", None)
    assert page == model


def test_smallest_file_on_the_page_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_DB_PASSWORD", "secret")
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "tidegate.toml"
    path.write_text(example)
    assert load(path).targets[0].password == "secret"


def test_example_file_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_DB_PASSWORD", "secret")
    config = load(ROOT / "examples" / "tidegate.toml")
    reports = DatabaseConfig(database="warehouse", pool_size=4, pool_mode=PoolMode.SESSION)
    assert config.proxies[0].databases == {"reports": reports, "*": DatabaseConfig()}
    assert config.targets[0].max_connections == 20
