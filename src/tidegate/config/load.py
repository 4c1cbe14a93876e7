"""Reads settings, from a TOML file or the command line, into a checked Config, or says all that is wrong with them.

Owns the steps from text to Config: parse, fill in secrets, check shape and rules, work out the control socket.
Refuses defaults and bounds (`model`), and is not imported by workers.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidegate.config.addresses import TcpAddress, default_control_socket, listen_addresses
from tidegate.config.checks import check_rules, database_tables, tables
from tidegate.config.dsn import parse_dsn
from tidegate.config.encryption import FILES, locate_files
from tidegate.config.model import Config
from tidegate.config.passwords import expand
from tidegate.config.problems import Problem
from tidegate.config.secret_files import read_secret_file
from tidegate.config.shape import check_shape
from tidegate.errors import ConfigError

MAX_FILE_SIZE = 16 * 1024 * 1024
"""Bytes; a larger "configuration" is a wrong path, not to be read into memory."""


def load(path: Path) -> Config:
    """Read a TOML file. ConfigError holds one line for each problem, each beginning with the path as given."""
    raw = _parse(path)
    problems = _fill_in_secrets(raw, path.parent)
    for kind in FILES:
        for _, table in tables(raw, kind):
            locate_files(table, kind, path.parent)
    config = _checked(raw, problems, lambda problem: problem.line(str(path)))
    return _with_control_socket(config, str(path.absolute()))


def control_socket_of(path: Path) -> str:
    """Where the proxy that runs from this file answers. ConfigError if the file, or this one setting, can't be used.

    Nothing else of the file is looked at: its secrets may be in the proxy's environment only.
    """
    given = _parse(path).get("control_socket", "")
    if not isinstance(given, str):
        raise ConfigError(Problem((), "control_socket", "must be text", given).line(str(path)))
    return given or default_control_socket(str(path.absolute()))


def from_command_line(
    target: str,
    listen: Sequence[str],
    *,
    max_connections: int | None = None,
    pool_mode: str | None = None,
    workers: int | None = None,
    auth_method: str | None = None,
) -> Config:
    """Make the Config of one proxy named "main" before one target. ConfigError names the option at fault.

    Options that are None have the model's defaults. No users are listed: logins pass through.
    """
    try:
        target_table: dict[str, Any] = {"name": "main", **parse_dsn(target)}
        locate_files(target_table, "target", Path())
    except ConfigError as error:
        raise ConfigError(f"--target: {error}") from None
    proxy_table: dict[str, Any] = {"name": "main", "listen": list(listen), "target": "main"}
    given = (
        (target_table, "max_connections", max_connections),
        (proxy_table, "pool_mode", pool_mode),
        (proxy_table, "auth_method", auth_method),
    )
    for table, key, value in given:
        if value is not None:
            table[key] = value
    raw: dict[str, Any] = {"proxy": [proxy_table], "target": [target_table]}
    if workers is not None:
        raw["workers"] = workers
    config = _checked(raw, [], _option_line)
    first = listen_addresses(listen)[0]
    # Port 0 says nothing about which instance this is, so two of them would fight over one control socket.
    own = f"{first} {os.getpid()}" if isinstance(first, TcpAddress) and first.port == 0 else str(first)
    return _with_control_socket(config, own)


def warnings(config: Config) -> list[str]:
    """What is allowed and works, but is rarely meant; one line each."""
    cores = len(os.sched_getaffinity(0))
    if config.workers <= cores:
        return []
    return [f"workers = {config.workers}: this machine gives us {cores} cores; more workers than cores cost time"]


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_SIZE:
        raise ConfigError(f"{path}: is larger than {MAX_FILE_SIZE} bytes: not a configuration file")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: is not text in UTF-8 (at line {line})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is not valid TOML: nested too deeply") from None


def _checked(raw: dict[str, Any], problems: list[Problem], line: Callable[[Problem], str]) -> Config:
    """Check shape and rules together, so that all problems are told at once."""
    data, shape_problems = check_shape(raw)
    problems = [*problems, *shape_problems, *check_rules(raw)]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(line(problem) for problem in problems)))
    return Config.from_dict(data)


def _option_line(problem: Problem) -> str:
    """A problem as a line about the option of `tidegate serve` that gave the value."""
    return replace(problem, where=(), key=f"--{problem.key.replace('_', '-')}").line("")


def _with_control_socket(config: Config, what: str) -> Config:
    return config if config.control_socket else replace(config, control_socket=default_control_socket(what))


def _fill_in_secrets(raw: dict[str, Any], folder: Path) -> list[Problem]:
    """Have the passwords that ${NAME} and password_file stand for in their place."""
    parts = [*tables(raw, "target"), *tables(raw, "user"), *database_tables(raw)]
    problems = [_fill_in_one(table, where, folder) for where, table in parts]
    for _, entry in database_tables(raw):
        entry.pop("password_file", None)  # a forced user's is read with the configuration only
    return [problem for problem in problems if problem]


def _fill_in_one(table: dict[str, Any], where: tuple[str, ...], folder: Path) -> Problem | None:
    """On a problem a placeholder stands in, so that a missing password isn't reported on top."""
    others = table.get("other_passwords")
    if isinstance(others, list):
        try:
            table["other_passwords"] = [expand(text) if isinstance(text, str) else text for text in others]
        except ValueError as error:
            return Problem(where, "other_passwords", str(error))
    named = table.pop("password_file", None)
    given = table.get("password")
    try:
        if named is None:
            if isinstance(given, str):
                table["password"] = expand(given)
            return None
        key = "password_file"
        if given is not None:
            return Problem(where, key, "give this or password, not both", named)
        table["password"] = "-"
        if not isinstance(named, str) or not named:
            return Problem(where, key, "must be a path", named)
        path = folder.absolute() / named
        table["password"], table["password_file"] = read_secret_file(path), str(path)
        return None
    except ValueError as error:
        key, value = ("password", None) if named is None else ("password_file", named)
        table["password"] = "-"
        return Problem(where, key, str(error), value)
