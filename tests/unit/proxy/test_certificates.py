"""TLS contexts of files: which are refused and in what words, and what a bad renewal leaves in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Files
from tidegate.config.model import Config, ProxyConfig, SslMode, SslNegotiation, TargetConfig
from tidegate.errors import ConfigError
from tidegate.proxy.certificates import Certificates, check_certificates, make_context
from tidegate.proxy.encryption import connection_settings, make_encryption

PLAIN = ProxyConfig(name="main", listen=("127.0.0.1:0",), target="main")
DATABASE = TargetConfig(name="main", host="db.example", user="postgres", sslmode=SslMode.VERIFY_FULL)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secured(files: Files) -> ProxyConfig:
    certificate, key = files.certificate("localhost")
    return replace(PLAIN, tls_certificate=certificate, tls_key=key)


@pytest.fixture
def checked(files: Files) -> TargetConfig:
    return replace(DATABASE, tls_ca=files.ca)


def config(proxy: ProxyConfig, target: TargetConfig) -> Config:
    return Config(proxies=(proxy,), targets=(target,))


def damage(path: str) -> Callable[[], object]:
    """Spoil a file; what is returned mends it."""
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    return lambda: Path(path).write_bytes(whole)


def test_without_a_certificate_there_is_no_tls() -> None:
    assert make_context(PLAIN, b"secret") is None
    check_certificates(config(PLAIN, replace(DATABASE, sslmode=SslMode.DISABLE)))


def test_good_files_are_taken(secured: ProxyConfig, checked: TargetConfig, files: Files) -> None:
    context = make_context(secured, b"secret")
    assert context is not None and context.accepts
    check_certificates(config(replace(secured, tls_client_ca=files.ca), checked))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("tls_certificate", "no certificate can be read from"),
        ("tls_client_ca", "no certificate authority can be read from"),
    ],
)
def test_files_that_are_not_there(secured: ProxyConfig, checked: TargetConfig, setting: str, said: str) -> None:
    proxy = replace(secured, **{setting: "/nonexistent/file.pem"})
    with pytest.raises(ConfigError) as caught:
        check_certificates(config(proxy, checked))
    assert str(caught.value).startswith(f"[[proxy]] main: {said} /nonexistent/file.pem: ")


def test_all_that_is_wrong_is_told_at_once(secured: ProxyConfig, checked: TargetConfig) -> None:
    proxy = replace(secured, tls_key="/nonexistent/key")
    target = replace(checked, tls_ca="/nonexistent/ca")
    with pytest.raises(ConfigError) as caught:
        check_certificates(config(proxy, target))
    first, second = str(caught.value).split("\n")
    assert first == "[[proxy]] main: no private key can be read from /nonexistent/key: No such file or directory"
    assert second.startswith("[[target]] main: ")
    assert "/nonexistent/ca" in second


def test_anothers_key(secured: ProxyConfig, files: Files) -> None:
    _, key = files.certificate("elsewhere.example")
    with pytest.raises(ValueError, match="elsewhere"):
        make_context(replace(secured, tls_key=key), b"")


def test_a_bad_renewal_leaves_what_was(
    secured: ProxyConfig, checked: TargetConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that meets one goes on with the context that it had; a good one replaces it."""
    known = Certificates()
    ours, theirs = known.of_proxy(secured, b"s"), known.of_target(checked)
    assert ours is not None and theirs is not None
    mends = [damage(secured.tls_certificate), damage(checked.tls_ca)]
    assert known.of_proxy(secured, b"s") is ours
    assert known.of_target(checked) is theirs
    assert "TLS of proxy main stays as it is: " in caplog.text
    assert "TLS of target main stays as it is: " in caplog.text
    for mend in mends:
        mend()
    renewed = known.of_proxy(secured, b"s")
    assert renewed is not None and renewed is not ours
    assert known.of_target(checked) is not theirs


def test_what_has_never_worked(secured: ProxyConfig, checked: TargetConfig) -> None:
    """A proxy goes on without TLS (who asks for it is told so); a target that must have it is not used at all."""
    known = Certificates()
    assert known.of_proxy(replace(secured, tls_key="/nonexistent"), b"s") is None
    with pytest.raises(ValueError, match="/nonexistent"):
        known.of_target(replace(checked, tls_ca="/nonexistent"))


def test_of_other_settings_nothing_is_kept(checked: TargetConfig) -> None:
    """A context that trusts the old authority must not stand in for a new one that can't be read."""
    known = Certificates()
    known.of_target(checked)
    with pytest.raises(ValueError, match="/nonexistent"):
        known.of_target(replace(checked, tls_ca="/nonexistent"))


def test_tls_that_is_switched_off_is_off(secured: ProxyConfig, checked: TargetConfig) -> None:
    known = Certificates()
    assert known.of_proxy(secured, b"s") is not None
    assert known.of_proxy(PLAIN, b"s") is None
    assert known.of_target(checked) is not None
    assert known.of_target(replace(checked, sslmode=SslMode.DISABLE)) is None


@pytest.mark.parametrize(
    ("mode", "required"),
    [(SslMode.PREFER, False), (SslMode.REQUIRE, True), (SslMode.VERIFY_CA, True), (SslMode.VERIFY_FULL, True)],
)
def test_modes(files: Files, mode: SslMode, required: bool) -> None:
    made = make_encryption(replace(DATABASE, sslmode=mode, tls_ca=files.ca))
    assert made is not None
    assert (made.host, made.required, made.direct) == ("db.example", required, False)


def test_direct(checked: TargetConfig) -> None:
    made = make_encryption(replace(checked, sslnegotiation=SslNegotiation.DIRECT))
    assert made is not None and made.direct


def test_what_is_not_encrypted(checked: TargetConfig) -> None:
    assert make_encryption(replace(checked, sslmode=SslMode.DISABLE)) is None
    assert make_encryption(replace(checked, host="/run/postgresql")) is None


def test_a_targets_key_is_looked_at(checked: TargetConfig, files: Files) -> None:
    certificate, key = files.certificate("proxy.example")
    target = replace(checked, tls_certificate=certificate, tls_key=key)
    assert make_encryption(target) is not None
    Path(key).chmod(0o644)
    with pytest.raises(ValueError, match="may be read by others"):
        make_encryption(target)


@pytest.mark.parametrize(
    "change",
    [
        {"host": "other.example"},
        {"port": 1},
        {"sslmode": SslMode.REQUIRE},
        {"sslnegotiation": SslNegotiation.DIRECT},
        {"tls_ca": "a"},
        {"tls_certificate": "b"},
        {"tls_key": "c"},
    ],
)
def test_what_makes_it_another_target(change: dict[str, Any]) -> None:
    assert connection_settings(replace(DATABASE, **change)) != connection_settings(DATABASE)
    assert connection_settings(replace(DATABASE, password="x", name="y")) == connection_settings(DATABASE)
