"""From a file or the command line to a Config: what is read, and the exact words for everything that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidegate.config.load import MAX_FILE_SIZE, from_command_line, load, warnings
from tidegate.config.model import AuthMethod, Config, DatabaseConfig, PoolMode, ProxyConfig, TargetConfig, UserConfig
from tidegate.errors import ConfigError

TARGET = '[[target]]\nname = "main"\nhost = "db"\nuser = "tidegate"\n'
PROXY = '[[proxy]]\nname = "main"\nlisten = ["127.0.0.1:6432"]\ntarget = "main"\n'
USER = '[[user]]\nname = "app"\npassword = "pw"\n'
KEY = "A" * 43 + "="
VERIFIER = f"SCRAM-SHA-256$4096:c2FsdA==${KEY}:{KEY}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files are named as a user in their folder names them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load_text(text: str) -> Config:
    Path("tidegate.toml").write_text(text, encoding="utf-8")
    return load(Path("tidegate.toml"))


def problems(text: str) -> list[str]:
    """The lines said about a file, without its name, which each begins with."""
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    lines = str(caught.value).split("\n")
    assert all(line.startswith("tidegate.toml: ") for line in lines)
    return [line.removeprefix("tidegate.toml: ") for line in lines]


def test_smallest_file_has_the_models_defaults() -> None:
    config = load_text(TARGET + PROXY)
    assert config.control_socket.endswith(".sock")
    assert config == Config(
        proxies=(ProxyConfig(name="main", listen=("127.0.0.1:6432",), target="main"),),
        targets=(TargetConfig(name="main", host="db", user="tidegate"),),
        control_socket=config.control_socket,
    )


def test_every_kind_of_value() -> None:
    config = load_text(
        'workers = 2\nshutdown_timeout = 0.5\nlog_format = "json"\ncontrol_socket = "/run/t.sock"\n'
        + TARGET
        + "max_connections = 20\n"
        + PROXY
        + 'pool_mode = "session"\nauth_method = "md5"\nlogin_timeout = 3\n'
        + '[proxy.databases.app]\ndatabase = "real"\nuser = "forced"\npassword = "pw"\npool_mode = "session"\n'
        + USER
        + 'auth_method = "trust"\n'
    )
    proxy = config.proxies[0]
    assert (config.workers, config.shutdown_timeout, config.log_format) == (2, 0.5, "json")
    assert config.control_socket == "/run/t.sock"
    assert config.targets[0].max_connections == 20
    assert (proxy.pool_mode, proxy.auth_method, proxy.login_timeout) == (PoolMode.SESSION, AuthMethod.MD5, 3.0)
    assert proxy.databases == {
        "app": DatabaseConfig(database="real", user="forced", password="pw", pool_mode=PoolMode.SESSION)
    }
    assert config.users == (UserConfig(name="app", password="pw", auth_method=AuthMethod.TRUST),)


def test_control_socket_is_the_files_own(folder: Path) -> None:
    """`reload --config` finds it from another folder, by another way to write the same path."""
    socket = load_text(TARGET + PROXY).control_socket
    assert load(folder / "tidegate.toml").control_socket == socket
    Path("other.toml").write_text(TARGET + PROXY)
    assert load(Path("other.toml")).control_socket != socket


SHAPE = [
    # bounds
    (PROXY + "idle_client_timeout = 0", '[[proxy]] "main": idle_client_timeout = 0: must be 1 to 28800 seconds'),
    (
        PROXY + "idle_client_timeout = 28800.5",
        '[[proxy]] "main": idle_client_timeout = 28800.5: must be 1 to 28800 seconds',
    ),
    (
        PROXY + "connection_borrow_timeout = 301",
        '[[proxy]] "main": connection_borrow_timeout = 301: must be 0 to 300 seconds',
    ),
    (PROXY + "login_timeout = -inf", '[[proxy]] "main": login_timeout = -inf: must be a number, 1 to 300 seconds'),
    (PROXY + "login_timeout = nan", '[[proxy]] "main": login_timeout = nan: must be a number, 1 to 300 seconds'),
    # types
    (PROXY + 'login_timeout = "5"', '[[proxy]] "main": login_timeout = "5": must be a number, 1 to 300 seconds'),
    (PROXY + "login_timeout = true", '[[proxy]] "main": login_timeout = true: must be a number, 1 to 300 seconds'),
    (
        PROXY + "login_timeout = 07:32:00",
        '[[proxy]] "main": login_timeout = 07:32:00: must be a number, 1 to 300 seconds',
    ),
    (
        PROXY + "max_client_connections = 1.5",
        '[[proxy]] "main": max_client_connections = 1.5: must be a whole number, 1 to 1000000 connections',
    ),
    (
        PROXY + 'pool_mode = "statement"',
        '[[proxy]] "main": pool_mode = "statement": must be "transaction" or "session"',
    ),
    (
        PROXY + "auth_method = 1",
        '[[proxy]] "main": auth_method = 1: must be "scram-sha-256", "md5", "password", "cert", "iam" or "trust"',
    ),
    (PROXY + "init_query = 1", '[[proxy]] "main": init_query = 1: must be a text in quotes'),
    (PROXY + 'databases = "app"', '[[proxy]] "main": databases = "app": must be tables, as in [proxy.databases.NAME]'),
    (PROXY + 'databases.app = "real"', '[[proxy]] "main": databases."app": must be a table of settings'),
    (
        PROXY + "[proxy.databases.app]\npool_size = -1",
        '[[proxy]] "main": databases."app": pool_size = -1: must be 0 to 100000 connections',
    ),
    # unknown keys
    (
        PROXY + "idle_timeout = 5",
        '[[proxy]] "main": idle_timeout: unknown setting; did you mean idle_client_timeout?',
    ),
    (PROXY + "Pool-Mode = 5", '[[proxy]] "main": Pool-Mode: unknown setting; did you mean pool_mode?'),
    (PROXY + "zzz = 5", '[[proxy]] "main": zzz: unknown setting'),
    (PROXY + '"a\\nb" = 5', '[[proxy]] "main": "a\\nb": unknown setting'),
    (PROXY + "server_lifetime = 5", '[[proxy]] "main": server_lifetime: unknown setting; it belongs in [[target]]'),
    (
        PROXY + "workers = 5",
        '[[proxy]] "main": workers: unknown setting; it belongs in the top of the file, before any [[table]]',
    ),
    (
        PROXY + "[proxy.databases.app]\nhost = 5",
        '[[proxy]] "main": databases."app": host: unknown setting; it belongs in [[target]]',
    ),
    (
        PROXY + "min_pool_size = 5",
        '[[proxy]] "main": min_pool_size: unknown setting; it belongs in [proxy.databases.NAME]',
    ),
]


@pytest.mark.parametrize(("text", "said"), SHAPE)
def test_shape(text: str, said: str) -> None:
    assert problems(TARGET + text) == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workers = 0\n" + TARGET + PROXY, ["workers = 0: must be 1 to 128 processes"]),
        ("worker = 1\n" + TARGET + PROXY, ["worker: unknown setting; did you mean workers?"]),
        ("proxies = 1\n" + TARGET + PROXY, ["proxies: unknown setting; did you mean proxy?"]),
        (
            "",
            [
                "proxy: is missing (the proxies, one `[[proxy]]` each)",
                "target: is missing (the database servers, one `[[target]]` each)",
            ],
        ),
        ("proxy = []\n" + TARGET, ["proxy: at least one [[proxy]] is needed"]),
        ("proxy = [3]\n" + TARGET, ["[[proxy]] number 1: must be a table of settings"]),
        ("proxy = 3\n" + TARGET, ["proxy = 3: must be a table of settings under [[proxy]], with two brackets"]),
        (
            TARGET + PROXY.replace("[[proxy]]", "[proxy]"),
            ["proxy = {...}: must be a table of settings under [[proxy]], with two brackets"],
        ),
        (
            TARGET.replace('host = "db"\n', "") + PROXY.replace('name = "main"\n', ""),
            [
                "[[proxy]] number 1: name: is missing (name, used in logs and statistics)",
                '[[target]] "main": host: is missing (host name, address, or the folder of a Unix socket)',
            ],
        ),
        (
            TARGET + PROXY.replace('["127.0.0.1:6432"]', '"a:1"'),
            ['[[proxy]] "main": listen = "a:1": must be a list of texts in quotes'],
        ),
        (
            TARGET + PROXY.replace('["127.0.0.1:6432"]', "[6432]"),
            ['[[proxy]] "main": listen = 6432: must be a list of texts in quotes'],
        ),
        (TARGET + "password = 5\n" + PROXY, ['[[target]] "main": password: must be a text in quotes']),
    ],
)
def test_shape_of_the_whole(text: str, said: list[str]) -> None:
    assert problems(text) == said


def listening(*listen: str) -> str:
    return PROXY.replace('["127.0.0.1:6432"]', str(list(listen)))


RULES = [
    # names
    (TARGET + PROXY + listening("a:1"), '[[proxy]] "main": name: another [[proxy]] has this name'),
    (TARGET + TARGET + PROXY, '[[target]] "main": name: another [[target]] has this name'),
    (TARGET + PROXY + USER + USER, '[[user]] "app": name: another [[user]] has this name'),
    (TARGET + PROXY + USER.replace("app", ""), '[[user]] number 1: name = "": must not be empty'),
    *(
        (
            TARGET + PROXY.replace('name = "main"', f'name = "{name}"'),
            f'[[proxy]] "{name}": name = "{name}": must be 1 to 63 letters, digits and single hyphens, a letter first',
        )
        for name in ("1st", "a_b", "a--b", "a-", "a\\nb")
    ),
    # references
    (
        TARGET + PROXY.replace('target = "main"', 'target = "mian"'),
        '[[proxy]] "main": target = "mian": no [[target]] has this name; did you mean main?',
    ),
    (
        TARGET + PROXY.replace('target = "main"', 'target = "x"'),
        '[[proxy]] "main": target = "x": no [[target]] has this name',
    ),
    # listen
    (TARGET + listening(), '[[proxy]] "main": listen = []: at least one address is needed, as in ["127.0.0.1:6432"]'),
    (TARGET + listening("6432"), '[[proxy]] "main": listen: "6432": the port is missing; write "host:port"'),
    (TARGET + listening("a:1", "a:1"), '[[proxy]] "main": listen = "a:1": [[proxy]] "main" already listens there'),
    (
        TARGET + PROXY + listening("127.0.0.1:6432").replace('name = "main"', 'name = "b"'),
        '[[proxy]] "b": listen = "127.0.0.1:6432": [[proxy]] "main" already listens there',
    ),
    # limits
    (
        TARGET + "max_connections = 4\nmax_connections_percent = 50\n" + PROXY,
        '[[target]] "main": max_connections = 4: give this or max_connections_percent, not both',
    ),
    (
        TARGET + "max_connections_percent = 50\nmax_idle_connections_percent = 51\n" + PROXY,
        '[[target]] "main": max_idle_connections_percent = 51: must be at most max_connections_percent (50)',
    ),
    (
        TARGET + PROXY + "[proxy.databases.a]\npool_size = 2\nmin_pool_size = 3",
        '[[proxy]] "main": databases."a": min_pool_size = 3: must be at most pool_size (2)',
    ),
    # databases
    (
        TARGET + PROXY + '[proxy.databases.a]\ndatabase = ""',
        '[[proxy]] "main": databases."a": database = "": must not be empty; leave it out for what the client asks for',
    ),
    (
        TARGET + PROXY + '[proxy.databases.a]\npassword = "pw"',
        '[[proxy]] "main": databases."a": password: is the forced user\'s, and there is no user',
    ),
    # users
    (
        TARGET + PROXY + '[[user]]\nname = "app"\n',
        '[[user]] "app": password: is missing (plain, SCRAM verifier or md5 hash; only auth_method = "trust" and "cert"'
        " need none)",
    ),
    (
        TARGET + PROXY + 'auth_method = "trust"\n[[user]]\nname = "app"\nauth_method = "md5"\n',
        '[[user]] "app": password: is missing (plain, SCRAM verifier or md5 hash; only auth_method = "trust" and "cert"'
        " need none)",
    ),
    (
        TARGET + PROXY + f'[[user]]\nname = "app"\npassword = "{VERIFIER[:-1]}"\n',
        '[[user]] "app": password: is not a whole SCRAM verifier ("SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")',
    ),
    # targets
    (
        TARGET + 'auth_query = "SELECT a, b FROM c"\n' + PROXY,
        '[[target]] "main": auth_query = "SELECT a, b FROM c": must use $1, which stands for the user\'s name',
    ),
    (
        TARGET + 'auth_query = "SELECT $10"\n' + PROXY,
        '[[target]] "main": auth_query = "SELECT $10": must use $1, which stands for the user\'s name',
    ),
    (TARGET.replace('"db"', '""') + PROXY, '[[target]] "main": host = "": must not be empty'),
    # the rest
    ('control_socket = "t.sock"\n' + TARGET + PROXY, 'control_socket = "t.sock": must be a full path, from /'),
    (TARGET + PROXY + 'init_query = "a\\u0000b"', '[[proxy]] "main": init_query: must not contain a NUL character'),
    (
        TARGET + PROXY + '[proxy.databases.a]\nuser = "a\\u0000b"',
        '[[proxy]] "main": databases.a.user: must not contain a NUL character',
    ),
]


@pytest.mark.parametrize(("text", "said"), RULES)
def test_rules(text: str, said: str) -> None:
    assert problems(text) == [said]


def test_long_socket_path() -> None:
    path = "/" + "x" * 107
    shown = '"' + path[:56] + "..."
    assert problems(f'control_socket = "{path}"\n' + TARGET + PROXY) == [
        f"control_socket = {shown}: must be at most 107 bytes long"
    ]
    assert load_text(f'control_socket = "{path[:-1]}"\n' + TARGET + PROXY).control_socket == path[:-1]


@pytest.mark.parametrize(
    "text",
    [
        TARGET + listening("a:0", "a:0"),
        TARGET + "max_connections = 4\nmax_idle_connections_percent = 80\n" + PROXY,
        TARGET + PROXY + "[proxy.databases.a]\nmin_pool_size = 3",
        TARGET + PROXY + 'auth_method = "trust"\n[[user]]\nname = "app"\n',
        TARGET + PROXY + '[[user]]\nname = "app"\nauth_method = "trust"\n',
        TARGET + PROXY + f'[[user]]\nname = "app"\npassword = "{VERIFIER}"\n',
        TARGET + PROXY + '[[user]]\nname = "Ünï code--"\npassword = "pw"\n',
        TARGET + 'auth_query = "SELECT * FROM s.f($1)"\n' + PROXY,
        "\n" + TARGET.replace("\n", "\r\n") + PROXY,
    ],
)
def test_allowed(text: str) -> None:
    assert load_text(text).proxies[0].name == "main"


@pytest.mark.parametrize("value", ['"yes"', "1", "[]"])
def test_a_switch_is_true_or_false(value: str) -> None:
    assert problems(f"io_uring = {value}\n" + TARGET + PROXY) == [
        f"io_uring = {value}: must be true or false, without quotes"
    ]
    for switch in (True, False):
        assert load_text(f"io_uring = {str(switch).lower()}\n" + TARGET + PROXY).io_uring is switch


def test_all_problems_at_once() -> None:
    """One wrong type hides neither bounds, nor unknown keys, nor rules, nor secrets."""
    text = (
        'workers = "many"\n'
        + TARGET
        + 'password = "${NOPE}"\nmax_connections = 1\nmax_connections_percent = 1\n'
        + PROXY.replace('target = "main"', 'target = "x"')
        + "login_timeout = 0\nfoo = 1\n"
    )
    assert sorted(problems(text)) == [
        '[[proxy]] "main": foo: unknown setting',
        '[[proxy]] "main": login_timeout = 0: must be 1 to 300 seconds',
        '[[proxy]] "main": target = "x": no [[target]] has this name',
        '[[target]] "main": max_connections = 1: give this or max_connections_percent, not both',
        '[[target]] "main": password: environment variable NOPE is not set',
        'workers = "many": must be a whole number, 1 to 128 processes',
    ]


def test_secrets_from_environment_and_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "from environment")
    for name, content in (("user.secret", "from file\n"), ("forced.secret", "${DB_PASSWORD}")):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(content)
    config = load_text(
        TARGET
        + 'password = "<${DB_PASSWORD}>"\n'
        + PROXY
        + f'[proxy.databases.a]\nuser = "f"\npassword_file = "{folder}/forced.secret"\n'
        + '[[user]]\nname = "app"\npassword_file = "user.secret"\n'
    )
    assert config.targets[0].password == "<from environment>"
    assert config.users[0].password == "from file"
    assert config.proxies[0].databases["a"].password == "${DB_PASSWORD}"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('password_file = "none"', 'password_file = "none": cannot be read: No such file or directory'),
        ('password_file = "."', 'password_file = ".": cannot be read: Is a directory'),
        ('password_file = ""', 'password_file = "": must be a path'),
        ("password_file = 3", "password_file = 3: must be a path"),
        ('password = "a"\npassword_file = "b"', 'password_file = "b": give this or password, not both'),
        ('password = "hidden ${NOPE}"', "password: environment variable NOPE is not set"),
        ('password_fil = "b"\npassword = "a"', "password_fil: unknown setting; did you mean password_file?"),
    ],
)
def test_secret_problems(lines: str, said: str) -> None:
    assert problems(TARGET + PROXY + f'[[user]]\nname = "app"\n{lines}\n') == [f'[[user]] "app": {said}']


def test_a_secret_that_others_may_read(folder: Path) -> None:
    (folder / "open.secret").touch(mode=0o600)
    (folder / "open.secret").write_text("hidden")
    (folder / "open.secret").chmod(0o644)
    assert problems(TARGET + PROXY + '[[user]]\nname = "app"\npassword_file = "open.secret"\n') == [
        '[[user]] "app": password_file = "open.secret": may be read by others (mode 0644); chmod 600 it'
    ]


def test_secrets_are_never_repeated() -> None:
    text = (
        TARGET + 'password = "hidden${"\nport = 0\n' + PROXY + '[[user]]\nname = "u"\npassword = "SCRAM-SHA-256$hidden"'
    )
    assert not [line for line in problems(text) if "hidden" in line]


def test_syntax_error_has_its_line() -> None:
    (line,) = problems('workers = 1\nlog_level = "info\n')
    assert line.startswith("is not valid TOML: ")
    assert "(at line 2, column " in line


def test_what_is_no_text(folder: Path) -> None:
    Path("tidegate.toml").write_bytes(b"workers = 1\n# \xff\n")
    with pytest.raises(ConfigError, match=r"^tidegate.toml: is not text in UTF-8 \(at line 2\)$"):
        load(Path("tidegate.toml"))


def test_deep_nesting_is_no_crash() -> None:
    (line,) = problems("a = " + "[" * 100_000)
    assert line.startswith("is not valid TOML: ")


def test_huge_file(folder: Path) -> None:
    with open("tidegate.toml", "wb") as file:
        file.truncate(MAX_FILE_SIZE + 1)
    with pytest.raises(ConfigError, match=r"^tidegate.toml: is larger than 16777216 bytes: not a configuration file$"):
        load(Path("tidegate.toml"))


@pytest.mark.parametrize(("name", "said"), [("none.toml", "No such file or directory"), (".", "Is a directory")])
def test_unreadable(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Path(name))
    assert str(caught.value) == f"{name}: cannot be read: {said}"


def test_command_line() -> None:
    config = from_command_line(
        "postgresql://app:pw@db:6000/shop",
        ["127.0.0.1:6432", "[::1]:6432"],
        max_connections=20,
        pool_mode=PoolMode.SESSION,
        workers=2,
        auth_method=AuthMethod.MD5,
    )
    target = TargetConfig(
        name="main", host="db", port=6000, user="app", password="pw", database="shop", max_connections=20
    )
    proxy = ProxyConfig(
        name="main",
        listen=("127.0.0.1:6432", "[::1]:6432"),
        target="main",
        pool_mode=PoolMode.SESSION,
        auth_method=AuthMethod.MD5,
    )
    assert config == Config(proxies=(proxy,), targets=(target,), workers=2, control_socket=config.control_socket)
    assert "127-0-0-1-6432" in config.control_socket


def test_command_line_takes_passwords_as_they_are() -> None:
    """The shell has expanded what was to be expanded."""
    assert from_command_line("postgresql://app:${HOME}@db", ["a:1"]).targets[0].password == "${HOME}"


def test_instances_on_port_0_have_sockets_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    first = from_command_line("postgresql://app@db", ["a:0"]).control_socket
    monkeypatch.setattr(os, "getpid", lambda: 4_194_304)
    assert from_command_line("postgresql://app@db", ["a:0"]).control_socket != first


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("app@db", {}, "--target: must be a URL like postgresql://user:password@host:port/database"),
        ("postgresql://app@db", {"listen": ["6432"]}, '--listen: "6432": the port is missing; write "host:port"'),
        ("postgresql://app@db", {"listen": ["a:1", "a:1"]}, '--listen = "a:1": [[proxy]] "main" already listens there'),
        ("postgresql://app@db", {"max_connections": 0}, "--max-connections = 0: must be 1 to 100000 connections"),
        ("postgresql://app@db", {"workers": 0}, "--workers = 0: must be 1 to 128 processes"),
        ("postgresql://app@db", {"pool_mode": "x"}, '--pool-mode = "x": must be "transaction" or "session"'),
    ],
)
def test_command_line_problems(target: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_command_line(target, **{"listen": ["a:1"], **options})  # type: ignore[arg-type]
    assert str(caught.value) == said


def test_more_workers_than_cores_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    config = from_command_line("postgresql://app@db", ["a:1"], workers=2)
    assert warnings(config) == []
    config = from_command_line("postgresql://app@db", ["a:1"], workers=3)
    assert warnings(config) == ["workers = 3: this machine gives us 2 cores; more workers than cores cost time"]
