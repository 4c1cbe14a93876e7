"""The TLS contexts of proxies and targets: made of files, and made again when these change.

Owns the files' reading and its outcome. Refuses to know TLS (`engine.tls_context`) and to choose settings.

A certificate is renewed beneath a running proxy. So a reload of the configuration reads the files again. The supervisor
tries them first, and refuses a configuration whose files can't be used; a worker that meets one all the same (a file
that changed between the two) goes on with what it had, and says so.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from tidegate.config.model import Config, ProxyConfig, TargetConfig
from tidegate.config.secret_files import check_key_file
from tidegate.engine.tls_context import TICKET_SECRET_SIZE, TlsContext
from tidegate.errors import ConfigError
from tidegate.proxy.encryption import Encryption, connection_settings, make_encryption

logger = logging.getLogger(__name__)


def make_context(proxy: ProxyConfig, secret: bytes) -> TlsContext | None:
    """What the proxy's clients meet; None if it has no certificate. ValueError says which file is wrong, and how.

    `secret` is the same for all workers, so that a session that one has begun can be resumed at another: at this proxy,
    and for as long as its certificate is the same. Where clients show certificates nothing is resumed: a ticket would
    stand for one that is not believed any more.
    """
    if not proxy.tls_certificate:
        return None
    check_key_file(proxy.tls_key)
    tickets = b"" if proxy.tls_client_ca else _ticket_secret(proxy, secret)
    return TlsContext.for_clients(proxy.tls_certificate, proxy.tls_key, proxy.tls_client_ca, False, tickets)


def _ticket_secret(proxy: ProxyConfig, secret: bytes) -> bytes:
    try:
        certificate = Path(proxy.tls_certificate).read_bytes()
    except OSError as error:
        raise ValueError(f"no certificate can be read from {proxy.tls_certificate}: {error.strerror}") from None
    made = hashlib.shake_256(b"tidegate tls tickets")
    for part in (secret, proxy.name.encode(), certificate):
        made.update(len(part).to_bytes(8, "big") + part)
    return made.digest(TICKET_SECRET_SIZE)


def check_certificates(config: Config) -> None:
    """ConfigError, with a line for each proxy and target whose files can't be used."""
    problems = []
    for proxy in config.proxies:
        try:
            make_context(proxy, b"")
        except ValueError as error:
            problems.append(f"[[proxy]] {proxy.name}: {error}")
    for target in config.targets:
        try:
            make_encryption(target)
        except ValueError as error:
            problems.append(f"[[target]] {target.name}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))


class Certificates:
    """The last of each that could be made."""

    def __init__(self) -> None:
        self._of_proxies: dict[str, TlsContext | None] = {}
        self._of_targets: dict[tuple[object, ...], Encryption | None] = {}

    def of_proxy(self, proxy: ProxyConfig, secret: bytes) -> TlsContext | None:
        """Read the proxy's files."""
        try:
            self._of_proxies[proxy.name] = make_context(proxy, secret)
        except ValueError as error:
            logger.error("TLS of proxy %s stays as it is: %s", proxy.name, error)
        return self._of_proxies.get(proxy.name)

    def of_target(self, target: TargetConfig) -> Encryption | None:
        """Read the target's files. ValueError if they can't be used, and never could with these settings."""
        settings = connection_settings(target)
        try:
            self._of_targets[settings] = make_encryption(target)
        except ValueError as error:
            if settings not in self._of_targets:
                raise
            logger.error("TLS of target %s stays as it is: %s", target.name, error)
        return self._of_targets[settings]
