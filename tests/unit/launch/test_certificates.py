"""The authority of one machine: what it signs, when anew, and that every client takes it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tidegate.config.model import ProxyConfig
from tidegate.control.folder import write_private
from tidegate.errors import ConfigError
from tidegate.launch import certificates
from tidegate.launch.certificates import BACKDATED, LIFE, RENEW_BEFORE, LocalCertificates
from tidegate.proxy.certificates import make_context

NOW = dt.datetime(2027, 1, 15, tzinfo=dt.UTC)


@pytest.fixture
def made(tmp_path: Path) -> LocalCertificates:
    return LocalCertificates(tmp_path)


def chain(made: LocalCertificates) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Path(made.certificate).read_bytes())


def authority(made: LocalCertificates) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(made.ca).read_bytes())


def verified(made: LocalCertificates, name: x509.DNSName | x509.IPAddress, at: dt.datetime) -> bool:
    """As a client that trusts ca.pem alone would judge."""
    policy = PolicyBuilder().store(Store([authority(made)])).time(at)
    try:
        policy.build_server_verifier(name).verify(chain(made)[0], [])
    except VerificationError:
        return False
    return True


def dns(name: str) -> x509.DNSName:
    return x509.DNSName(name)


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def test_the_first_start(made: LocalCertificates) -> None:
    """Clients verify names and addresses; the machine's own names are always there."""
    assert made.cover({"127.1.2.3", "::1", "orders.proxy.example"}, NOW)
    for name in (address("127.1.2.3"), address("::1"), dns("orders.proxy.example"), dns("localhost")):
        assert verified(made, name, NOW), name
    assert not verified(made, address("127.1.2.4"), NOW)
    assert not verified(made, dns("other.example"), NOW)


def test_what_it_is_for(made: LocalCertificates) -> None:
    made.cover({"127.1.2.3"}, NOW)
    certificate, signer = chain(made)
    assert signer == authority(made)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    constraints = signer.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (True, 0, True)
    assert certificate.not_valid_after_utc - NOW == LIFE
    assert NOW - certificate.not_valid_before_utc == BACKDATED


def test_a_proxy_can_use_it(made: LocalCertificates) -> None:
    made.cover(set(), NOW)
    proxy = ProxyConfig(
        name="a", listen=("a:1",), target="a", tls_certificate=made.certificate, tls_key=made.key, tls_client_ca=made.ca
    )
    assert make_context(proxy, b"secret") is not None


def test_keys_are_private(made: LocalCertificates, tmp_path: Path) -> None:
    made.cover(set(), NOW)
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    for name in ("server.key", "ca.key"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600


def test_nothing_is_made_anew_without_a_reason(made: LocalCertificates, tmp_path: Path) -> None:
    made.cover({"127.1.2.3", "127.1.2.4"}, NOW)
    before = {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    for names in ({"127.1.2.3", "127.1.2.4"}, {"127.1.2.4"}, {"localhost"}, set()):
        assert not LocalCertificates(tmp_path).cover(names, NOW + dt.timedelta(days=300))
    assert {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before


def test_a_new_address(made: LocalCertificates, tmp_path: Path) -> None:
    """By the same authority: clients keep their ca.pem."""
    made.cover({"127.1.2.3"}, NOW)
    trusted = authority(made)
    again = LocalCertificates(tmp_path)
    assert again.cover({"127.1.2.3", "127.9.9.9"}, NOW)
    assert authority(again) == trusted
    assert verified(again, address("127.9.9.9"), NOW)
    assert verified(again, address("127.1.2.3"), NOW)
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == [
        "ca.key",
        "ca.pem",
        "server.key",
        "server.pem",
    ]


def test_it_is_renewed_before_its_end(made: LocalCertificates) -> None:
    made.cover({"127.1.2.3"}, NOW)
    first = chain(made)[0]
    due = first.not_valid_after_utc - RENEW_BEFORE
    assert not made.cover({"127.1.2.3"}, due - dt.timedelta(seconds=1))
    assert made.cover({"127.1.2.3"}, due)
    assert chain(made)[0].serial_number != first.serial_number
    assert verified(made, address("127.1.2.3"), due + LIFE - dt.timedelta(days=1))


@pytest.mark.parametrize("lost", ["server.pem", "server.key"])
def test_a_lost_certificate_is_made_again(made: LocalCertificates, tmp_path: Path, lost: str) -> None:
    """As after a crash between the two files."""
    made.cover({"127.1.2.3"}, NOW)
    trusted = authority(made)
    (tmp_path / "tls" / lost).unlink()
    assert made.cover({"127.1.2.3"}, NOW)
    assert authority(made) == trusted
    assert verified(made, address("127.1.2.3"), NOW)


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key"])
def test_a_lost_authority_is_replaced_when_it_is_needed(made: LocalCertificates, tmp_path: Path, lost: str) -> None:
    made.cover({"127.1.2.3"}, NOW)
    (tmp_path / "tls" / lost).unlink()
    assert made.cover({"127.1.2.3", "127.9.9.9"}, NOW)
    assert verified(made, address("127.9.9.9"), NOW)


def test_a_new_authority_cut_off_is_made_again(
    made: LocalCertificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ca.key was lost, and the making of another ended between its two files."""
    made.cover({"127.1.2.3"}, NOW)
    (tmp_path / "tls" / "ca.key").unlink()

    def all_but_the_certificate(path: Path, text: str) -> None:
        if path.name == "ca.pem":
            raise OSError(28, "No space left on device")
        write_private(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(certificates, "write_private", all_but_the_certificate)
        with pytest.raises(ConfigError, match="No space left"):
            made.cover({"127.9.9.9"}, NOW)
    assert made.cover({"127.9.9.9"}, NOW)
    assert verified(made, address("127.9.9.9"), NOW)


def test_an_authority_with_another_ones_key_is_told(made: LocalCertificates, tmp_path: Path) -> None:
    made.cover({"127.1.2.3"}, NOW)
    (tmp_path / "other").mkdir()
    LocalCertificates(tmp_path / "other").cover({"127.1.2.3"}, NOW)
    (tmp_path / "tls" / "ca.key").write_bytes((tmp_path / "other" / "tls" / "ca.key").read_bytes())
    with pytest.raises(ConfigError, match=r"ca\.key is not the key of ca\.pem: restore"):
        made.cover({"127.9.9.9"}, NOW)


SPOILT = {
    "server.pem": b"no certificate",
    "ca.key": b"no key",
    "ca.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_file_is_told(made: LocalCertificates, tmp_path: Path, name: str) -> None:
    """And not written over: whose it is nobody knows."""
    made.cover({"127.1.2.3"}, NOW)
    path = tmp_path / "tls" / name
    path.write_bytes(SPOILT[name])
    with pytest.raises(ConfigError, match=rf"^certificates in {tmp_path}/tls: "):
        made.cover({"127.9.9.9"}, NOW)
    assert path.read_bytes() == SPOILT[name]


def test_foreign_files_are_told(made: LocalCertificates, tmp_path: Path) -> None:
    """A certificate without names, and a key with a passphrase, which cryptography refuses by errors of their own."""
    made.cover({"127.1.2.3"}, NOW)
    Path(made.certificate).write_bytes(Path(made.ca).read_bytes())
    with pytest.raises(ConfigError, match="certificates in"):
        made.cover({"127.1.2.3"}, NOW)
    Path(made.certificate).unlink()
    sealed = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"x")
    )
    (tmp_path / "tls" / "ca.key").write_bytes(sealed)
    with pytest.raises(ConfigError, match="certificates in"):
        made.cover({"127.1.2.3"}, NOW)


def test_a_folder_that_cant_be_made(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("in the way")
    with pytest.raises(ConfigError, match=rf"^certificates in {tmp_path}/tls: "):
        LocalCertificates(tmp_path)


def test_a_key_that_does_not_belong_to_the_certificate(made: LocalCertificates, tmp_path: Path) -> None:
    """The key was written, and then the disk was full: the next look makes both anew."""
    made.cover({"127.1.2.3"}, NOW)
    key = Path(made.key).read_bytes()
    (tmp_path / "other").mkdir()
    other = LocalCertificates(tmp_path / "other")
    other.cover({"127.1.2.3"}, NOW)
    Path(made.key).write_bytes(Path(other.key).read_bytes())
    assert made.cover({"127.1.2.3"}, NOW)
    assert Path(made.key).read_bytes() != key
    assert not made.cover({"127.1.2.3"}, NOW)
