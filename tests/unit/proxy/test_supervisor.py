"""What of the supervisor needs no process: words, back-off, what a reload keeps, which addresses are wanted."""

from __future__ import annotations

import pytest

from tidegate.config.addresses import TcpAddress, UnixAddress
from tidegate.config.model import Config, PoolMode, ProxyConfig, TargetConfig
from tidegate.errors import ConfigError
from tidegate.proxy.child import describe_status
from tidegate.proxy.crew import Backoff
from tidegate.proxy.listening import wanted_addresses
from tidegate.proxy.supervisor import describe_service, keep_fixed


def make_config(*proxies: ProxyConfig, workers: int = 1, control_socket: str = "/c", timeout: float = 30.0) -> Config:
    target = TargetConfig(name="main", host="::1", user="u")
    return Config(
        proxies=proxies, targets=(target,), workers=workers, control_socket=control_socket, shutdown_timeout=timeout
    )


def make_proxy(name: str, *listen: str, mode: PoolMode = PoolMode.TRANSACTION) -> ProxyConfig:
    return ProxyConfig(name=name, listen=listen, target="main", pool_mode=mode)


def test_the_line_that_says_where() -> None:
    config = make_config(make_proxy("a"), make_proxy("b", mode=PoolMode.SESSION), workers=2)
    line = describe_service(config, {"a": ["127.0.0.1:1", "/run/x"], "b": ["[::1]:2"]})
    assert line == (
        "listening on 127.0.0.1:1, /run/x (target main [::1]:5432, transaction pooling, 2 workers); "
        "[::1]:2 (target main [::1]:5432, session pooling, 2 workers)"
    )


def test_what_a_reload_leaves_as_it_is() -> None:
    old, new = make_config(), make_config(workers=3, control_socket="/d", timeout=5.0)
    config, kept = keep_fixed(old, new)
    assert (config.workers, config.control_socket, config.shutdown_timeout) == (1, "/c", 5.0)
    assert kept == [
        "workers = 3 needs a restart; it stays 1",
        "control_socket = /d needs a restart; it stays /c",
    ]
    assert keep_fixed(old, old) == (old, [])


def test_back_off() -> None:
    backoff = Backoff()
    assert [backoff.crashed(0.5) for _ in range(9)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.crashed(10.0) == 0.0
    assert backoff.crashed(9.9) == 0.1
    assert [backoff.crashed(0.0) for _ in range(5000)][-1] == 5.0


@pytest.mark.parametrize(
    ("status", "said"),
    [(0, "exit status 0"), (3, "exit status 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_exit_statuses_in_words(status: int, said: str) -> None:
    assert describe_status(status) == said


def test_wanted_addresses() -> None:
    config = make_config(make_proxy("a", "127.0.0.1:0", "/run", "127.0.0.1:0"), make_proxy("b", "127.0.0.1:7"))
    picked = TcpAddress("127.0.0.1", 0)
    assert wanted_addresses(config) == {
        (picked, 0): "a",
        (UnixAddress("/run/.s.PGSQL.5432"), 0): "a",
        (picked, 1): "a",
        (TcpAddress("127.0.0.1", 7), 0): "b",
    }


def test_an_address_cannot_be_wanted_twice() -> None:
    with pytest.raises(ConfigError, match=r'"b": listen: "127\.0\.0\.1:7" is there twice'):
        wanted_addresses(make_config(make_proxy("a", "127.0.0.1:7"), make_proxy("b", "127.0.0.1:7")))
