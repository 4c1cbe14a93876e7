"""TLS settings: the exact words for each rule, and where relative paths begin."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tidegate.config.checks import check_rules
from tidegate.config.encryption import FILES, locate_files

TARGET = '[[target]]\nname = "main"\nhost = "db"\nuser = "tidegate"\n'
PROXY = '[[proxy]]\nname = "main"\nlisten = ["127.0.0.1:6432"]\ntarget = "main"\n'
PAIR = 'tls_certificate = "c"\ntls_key = "k"\n'
USER = '[[user]]\nname = "app"\npassword = "pw"\n'


def said(text: str) -> list[str]:
    """Every broken rule."""
    return [problem.line("") for problem in check_rules(tomllib.loads(text))]


@pytest.mark.parametrize(
    "text",
    [
        TARGET + PROXY + PAIR,
        TARGET + PROXY + PAIR + 'require_tls = true\ntls_client_ca = "a"\n',
        TARGET + PROXY + "require_tls = false\n",
        TARGET + PROXY + 'tls_certificate = ""\ntls_key = ""\ntls_client_ca = ""\n',
        TARGET + PROXY + PAIR + 'tls_client_ca = "a"\nauth_method = "cert"\n',
        TARGET + PROXY + PAIR + 'tls_client_ca = "a"\n' + USER + 'auth_method = "cert"\ncertificate_names = ["x"]\n',
        TARGET + PROXY + PAIR + 'tls_client_ca = "a"\nauth_method = "cert"\n' + USER + 'certificate_names = ["x"]\n',
        TARGET + PAIR + PROXY,
        *(TARGET + f'sslmode = "{mode}"\ntls_ca = "a"\n' + PROXY for mode in ("verify-ca", "verify-full")),
        *(
            TARGET + f'sslmode = "{mode}"\nsslnegotiation = "direct"\n' + PROXY
            for mode in ("require", "verify-ca", "verify-full")
        ),
    ],
)
def test_allowed(text: str) -> None:
    assert said(text) == []


LOOSE = "needs tls_certificate: without one nobody gets TLS"


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ('tls_certificate = "c"\n', ['tls_certificate = "c": needs tls_key']),
        ('tls_key = "k"\n', ['tls_key = "k": needs tls_certificate']),
        ("require_tls = true\n", [f"require_tls = true: {LOOSE}"]),
        ('tls_client_ca = "a"\n', [f'tls_client_ca = "a": {LOOSE}']),
        (
            'tls_client_ca = "a"\nrequire_tls = true\ntls_key = "k"\n',
            ['tls_key = "k": needs tls_certificate', f'tls_client_ca = "a": {LOOSE}', f"require_tls = true: {LOOSE}"],
        ),
        (
            PAIR + 'auth_method = "cert"\n',
            ['auth_method = "cert": needs tls_client_ca: whose certificates count?'],
        ),
    ],
)
def test_of_a_proxy(lines: str, problems: list[str]) -> None:
    assert said(TARGET + PROXY + lines) == [f'[[proxy]] "main": {problem}' for problem in problems]


def test_of_a_user() -> None:
    assert said(TARGET + PROXY + PAIR + USER + 'auth_method = "cert"\n') == [
        '[[user]] "app": auth_method = "cert": needs a [[proxy]] with tls_client_ca, which says whose certificates'
        " count"
    ]
    assert said(TARGET + PROXY + USER + 'certificate_names = ["x"]\n') == [
        '[[user]] "app": certificate_names: does nothing without auth_method = "cert"'
    ]
    assert said(TARGET + PROXY + USER + 'auth_method = "md5"\ncertificate_names = ["x"]\n') == [
        '[[user]] "app": certificate_names: does nothing without auth_method = "cert"'
    ]


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", None])
def test_an_authority_that_nobody_asks(mode: str | None) -> None:
    lines = 'tls_ca = "a"\n' + (f'sslmode = "{mode}"\n' if mode else "")
    assert said(TARGET + lines + PROXY) == [
        f'[[target]] "main": tls_ca: does nothing with sslmode = "{mode or "prefer"}"; use verify-full or verify-ca'
    ]


@pytest.mark.parametrize("mode", ["disable", "prefer", None])
def test_direct_leaves_no_choice(mode: str | None) -> None:
    lines = 'sslnegotiation = "direct"\n' + (f'sslmode = "{mode}"\n' if mode else "")
    assert said(TARGET + lines + PROXY) == [
        f'[[target]] "main": sslnegotiation: must not be "direct" with sslmode = "{mode or "prefer"}":'
        " it leaves no choice"
    ]


@pytest.mark.parametrize(("has", "lacks"), [("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")])
def test_half_a_pair_of_a_target(has: str, lacks: str) -> None:
    assert said(TARGET + f'{has} = "x"\n' + PROXY) == [f'[[target]] "main": {has} = "x": needs {lacks}']


@pytest.mark.parametrize("kind", FILES)
def test_paths_begin_at_the_configuration_file(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not in the folder that the proxy happens to be started in."""
    monkeypatch.chdir(tmp_path)
    for key in FILES[kind]:
        table: dict[str, Any] = {key: "tls/a.pem", "host": "x"}
        locate_files(table, kind, Path("/etc/tidegate"))
        assert table == {key: "/etc/tidegate/tls/a.pem", "host": "x"}
        table = {key: "a.pem"}
        locate_files(table, kind, Path("conf"))
        assert table == {key: str(tmp_path / "conf" / "a.pem")}
        for kept in ("/var/a.pem", "", 5, None):
            table = {key: kept}
            locate_files(table, kind, Path("/etc/tidegate"))
            assert table == {key: kept}


@pytest.mark.parametrize(
    "key", ["tls_certificate", "tls_key", "tls_client_ca", "tls_ca", "sslmode", "certificate_names"]
)
@pytest.mark.parametrize("value", ["5", "true", "[5]", "{}"])
def test_wrong_types_are_no_crash(key: str, value: str) -> None:
    """`shape` reports them: rules run on the file as it is."""
    line = f"{key} = {value}\n"
    said(TARGET + line + PROXY + line + USER + line)
