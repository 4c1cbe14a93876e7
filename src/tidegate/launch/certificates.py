"""An authority of this machine's own, and the certificate of all endpoints: so that TLS works from the first start.

Owns the files `tls/` in the data folder. Refuses TLS itself. Clients verify by `tls/ca.pem` (sslrootcert); the
authority's key never leaves the folder.

The certificate names every address that endpoints have, and is made anew when one is added, or when it is to end soon.
P-256, since its handshakes cost a third of RSA's.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Collection
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tidegate.control.folder import write_private
from tidegate.errors import ConfigError

AUTHORITY_LIFE = dt.timedelta(days=3650)
LIFE = dt.timedelta(days=397)
"""The longest that clients of today take."""
RENEW_BEFORE = dt.timedelta(days=30)
BACKDATED = dt.timedelta(hours=1)
"""For clients whose clock is behind."""

Key = ec.EllipticCurvePrivateKey


class LocalCertificates:
    """Made at the first start; read again at every other."""

    def __init__(self, folder: Path) -> None:
        """folder: the data folder. ConfigError if the files can't be read or written."""
        self._folder = folder / "tls"
        self.ca = str(self._folder / "ca.pem")
        self.certificate = str(self._folder / "server.pem")
        self.key = str(self._folder / "server.key")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"certificates in {self._folder}: {error.strerror}") from None

    def cover(self, names: Collection[str], now: dt.datetime) -> bool:
        """See to it that the certificate is for all these names and addresses; whether it was made anew."""
        try:
            if self._covers(names, now):
                return False
            self._make(sorted({"localhost", "127.0.0.1", *names}), now)
        except (OSError, ValueError, TypeError, x509.ExtensionNotFound) as error:  # TypeError: a key with a passphrase
            raise ConfigError(f"certificates in {self._folder}: {error}") from None
        return True

    def _covers(self, names: Collection[str], now: dt.datetime) -> bool:
        if not all(Path(path).exists() for path in (self.ca, self.certificate, self.key)):
            return False
        made = x509.load_pem_x509_certificate(Path(self.certificate).read_bytes())
        found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        covered = {
            *found.get_values_for_type(x509.DNSName),
            *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
        }
        if not set(names) <= covered or now >= made.not_valid_after_utc - RENEW_BEFORE:
            return False
        key = serialization.load_pem_private_key(Path(self.key).read_bytes(), None)
        # They differ where a kill or a full disk has cut off the making of the two.
        return key.public_key() == made.public_key()

    def _make(self, names: Collection[str], now: dt.datetime) -> None:
        authority, authority_key = self._authority(now)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _begin("Tidegate", authority.subject, key, now, LIFE)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        # The key first: until both are there, the next start makes both anew.
        write_private(Path(self.certificate).with_suffix(".new"), _pem(certificate) + _pem(authority))
        write_private(Path(self.key), _key_pem(key))
        Path(self.certificate).with_suffix(".new").replace(self.certificate)

    def _authority(self, now: dt.datetime) -> tuple[x509.Certificate, Key]:
        """The one there is, else a new one."""
        key_path = self._folder / "ca.key"
        if key_path.exists() and Path(self.ca).exists():
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError("ca.key is none of ours")
            authority = x509.load_pem_x509_certificate(Path(self.ca).read_bytes())
            if authority.public_key() != key.public_key():
                raise ValueError("ca.key is not the key of ca.pem: restore the other one, or remove both")
            return authority, key
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Tidegate on this machine, {now:%Y-%m-%d}")])
        certificate = (
            _begin("", name, key, now, AUTHORITY_LIFE, subject=name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        Path(self.ca).unlink(missing_ok=True)  # whose key is lost: a kill must not leave it beside the new key
        write_private(key_path, _key_pem(key))
        write_private(Path(self.ca), _pem(certificate))
        return certificate, key


def _begin(
    common_name: str,
    issuer: x509.Name,
    key: Key,
    now: dt.datetime,
    life: dt.timedelta,
    *,
    subject: x509.Name | None = None,
) -> x509.CertificateBuilder:
    own = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return x509.CertificateBuilder(
        issuer, own, key.public_key(), x509.random_serial_number(), now - BACKDATED, now + life
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Clients that verify strictly (Python 3.13 and later) ask an authority for it."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Key) -> str:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()
