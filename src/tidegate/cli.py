"""The commands: `tidegate serve | validate | reload | pins | env | token | demo`.

Owns options, exit codes and the words that users see: 0 done, 1 it could not be done (why is on stderr, a line a
problem), 2 the command line itself is wrong. No traceback reaches a user for anything that a user can cause.
Refuses all work: each command imports what does it, so that `tidegate --help` stays quick.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tidegate import __version__
from tidegate.config.model import AuthMethod, PoolMode
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.config.model import Config

DEFAULT_LISTEN = "127.0.0.1:6432"
"""Loopback, since logins come in without TLS; the port is PgBouncer's."""

CONTROL_TIMEOUT = 30.0
"""Seconds that a reload may take: the supervisor reads files and tells every worker."""

DEFAULT_API_PORT = 4566
"""That of other emulators of AWS, which tools expect."""

PASSPHRASE_VARIABLE = "TIDEGATE_PASSPHRASE"
"""Seals secrets at rest, in place of the data folder's key file."""

MAX_ANSWER = 1024 * 1024
"""Bytes of one answer from the control socket; more is not our supervisor."""

app = typer.Typer(
    name="tidegate",
    help="A tide gate for databases: thousands of short-lived clients on a few PostgreSQL connections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file (TOML).", metavar="FILE")]

DataOption = Annotated[Path | None, typer.Option("--data", help="With --api: the folder of its state.", metavar="DIR")]

ControlOption = Annotated[
    Path | None, typer.Option("--control", help="Control socket of the running proxy.", metavar="PATH")
]


def main() -> None:
    """The console script's entry point."""
    app(prog_name="tidegate")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidegate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What comes before a command."""


@app.command()
def serve(
    target: Annotated[
        str | None,
        typer.Option(help="The database: postgresql://user:password@host:port/database", metavar="DSN"),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Where clients connect; repeatable. host:port, [ipv6]:port, or a folder. [{DEFAULT_LISTEN}]",
            metavar="ADDRESS",
        ),
    ] = None,
    max_connections: Annotated[
        int | None, typer.Option(help="Most connections to the database. [all it has free]", metavar="N")
    ] = None,
    pool_mode: Annotated[PoolMode | None, typer.Option(help="When a connection is given back. [transaction]")] = None,
    workers: Annotated[int | None, typer.Option(help="Relay processes. [1]", metavar="N")] = None,
    auth_method: Annotated[AuthMethod | None, typer.Option(help="How clients log in. [scram-sha-256]")] = None,
    config: ConfigOption = None,
    api: Annotated[
        str | None,
        typer.Option(help="Serve the AWS API there, and the proxies that are made by it. host:port", metavar="ADDRESS"),
    ] = None,
    data: DataOption = None,
    account: Annotated[
        str | None,
        typer.Option(help="With --api, at the first start: the account's number. [random]", metavar="ID"),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="With --api, at the first start: its region. [us-east-1]", metavar="NAME")
    ] = None,
) -> None:
    """Run the proxy: from --target and its options, from --config, or driven by the AWS API with --api."""
    if api is not None:
        _serve_api(api, data, account, region, workers, config or target or listen or max_connections or auth_method)
    options = {
        "--target": target,
        "--listen": listen or None,
        "--max-connections": max_connections,
        "--pool-mode": pool_mode,
        "--workers": workers,
        "--auth-method": auth_method,
    }
    given = [option for option, value in options.items() if value is not None]
    if config is not None and given:
        _usage(f"--config says it all; leave out {', '.join(given)} or set it in the file")
    if config is None and target is None:
        _usage("give --target DSN or --config FILE")
    with _plain_errors():
        from tidegate.config.load import from_command_line, load, warnings

        if config is not None:
            settings = load(config)
        else:
            settings = from_command_line(
                target or "",
                listen or [DEFAULT_LISTEN],
                max_connections=max_connections,
                pool_mode=pool_mode,
                workers=workers,
                auth_method=auth_method,
            )
        for warning in warnings(settings):
            typer.echo(f"tidegate: warning: {warning}", err=True)
        raise typer.Exit(_run(settings, config))


def _serve_api(
    api: str, data: Path | None, account: str | None, region: str | None, workers: int | None, misplaced: object
) -> NoReturn:
    if misplaced:
        _usage("with --api, proxies are made by its calls; leave out --config, --target and what belongs to them")
    if data is None:
        _usage("--api needs --data DIR, where its state is kept")
    with _plain_errors():
        try:
            from tidegate.control.plane import Options
            from tidegate.launch.libpq_variables import forget_libpq_variables
            from tidegate.launch.run import base_config, run
        except ImportError as error:
            _fail(f'the AWS API needs {error.name}, which is missing: pip install "tidegate[aws]"')
        from tidegate.config.addresses import split_host_port

        forget_libpq_variables()
        host, port = split_host_port(api)
        options = Options(
            host=host or "127.0.0.1",
            port=int(port or DEFAULT_API_PORT),
            data=data.absolute(),
            account=account,
            region=region,
            passphrase=os.environ.pop(PASSPHRASE_VARIABLE, None),  # workers need not inherit it
        )
        raise typer.Exit(run(options, base_config(data, workers)))


@app.command()
def env(data: Annotated[Path, typer.Option("--data", help="Data folder of the AWS API.", metavar="DIR")]) -> None:
    """Print what has the aws CLI and SDKs use the AWS API of a data folder: eval "$(tidegate env --data DIR)"."""
    with _plain_errors():
        from tidegate.control.profile import environment, export_lines

        typer.echo("\n".join(export_lines(environment(data))))


@app.command()
def token(
    server_id: Annotated[str, typer.Option("--server-id", help="The proxy's iam_server_id.", metavar="ID")],
    endpoint_url: Annotated[str, typer.Option(help="STS, if not AWS's own. [$AWS_ENDPOINT_URL]", metavar="URL")] = "",
) -> None:
    """Print a password for a proxy that lets in by AWS identity: good for 15 minutes, to be sent over TLS."""
    with _plain_errors():
        try:
            from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable
            from tidegate.auth.providers.sts_token import make_sts_token
        except ImportError as error:
            _fail(f'AWS tokens need {error.name}, which is missing: pip install "tidegate[aws]"')
        try:
            typer.echo(make_sts_token(AwsSession(), server_id, endpoint_url or os.environ.get("AWS_ENDPOINT_URL", "")))
        except AwsUnavailable as error:
            _fail(str(error))


def _run(settings: Config, config_path: Path | None) -> int:
    from tidegate.proxy import supervisor

    return supervisor.run(settings, config_path)


@app.command()
def validate(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).", metavar="FILE")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help='Print "ok" in place of the settings.')] = False,
) -> None:
    """Check a configuration file and print the settings it comes to (* = not the default)."""
    with _plain_errors():
        from tidegate.config.describe import describe
        from tidegate.config.load import load, warnings
        from tidegate.proxy.certificates import check_certificates

        settings = load(config)
        check_certificates(settings)
        for warning in warnings(settings):
            typer.echo(f"tidegate: warning: {warning}", err=True)
        typer.echo("ok" if quiet else describe(settings))


@app.command()
def reload(config: ConfigOption = None, control: ControlOption = None) -> None:
    """Have a running proxy read its configuration file again."""
    answer = _command("reload", config, control)
    typer.echo(str(answer.get("message") or "reloaded"))


@app.command()
def pins(config: ConfigOption = None, control: ControlOption = None) -> None:
    """List the sessions of a running proxy that keep their server, and why."""
    from tidegate.proxy.pinned import table

    sessions = _command("pins", config, control)["sessions"]
    typer.echo(table(sessions) if sessions else "no session is pinned")


def _command(name: str, config: Path | None, control: Path | None) -> dict[str, Any]:
    """Ask the running proxy that one of the two options names; ends the program with its words if it refuses."""
    if (config is None) == (control is None):
        _usage("give --config FILE or --control PATH, one of the two")
    with _plain_errors():
        if config is not None:
            from tidegate.config.load import control_socket_of

            path = control_socket_of(config)
        else:
            path = str(control)
        answer = ask_supervisor(path, {"command": name})
        if answer.get("ok") is not True:
            _fail(str(answer.get("error") or f"the proxy at {path} refused: {json.dumps(answer)}"))
    return answer


@app.command()
def demo(
    clients: Annotated[int, typer.Option(min=1, max=5000, help="Clients that arrive at once.")] = 300,
    keep: Annotated[bool, typer.Option("--keep", help="Leave database and proxy running until Ctrl-C.")] = False,
) -> None:
    """Show what the proxy is for: a storm of clients on a small PostgreSQL, without and with it."""
    with _plain_errors():
        from tidegate.demo import run

        raise typer.Exit(run(clients=clients, keep=keep))


def ask_supervisor(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send one JSON line to a control socket and read the one that answers. ConfigError says what is wrong there."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONTROL_TIMEOUT)
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline(MAX_ANSWER)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ConfigError(
            f"no proxy runs behind the control socket {path}; start one with `tidegate serve`"
            " or name the socket with --control"
        ) from None
    except TimeoutError:
        raise ConfigError(f"the proxy at {path} did not answer within {CONTROL_TIMEOUT:g} seconds") from None
    except OSError as error:
        raise ConfigError(f"control socket {path}: {error.strerror or error}") from None
    return _parse_answer(path, line)


def _parse_answer(path: str, line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ConfigError(f"the proxy at {path} closed the connection without an answer")
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConfigError(f"what answers at {path} is no Tidegate supervisor")
    return answer


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what users and their machines can cause into a line on stderr and exit code 1."""
    try:
        yield
    except ConfigError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _usage(text: str) -> NoReturn:
    typer.echo(f"tidegate: {text}; see --help", err=True)
    raise typer.Exit(2)


def _fail(text: str) -> NoReturn:
    for line in text.splitlines():
        typer.echo(f"tidegate: {line}", err=True)
    raise typer.Exit(1)
