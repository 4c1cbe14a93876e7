"""Which proxies of one target share a pool, and how pools are named."""

from __future__ import annotations

from typing import Any

from tidegate.config.model import ANY_DATABASE, DatabaseConfig, ProxyConfig
from tidegate.proxy.poolkeys import database_size, entry_of, is_dedicated, pool_key


def proxy(name: str, **settings: Any) -> ProxyConfig:
    return ProxyConfig(name=name, **{"listen": (), "target": "main", **settings})


def keys(*proxies: ProxyConfig) -> list[tuple[str, ...]]:
    return [pool_key(proxies, each, "app", "joe") for each in proxies]


def test_proxies_that_are_alike_share() -> None:
    assert keys(proxy("a"), proxy("b"), proxy("c", idle_client_timeout=5)) == [("app", "joe", "", "")] * 3


def test_each_init_query_has_its_own() -> None:
    assert keys(proxy("a", init_query="x"), proxy("b"), proxy("c", init_query="x")) == [
        ("app", "joe", "x", ""),
        ("app", "joe", "", ""),
        ("app", "joe", "x", ""),
    ]


def test_each_target_has_its_own_names() -> None:
    first = proxy("a", target="other", max_prepared_statements=1)
    assert keys(first, proxy("b")) == [("app", "joe", "", "")] * 2


def test_what_limits_a_pool_or_its_servers_keeps_proxies_apart() -> None:
    small = {"app": DatabaseConfig(pool_size=2)}
    for settings in ({"max_prepared_statements": 7}, {"databases": small}):
        assert [key[3] for key in keys(proxy("a"), proxy("b", **settings), proxy("c"), proxy("d", **settings))] == [
            "",
            "b",
            "",
            "b",
        ]


def test_a_proxy_without_the_database_does_not_count() -> None:
    elsewhere = {"shop": DatabaseConfig(pool_size=2)}
    assert keys(proxy("a", databases=elsewhere), proxy("b"), proxy("c", max_prepared_statements=7))[1:] == [
        ("app", "joe", "", ""),
        ("app", "joe", "", "c"),
    ]


def test_a_proxy_that_is_no_longer_configured() -> None:
    gone = proxy("gone", init_query="x")
    assert pool_key((proxy("a"),), gone, "app", "joe") == ("app", "joe", "x", "gone")
    assert pool_key((proxy("a"),), proxy("gone"), "app", "joe") == ("app", "joe", "", "")


def test_dedicated_pools_are_told_by_their_number() -> None:
    key = pool_key((), proxy("a"), "app", "joe")
    assert not is_dedicated(key)
    assert is_dedicated((*key, "1"))


def test_the_entry_that_leads_to_a_database() -> None:
    entries = {
        "app": DatabaseConfig(pool_size=1),
        "alias": DatabaseConfig(database="app", user="joe", pool_size=2),
        ANY_DATABASE: DatabaseConfig(pool_size=3),
    }
    one = proxy("a", databases=entries)
    assert entry_of(one, "app", "ann") is entries["app"]
    assert entry_of(one, "app", "joe") is entries["alias"]
    assert entry_of(one, "other", "joe") is entries[ANY_DATABASE]
    assert entry_of(proxy("b", databases={"x": DatabaseConfig()}), "app", "joe") is None


def test_the_size_of_a_database_is_the_least_that_leads_to_it() -> None:
    """Several names and several proxies may lead to one database, and it has one size."""
    first = proxy(
        "a",
        databases={
            "app": DatabaseConfig(max_db_connections=9),
            "alias": DatabaseConfig(database="app", user="joe", max_db_connections=5),
            "free": DatabaseConfig(database="app"),
            "other": DatabaseConfig(max_db_connections=1),
        },
    )
    second = proxy("b", databases={ANY_DATABASE: DatabaseConfig(max_db_connections=7)})
    third = proxy("c", target="elsewhere", databases={"app": DatabaseConfig(max_db_connections=2)})
    assert database_size([first, second, third], "main", "app") == 5
    assert database_size([second, third], "main", "app") == 7
    assert database_size([first, second], "main", "other") == 1
    assert database_size([first, second], "main", "some") == 7
    assert database_size([first, third], "main", "some") == 0
    assert database_size([first, second, third], "elsewhere", "app") == 2


def test_every_other_name_may_lead_to_one_database() -> None:
    one = proxy("a", databases={ANY_DATABASE: DatabaseConfig(database="app", max_db_connections=3)})
    assert database_size([one], "main", "app") == 3
    assert database_size([one], "main", "some") == 0
