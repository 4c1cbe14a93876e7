"""The doubles of `control` behind a real server on loopback, plain or with TLS."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.control import Ec2, Iam, Rds, SecretsManager, Sts
from tests.support.served import Served
from tidegate.control.api.server import ApiServer
from tidegate.errors import ConfigError


class RunningFront(Served):
    """The doubles, served."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.sts, self.rds, self.iam, self.ec2, self.secrets = Sts(), Rds(), Iam(), Ec2(), SecretsManager()
        services = (self.sts, self.rds, self.iam, self.ec2, self.secrets)
        self.certificate = folder / "certificate.pem"
        super().__init__(folder, services, make_tls(self.certificate) if tls else None)

    @property
    def port(self) -> int:
        """Of 127.0.0.1."""
        return self._server.port

    def connect(self) -> socket.socket:
        """A connection to it, with a time limit."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, *pieces: bytes, wait: float = 0.0) -> bytes:
        """What comes back until the end of the connection, for bytes as they are. wait: seconds after each piece."""
        with self.connect() as stream:
            for piece in pieces:
                stream.sendall(piece)
                time.sleep(wait)
            answer = b""
            while chunk := stream.recv(65536):
                answer += chunk
            return answer

    def error_of_another(self) -> str:
        """What one that wants the same address is told."""
        another = ApiServer(None, "127.0.0.1", self.port)
        try:
            self._run(another.start())
        except ConfigError as error:
            return str(error)
        return "no error"


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
