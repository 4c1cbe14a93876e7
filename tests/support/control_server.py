"""The doubles of `control` behind a real server on loopback, plain or with TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.control import ACCOUNT, REGION, Ec2, Guard, Iam, Rds, SecretsManager, Sts, find_key
from tidegate.control.api.app import make_app
from tidegate.control.api.dispatch import Dispatcher
from tidegate.control.api.server import ApiServer
from tidegate.control.store.store import Store
from tidegate.control.store.thread import StoreThread
from tidegate.errors import ConfigError

T = TypeVar("T")


class RunningFront:
    """The doubles behind a real server on loopback, in an event loop of its own thread."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.thread = StoreThread(Store(folder / "state.db"))
        self.sts, self.rds, self.iam, self.ec2, self.secrets = Sts(), Rds(), Iam(), Ec2(), SecretsManager()
        services = (self.sts, self.rds, self.iam, self.ec2, self.secrets)
        dispatcher = Dispatcher(self.thread, services, Guard(), find_key, account=ACCOUNT, region=REGION)
        self.certificate = folder / "certificate.pem"
        self._server = ApiServer(
            make_app(dispatcher, time.time), "127.0.0.1", 0, tls=make_tls(self.certificate) if tls else None
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front")

    @property
    def url(self) -> str:
        """What --endpoint-url takes."""
        return self._server.url

    @property
    def port(self) -> int:
        """Of 127.0.0.1."""
        return self._server.port

    def connect(self) -> socket.socket:
        """A connection to it, with a time limit."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def error_of_another(self) -> str:
        """What one that wants the same address is told."""
        another = ApiServer(None, "127.0.0.1", self.port)
        try:
            self._run(another.start())
        except ConfigError as error:
            return str(error)
        return "no error"

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def __enter__(self) -> RunningFront:
        self._thread.start()
        self._run(self._server.start())
        return self

    def __exit__(self, *failure: object) -> None:
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.thread.close()


def make_tls(path: Path) -> ssl.SSLContext:
    """A server's context with a certificate of its own for 127.0.0.1, which is written to `path` with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + timedelta(9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    unencrypted = serialization.NoEncryption()
    pem = certificate.public_bytes(encoding)
    path.write_bytes(pem + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, unencrypted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
