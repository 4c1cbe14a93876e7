"""What `validate` prints: every setting in effect, what was changed, and never a secret."""

from __future__ import annotations

from tidegate.config.describe import describe
from tidegate.config.model import Config, DatabaseConfig, PoolMode, ProxyConfig, TargetConfig, UserConfig

CONFIG = Config(
    proxies=(
        ProxyConfig(
            name="main",
            listen=("127.0.0.1:6432", "/run/tidegate"),
            target="main",
            login_timeout=2.5,
            databases={"app": DatabaseConfig(user="forced", password="hidden", pool_mode=PoolMode.SESSION)},
        ),
    ),
    targets=(TargetConfig(name="main", host="db", user="tidegate", password="hidden"),),
    users=(UserConfig(name="app", password="md5" + "0" * 32),),
    control_socket="/run/tidegate/control.sock",
)


def test_settings_and_what_was_changed() -> None:
    lines = describe(CONFIG).split("\n")
    assert "* control_socket               /run/tidegate/control.sock" in lines
    assert "* listen                       127.0.0.1:6432, /run/tidegate" in lines
    assert "* login_timeout                2.5 seconds" in lines
    assert "  idle_client_timeout          1800 seconds" in lines
    assert "  max_idle_connections_percent (half of max_connections_percent)" in lines
    assert '[[proxy]] "main": databases."app"' in lines
    assert "* pool_mode                    session" in lines


def test_secrets_are_named_by_their_form() -> None:
    text = describe(CONFIG)
    assert "hidden" not in text
    assert "0" * 32 not in text
    assert text.count("* password                     (plain)") == 2
    assert text.count("* password                     (md5 hash)") == 1


def test_plain_passwords_that_look_like_verifiers() -> None:
    looks = "SCRAM-SHA-256$x"
    user = UserConfig(name="app", password=looks, plain_passwords=True)
    target = TargetConfig(name="t", host="h", user="u", password=looks)
    text = describe(Config(proxies=(), targets=(target,), users=(user,)))
    assert text.count("* password                     (plain)") == 2 and looks not in text


def test_pass_through_is_said() -> None:
    last = "no [[user]]: every role of the database may log in (pass-through)"
    assert describe(Config(proxies=(), targets=())).endswith(last)
    assert last not in describe(CONFIG)
