"""The model: what it defaults to, what it works out, and that it survives the way to a worker as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.model import (
    AuthMethod,
    Config,
    DatabaseConfig,
    LogFormat,
    LogLevel,
    PoolMode,
    ProxyConfig,
    TargetConfig,
    UserConfig,
)
from tidegate.config.shape import known_of

SOURCE = Path(__file__).parents[3] / "src"

PROXY = ProxyConfig(name="main", listen=("127.0.0.1:6432",), target="main")
TARGET = TargetConfig(name="main", host="db", user="tidegate", password="proxys own")
CONFIG = Config(proxies=(PROXY,), targets=(TARGET,))

texts = st.text(max_size=8)
sizes = st.integers(0, 1000)
seconds = st.floats(0, 1000)
modes = st.sampled_from(PoolMode)
databases = st.builds(
    DatabaseConfig,
    database=st.none() | texts,
    user=st.none() | texts,
    password=st.none() | texts,
    pool_size=sizes,
    max_db_connections=sizes,
    pool_mode=st.none() | modes,
)
proxies = st.builds(
    ProxyConfig,
    name=texts,
    listen=st.lists(texts, max_size=3).map(tuple),
    target=texts,
    pool_mode=modes,
    auth_method=st.sampled_from(AuthMethod),
    idle_client_timeout=seconds,
    databases=st.dictionaries(texts, databases, max_size=3),
)
targets = st.builds(TargetConfig, name=texts, host=texts, user=texts, max_connections=st.none() | sizes)
users = st.builds(
    UserConfig,
    name=texts,
    password=texts,
    pool_mode=st.none() | modes,
    auth_method=st.none() | st.sampled_from(AuthMethod),
)
configs = st.builds(
    Config,
    proxies=st.lists(proxies, max_size=2).map(tuple),
    targets=st.lists(targets, max_size=2).map(tuple),
    users=st.lists(users, max_size=2).map(tuple),
    log_level=st.sampled_from(LogLevel),
    log_format=st.sampled_from(LogFormat),
)


@given(configs)
def test_json_round_trip(config: Config) -> None:
    back = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert back == config
    assert all(type(proxy.pool_mode) is PoolMode for proxy in back.proxies)
    assert type(back.log_level) is LogLevel


def test_from_dict_takes_what_a_file_gives() -> None:
    """Keys that are left out have their defaults."""
    data = {
        "proxies": [{"name": "main", "listen": ["127.0.0.1:6432"], "target": "main"}],
        "targets": [{"name": "main", "host": "db", "user": "tidegate", "password": "proxys own"}],
    }
    assert Config.from_dict(data) == CONFIG


@pytest.mark.parametrize("data", [{"workers": 1}, {"proxies": [], "targets": [], "log_level": "loud"}])
def test_from_dict_refuses_foreign_data(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        Config.from_dict(data)


def test_defaults_of_the_reference() -> None:
    """The figures that RDS Proxy documents, in the API's units."""
    assert (PROXY.idle_client_timeout, PROXY.connection_borrow_timeout) == (1800, 120)
    assert (TARGET.max_connections_percent, TARGET.server_idle_timeout, TARGET.server_lifetime) == (100, 600, 86_400)
    assert PROXY.pool_mode is PoolMode.TRANSACTION
    assert PROXY.auth_method is AuthMethod.SCRAM_SHA_256


@pytest.mark.parametrize("cls", [Config, ProxyConfig, DatabaseConfig, TargetConfig, UserConfig])
def test_every_default_is_within_its_bounds(cls: type) -> None:
    for one in fields(cls):
        known = known_of(one)
        assert (known.least is None) == (known.most is None)
        if known.least is not None and known.most is not None and isinstance(one.default, int | float):
            assert known.least <= one.default <= known.most, one.name


@pytest.mark.parametrize(
    ("given", "percent"),
    [
        ({}, 50),
        ({"max_connections_percent": 40}, 20),
        ({"max_connections_percent": 5}, 2.5),
        ({"max_connections": 20}, 50),
        ({"max_connections": 20, "max_idle_connections_percent": 100}, 100),
        ({"max_idle_connections_percent": 0}, 0),
    ],
)
def test_idle_percent(given: dict[str, int], percent: float) -> None:
    assert TargetConfig(name="main", host="db", user="u", **given).idle_percent == percent  # type: ignore[arg-type]


def test_database_falls_back_to_the_star() -> None:
    reports = DatabaseConfig(database="warehouse")
    proxy = ProxyConfig(name="a", listen=(), target="t", databases={"reports": reports})
    assert proxy.database("reports") is reports
    assert proxy.database("other") is None
    assert PROXY.database("other") == DatabaseConfig()


def test_target_of() -> None:
    assert CONFIG.target_of(PROXY) is TARGET
    with pytest.raises(KeyError):
        CONFIG.target_of(ProxyConfig(name="a", listen=(), target="nowhere"))


@pytest.mark.parametrize(
    ("of_user", "of_database", "expected"),
    [
        (None, None, PoolMode.TRANSACTION),
        (None, PoolMode.SESSION, PoolMode.SESSION),
        (PoolMode.TRANSACTION, PoolMode.SESSION, PoolMode.TRANSACTION),
    ],
)
def test_pool_mode_goes_by_user_then_database_then_proxy(
    of_user: PoolMode | None, of_database: PoolMode | None, expected: PoolMode
) -> None:
    config = Config(proxies=(PROXY,), targets=(TARGET,), users=(UserConfig(name="app", pool_mode=of_user),))
    assert config.pool_mode(PROXY, DatabaseConfig(pool_mode=of_database), "app") is expected


def test_auth_method_of_an_unlisted_user_is_the_proxys() -> None:
    config = Config(proxies=(PROXY,), targets=(TARGET,), users=(UserConfig(name="app", auth_method=AuthMethod.TRUST),))
    assert config.auth_method(PROXY, "app") is AuthMethod.TRUST
    assert config.auth_method(PROXY, "other") is AuthMethod.SCRAM_SHA_256


@pytest.mark.parametrize(
    ("database", "user", "expected"),
    [
        (DatabaseConfig(), "app", "apps own"),
        (DatabaseConfig(), "stranger", ""),
        (DatabaseConfig(), "tidegate", ""),
        (DatabaseConfig(user="app"), "stranger", "apps own"),
        (DatabaseConfig(user="app", password="entrys own"), "stranger", "entrys own"),
        (DatabaseConfig(user="tidegate"), "app", "proxys own"),
        (DatabaseConfig(user="nobody"), "app", ""),
    ],
)
def test_server_password(database: DatabaseConfig, user: str, expected: str) -> None:
    """The proxy's own password is lent only to a forced user, never to whoever calls himself so."""
    config = Config(proxies=(PROXY,), targets=(TARGET,), users=(UserConfig(name="app", password="apps own"),))
    assert config.server_password(PROXY, database, user) == expected


def test_repr_hides_secrets() -> None:
    config = Config(
        proxies=(ProxyConfig(name="a", listen=(), target="t", databases={"x": DatabaseConfig(password="hidden")}),),
        targets=(TargetConfig(name="t", host="h", user="u", password="hidden"),),
        users=(UserConfig(name="u", password="hidden"),),
    )
    assert "hidden" not in repr(config)


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        CONFIG.workers = 2  # type: ignore[misc]


def test_model_stays_small() -> None:
    """Every worker imports it: nothing outside the standard library may come along."""
    code = "import sys, tidegate.config.model; print([m for m in ('pydantic', 'typer', 'tomllib') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCE)}
    )
    assert done.stdout.strip() == "[]"
