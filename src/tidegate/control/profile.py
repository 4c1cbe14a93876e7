"""The files that AWS's SDKs and CLI find the root key and the endpoint in, and the same for a shell.

Owns `aws/config` and `aws/credentials` in the data folder, with the profile `tidegate`. Refuses the account itself
(`account`): these files are made anew from it at each start, and are never read back but to print them.
"""

from __future__ import annotations

import configparser
import shlex
from collections.abc import Mapping
from pathlib import Path

from tidegate.control.account import Account
from tidegate.control.folder import write_private
from tidegate.errors import ConfigError

FOLDER = "aws"
PROFILE = "tidegate"
NOTE = "# Made by `tidegate serve --api` at each start; changes are lost.\n"


def write_profile(data_dir: Path, account: Account, endpoint_url: str) -> None:
    """Write both files (mode 0600). endpoint_url: where the API is now. ConfigError if they can't be written."""
    folder = data_dir / FOLDER
    credentials = (
        f"[{PROFILE}]\naws_access_key_id = {account.root_access_key}\naws_secret_access_key = {account.root_secret}\n"
    )
    config = f"[profile {PROFILE}]\nregion = {account.region}\nendpoint_url = {endpoint_url}\n"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(folder / "credentials", NOTE + credentials)
        write_private(folder / "config", NOTE + config)
    except OSError as error:
        raise ConfigError(f"--data {data_dir}: the profile cannot be written: {error.strerror}") from None


def environment(data_dir: Path) -> dict[str, str]:
    """The variables by which SDKs and CLI use this control plane. ConfigError if it has never been started there."""
    try:
        credentials = _section(data_dir / FOLDER / "credentials", PROFILE)
        config = _section(data_dir / FOLDER / "config", f"profile {PROFILE}")
        return {
            "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
            "AWS_REGION": config["region"],
            "AWS_DEFAULT_REGION": config["region"],
            "AWS_ENDPOINT_URL": config["endpoint_url"],
        }
    except FileNotFoundError:
        raise ConfigError(
            f"--data {data_dir}: no profile there; `tidegate serve --api ADDRESS --data {data_dir}` makes one"
        ) from None
    except OSError as error:
        raise ConfigError(f"--data {data_dir}: the profile cannot be read: {error.strerror}") from None
    except (KeyError, UnicodeDecodeError, configparser.Error):
        raise ConfigError(f"--data {data_dir}: the profile is damaged; the next start makes it anew") from None


def _section(path: Path, name: str) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser[name]


def export_lines(variables: Mapping[str, str]) -> list[str]:
    """For a POSIX shell: `export NAME=value`; what would go before it is unset."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return [*lines, "unset AWS_SESSION_TOKEN AWS_PROFILE"]
