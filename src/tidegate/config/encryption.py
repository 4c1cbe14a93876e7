"""Rules of the TLS settings: which need one another, and which would do nothing.

Owns those rules and the paths of their files. Refuses to read certificates (`engine.tls_context` does).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tidegate.config.identity import may_come_by
from tidegate.config.model import AuthMethod, SslMode, SslNegotiation
from tidegate.config.problems import Problem

FILES = {"proxy": ("tls_certificate", "tls_key", "tls_client_ca"), "target": ("tls_ca", "tls_certificate", "tls_key")}
"""The settings that name files, by table; a relative path starts at the configuration file."""

_VERIFYING = (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)
_ENCRYPTING = (SslMode.REQUIRE, *_VERIFYING)

Table = dict[str, Any]
Label = tuple[str, ...]


def locate_files(table: Table, kind: str, folder: Path) -> None:
    """Make the paths of one table absolute, in place."""
    for key in FILES[kind]:
        if isinstance(table.get(key), str) and table[key]:
            table[key] = str(folder.absolute() / table[key])


def proxy_problems(where: Label, proxy: Table) -> Iterator[Problem]:
    """What is wrong with one [[proxy]]."""
    yield from _half_a_pair(where, proxy)
    for key in ("tls_client_ca", "require_tls"):
        if proxy.get(key) and not proxy.get("tls_certificate"):
            yield Problem(where, key, "needs tls_certificate: without one nobody gets TLS", proxy[key])
    if proxy.get("auth_method") == AuthMethod.CERT and not proxy.get("tls_client_ca"):
        yield Problem(where, "auth_method", "needs tls_client_ca: whose certificates count?", "cert")


def user_problems(where: Label, user: Table, proxies: list[Table]) -> Iterator[Problem]:
    """What is wrong with one [[user]], in front of whom these proxies are."""
    method = user.get("auth_method")
    proxies = [proxy for proxy in proxies if may_come_by(user, proxy)]
    if method == AuthMethod.CERT and not any(proxy.get("tls_client_ca") for proxy in proxies):
        yield Problem(
            where, "auth_method", "needs a [[proxy]] with tls_client_ca, which says whose certificates count", "cert"
        )
    methods = [method] if method else [proxy.get("auth_method") for proxy in proxies]
    if user.get("certificate_names") and AuthMethod.CERT not in methods:
        yield Problem(where, "certificate_names", 'does nothing without auth_method = "cert"')


def target_problems(where: Label, target: Table) -> Iterator[Problem]:
    """What is wrong with one [[target]]."""
    yield from _half_a_pair(where, target)
    mode = target.get("sslmode", SslMode.PREFER)
    if target.get("tls_ca") and mode not in _VERIFYING:
        yield Problem(where, "tls_ca", f'does nothing with sslmode = "{mode}"; use verify-full or verify-ca')
    if target.get("sslnegotiation") == SslNegotiation.DIRECT and mode not in _ENCRYPTING:
        yield Problem(where, "sslnegotiation", f'must not be "direct" with sslmode = "{mode}": it leaves no choice')


def _half_a_pair(where: Label, table: Table) -> Iterator[Problem]:
    for one, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if table.get(one) and not table.get(other):
            yield Problem(where, one, f"needs {other}", table[one])
